/* SPDX-License-Identifier: BSD-3-Clause */
/* Ranges, edits and maps against models that know each byte. */
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "random.h"
#include "range/edit_parts.h"
#include "range/map.h"

/* ---- Sets of ranges ---- */

enum { UNIVERSE = 200, RANGES_MAX = 12 };

/* A range of [0, UNIVERSE], now and then empty. */
static struct blockz_range random_range(uint64_t base)
{
	uint64_t start = rnd_below(UNIVERSE + 1);
	uint64_t end = start + rnd_below((rnd_below(3) == 0 ? UNIVERSE - start : (UNIVERSE - start) / 8) + 1);
	return (struct blockz_range){ base + start, base + end };
}

static void mark(uint8_t *bitmap, const struct blockz_range *ranges, size_t count, uint64_t base)
{
	memset(bitmap, 0, UNIVERSE);
	for (size_t i = 0; i < count; i++)
		memset(bitmap + (ranges[i].start - base), 1, (size_t)(ranges[i].end - ranges[i].start));
}

START_TEST(united_ranges_cover_the_same)
{
	static const uint64_t bases[] = { 0, 1000, UINT64_MAX - UNIVERSE };
	for (int round = 0; round < 2000; round++) {
		uint8_t before[UNIVERSE], after[UNIVERSE];
		struct blockz_range ranges[RANGES_MAX];
		size_t count = (size_t)rnd_below(RANGES_MAX + 1);
		uint64_t base = bases[round % 3];
		for (size_t i = 0; i < count; i++)
			ranges[i] = random_range(base);
		mark(before, ranges, count, base);
		size_t kept = blockz_ranges_unite(ranges, count);
		ck_assert_uint_le(kept, count);
		mark(after, ranges, kept, base);
		ck_assert_mem_eq(before, after, UNIVERSE);
		for (size_t i = 0; i < kept; i++) {
			ck_assert_uint_lt(ranges[i].start, ranges[i].end);
			/* Neither overlapping nor touching. */
			ck_assert(i == 0 || ranges[i - 1].end < ranges[i].start);
		}
	}
	ck_assert_uint_eq(blockz_ranges_unite(NULL, 0), 0);
}
END_TEST

/* ---- Edits over one another ---- */

static size_t make_edits(struct blockz_edit *edits, bool ascending)
{
	size_t count = (size_t)rnd_below(RANGES_MAX + 1);
	uint64_t next = 0;
	for (size_t i = 0; i < count; i++) {
		struct blockz_range range = random_range(0);
		if (ascending) {
			range.start = next + rnd_below((UNIVERSE - next) / 4 + 1);
			range.end = next = range.start + rnd_below((UNIVERSE - range.start) / 4 + 1);
		}
		edits[i] = (struct blockz_edit){ .range = range };
	}
	return count;
}

START_TEST(the_last_edit_lies_on_top)
{
	for (int round = 0; round < 2000; round++) {
		uint32_t expected[UNIVERSE], found[UNIVERSE];
		struct blockz_edit edits[RANGES_MAX];
		struct edit_part *made = NULL;
		size_t count = make_edits(edits, round % 2 == 0), made_count = 0;
		memset(expected, 0xff, sizeof(expected));
		memset(found, 0xff, sizeof(found));
		for (size_t i = 0; i < count; i++)
			for (uint64_t off = edits[i].range.start; off < edits[i].range.end; off++)
				expected[off] = (uint32_t)i;
		ck_assert_int_eq(edit_parts_make(edits, count, &made, &made_count, NULL), BLOCKZ_OK);
		for (size_t i = 0; i < made_count; i++) {
			ck_assert_uint_lt(made[i].start, made[i].end);
			ck_assert(i == 0 || made[i - 1].end <= made[i].start);
			/* What could be one part is one. */
			ck_assert(i == 0 || made[i - 1].end < made[i].start || made[i - 1].edit != made[i].edit);
			for (uint64_t off = made[i].start; off < made[i].end; off++)
				found[off] = made[i].edit;
		}
		ck_assert_mem_eq(found, expected, sizeof(expected));
		free(made);
	}
}
END_TEST

/* ---- Maps ---- */

/*
 * A file of parts: compressed, zero, or raw with or without headers in it.  Pieces are cut between parts, and within
 * raw parts before a header.
 */
enum { PARTS_MAX = 24, IMAGE_MAX = PARTS_MAX * 400, STRIDE = 64, HEADER = 5, NONE = -1 };

struct part {
	struct blockz_map_range range;
	uint32_t stride;
};

static struct part parts[PARTS_MAX];
static size_t part_count;
/* Of each image byte. */
static int part_of[IMAGE_MAX], piece_of[IMAGE_MAX], span_of[IMAGE_MAX];
static uint64_t file_off_of[IMAGE_MAX]; /* raw bytes alone */
static struct blockz_map *map;

