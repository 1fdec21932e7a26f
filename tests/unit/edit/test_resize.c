/* SPDX-License-Identifier: BSD-3-Clause */
/* Images that get another size: larger and smaller, with edits on both sides of the old end. */
#include <stdlib.h>
#include <string.h>

#include "growing_store.h"
#include "grouped.h"
#include "range/map.h"
#include "resized.h"

enum { PIECE = 64 * KIB, IMAGE_LEN = 9 * PIECE + 12345 };

/* The second one ends with the image. */
static const struct blockz_range raw[] = { { PIECE + 1000, 2 * PIECE + 5000 }, { IMAGE_LEN - 9000, IMAGE_LEN } };

/* Text, noise, and zeros from the fifth piece to the eighth. */
static struct bytes new_image(void)
{
	struct bytes image = image_new(IMAGE_TEXT, IMAGE_LEN);
	rnd_fill(image.data + 2 * PIECE, 30000);
	memset(image.data + 4 * PIECE, 0, 4 * PIECE);
	return image;
}

static struct bytes pack_it(const struct blockz_format *format, struct bytes image, bool no_index, size_t raw_count)
{
	const struct blockz_pack_options options = {
		.level = 1, .piece_size = PIECE, .no_index = no_index, .raw = raw, .raw_count = raw_count,
	};
	struct bytes file = pack_image(format, image, options, NULL);
	return format == format_named("gzip") && rnd_below(2) == 0 ? gzip_grouped(file, (uint64_t)PIECE << (1 + rnd_below(4))) : file;
}

/* Every decoder takes the new file, and so does verify, by an index of the same kind. */
static void assert_resized(const struct blockz_format *format, struct bytes file, struct bytes image, enum blockz_index index)
{
	struct blockz_verify_result result;
	struct blockz_fault fault;
	assert_decodes(format->name, file, image);
	ck_assert_msg(verify_file(file, false, &result, &fault) == BLOCKZ_OK, "%s", fault.text);
	ck_assert_uint_eq(result.map.image_size, image.len);
	ck_assert_int_eq(result.map.index, index);
}

static enum blockz_index index_of_file(struct bytes file)
{
	struct blockz_map *map = map_of(bytes_source(file), false);
	enum blockz_index index = blockz_map_info(map).index;
	blockz_map_free(map);
	return index;
}

/* ---- Own files ---- */

static const uint64_t sizes[] = {
	0, 1, 4096, PIECE - 1, PIECE, PIECE + 1, PIECE + 1000, PIECE + 1001, PIECE + 20000, 2 * PIECE, 2 * PIECE + 4999, 2 * PIECE + 5000,
	3 * PIECE + 7, 4 * PIECE, 4 * PIECE + 1, 6 * PIECE, 6 * PIECE + 4096, 8 * PIECE - 1, 8 * PIECE, IMAGE_LEN - 9000,
	IMAGE_LEN - 8999, IMAGE_LEN - 1, IMAGE_LEN, IMAGE_LEN + 1, 10 * PIECE - 1, 10 * PIECE, 10 * PIECE + 1, 40 * PIECE + 17,
};

enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

START_TEST(each_size_of_an_own_file)
{
	const struct blockz_format *format = format_of(_i / 6);
	const bool no_index = _i % 2;
	const size_t raw_count = (size_t)(_i / 2 % 3);
	struct bytes image = new_image(), file = pack_it(format, image, no_index, raw_count);
	const enum blockz_index index = index_of_file(file);
	for (size_t i = 0; i < SIZES; i++) {
		const struct kept *mark = kept_so_far();
		struct bytes resized = resize(file, false, sizes[i], NULL, 0);
		assert_resized(format, resized, plain_resize(image, sizes[i]), index);
		forget_since(mark);
	}
}
END_TEST

/* Raw ranges are raw up to the new end. */
START_TEST(raw_ranges_are_cut)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = new_image(), file = pack_it(format, image, false, 2);
	const uint64_t ends[] = { PIECE + 1001, PIECE + 20000, 2 * PIECE + 4999, IMAGE_LEN - 100 };
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct bytes resized = resize(file, false, ends[i], NULL, 0), edited = plain_resize(image, ends[i]);
		struct blockz_map *map = map_of(bytes_source(resized), false);
		struct blockz_map_range range;
		ck_assert(blockz_map_range_at(map, ends[i] - 1, &range));
		ck_assert(range.kind == BLOCKZ_RAW && range.patchable);
		ck_assert_uint_eq(range.start, ends[i] > 3 * PIECE ? raw[1].start : raw[0].start);
		ck_assert_uint_eq(range.end, ends[i]);
		blockz_map_free(map);
		complement(edited, (struct blockz_range){ ends[i] - 1, ends[i] });
		patch_range(resized, false, edited, (struct blockz_range){ ends[i] - 1, ends[i] });
		assert_decodes(format->name, resized, edited);
	}
}
END_TEST

