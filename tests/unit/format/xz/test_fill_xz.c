/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks of .xz files filled up by any amount that can be; liblzma is the judge. */
#include <string.h>

#include "foreign_xz.h"
#include "format/formats.h"
#include "xz_renewals.h"

enum { CHUNK = 65536, HEADER_LEN_MAX = 1024 };

static const lzma_check checks[] = { LZMA_CHECK_CRC64, LZMA_CHECK_CRC32, LZMA_CHECK_SHA256, LZMA_CHECK_NONE };

static size_t header_len(const uint8_t *block)
{
	return lzma_block_header_size_decode(block[0]);
}

/* Fills an encoding of the one piece of a file up to so many bytes; the judge sees the same image. */
static struct bytes check_fill(struct bytes file, struct bytes image, const struct encoding *once, size_t len)
{
	struct xz_renewing *self = xz_renewing_new(file);
	struct encoding encoding = { .len = once->len, .tag = once->tag };
	bool filled = false;
	ck_assert(buffer_reserve(&encoding.out, once->len));
	memcpy(encoding.out.bytes, once->out.bytes, once->len);
	ck_assert_int_eq(format_xz.fill(&encoding, len, &filled, NULL), BLOCKZ_OK);
	ck_assert(filled);
	ck_assert_uint_eq(encoding.len, len);
	xz_renewing_put(self, 0, 0, &encoding);
	buffer_free(&encoding.out);
	struct bytes out = xz_renewing_finish(self);
	assert_decodes("xz", out, image);
	return out;
}

static void check_unfilled(struct encoding *encoding, size_t len)
{
	struct bytes before = bytes_copy((struct bytes){ encoding->out.bytes, encoding->len });
	bool filled = true;
	ck_assert_int_eq(format_xz.fill(encoding, len, &filled, NULL), BLOCKZ_OK);
	ck_assert(!filled);
	assert_bytes((struct bytes){ encoding->out.bytes, encoding->len }, before);
}

/* Every amount that a Block Header has room for. */
START_TEST(header_padding)
{
	struct bytes image = image_new(IMAGE_TEXT, 3000 + (size_t)_i), file = xz_easy(image, 6, checks[_i]);
	struct xz_renewing *self = xz_renewing_new(file);
	struct encoding once = xz_renewing_encode(self, 0, image);
	size_t before = header_len(once.out.bytes);
	for (size_t more = 0; more <= HEADER_LEN_MAX - before; more += 4) {
		struct bytes out = check_fill(file, image, &once, once.len + more);
		ck_assert_uint_eq(header_len(out.data + 12), before + more);
	}
	static const int wrong[] = { -4, -1, 1, 2, 3 };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		check_unfilled(&once, once.len + (size_t)wrong[i]);
	check_unfilled(&once, 0);
	buffer_free(&once.out);
	blockz_map_free(self->map);
}
END_TEST

/* Larger amounts, up to all of the Block being raw, and behind any filters. */
START_TEST(raw_chunks)
{
	lzma_options_lzma usual, other;
	lzma_options_delta delta = { .type = LZMA_DELTA_TYPE_BYTE, .dist = 3 };
	ck_assert(!lzma_lzma_preset(&usual, 6));
	other = usual;
	other.dict_size = 4096;
	other.lc = 0;
	other.lp = 4;
	other.pb = 1;
	const lzma_filter chains[][4] = {
		{ { LZMA_FILTER_LZMA2, &usual }, { LZMA_VLI_UNKNOWN, NULL } },
		{ { LZMA_FILTER_X86, NULL }, { LZMA_FILTER_LZMA2, &other }, { LZMA_VLI_UNKNOWN, NULL } },
		{ { LZMA_FILTER_DELTA, &delta }, { LZMA_FILTER_LZMA2, &usual }, { LZMA_VLI_UNKNOWN, NULL } },
	};
	for (enum image_kind kind = IMAGE_ZEROS; kind < IMAGE_KINDS; kind++) {
		struct bytes image = image_new(kind, 150000 + (size_t)_i);
		image.data[image.len / 2] ^= 1; /* of zeros no more */
		struct xz_stream *stream = xz_begin(checks[_i]);
		xz_put(stream, image, chains[_i]);
		struct bytes file = xz_end(stream);
		struct xz_renewing *self = xz_renewing_new(file);
		struct encoding once = xz_renewing_encode(self, 0, image);
		size_t header = header_len(once.out.bytes), most = HEADER_LEN_MAX - header;
		size_t raw = image.len + image.len / CHUNK * 3 + 4 + header + lzma_check_size(checks[_i]);
		struct bytes out = file;
		for (size_t more = most + 4; once.len + more < raw + 20; more += more / 4 * 4) {
			out = check_fill(file, image, &once, once.len + more);
			/* A header that is hardly longer shows that no more was made raw than had to be. */
			ck_assert_uint_lt(header_len(out.data + 12), header + 300);
		}
		assert_reads(format_named("xz"), out, image);
		check_unfilled(&once, (raw + 2000) / 4 * 4);
		buffer_free(&once.out);
		blockz_map_free(self->map);
	}
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("fill_xz");
	tcase_add_loop_test(tcase, header_padding, 0, 4);
	tcase_add_loop_test(tcase, raw_chunks, 0, 3);
	return case_run("fill_xz", tcase);
}