static bool header_before(const struct part *part, uint64_t off)
{
	return part->stride != 0 && (off == part->range.start || off % STRIDE == 0);
}

/* Lays a part out behind those there are. */
static void add_part(uint64_t start, uint64_t *file_off)
{
	struct part *part = &parts[part_count];
	uint64_t len = 1 + rnd_below(rnd_below(2) == 0 ? 300 : 20);
	part->range = (struct blockz_map_range){
		.start = start, .end = start + len, .kind = (enum blockz_kind)rnd_below(3), .file_off = *file_off,
	};
	part->stride = 0;
	if (part->range.kind == BLOCKZ_RAW) {
		part->range.patchable = rnd_below(3) > 0;
		part->stride = rnd_below(2) == 0 ? STRIDE : 0;
		for (uint64_t off = start; off < start + len; off++) {
			*file_off += header_before(part, off) ? HEADER : 0;
			file_off_of[off] = (*file_off)++;
		}
	} else {
		*file_off += 4 + rnd_below(len + 1);
	}
	part->range.file_end = *file_off;
	for (uint64_t off = start; off < start + len; off++)
		part_of[off] = (int)part_count;
	part_count++;
}

static void add_span(const struct part *part)
{
	struct span span = {
		.start = part->range.start, .end = part->range.end, .file_off = part->range.file_off,
		.stride = part->stride, .header_len = part->stride != 0 ? HEADER : 0,
		.patchable = part->range.patchable,
	};
	for (uint64_t off = span.start; off < span.end; off++)
		span_of[off] = (int)map->span_count;
	ck_assert_int_eq(map_add_span(map, &span, NULL), BLOCKZ_OK);
}

/* Where pieces may be cut; on both sides of zeros they have to be. */
static bool cut_at(uint64_t off)
{
	const struct part *part = &parts[part_of[off]];
	if (off == 0)
		return true;
	if (off == part->range.start)
		return part->range.kind == BLOCKZ_ZERO || parts[part_of[off - 1]].range.kind == BLOCKZ_ZERO ||
		       rnd_below(2) == 0;
	return header_before(part, off) && rnd_below(4) == 0;
}

static void add_piece(uint64_t start, uint64_t end)
{
	const struct part *part = &parts[part_of[start]], *last = &parts[part_of[end - 1]];
	bool one_kind = part == last;
	uint64_t file_off = start == part->range.start ? part->range.file_off : file_off_of[start] - HEADER;
	uint64_t file_end = end == last->range.end ? last->range.file_end : file_off_of[end] - HEADER;
	struct piece piece = {
		.start = start, .file_off = file_off, .file_len = file_end - file_off,
		.kind = BLOCKZ_COMPRESSED, .copies = 1,
	};
	if (part->range.kind == BLOCKZ_ZERO || (part->range.kind == BLOCKZ_RAW && one_kind && rnd_below(2) == 0))
		piece.kind = part->range.kind;
	for (uint64_t off = start; off < end; off++)
		piece_of[off] = (int)map->piece_count;
	ck_assert_int_eq(map_add_piece(map, &piece, NULL), BLOCKZ_OK);
}

static void make_map(void)
{
	uint64_t file_off = 10 + rnd_below(20);
	part_count = 0;
	map->image_size = 0;
	map_clear(map);
	memset(span_of, NONE, sizeof(span_of));
	for (size_t wanted = (size_t)(1 + rnd_below(PARTS_MAX)); part_count < wanted;) {
		add_part(map->image_size, &file_off);
		map->image_size = parts[part_count - 1].range.end;
		if (parts[part_count - 1].range.kind == BLOCKZ_RAW)
			add_span(&parts[part_count - 1]);
	}
	for (uint64_t start = 0, end; start < map->image_size; start = end) {
		for (end = start + 1; end < map->image_size && !cut_at(end); end++)
			;
		add_piece(start, end);
	}
}

static bool joined(const struct part *a, const struct part *b)
{
	return a->range.kind == b->range.kind && a->range.patchable == b->range.patchable;
}

static void check_range(uint64_t off)
{
	struct blockz_map_range found;
	int first = part_of[off], last = first;
	while (first > 0 && joined(&parts[first - 1], &parts[first]))
		first--;
	while ((size_t)last + 1 < part_count && joined(&parts[last], &parts[last + 1]))
		last++;
	ck_assert(blockz_map_range_at(map, off, &found));
	const struct blockz_map_range *start = &parts[first].range, *end = &parts[last].range;
	ck_assert(found.start == start->start && found.end == end->end);
	ck_assert(found.kind == start->kind && found.patchable == start->patchable);
	ck_assert(found.file_off == start->file_off && found.file_end == end->file_end);
}

static void check_extent(uint64_t off)
{
	struct blockz_extent found;
	if (parts[part_of[off]].range.kind != BLOCKZ_RAW) {
		ck_assert(!blockz_map_extent_at(map, off, &found));
		return;
	}
	uint64_t end = off + 1;
	while (end < map->image_size && span_of[end] == span_of[off] && file_off_of[end] == file_off_of[end - 1] + 1)
		end++;
	ck_assert(blockz_map_extent_at(map, off, &found));
	ck_assert(found.start == off && found.length == end - off && found.file_off == file_off_of[off]);
}

