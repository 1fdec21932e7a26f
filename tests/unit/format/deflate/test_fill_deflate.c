/* SPDX-License-Identifier: BSD-3-Clause */
/* Deflate pieces that are filled up to a length: every amount, from every bit on, for zlib, libdeflate and our decoder. */
#include <libdeflate.h>
#include <string.h>
#include <zlib.h>

#include "format/deflate/decode.h"
#include "format/deflate/encode.h"
#include "format/deflate/fill.h"
#include "format/deflate/walk.h"
#include "images.h"

enum { AMOUNTS = 2000, LARGE = 100000, PHASES = 8, FIXED_MAX = 3 };

static void *encoder, *decoder;
static struct libdeflate_decompressor *decompressor;
static struct walker *walker;
static struct encoding encoding;

static void setup(void)
{
	encoder = deflate_encoder_new(&(struct pack_params){ .level = 7 });
	decoder = deflate_decoder_new(0);
	decompressor = libdeflate_alloc_decompressor();
	ck_assert(encoder != NULL && decoder != NULL && decompressor != NULL);
	ck_assert_int_eq(walker_new(&walker, NULL), BLOCKZ_OK);
}

static void teardown(void)
{
	buffer_free(&encoding.out);
	deflate_encoder_free(encoder);
	deflate_decoder_free(decoder);
	libdeflate_free_decompressor(decompressor);
	walker_free(walker);
}

/* ---- Judges ---- */

struct blocks {
	unsigned fixed;
	struct walk_block mark; /* the last that is not final */
};

static struct blocks blocks_of(struct bytes piece)
{
	struct blocks blocks = { 0 };
	struct walk_block block = { 0 };
	enum blockz_status status = BLOCKZ_OK;
	walker_reset_memory(walker, piece.data, piece.len);
	while (block.end_bit < piece.len * 8 && !block.final && status == BLOCKZ_OK) {
		status = walker_next(walker, &block, NULL, NULL);
		blocks.fixed += block.type == WALK_FIXED;
		if (!block.final)
			blocks.mark = block;
	}
	ck_assert_int_eq(status, BLOCKZ_OK); /* outside of the loop, since each assertion is a call of the system */
	return blocks;
}

static void inflates(struct bytes stream, struct bytes image)
{
	static const z_stream none;
	z_stream z = none;
	struct bytes out = bytes_new(image.len + 1);
	ck_assert_int_eq(inflateInit2(&z, -15), Z_OK);
	z.next_in = stream.data;
	z.avail_in = (uInt)stream.len;
	z.next_out = out.data;
	z.avail_out = (uInt)out.len;
	ck_assert_int_eq(inflate(&z, Z_FINISH), Z_STREAM_END);
	ck_assert_uint_eq(z.avail_in, 0);
	ck_assert_uint_eq(z.total_out, image.len);
	ck_assert_mem_eq(out.data, image.data, image.len);
	inflateEnd(&z);
}

static void deflates_at_once(struct bytes stream, struct bytes image)
{
	struct bytes out = bytes_new(image.len + 1);
	size_t used, made;
	ck_assert_int_eq(libdeflate_deflate_decompress_ex(decompressor, stream.data, stream.len, out.data, out.len, &used, &made),
			 LIBDEFLATE_SUCCESS);
	ck_assert_uint_eq(used, stream.len);
	ck_assert_uint_eq(made, image.len);
	ck_assert_mem_eq(out.data, image.data, image.len);
}

static void decodes_alone(struct bytes piece, struct bytes image, bool ends_stream)
{
	struct bytes in = bytes_join(piece, bytes_new(DECODE_SLACK)), out = bytes_new(image.len + DECODE_SLACK);
	struct encoded_piece encoded = {
		.bytes = in.data, .len = piece.len, .method = CHECK_CRC32, .ends_stream = ends_stream,
	};
	ck_assert_int_eq(deflate_decode(decoder, &encoded, out.data, image.len, NULL), BLOCKZ_OK);
	ck_assert_mem_eq(out.data, image.data, image.len);
}

