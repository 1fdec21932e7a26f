/* SPDX-License-Identifier: BSD-3-Clause */
/* Pieces are decoded as zlib decodes them, or refused as it refuses them, in memory that ends where it has to. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "format/deflate/decode.h"
#include "memory.h"
#include "random.h"
#include "walked.h"

enum { ROOM = 1 << 18 };

static void *decoder;
static uint8_t stream[ROOM];

static void setup(void)
{
	decoder = deflate_decoder_new(0);
	ck_assert_ptr_nonnull(decoder);
}

static void teardown(void)
{
	deflate_decoder_free(decoder);
}

/* Whether zlib takes bytes for a whole stream of out_len bytes, which it leaves in out. */
static bool zlib_decodes(const uint8_t *bytes, size_t len, uint8_t *out, size_t out_len)
{
	z_stream z = { .next_in = (uint8_t *)(uintptr_t)bytes, .avail_in = (uInt)len, .next_out = out, .avail_out = (uInt)out_len + 1 };
	ck_assert_int_eq(inflateInit2(&z, -15), Z_OK);
	bool good = inflate(&z, Z_FINISH) == Z_STREAM_END && z.total_out == out_len && z.avail_in == 0;
	inflateEnd(&z);
	return good;
}

static bool decodes(const uint8_t *bytes, size_t len, bool ends_stream, uint8_t *out, size_t out_len)
{
	struct blockz_fault fault = { .status = BLOCKZ_OK };
	const struct encoded_piece encoded = { .bytes = bytes, .len = len, .ends_stream = ends_stream };
	enum blockz_status status = deflate_decode(decoder, &encoded, out, out_len, &fault);
	ck_assert_int_eq(fault.status, status);
	if (status != BLOCKZ_OK) {
		ck_assert_int_eq(status, BLOCKZ_DAMAGED);
		ck_assert_uint_le(fault.offset, len);
	}
	return status == BLOCKZ_OK;
}

/* A whole stream, copied to where it ends with its memory; true if it is good. */
static bool judged_like_zlib(size_t len, size_t out_len)
{
	uint8_t *bytes = malloc(len + (len == 0)), *out = malloc(out_len + DECODE_SLACK), *theirs = malloc(out_len + 1);
	memcpy(bytes, stream, len);
	bool good = decodes(bytes, len, true, out, out_len);
	ck_assert_int_eq(good, zlib_decodes(bytes, len, theirs, out_len));
	if (good)
		ck_assert_mem_eq(out, theirs, out_len);
	free(bytes);
	free(out);
	free(theirs);
	return good;
}

static size_t some_stream(const uint8_t *data, size_t len, int i)
{
	if (i % 2 == 0)
		return libdeflate_stream(data, len, i / 2 % 13, stream, ROOM);
	return zlib_stream(data, len, i / 2 % 10, 8, i % 5 == 0 ? Z_FIXED : Z_DEFAULT_STRATEGY, 5000, stream, ROOM);
}

START_TEST(damaged_streams_are_judged_like_zlib)
{
	unsigned good = 0, cases = 0;
	for (int i = 0; i < (few_rounds ? 40 : 130); i++) {
		size_t out_len = (size_t)rnd_below(i % 4 == 0 ? 60000 : 2000);
		uint8_t *data = make_data(out_len);
		size_t len = some_stream(data, out_len, i);
		ck_assert(judged_like_zlib(len, out_len));
		for (int k = 0; k < 60; k++, cases++) {
			size_t at = (size_t)rnd_below(k % 2 == 0 && len > 80 ? 80 : len);
			uint8_t bit = (uint8_t)(1U << rnd_below(8));
			stream[at] ^= bit;
			good += judged_like_zlib(k % 6 == 5 ? (size_t)rnd_below(len) : len, out_len);
			stream[at] ^= bit;
		}
		free(data);
	}
	ck_assert_uint_gt(good, cases / 50);
	ck_assert_uint_lt(good, cases / 2 + cases / 4);
}
END_TEST

START_TEST(other_lengths_are_refused)
{
	for (int i = 0; i < 26; i++) {
		size_t out_len = 1 + (size_t)rnd_below(3000);
		uint8_t *data = make_data(out_len);
		size_t len = some_stream(data, out_len, i);
		ck_assert(judged_like_zlib(len, out_len));
		ck_assert(!judged_like_zlib(len, out_len - 1));
		ck_assert(!judged_like_zlib(len, out_len + 1));
		ck_assert(!judged_like_zlib(len, (size_t)rnd_below(out_len)));
		ck_assert(!judged_like_zlib(len - 1, out_len));
		stream[len] = 0;
		ck_assert(!judged_like_zlib(len + 1, out_len));
		free(data);
	}
}
END_TEST

/* One with a full flush at its end is a piece in the middle of a stream, and none that ends it. */
START_TEST(pieces_end_with_their_blocks)
{
	const size_t out_len = 20000;
	uint8_t *data = make_data(out_len), *out = malloc(out_len + DECODE_SLACK);
	z_stream z = { .next_in = data, .avail_in = (uInt)out_len, .next_out = stream, .avail_out = ROOM };
	ck_assert_int_eq(deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
	ck_assert_int_eq(deflate(&z, Z_FULL_FLUSH), Z_OK);
	const size_t len = z.total_out;
	deflateEnd(&z);
	ck_assert(decodes(stream, len, false, out, out_len));
	ck_assert_mem_eq(out, data, out_len);
	ck_assert(!decodes(stream, len, true, out, out_len));
	/* The flush ends in four bytes; what is before them may be the end of a block. */
	for (size_t less = 1; less < 5; less++)
		ck_assert(!decodes(stream, len - less, false, out, out_len));
	memcpy(stream + len, "\3\0", 2);
	ck_assert(!decodes(stream, len + 2, false, out, out_len));
	ck_assert(decodes(stream, len + 2, true, out, out_len));
	free(data);
	free(out);
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("decode_deflate");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, damaged_streams_are_judged_like_zlib);
	tcase_add_test(tcase, other_lengths_are_refused);
	tcase_add_test(tcase, pieces_end_with_their_blocks);
	return case_run("decode_deflate", tcase);
}