static uint64_t random_size(uint64_t now)
{
	switch (rnd_below(4)) {
	case 0:
		return sizes[rnd_below(SIZES)];
	case 1:
		return rnd_below(2 * IMAGE_LEN);
	case 2:
		return now + rnd_below(20) - (now > 10 ? 10 : now);
	default:
		return now + rnd_below(3 * PIECE);
	}
}

/* One size after the other, as a file gets older, with edits on both sides of its end. */
START_TEST(sizes_with_edits)
{
	const struct blockz_format *format = format_of(_i);
	for (int round = 0; round < (few_rounds ? 5 : 10); round++) {
		const struct kept *mark = kept_so_far();
		struct bytes image = new_image(), file = pack_it(format, image, round & 1, (size_t)(round / 2 % 3));
		const enum blockz_index index = index_of_file(file);
		const bool scan = rnd_below(4) == 0;
		for (int again = 0; again < 5; again++) {
			uint64_t size = random_size(image.len);
			struct bytes edited = plain_resize(image, size);
			struct blockz_edit edits[3];
			size_t count = size > 0 ? (size_t)rnd_below(4) : 0;
			for (size_t i = 0; i < count; i++)
				edits[i] = edit_about(edited, image.len);
			file = resize(file, scan, size, edits, count);
			assert_resized(format, file, edited, scan ? index_of_file(file) : index);
			image = edited;
		}
		forget_since(mark);
	}
}
END_TEST

START_TEST(an_empty_image_gets_bytes)
{
	const struct blockz_format *format = format_of(_i / 2);
	struct bytes image = bytes_new(0), file = pack_it(format, image, _i % 2, 0), edited = bytes_new(2 * PIECE + 5);
	const enum blockz_index index = index_of_file(file);
	fill_text(edited.data + PIECE + 100, 1000);
	struct blockz_edit edit = edit_from(edited, (struct blockz_range){ PIECE + 100, PIECE + 1100 });
	assert_resized(format, resize(file, false, edited.len, &edit, 1), edited, index);
	assert_resized(format, resize(file, false, 1, NULL, 0), bytes_new(1), index);
}
END_TEST

/* A new size that is the old one changes nothing, and leaves each way open. */
START_TEST(the_same_size)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = image_new(IMAGE_TEXT, 3 * PIECE), edited = bytes_copy(image);
	struct bytes file = pack_it(format, image, false, 0);
	struct outcome outcome = { .file.len = 0 };
	assert_bytes(resize(file, false, image.len, NULL, 0), file);
	edited.data[100] = image.data[101];
	struct blockz_edit edit = edit_from(edited, (struct blockz_range){ 0, 200 });
	ck_assert_int_eq(resize_by(file, false, image.len, &edit, 1, BLOCKZ_WAY_SPLICE, &outcome, NULL), BLOCKZ_OK);
	assert_decodes(format->name, outcome.file, edited);
}
END_TEST

/* ---- What is refused ---- */

START_TEST(what_cannot_be)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = new_image(), file = pack_it(format, image, false, 0);
	struct outcome outcome = { .file.len = 0 };
	struct blockz_fault fault;
	ck_assert_int_eq(resize_by(file, false, 5, NULL, 0, BLOCKZ_WAY_IN_PLACE, &outcome, &fault), BLOCKZ_UNSUPPORTED);
	ck_assert_msg(strstr(fault.text, "takes a new file") != NULL, "%s", fault.text);
	ck_assert_int_eq(resize_by(file, false, (uint64_t)INT64_MAX + 1, NULL, 0, BLOCKZ_WAY_AUTO, &outcome, &fault), BLOCKZ_LIMIT);
	ck_assert_int_eq(resize_by(file, false, INT64_MAX, NULL, 0, BLOCKZ_WAY_AUTO, &outcome, &fault), BLOCKZ_LIMIT);
	ck_assert_msg(strstr(fault.text, "4194304 pieces") != NULL, "%s", fault.text);
	/* An edit of what is cut off, or behind the new end. */
	struct blockz_edit edit = edit_from(bytes_new(10 * PIECE), (struct blockz_range){ PIECE, PIECE + 1 });
	ck_assert_int_eq(resize_by(file, false, PIECE, &edit, 1, BLOCKZ_WAY_AUTO, &outcome, &fault), BLOCKZ_USAGE);
	ck_assert_msg(strstr(fault.text, "does not lie in the image of 65536 bytes") != NULL, "%s", fault.text);
	ck_assert_int_eq(fault.subject, BLOCKZ_ABOUT_EDIT);
}
END_TEST