/* A piece as all decoders take it, alone and in a stream, which ends with a full flush. */
static void assert_piece(struct bytes piece, struct bytes image, bool ends_stream)
{
	static uint8_t end[] = { 3, 0 };
	struct bytes stream = ends_stream ? piece : bytes_join(piece, (struct bytes){ end, 2 });
	ck_assert_mem_eq(stream.data + stream.len - 6, "\0\0\xff\xff\3\0", 6);
	inflates(stream, image);
	deflates_at_once(stream, image);
	decodes_alone(piece, image, ends_stream);
}

/* ---- Tests ---- */

static struct bytes encode(struct bytes image, bool ends_stream)
{
	struct plain_piece plain = { .bytes = image.data, .len = image.len, .ends_stream = ends_stream };
	ck_assert_int_eq(deflate_encode(encoder, &plain, &encoding, NULL), BLOCKZ_OK);
	return bytes_copy((struct bytes){ encoding.out.bytes, encoding.len });
}

/* Fills what was encoded; false, and it is as it was, where that cannot be done. */
static bool fill(struct bytes piece, struct bytes image, size_t amount, bool ends_stream)
{
	bool filled;
	ck_assert(buffer_reserve(&encoding.out, piece.len));
	memcpy(encoding.out.bytes, piece.data, piece.len);
	encoding.len = piece.len;
	ck_assert_int_eq(deflate_fill(&encoding, piece.len + amount, &filled, NULL), BLOCKZ_OK);
	struct bytes now = { encoding.out.bytes, encoding.len };
	if (!filled) {
		assert_bytes(now, piece);
		return false;
	}
	ck_assert_uint_eq(now.len, piece.len + amount);
	ck_assert_uint_le(blocks_of(now).fixed, blocks_of(piece).fixed + FIXED_MAX);
	ck_assert_mem_eq(now.data, piece.data, blocks_of(piece).mark.header_bit / 8);
	assert_piece(now, image, ends_stream);
	return true;
}

static void every_amount(struct bytes piece, struct bytes image, bool ends_stream)
{
	unsigned impossible = 0;
	for (size_t amount = 0; amount <= AMOUNTS; amount++) {
		const struct kept *mark = kept_so_far();
		if (!fill(piece, image, amount, ends_stream)) {
			ck_assert_uint_lt(amount, 5);
			impossible++;
		}
		forget_since(mark);
	}
	ck_assert_uint_eq(impossible, 1);
	for (size_t amount = LARGE; amount < LARGE + 5; amount++)
		ck_assert(fill(piece, image, amount, ends_stream));
}

/* Images of more and more bytes, until their last block has ended at each bit of a byte. */
START_TEST(every_amount_from_every_bit)
{
	bool ends_stream = _i == 1, seen[PHASES] = { false };
	unsigned left = PHASES;
	for (size_t len = 1; left > 0; len++) {
		ck_assert_uint_lt(len, 2000);
		struct bytes image = image_new(len % 2 == 0 ? IMAGE_TEXT : IMAGE_NOISE, len), piece = encode(image, ends_stream);
		unsigned phase = blocks_of(piece).mark.header_bit % PHASES;
		if (seen[phase])
			continue;
		seen[phase] = true;
		left--;
		every_amount(piece, image, ends_stream);
	}
}
END_TEST

/* The fastest level may have an encoder of its own. */
START_TEST(pieces_of_every_level)
{
	struct bytes image = image_new(IMAGE_DISK, 300000);
	for (int level = 1; level <= 12; level++) {
		deflate_encoder_free(encoder);
		encoder = deflate_encoder_new(&(struct pack_params){ .level = level });
		struct bytes piece = encode(image, _i == 1);
		assert_piece(piece, image, _i == 1);
		for (size_t amount = 5; amount < 10; amount++)
			ck_assert(fill(piece, image, amount, _i == 1));
	}
}
END_TEST

START_TEST(what_is_longer_stays)
{
	struct bytes image = image_new(IMAGE_TEXT, 1000), piece = encode(image, false);
	bool filled = true;
	ck_assert_int_eq(deflate_fill(&encoding, piece.len - 1, &filled, NULL), BLOCKZ_OK);
	ck_assert(!filled);
	assert_bytes((struct bytes){ encoding.out.bytes, encoding.len }, piece);
}
END_TEST

int main(void)
{
	TCase *c = case_new("fill");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, every_amount_from_every_bit, 0, 2);
	tcase_add_loop_test(c, pieces_of_every_level, 0, 2);
	tcase_add_test(c, what_is_longer_stays);
	return case_run("fill", c);
}
