/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Data that tempts the compressor to refer into a raw range: its own content stands before it and right behind it.  When
 * the range is overwritten by its complement, nothing else may change for a decoder that is not ours.
 */
#include <string.h>

#include "images.h"

enum { TAIL = 30000 };

struct tempting {
	struct bytes image;
	struct blockz_range raw;
	size_t gain; /* at least so much smaller when nothing is raw: the temptation is real */
};

/* Noise, the content, the content raw, its last bytes again, and all of it, and text. */
static struct tempting tempting_new(size_t start, size_t len, size_t gain)
{
	size_t tail = len < TAIL ? len : TAIL;
	struct bytes image = image_new(IMAGE_NOISE, start + 2 * len + tail + 5000);
	uint8_t *raw = image.data + start;
	size_t before = start < len ? start : len;
	memcpy(raw - before, raw + len - before, before);
	memcpy(raw + len, raw + len - tail, tail);
	memcpy(raw + len + tail, raw, len);
	fill_text(raw + 2 * len + tail, 5000);
	return (struct tempting){ image, { start, start + len }, gain };
}

/* Edits all of the range, and then some parts of it. */
static void overwrite(const struct blockz_format *format, const struct tempting *tempting, struct bytes packed, bool scan)
{
	struct bytes edited = bytes_copy(tempting->image), file = bytes_copy(packed);
	complement(edited, tempting->raw);
	patch_range(file, scan, edited, tempting->raw);
	assert_decodes(format->name, file, edited);
	for (int i = 0; i < 3; i++) {
		struct blockz_range part = rnd_range(tempting->raw.end - tempting->raw.start);
		part.start += tempting->raw.start;
		part.end += tempting->raw.start;
		complement(edited, part);
		patch_range(file, scan, edited, part);
	}
	assert_decodes(format->name, file, edited);
	assert_verifies(file);
}

/* Options for a level, 0 being one of xz: with each of the format's checks in turn, and the extreme kinds of levels. */
static struct blockz_pack_options options_at(const struct blockz_format *format, int level, size_t turn)
{
	size_t checks = 0;
	while (format->checks[checks] != NULL)
		checks++;
	return (struct blockz_pack_options){
		.level = level == 0 ? BLOCKZ_LEVEL_0 : level,
		.extreme = strcmp(format->name, "xz") == 0 && turn / 4 % 2 != 0,
		.check = format->checks[turn % checks],
		.work.threads = 1, /* a moment's work: with two, memory is given back by one while the other waits */
	};
}

static void tempt(const struct blockz_format *format, const struct tempting *tempting, int level, size_t turn,
		  uint64_t piece_size)
{
	struct blockz_pack_options options = options_at(format, level, turn);
	options.piece_size = piece_size;
	size_t unbound = pack_image(format, tempting->image, options, NULL).len;
	options.raw = &tempting->raw;
	options.raw_count = 1;
	for (int no_index = 0; no_index < (has_own_index(format) ? 2 : 1); no_index++) {
		options.no_index = no_index;
		struct bytes file = pack_image(format, tempting->image, options, NULL);
		/* The fastest level is not tempted by all of them. */
		if (tempting->gain > 0 && has_own_index(format) && level != format->level_min)
			ck_assert_uint_gt(file.len, unbound + tempting->gain);
		overwrite(format, tempting, file, false);
		overwrite(format, tempting, file, true);
	}
}

START_TEST(nothing_refers_into_raw_ranges)
{
	const struct blockz_format *format = format_of(_i);
	const size_t piece = (size_t)format->piece_size_min;
	const struct tempting cases[] = {
		tempting_new(40001, 12000, 10000),
		tempting_new(100001, 70001, 10000), /* longer than a piece, and than deflate's window */
		tempting_new(32768, 32768, 0),      /* between edges of blocks */
		tempting_new(piece, piece, 0),      /* exactly a piece */
		tempting_new(0, 20001, 10000),      /* at the very beginning */
		tempting_new(50000, 4096, 3000),
	};
	const uint64_t sizes[] = { format->piece_size_min, 4 * format->piece_size_min, format->piece_size_default };
	for (int level = format->level_min; level <= format->level_max; level += few_rounds ? 4 : 1)
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
			tempt(format, &cases[i], level, (size_t)level + i, sizes[((size_t)level + i) % 3]);
	for (size_t size = 0; size < 3; size++)
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
			tempt(format, &cases[i], format->level_default, size, sizes[size]);
}
END_TEST

/* Two ranges with the same content, and the same again between and behind them. */
START_TEST(ranges_with_equal_content_are_apart)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = image_new(IMAGE_NOISE, 5 * 9001);
	for (size_t i = 1; i < 5; i++)
		memcpy(image.data + i * 9001, image.data, 9001);
	const struct blockz_range raw[] = { { 9001, 2 * 9001 }, { 3 * 9001, 4 * 9001 } };
	for (int level = format->level_min; level <= format->level_max; level++) {
		struct blockz_pack_options options = options_at(format, level, (size_t)level);
		options.raw = raw;
		options.raw_count = 2;
		struct bytes file = pack_image(format, image, options, NULL), edited = bytes_copy(image);
		for (size_t i = 0; i < 2; i++) {
			complement(edited, raw[i]);
			patch_range(file, level % 2, edited, raw[i]);
			assert_decodes(format->name, file, edited);
		}
		assert_verifies(file);
	}
}
END_TEST

int main(void)
{
	TCase *c = case_new("tempt");
	case_add_formats(c, nothing_refers_into_raw_ranges);
	case_add_formats(c, ranges_with_equal_content_are_apart);
	return case_run("tempt", c);
}