/* ---- Damage ---- */

/* Each bit of a file, flipped before its image gets another size: that is refused, or the damage shows afterwards. */
START_TEST(damage_stays_visible)
{
	const struct blockz_format *format = format_of(_i / 2);
	struct bytes image = image_new(IMAGE_TEXT, 5 * PIECE / 2);
	const struct blockz_range some_raw = { 3000, 9000 };
	const struct blockz_pack_options options = {
		.level = 1, .piece_size = PIECE, .no_index = _i % 2, .raw = &some_raw, .raw_count = 1,
	};
	const struct bytes good = pack_image(format, image, options, NULL);
	const uint64_t ends[] = { 5000, 20000, 3 * PIECE / 2, 2 * PIECE, 5 * PIECE / 2 - 1, 3 * PIECE };
	size_t refused = 0, visible = 0;
	for (int round = 0; round < (few_rounds ? 60 : 200); round++) {
		const struct kept *mark = kept_so_far();
		struct bytes file = bytes_flipped(good, rnd_below(8 * good.len));
		struct bytes wanted = plain_resize(image, ends[rnd_below(6)]), room = { keep(2 * image.len), 2 * image.len };
		const struct blockz_source source = bytes_source(file);
		struct blockz_map *map = NULL;
		struct outcome outcome;
		size_t len = 0;
		if (blockz_map_read(&source, NULL, &map, NULL) != BLOCKZ_OK ||
		    resize_by(file, false, wanted.len, NULL, 0, BLOCKZ_WAY_AUTO, &outcome, NULL) != BLOCKZ_OK)
			refused++;
		else if (!called_good(format, outcome.file, room, &len))
			visible++;
		else
			assert_bytes((struct bytes){ room.data, len }, wanted);
		blockz_map_free(map);
		forget_since(mark);
	}
	ck_assert_uint_gt(refused, 0);
	ck_assert_uint_gt(visible, 0);
}
END_TEST

/* Damage in what is cut off goes with it, where it can be told apart; the file is good again. */
START_TEST(damage_that_is_cut_off)
{
	const struct blockz_format *format = format_of(_i + 1); /* not gzip, with a check over it all */
	struct bytes image = image_new(IMAGE_TEXT, 4 * PIECE), file = pack_it(format, image, false, 0);
	struct blockz_map *map = map_of(bytes_source(file), false);
	file.data[map->pieces[3].file_off + map->pieces[3].file_len / 2] ^= 4;
	blockz_map_free(map);
	assert_resized(format, resize(file, false, 2 * PIECE + 5, NULL, 0), plain_resize(image, 2 * PIECE + 5), BLOCKZ_INDEX_TRAILER);
}
END_TEST

/* ---- Long runs ---- */

/* Zeros stand in the scratch once, however many there are, and a plan of them takes no time. */
START_TEST(zeros_are_encoded_once)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = image_new(IMAGE_TEXT, 2 * MIB);
	struct bytes file = pack_image(format, image, (struct blockz_pack_options){ .piece_size = MIB, .level = 1 }, NULL);
	struct growing_store scratch = { .len = 0 };
	struct blockz_store store = growing_store(&scratch);
	const struct blockz_source source = bytes_source(file);
	struct blockz_map *map = map_of(source, false);
	const uint64_t size = (uint64_t)1 << 38;
	const struct blockz_anywhere how = { .resize = true, .image_size = size + 5, .scratch = &store, .work = { .threads = 2 } };
	struct blockz_plan *plan = NULL;
	ck_assert_int_eq(blockz_plan_anywhere(&source, map, NULL, 0, &how, &plan, NULL), BLOCKZ_OK);
	ck_assert_uint_gt(blockz_plan_info(plan).file_size, size / 65536);
	/* Runs of 4096 pieces are written by the MiB; an index is the larger part of the rest. */
	ck_assert_uint_lt(scratch.len, 8 * MIB);
	blockz_plan_free(plan);
	blockz_map_free(map);
	growing_store_free(&scratch);
}
END_TEST

int main(void)
{
	TCase *c = case_new("resize");
	tcase_add_loop_test(c, each_size_of_an_own_file, 0, 18);
	case_add_formats(c, raw_ranges_are_cut);
	case_add_formats(c, sizes_with_edits);
	tcase_add_loop_test(c, an_empty_image_gets_bytes, 0, 6);
	case_add_formats(c, the_same_size);
	case_add_formats(c, what_cannot_be);
	tcase_add_loop_test(c, damage_stays_visible, 0, 6);
	tcase_add_loop_test(c, damage_that_is_cut_off, 0, 2);
	case_add_formats(c, zeros_are_encoded_once);
	return case_run("resize", c);
}
