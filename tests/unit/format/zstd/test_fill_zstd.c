/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames of .zst filled up by any amount. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_getFrameHeader */
#include "base/bytes.h"
#include "foreign_zst.h"
#include "format/formats.h"
#include "judge.h"

enum { BLOCK = 131072, FILL_MAX = 65536 };

static ZSTD_frameHeader header_of(struct bytes frame)
{
	ZSTD_frameHeader header;
	ck_assert_uint_eq(ZSTD_getFrameHeader(&header, frame.data, frame.len), 0);
	return header;
}

/* _i: of several blocks, with and without a window of its own; of one block, compressed, raw, repeated; a short one. */
START_TEST(amounts)
{
	static const struct {
		enum image_kind kind;
		size_t len;
		int window_log, checksum;
	} frames[] = {
		{ IMAGE_TEXT, 2 * BLOCK + 1000, 17, 1 }, { IMAGE_DISK, 2 * BLOCK, 0, 0 }, { IMAGE_TEXT, 9000, 0, 1 },
		{ IMAGE_NOISE, 3000, 0, 1 }, { IMAGE_ZEROS, 5000, 12, 0 }, { IMAGE_TEXT, 1, 0, 1 },
	};
	struct bytes image = image_new(frames[_i].kind, frames[_i].len), filled;
	const struct zst_parameter parameters[] = {
		{ ZSTD_c_checksumFlag, frames[_i].checksum }, { ZSTD_c_windowLog, frames[_i].window_log },
	};
	struct bytes frame = zst_compress(image, true, parameters, 2);
	const struct kept *mark = kept_so_far();
	size_t step = few_rounds || image.len > BLOCK ? 37 : 1;
	for (size_t amount = 0; amount <= 3000; amount += amount < 100 ? 1 : step) {
		bool possible = amount != 1 && amount != 2 && amount != 5;
		ck_assert_int_eq(zst_fill(frame, amount, &filled), possible);
		zst_assert_frame(filled, image);
		forget_since(mark);
	}
	for (size_t amount = FILL_MAX - 3; amount <= FILL_MAX; amount++) {
		ck_assert(zst_fill(frame, amount, &filled));
		zst_assert_frame(filled, image);
	}
}
END_TEST

static size_t blocks_of(struct bytes frame)
{
	size_t count = 1, pos = header_of(frame).headerSize;
	for (; (frame.data[pos] & 1) == 0; count++) {
		uint32_t header = load_le16(frame.data + pos) | (uint32_t)frame.data[pos + 2] << 16;
		pos += 3 + ((header >> 1 & 3) == ZST_RLE ? 1 : header >> 3);
	}
	return count;
}

/* _i: the window.  By blocks at the end that become raw; what is left of one is more than can be filled up to half the time. */
START_TEST(large_amounts)
{
	static const int window_logs[] = { 0, 10, 17 }, levels[] = { 1, 19 };
	struct bytes image = image_new(IMAGE_TEXT, 5 * BLOCK + 77), filled;
	for (size_t level = 0; level < 2; level++) {
		const struct zst_parameter parameters[] = {
			{ ZSTD_c_checksumFlag, (int)level }, { ZSTD_c_windowLog, window_logs[_i] }, { ZSTD_c_compressionLevel, levels[level] },
		};
		struct bytes frame = zst_compress(image, true, parameters, 3);
		size_t most = image.len - frame.len, blocks = blocks_of(frame);
		for (size_t amount = 2 * FILL_MAX; amount < most; amount += 17000 + (size_t)rnd_below(7)) {
			ck_assert(zst_fill(frame, amount, &filled) || zst_fill(frame, amount - FILL_MAX + 9, &filled));
			ck_assert_uint_le(blocks_of(filled), blocks + FILL_MAX / 3);
			zst_assert_frame(filled, image);
		}
		/* All of it raw, and more. */
		ck_assert(zst_fill(frame, most + 1000, &filled) || _i == 1);
		zst_assert_frame(filled, image);
		ck_assert(!zst_fill(frame, most + 2 * FILL_MAX, &filled));
	}
}
END_TEST

/* _i: what stands before and behind a run of one byte.  A part of it becomes raw, so everything fits. */
START_TEST(large_amounts_in_a_run)
{
	struct bytes text = image_new(IMAGE_TEXT, 1000), image = bytes_new(4 * BLOCK), filled;
	memset(image.data, 'z', image.len);
	if (_i & 1)
		image = bytes_join(text, image);
	if (_i & 2)
		image = bytes_join(image, text);
	struct bytes frame = zst_compress(image, true, NULL, 0);
	size_t blocks = blocks_of(frame);
	for (size_t amount = FILL_MAX + 1; amount < 2 * BLOCK; amount += 3000 + (size_t)rnd_below(7)) {
		ck_assert(zst_fill(frame, amount, &filled));
		ck_assert_uint_le(blocks_of(filled), blocks + 2);
		zst_assert_frame(filled, image);
	}
}
END_TEST

START_TEST(too_long_to_be_filled)
{
	struct bytes image = image_new(IMAGE_TEXT, 1000), frame = zst_compress(image, true, NULL, 0), same;
	ck_assert(!zst_fill(frame, (size_t)-1, &same));
	ck_assert(!zst_fill(frame, -frame.len, &same));
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("fill_zstd");
	tcase_add_loop_test(tcase, amounts, 0, 6);
	tcase_add_loop_test(tcase, large_amounts, 0, 3);
	tcase_add_loop_test(tcase, large_amounts_in_a_run, 0, 4);
	tcase_add_test(tcase, too_long_to_be_filled);
	return case_run("fill_zstd", tcase);
}
