/* SPDX-License-Identifier: BSD-3-Clause */
/* Groups: their pieces are those that were written; and where they cannot be told, all is read as the map has it. */
#include "mapped/groups.h"

#include <string.h>

#include "foreign.h"
#include "format/gzip/layout.h"
#include "grouped.h"
#include "images.h"
#include "random.h"
#include "range/map.h"

enum { PIECE = 64 * KIB, GROUP = 16 * PIECE, IMAGE_LEN = 5 * MIB + 12345 };

static const struct blockz_range raw[] = { { PIECE + 1000, 2 * PIECE + 5000 }, { 3 * MIB, 3 * MIB + 200000 } };

/* With zeros that are a group of their own, and some that are not. */
static struct bytes new_image(void)
{
	struct bytes image = image_new(IMAGE_TEXT, IMAGE_LEN);
	rnd_fill(image.data + MIB / 2, 100000);
	memset(image.data + MIB, 0, MIB);
	memset(image.data + 4 * MIB, 0, MIB / 2);
	return image;
}

static struct bytes pack_it(struct bytes image)
{
	const struct blockz_pack_options options = { .piece_size = PIECE, .raw = raw, .raw_count = 2 };
	return pack_image(format_named("gzip"), image, options, NULL);
}

/* A mark within a piece of the third group, where the image has what does not compress. */
static struct bytes image_with_mark(void)
{
	struct bytes image = new_image();
	rnd_fill(image.data + 2 * MIB + 10 * PIECE, PIECE);
	memcpy(image.data + 2 * MIB + 10 * PIECE + 5000, "\x00\x00\xff\xff", 4);
	return image;
}

static void assert_same_piece(const struct piece *found, const struct piece *expected)
{
	ck_assert(found->start == expected->start && found->file_off == expected->file_off &&
		  found->file_len == expected->file_len && found->kind == expected->kind && found->method == expected->method);
}

/* The item of `pieces` that is, or of which a copy is, the piece at image offset pos. */
static struct piece copy_at(const struct blockz_map *pieces, uint64_t pos)
{
	size_t index = map_find_piece(pieces, pos);
	struct piece piece = pieces->pieces[index];
	uint64_t len = (map_piece_end(pieces, index) - piece.start) / piece.copies, copy = (pos - piece.start) / len;
	piece.start += copy * len;
	piece.file_len /= piece.copies;
	piece.file_off += copy * piece.file_len;
	piece.copies = 1;
	return piece;
}

START_TEST(pieces_are_found)
{
	struct bytes image = _i == 0 ? new_image() : image_with_mark(), file = pack_it(image), grouped = gzip_grouped(file, GROUP);
	struct blockz_source source = bytes_source(grouped);
	struct blockz_map *pieces = map_of(bytes_source(file), false), *map = map_of(source, false);
	struct groups *groups = groups_new(&source, map);
	size_t apart = 0;
	ck_assert_uint_lt(map->piece_count, pieces->piece_count);
	ck_assert_uint_eq(blockz_map_info(map).pieces, blockz_map_info(pieces).pieces);
	for (uint64_t pos = 0; pos < image.len; pos = map_edge_behind(map, pos)) {
		struct group_piece found;
		ck_assert_int_eq(groups_piece(groups, pos, &found, NULL), BLOCKZ_OK);
		ck_assert_int_eq(found.is_apart, map_is_group(map, map_find_piece(map, pos)));
		if (!found.is_apart)
			continue;
		struct piece expected = copy_at(pieces, pos);
		expected.kind = BLOCKZ_COMPRESSED; /* zeros have become a part of a group */
		assert_same_piece(&found.piece, &expected);
		ck_assert_uint_eq(found.end, map_edge_behind(pieces, pos));
		apart++;
	}
	ck_assert_uint_gt(apart, 40);
	assert_reads(format_named("gzip"), grouped, image);
	groups_free(groups);
	blockz_map_free(map);
	blockz_map_free(pieces);
}
END_TEST

/* Only the groups that meet a range are opened; what is there else stays. */
START_TEST(groups_are_opened)
{
	struct bytes image = new_image(), grouped = gzip_grouped(pack_it(image), GROUP);
	struct blockz_source source = bytes_source(grouped);
	struct blockz_map *map = map_of(source, false), *opened = NULL;
	for (int round = 0; round < 100; round++) {
		struct blockz_range range = rnd_range(image.len);
		uint64_t count = 0;
		ck_assert_int_eq(groups_open(&source, map, &range, 1, &opened, NULL), BLOCKZ_OK);
		ck_assert(opened->span_count == map->span_count && opened->check_count == map->check_count);
		for (size_t i = 0; i < opened->piece_count; i++) {
			const struct piece *piece = &opened->pieces[i];
			uint64_t end = map_piece_end(opened, i);
			size_t item = map_find_piece(map, piece->start);
			bool meets = map->pieces[item].start < range.end && map_piece_end(map, item) > range.start;
			ck_assert_int_eq(map_is_group(opened, i), map_is_group(map, item) && !meets);
			ck_assert_uint_eq(end, map_is_group(map, item) && meets ? map_edge_behind(map, piece->start) : map_piece_end(map, item));
			count += map_pieces_of(opened, i);
		}
		ck_assert_uint_eq(count, blockz_map_info(map).pieces);
		blockz_map_free(opened);
	}
	blockz_map_free(map);
}
END_TEST

