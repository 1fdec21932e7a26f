/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks of other writers, read to their sequences and encoded from these: libzstd decodes them to what they were. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "foreign_zst.h"
#include "format/zstd/history.h"
#include "format/zstd/matches.h"
#include "format/zstd/recode.h"

/* A frame's blocks, one by one. */
struct walk {
	struct blockz_source source;
	struct frame_blocks blocks;
	struct history *history;
	struct frame_block block;
	uint64_t pos; /* of the image, behind the block */
};

static void walk_begin(struct walk *walk, struct bytes file)
{
	*walk = (struct walk){ .source = bytes_source(file), .history = history_new() };
	ck_assert_ptr_nonnull(walk->history);
	ck_assert_int_eq(frame_blocks_begin(&walk->blocks, &walk->source, 0, file.len, BLOCKZ_WINDOW_MAX, NULL), BLOCKZ_OK);
}

/* False: the last one was the last. */
static bool walk_next(struct walk *walk)
{
	if (walk->block.last)
		return false;
	ck_assert_int_eq(frame_blocks_next(&walk->blocks, &walk->block, NULL), BLOCKZ_OK);
	walk->pos += walk->blocks.decoder->len;
	return true;
}

static bool is_compressed(const struct walk *walk)
{
	return block_header_load(walk->block.bytes).type == BLOCK_COMPRESSED;
}

static void walk_end(struct walk *walk)
{
	frame_blocks_end(&walk->blocks);
	history_free(walk->history);
}

/* An image of text, noise and zeros, much of it repeated, so that blocks repeat tables, too. */
static struct bytes mixed_image(size_t len)
{
	struct bytes image = image_new(IMAGE_TEXT, len);
	for (size_t pos = 70000; pos + 70000 < len; pos += 9000 + (size_t)rnd_below(90000)) {
		size_t part = 1 + (size_t)rnd_below(60000), from = (size_t)rnd_below(pos);
		if (rnd() % 5 == 0)
			rnd_fill(image.data + pos, part / 4);
		else if (rnd() % 5 == 0)
			memset(image.data + pos, (int)rnd(), part);
		else
			for (size_t i = 0; i < part; i++)
				image.data[pos + i] = image.data[from + i];
	}
	return image;
}

static const int levels[] = { -5, 1, 3, 7, 12, 16, 19 };
enum { LEVELS = sizeof(levels) / sizeof(levels[0]) };

static struct bytes file_of_level(int level, struct bytes image)
{
	const struct zst_parameter parameters[] = { { ZSTD_c_compressionLevel, level }, { ZSTD_c_checksumFlag, 1 } };
	return zst_compress(image, level % 2, parameters, 2);
}

/* ---- Sequences ---- */

static bool is_copy(const uint8_t *text, const struct sequence *sequence)
{
	return memcmp(text, text - sequence->offset, sequence->match) == 0;
}

/* What stands behind the literals is what stands so far before it, and the state stays known. */
START_TEST(sequences_tell_the_text)
{
	struct bytes image = mixed_image(2 * MIB + 77), file = file_of_level(levels[_i], image);
	struct walk walk;
	size_t compressed = 0;
	for (walk_begin(&walk, file); walk_next(&walk);) {
		size_t pos = (size_t)walk.pos - walk.blocks.decoder->len;
		history_read(walk.history, &walk.block);
		ck_assert(!walk.history->lost && reps_known(walk.history->state.reps));
		for (size_t i = 0; i < walk.history->head.count; i++) {
			const struct sequence *sequence = &walk.history->sequences[i];
			pos += sequence->literals;
			ck_assert(sequence->offset > 0 && sequence->offset <= pos && sequence->match >= MATCH_MIN);
			ck_assert(is_copy(image.data + pos, sequence));
			pos += sequence->match;
		}
		ck_assert_uint_le(pos, walk.pos);
		compressed += is_compressed(&walk);
	}
	ck_assert_uint_ge(compressed, 10);
	walk_end(&walk);
}
END_TEST