static void check_patchable(uint64_t off)
{
	uint64_t end = off + 1 + rnd_below(map->image_size - off);
	bool patchable = true;
	for (uint64_t i = off; i < end; i++)
		patchable = patchable && parts[part_of[i]].range.kind == BLOCKZ_RAW && parts[part_of[i]].range.patchable;
	ck_assert(map_is_patchable(map, off, end) == patchable);
}

static size_t span_behind(uint64_t off)
{
	for (size_t i = 0; i < map->span_count; i++)
		if (map->spans[i].end > off)
			return i;
	return map->span_count;
}

START_TEST(maps_know_each_byte)
{
	map = map_new(NULL, UINT64_MAX);
	for (int round = 0; round < (few_rounds ? 30 : 100); round++) {
		struct blockz_map_range range;
		struct blockz_extent extent;
		make_map();
		for (uint64_t off = 0; off < map->image_size; off++) {
			ck_assert(map_find_piece(map, off) == (size_t)piece_of[off]);
			ck_assert(map_find_span(map, off) == span_behind(off));
			check_range(off);
			check_extent(off);
			check_patchable(off);
		}
		for (size_t i = 0; i < map->piece_count; i++) {
			uint64_t end = map_piece_end(map, i);
			ck_assert_int_eq(piece_of[end - 1], (int)i);
			ck_assert(end == map->image_size || piece_of[end] == (int)i + 1);
		}
		for (size_t i = 0; i < map->span_count; i++)
			ck_assert_uint_eq(span_file_end(&map->spans[i]), file_off_of[map->spans[i].end - 1] + 1);
		ck_assert(!blockz_map_range_at(map, map->image_size, &range));
		ck_assert(!blockz_map_extent_at(map, map->image_size, &extent));
		ck_assert(!blockz_map_range_at(map, UINT64_MAX, &range));
	}
	blockz_map_free(map);
}
END_TEST

START_TEST(a_map_of_nothing_has_no_ranges)
{
	struct blockz_map_range range;
	struct blockz_extent extent;
	map = map_new(NULL, 20);
	ck_assert(!blockz_map_range_at(map, 0, &range));
	ck_assert(!blockz_map_extent_at(map, 0, &extent));
	blockz_map_free(map);
	blockz_map_free(NULL);
}
END_TEST

START_TEST(extents_reach_to_the_end_of_what_can_be_counted)
{
	struct span span = {
		.start = INT64_MAX - 1000, .end = INT64_MAX, .file_off = INT64_MAX - 3000,
		.stride = STRIDE, .header_len = HEADER,
	};
	uint64_t file_off = span.file_off;
	for (uint64_t off = span.start; off < span.end; off++) {
		file_off += off == span.start || off % STRIDE == 0 ? HEADER : 0;
		struct blockz_extent extent = span_extent(&span, off);
		ck_assert(extent.start == off && extent.file_off == file_off);
		uint64_t edge = off - off % STRIDE + STRIDE;
		ck_assert_uint_eq(extent.length, (edge < span.end ? edge : span.end) - off);
		file_off++;
	}
	ck_assert_uint_eq(span_file_end(&span), file_off);
}
END_TEST

/* As many items as are allowed, and no more. */
START_TEST(maps_are_bounded)
{
	struct blockz_fault fault = { .status = BLOCKZ_OK };
	enum blockz_status status = BLOCKZ_OK;
	uint64_t count = 0;
	map = map_new(NULL, UINT64_MAX);
	while (status == BLOCKZ_OK) {
		struct piece piece = { .start = count, .copies = 1 };
		status = map_add_piece(map, &piece, &fault);
		count += status == BLOCKZ_OK;
	}
	ck_assert_int_eq(status, BLOCKZ_LIMIT);
	ck_assert_int_eq(fault.status, BLOCKZ_LIMIT);
	ck_assert_uint_eq(count, MAP_ITEMS_MAX);
	ck_assert_uint_eq(map->piece_count, MAP_ITEMS_MAX);
	ck_assert_int_eq(map_add_span(map, &(struct span){ .start = 0, .end = 1 }, &fault), BLOCKZ_OK);
	blockz_map_free(map);
}
END_TEST

int main(void)
{
	TCase *c = case_new("ranges");
	tcase_add_test(c, united_ranges_cover_the_same);
	tcase_add_test(c, the_last_edit_lies_on_top);
	tcase_add_test(c, maps_know_each_byte);
	tcase_add_test(c, a_map_of_nothing_has_no_ranges);
	tcase_add_test(c, extents_reach_to_the_end_of_what_can_be_counted);
	tcase_add_test(c, maps_are_bounded);
	return case_run("ranges", c);
}