START_TEST(whoever_cannot_tell_reads_the_whole)
{
	struct bytes image = image_with_mark(), grouped = gzip_grouped(pack_it(image), GROUP);
	struct blockz_source source = bytes_source(grouped);
	struct blockz_map *map = map_of(source, false), *opened = NULL;
	grouped.data[map->pieces[map_find_piece(map, 2 * MIB)].file_off] = 0x07; /* a block of the reserved type */
	struct groups *groups = groups_new(&source, map);
	struct group_piece found;
	size_t item = map_find_piece(map, 2 * MIB);
	ck_assert(map_is_group(map, item));
	ck_assert_int_eq(groups_piece(groups, 2 * MIB + 10 * PIECE, &found, NULL), BLOCKZ_OK);
	ck_assert(!found.is_apart && found.end == map_piece_end(map, item));
	assert_same_piece(&found.piece, &map->pieces[item]);
	ck_assert_int_eq(groups_piece(groups, 100, &found, NULL), BLOCKZ_OK);
	ck_assert(found.is_apart);
	const struct blockz_range range = { 0, image.len };
	ck_assert_int_eq(groups_open(&source, map, &range, 1, &opened, NULL), BLOCKZ_OK);
	ck_assert(map_is_group(opened, map_find_piece(opened, 2 * MIB)));
	groups_free(groups);
	blockz_map_free(opened);
	blockz_map_free(map);
	ck_assert(!extracts(grouped, false, &image));
}
END_TEST

START_TEST(files_with_groups_are_read)
{
	for (uint64_t group = 2 * PIECE; group <= 8 * MIB; group *= 2) {
		struct bytes image = new_image(), grouped = gzip_grouped(pack_it(image), group);
		assert_reads(format_named("gzip"), grouped, image);
	}
}
END_TEST

/* A group may be longer than what is decoded at once. */
START_TEST(groups_that_are_long)
{
	struct bytes image = image_new(IMAGE_TEXT, 40 * MIB), marked = bytes_copy(image);
	rnd_fill(marked.data + 30 * MIB, PIECE);
	memset(marked.data + 30 * MIB + 7000, 0, 2);
	memset(marked.data + 30 * MIB + 7002, 0xff, 2);
	const struct blockz_pack_options options = { .piece_size = PIECE, .level = 1 };
	assert_reads(format_named("gzip"), gzip_grouped(pack_image(format_named("gzip"), image, options, NULL), 64 * MIB), image);
	assert_reads(format_named("gzip"), gzip_grouped(pack_image(format_named("gzip"), marked, options, NULL), 64 * MIB), marked);
}
END_TEST

/* Patches go by the index, and keep it right; what stands behind a raw range is the beginning of a group. */
START_TEST(raw_bytes_are_patched)
{
	struct bytes image = new_image(), grouped = gzip_grouped(pack_it(image), GROUP);
	for (int round = 0; round < 20; round++) {
		const struct blockz_range *range = &raw[round % 2];
		struct blockz_range part = rnd_range(range->end - range->start);
		part.start += range->start;
		part.end += range->start;
		complement(image, part);
		patch_range(grouped, round % 3 == 0, image, part);
	}
	assert_reads(format_named("gzip"), grouped, image);
	ck_assert_uint_eq(index_of(grouped).data[INDEX_VERSION_OFF], INDEX_VERSION_GROUPS);
}
END_TEST

/* No damage is called good, wherever it is, or read as something else than what the file decodes to. */
START_TEST(damage_is_found)
{
	struct bytes image = new_image(), file = gzip_grouped(pack_it(image), GROUP);
	struct bytes room = bytes_new(image.len + 1);
	for (int round = 0; round < 60; round++) {
		const struct kept *kept = kept_so_far();
		size_t len;
		struct bytes damaged = bytes_flipped(file, rnd_below(8 * file.len));
		if (called_good(format_named("gzip"), damaged, room, &len))
			assert_bytes((struct bytes){ room.data, len }, image);
		forget_since(kept);
	}
}
END_TEST

int main(void)
{
	TCase *c = case_new("groups");
	tcase_add_loop_test(c, pieces_are_found, 0, 2);
	tcase_add_test(c, groups_are_opened);
	tcase_add_test(c, whoever_cannot_tell_reads_the_whole);
	tcase_add_test(c, files_with_groups_are_read);
	tcase_add_test(c, groups_that_are_long);
	tcase_add_test(c, raw_bytes_are_patched);
	tcase_add_test(c, damage_is_found);
	return case_run("groups", c);
}
