/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks unpacked chunk by chunk: to what liblzma makes of them, and no byte more than can be relied on. */
#include <stdlib.h>
#include <string.h>

#include "foreign_xz.h"
#include "format/xz/read.h"
#include "format/xz/unpack.h"
#include "images.h"
#include "random.h"

/* A file of one Block, its piece, and what decodes it. */
struct block {
	struct bytes file, image;
	struct encoded_piece encoded;
	void *decoder;
	struct xz_unpacked *step;
	uint8_t *out;
};

static void block_of(struct block *block, struct bytes file, struct bytes image)
{
	struct blockz_map *map = map_of(bytes_source(file), false);
	const struct piece *piece = &map->pieces[0];
	ck_assert_uint_eq(map->piece_count, 1);
	block->file = file;
	block->image = image;
	block->encoded = (struct encoded_piece){
		.bytes = file.data + piece->file_off, .len = piece->file_len, .file_off = piece->file_off,
		.method = piece->method, .padding = piece->padding,
	};
	block->decoder = xz_decoder_new(UINT64_MAX);
	block->step = keep(sizeof(*block->step));
	block->out = keep(image.len + DECODE_SLACK);
	ck_assert_ptr_nonnull(block->decoder);
	blockz_map_free(map);
}

static enum blockz_status step_to(struct block *block, size_t wanted, size_t *made_ret)
{
	return xz_decode_step(block->decoder, &block->encoded, block->step, block->out, block->image.len, wanted, made_ret, NULL);
}

static void assert_right(const struct block *block, size_t made)
{
	assert_bytes((struct bytes){ block->out, made }, (struct bytes){ block->image.data, made });
}

/* A file of one Block, by one of many settings. */
static struct bytes block_file(struct bytes image, lzma_check check)
{
	lzma_options_lzma options;
	const lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	struct xz_stream *stream = xz_begin(check);
	ck_assert(!lzma_lzma_preset(&options, (uint32_t)rnd_below(7)));
	options.lc = (uint32_t)rnd_below(LZMA_LCLP_MAX + 1);
	options.lp = (uint32_t)rnd_below(LZMA_LCLP_MAX + 1 - options.lc);
	options.pb = (uint32_t)rnd_below(LZMA_PB_MAX + 1);
	options.dict_size = LZMA_DICT_SIZE_MIN << rnd_below(12);
	xz_put(stream, image, filters);
	return xz_end(stream);
}

START_TEST(in_steps_as_at_once)
{
	static const lzma_check checks[] = { LZMA_CHECK_CRC64, LZMA_CHECK_CRC32, LZMA_CHECK_SHA256, LZMA_CHECK_NONE };
	for (int round = 0; round < (few_rounds ? 3 : 12); round++) {
		struct bytes image = image_new((enum image_kind)_i, 1 + rnd_below(2 * MIB));
		struct block block;
		block_of(&block, block_file(image, checks[rnd_below(4)]), image);
		size_t made = 0;
		ck_assert_int_eq(xz_decode(block.decoder, &block.encoded, block.out, image.len, NULL), BLOCKZ_OK);
		assert_right(&block, image.len);
		memset(block.out, 0, image.len);
		while (made < image.len) {
			size_t wanted = made + 1 + rnd_below(image.len - made);
			ck_assert_int_eq(step_to(&block, wanted, &made), BLOCKZ_OK);
			ck_assert_uint_ge(made, wanted);
			assert_right(&block, made);
		}
		xz_decoder_free(block.decoder);
	}
}
END_TEST

/* Of a Block of several chunks the first is decoded alone; with a raw one before it, all are, since only the Check tells of it. */
START_TEST(no_more_than_can_be_relied_on)
{
	static const lzma_check checks[] = { LZMA_CHECK_CRC64, LZMA_CHECK_NONE };
	struct bytes text = image_new(IMAGE_TEXT, 3 * MIB), data = { 0 }, raw = image_new(IMAGE_TEXT, 1000);
	lzma_options_lzma options;
	struct block block;
	size_t made = 0;
	ck_assert(!lzma_lzma_preset(&options, 1));
	block_of(&block, xz_easy(text, 1, checks[_i]), text);
	ck_assert_int_eq(step_to(&block, 1, &made), BLOCKZ_OK);
	ck_assert_uint_gt(made, 0);
	ck_assert_uint_lt(made, text.len);
	assert_right(&block, made);
	xz_decoder_free(block.decoder);

	struct bytes image = bytes_join(raw, text);
	struct xz_stream *stream = xz_begin(checks[_i]);
	chunks_raw(&data, raw, true);
	chunks_lzma(&data, text, CHUNK_LZMA_RESET, &options);
	chunks_end(&data);
	xz_put_data(stream, data, image, NULL);
	block_of(&block, xz_end(stream), image);
	ck_assert_int_eq(step_to(&block, 1, &made), BLOCKZ_OK);
	ck_assert_uint_eq(made, _i == 0 ? image.len : raw.len);
	assert_right(&block, made);
	xz_decoder_free(block.decoder);
}
END_TEST

/* Whatever bit is wrong, what is given away is right. */
START_TEST(every_flipped_bit)
{
	struct bytes image = image_new((enum image_kind)_i, 5000);
	struct block block;
	block_of(&block, xz_easy(image, 1, LZMA_CHECK_CRC32), image);
	for (size_t bit = 0; bit < block.encoded.len * 8; bit++) {
		struct bytes flipped = bytes_flipped(block.file, block.encoded.file_off * 8 + bit);
		struct block other = block;
		other.encoded.bytes = flipped.data + block.encoded.file_off;
		size_t made = 0;
		memset(block.step, 0, sizeof(*block.step));
		enum blockz_status status = step_to(&other, 1 + rnd_below(image.len), &made);
		if (status == BLOCKZ_OK)
			assert_right(&other, made);
		/* Properties do not matter to every text. */
		if (xz_decode(block.decoder, &other.encoded, block.out, image.len, NULL) == BLOCKZ_OK)
			assert_right(&block, image.len);
	}
	xz_decoder_free(block.decoder);
}
END_TEST

/* Of a long Block, in which damage is chosen at random: a chunk with some of it is never given away. */
START_TEST(damaged_chunks)
{
	struct bytes image = image_new(IMAGE_TEXT, 3 * MIB);
	struct block block;
	int steps = 0;
	block_of(&block, xz_easy(image, 1, LZMA_CHECK_CRC64), image);
	for (int round = 0; round < (few_rounds ? 30 : 100); round++) {
		struct bytes damaged = bytes_copy(block.file);
		struct block other = block;
		size_t made = 0;
		for (uint64_t n = 1 + rnd_below(3); n > 0; n--)
			damaged.data[block.encoded.file_off + rnd_below(block.encoded.len)] = (uint8_t)rnd();
		other.encoded.bytes = damaged.data + block.encoded.file_off;
		memset(block.step, 0, sizeof(*block.step));
		while (made < image.len && step_to(&other, made + 1, &made) == BLOCKZ_OK) {
			assert_right(&other, made);
			steps++;
		}
	}
	ck_assert_int_gt(steps, 0);
	xz_decoder_free(block.decoder);
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("unpack");
	tcase_add_loop_test(tcase, in_steps_as_at_once, 0, IMAGE_KINDS);
	tcase_add_loop_test(tcase, no_more_than_can_be_relied_on, 0, 2);
	tcase_add_loop_test(tcase, every_flipped_bit, 0, IMAGE_KINDS);
	tcase_add_test(tcase, damaged_chunks);
	return case_run("unpack", tcase);
}