/* Who has skipped blocks finds the same offsets. */
START_TEST(offsets_are_found)
{
	struct bytes image = mixed_image(2 * MIB), file = file_of_level(levels[_i], image);
	struct walk walk;
	struct history *skipping = history_new();
	size_t found = 0;
	for (walk_begin(&walk, file); walk_next(&walk);) {
		history_read(walk.history, &walk.block);
		history_skip(skipping, &walk.block);
		if (rnd() % 4 > 0)
			continue;
		ck_assert_int_eq(history_find_reps(skipping, &walk.source, NULL), BLOCKZ_OK);
		ck_assert(!skipping->lost);
		ck_assert_mem_eq(skipping->state.reps, walk.history->state.reps, sizeof(walk.history->state.reps));
		found++;
	}
	ck_assert_uint_ge(found, 1);
	history_free(skipping);
	walk_end(&walk);
}
END_TEST

/* ---- Blocks encoded again ---- */

static void put_recoded(struct walk *walk, struct recoder *recoder, struct bytes image, struct zst_file *out)
{
	const struct history *history = walk->history;
	struct encoding encoding = { .len = 0 };
	size_t text_len = walk->blocks.decoder->len;
	const struct recoding recoding = {
		.head = &history->head, .left = &history->state, .sequences = history->sequences, .count = history->head.count,
		.text = image.data + walk->pos - text_len, .text_len = text_len, .block_max = BLOCK_MAX,
	};
	bool done = false;
	ck_assert_int_eq(zstd_recode(recoder, &recoding, &encoding, &done, NULL), BLOCKZ_OK);
	ck_assert(done);
	zst_put(out, encoding.out.bytes, encoding.len);
	buffer_free(&encoding.out);
}

/* Encodes all compressed blocks again, the state being known, or none of it. */
static struct bytes recode_all(struct bytes file, struct bytes image, bool known)
{
	struct walk walk;
	struct recoder *recoder = calloc(1, sizeof(*recoder));
	struct zst_file out = { .room = 0 };
	walk_begin(&walk, file);
	recoder->state = block_state_first();
	zst_put(&out, file.data, walk.blocks.header.len);
	while (walk_next(&walk)) {
		history_read(walk.history, &walk.block);
		if (!known)
			recoder->state = block_state_unknown();
		if (is_compressed(&walk))
			put_recoded(&walk, recoder, image, &out);
		else
			zst_put(&out, walk.block.bytes, walk.block.len);
		if (known)
			ck_assert_mem_eq(recoder->state.reps, walk.history->state.reps, sizeof(walk.history->state.reps));
	}
	/* A block of its own ends the frame, if the last one does not. */
	if (is_compressed(&walk))
		zst_put_block(&out, true, ZST_RAW, 0, "");
	zst_put_checksum(&out, image);
	free(recoder);
	walk_end(&walk);
	return out.bytes;
}

START_TEST(blocks_again)
{
	struct bytes image = mixed_image(2 * MIB + 77), file = file_of_level(levels[_i], image);
	struct bytes known = recode_all(file, image, true), unknown = recode_all(file, image, false);
	assert_decodes("zstd", known, image);
	assert_decodes("zstd", unknown, image);
	size_t blocks = image.len / BLOCK_MAX + 1;
	ck_assert_uint_le(known.len, file.len + 8 * blocks);
	ck_assert_uint_le(unknown.len, file.len + 600 * blocks);
}
END_TEST

/* ---- Edits ---- */

/* Text of four letters, in which other bytes have no code, and long matches. */
static struct bytes poor_image(size_t len)
{
	struct bytes image = image_new(IMAGE_NOISE, len);
	for (size_t i = 0; i < len; i++)
		image.data[i] = (uint8_t)('a' + image.data[i] % 4);
	memcpy(image.data + 40000, image.data + 1000, 30000);
	memset(image.data + 80000, 'a', 20000);
	return image;
}

/* Bytes that differ here and there, of all values. */
static struct bytes edit_here_and_there(struct bytes image, int edits)
{
	struct bytes edited = bytes_copy(image);
	while (edits-- > 0) {
		uint64_t start = rnd_below(image.len), end = min(image.len, start + 1 + rnd_below(9));
		rnd_fill(edited.data + start, (size_t)(end - start));
	}
	return edited;
}

enum { EDITS = 60, EDIT_COSTS = 100 };

/* A block whose tables have no codes for what comes of it. */
START_TEST(without_codes)
{
	struct bytes image = poor_image(BLOCK_MAX), file = file_of_level(levels[_i], image);
	struct bytes edited = edit_here_and_there(image, EDITS);
	struct recoder *recoder = calloc(1, sizeof(*recoder));
	struct sequence *repaired = malloc(SEQUENCES_MAX * sizeof(repaired[0]));
	struct text_window window = { .size = 0 };
	struct encoding encoding = { .len = 0 };
	struct zst_file out = { .room = 0 };
	struct walk walk;
	bool done = false;
	walk_begin(&walk, file);
	ck_assert(walk_next(&walk) && is_compressed(&walk) && walk.pos == image.len && text_window_begin(&window, BLOCK_MAX));
	history_read(walk.history, &walk.block);
	const struct text_place place = { &window, { 0, edited.data, edited.len, edited.len }, { 0, edited.len } };
	ck_assert(!matches_hold(&place, walk.history->sequences, walk.history->head.count));
	const struct recoding recoding = {
		.head = &walk.history->head,
		.left = &walk.history->state,
		.sequences = repaired,
		.count = matches_repair(&place, walk.history->sequences, walk.history->head.count, repaired),
		.text = edited.data,
		.text_len = edited.len,
		.block_max = BLOCK_MAX,
	};
	recoder->state = block_state_first();
	ck_assert_int_eq(zstd_recode(recoder, &recoding, &encoding, &done, NULL), BLOCKZ_OK);
	ck_assert(done);
	zst_put(&out, file.data, walk.blocks.header.len);
	zst_put(&out, encoding.out.bytes, encoding.len);
	zst_put_block(&out, true, ZST_RAW, 0, "");
	zst_put_checksum(&out, edited);
	assert_decodes("zstd", out.bytes, edited);
	ck_assert_uint_le(out.bytes.len, file.len + EDITS * EDIT_COSTS);
	walk_end(&walk);
	free(recoder);
	free(repaired);
	buffer_free(&window.ring);
	buffer_free(&encoding.out);
}
END_TEST

/* ---- Damage ---- */

/* Bits turned over in the blocks: what is read of them is within its bounds, or nothing is. */
START_TEST(damage)
{
	struct bytes image = mixed_image(300000), file = file_of_level(levels[_i], image);
	size_t lost = 0;
	for (int round = 0; round < 200; round++) {
		const struct kept *mark = kept_so_far();
		struct walk walk;
		for (walk_begin(&walk, file); walk_next(&walk);) {
			struct bytes bad = bytes_copy((struct bytes){ (uint8_t *)(uintptr_t)walk.block.bytes, walk.block.len });
			struct frame_block block = { walk.block.off, bad.data, bad.len, walk.block.last };
			size_t at = BLOCK_HEADER_LEN + (size_t)rnd_below(min(bad.len - BLOCK_HEADER_LEN, rnd() % 2 ? 200 : bad.len));
			bad.data[at] ^= (uint8_t)(1 << rnd() % 8);
			history_read(walk.history, &block);
			size_t total = 0;
			for (size_t i = 0; i < walk.history->head.count && !walk.history->lost; i++)
				total += walk.history->sequences[i].literals + walk.history->sequences[i].match;
			ck_assert_uint_le(total, BLOCK_MAX);
		}
		lost += walk.history->lost;
		walk_end(&walk);
		forget_since(mark);
	}
	ck_assert_uint_ge(lost, 20);
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("zstd_recode");
	tcase_add_loop_test(tcase, sequences_tell_the_text, 0, LEVELS);
	tcase_add_loop_test(tcase, offsets_are_found, 0, LEVELS);
	tcase_add_loop_test(tcase, blocks_again, 0, LEVELS);
	tcase_add_loop_test(tcase, without_codes, 2, LEVELS);
	tcase_add_loop_test(tcase, damage, 0, LEVELS);
	return case_run("zstd_recode", tcase);
}
