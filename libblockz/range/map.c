/* SPDX-License-Identifier: BSD-3-Clause */
/* The arrays of a map grow at the end, in order, and are searched by bisection. */
#include "range/map.h"

#include <assert.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/export.h"
#include "base/bisect.h"
#include "base/checked.h"
#include "base/fault.h"

struct blockz_map *map_new(const struct format *format, uint64_t file_size)
{
	struct blockz_map *map = calloc(1, sizeof(*map));
	if (map != NULL) {
		map->format = format;
		map->file_size = map->end_off = file_size;
	}
	return map;
}

EXPORT void blockz_map_free(struct blockz_map *map)
{
	if (map == NULL)
		return;
	map_clear(map);
	free(map);
}

void map_clear(struct blockz_map *map)
{
	free(map->pieces);
	free(map->spans);
	free(map->checks);
	map->pieces = NULL;
	map->spans = NULL;
	map->checks = NULL;
	map->piece_count = map->span_count = map->check_count = 0;
	map->end_off = map->file_size;
	map->appended_bytes = map->group_cut = 0;
}

/* Room for one more item, in an array that its owner then points to. */
static enum blockz_status make_room(void *items, size_t count, size_t item_size, const char *what, void **items_ret,
			       struct blockz_fault *fault)
{
	if (count >= MAP_ITEMS_MAX)
		return fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN, "more than %d %s in one file", MAP_ITEMS_MAX, what);
	void *room = array_room(items, count, item_size);
	if (room == NULL)
		return fault_nomem(fault);
	*items_ret = room;
	return BLOCKZ_OK;
}

enum blockz_status map_add_piece(struct blockz_map *map, const struct piece *piece, struct blockz_fault *fault)
{
	assert(map->piece_count == 0 ? piece->start == 0
				     : piece->start > map->pieces[map->piece_count - 1].start);
	void *room = NULL;
	enum blockz_status status =
		make_room(map->pieces, map->piece_count, sizeof(*piece), "pieces", &room, fault);
	if (status != BLOCKZ_OK)
		return status;
	map->pieces = room;
	map->pieces[map->piece_count++] = *piece;
	return BLOCKZ_OK;
}

enum blockz_status map_add_zero(struct blockz_map *map, const struct piece *piece, uint64_t image_len,
				struct blockz_fault *fault)
{
	struct piece *last = map->piece_count > 0 ? &map->pieces[map->piece_count - 1] : NULL;
	if (last != NULL && last->kind == BLOCKZ_ZERO && last->copies <= PIECE_COPIES_MAX - piece->copies &&
	    last->method == piece->method && last->padding == piece->padding && last->file_off + last->file_len == piece->file_off &&
	    last->file_len / last->copies == piece->file_len / piece->copies && (piece->start - last->start) / last->copies == image_len) {
		last->file_len += piece->file_len;
		last->copies += piece->copies;
		return BLOCKZ_OK;
	}
	struct piece zero = *piece;
	zero.kind = BLOCKZ_ZERO;
	return map_add_piece(map, &zero, fault);
}

enum blockz_status map_add_span(struct blockz_map *map, const struct span *span, struct blockz_fault *fault)
{
	assert(span->start < span->end &&
	       (map->span_count == 0 || span->start >= map->spans[map->span_count - 1].end));
	void *room = NULL;
	enum blockz_status status =
		make_room(map->spans, map->span_count, sizeof(*span), "raw ranges", &room, fault);
	if (status != BLOCKZ_OK)
		return status;
	map->spans = room;
	map->spans[map->span_count++] = *span;
	return BLOCKZ_OK;
}

enum blockz_status map_add_check(struct blockz_map *map, const struct check *check, struct blockz_fault *fault)
{
	void *room = NULL;
	enum blockz_status status =
		make_room(map->checks, map->check_count, sizeof(*check), "checks", &room, fault);
	if (status != BLOCKZ_OK)
		return status;
	map->checks = room;
	map->checks[map->check_count++] = *check;
	return BLOCKZ_OK;
}

uint64_t map_piece_end(const struct blockz_map *map, size_t index)
{
	return index + 1 < map->piece_count ? map->pieces[index + 1].start : map->image_size;
}

uint64_t map_pieces_of(const struct blockz_map *map, size_t index)
{
	const struct piece *piece = &map->pieces[index];
	if (piece->kind != BLOCKZ_COMPRESSED || map->group_cut == 0)
		return piece->copies;
	return (map_piece_end(map, index) - 1) / map->group_cut - piece->start / map->group_cut + 1;
}

bool map_is_group(const struct blockz_map *map, size_t index)
{
	return map->pieces[index].kind == BLOCKZ_COMPRESSED && map_pieces_of(map, index) > 1;
}

static bool piece_starts_at_or_before(const void *map, uint64_t i, uint64_t off)
{
	return ((const struct blockz_map *)map)->pieces[i].start <= off;
}

size_t map_find_piece(const struct blockz_map *map, uint64_t off)
{
	return (size_t)bisect_last(map->piece_count, piece_starts_at_or_before, map, off);
}

uint64_t map_file_end(const struct blockz_map *map, uint64_t off)
{
	if (off == 0)
		return 0;
	size_t index = map_find_piece(map, off - 1);
	const struct piece *piece = &map->pieces[index];
	uint64_t copy_image_len = (map_piece_end(map, index) - piece->start) / piece->copies;
	return piece->file_off + (off - piece->start) / copy_image_len * (piece->file_len / piece->copies);
}

uint64_t map_file_off(const struct blockz_map *map, uint64_t off)
{
	const struct piece *piece = &map->pieces[map_find_piece(map, off)];
	return off == piece->start ? piece->file_off : map_file_end(map, off);
}

uint64_t map_edge_behind(const struct blockz_map *map, uint64_t off)
{
	size_t index = map_find_piece(map, off);
	const struct piece *piece = &map->pieces[index];
	uint64_t end = map_piece_end(map, index), copy_image_len = (end - piece->start) / piece->copies;
	if (map_is_group(map, index))
		return min(end, (off / map->group_cut + 1) * map->group_cut);
	return piece->start + ((off - piece->start) / copy_image_len + 1) * copy_image_len;
}

static int compare_checks(const void *a, const void *b)
{
	const struct check *ca = a, *cb = b;
	if (ca->of_file != cb->of_file)
		return ca->of_file ? 1 : -1;
	if (ca->start != cb->start)
		return ca->start < cb->start ? -1 : 1;
	return (ca->field_off > cb->field_off) - (ca->field_off < cb->field_off);
}

void map_sort_checks(struct blockz_map *map)
{
	if (map->check_count > 1)
		qsort(map->checks, map->check_count, sizeof(*map->checks), compare_checks);
}

static bool check_starts_before(const void *map, uint64_t i, uint64_t off)
{
	const struct check *check = &((const struct blockz_map *)map)->checks[i];
	return !check->of_file && check->start < off;
}

size_t map_find_check(const struct blockz_map *map, uint64_t off)
{
	return (size_t)bisect(map->check_count, check_starts_before, map, off);
}

bool map_check_is_inside(const struct blockz_map *map, const struct check *check)
{
	if (check->of_file || check->start == check->end)
		return false;
	size_t index = map_find_piece(map, check->start);
	const struct piece *piece = &map->pieces[index];
	return piece->start == check->start && map_piece_end(map, index) == check->end &&
	       check->field_off >= piece->file_off && check->field_off - piece->file_off < piece->file_len;
}

static bool span_ends_at_or_before(const void *map, uint64_t i, uint64_t off)
{
	return ((const struct blockz_map *)map)->spans[i].end <= off;
}

size_t map_find_span(const struct blockz_map *map, uint64_t off)
{
	return (size_t)bisect(map->span_count, span_ends_at_or_before, map, off);
}

bool map_is_patchable(const struct blockz_map *map, uint64_t start, uint64_t end)
{
	for (size_t i = map_find_span(map, start); i < map->span_count && start < end; i++) {
		if (map->spans[i].start > start || !map->spans[i].patchable)
			return false;
		start = map->spans[i].end;
	}
	return start >= end;
}

/* How many headers stand before image offset off of a span, from its first. */
static uint64_t headers_before(const struct span *span, uint64_t off)
{
	return span->stride == 0 ? 0 : off / span->stride - span->start / span->stride + 1;
}

struct blockz_extent span_extent(const struct span *span, uint64_t off)
{
	uint64_t end = span->end;
	if (span->stride != 0 && span->end - off > span->stride - off % span->stride)
		end = off + span->stride - off % span->stride;
	return (struct blockz_extent){
		.start = off,
		.length = end - off,
		.file_off = span->file_off + headers_before(span, off) * span->header_len + (off - span->start),
	};
}

uint64_t span_file_end(const struct span *span)
{
	struct blockz_extent last = span_extent(span, span->end - 1);
	return last.file_off + 1;
}

static bool in_one_cell(uint64_t start, uint64_t end, uint32_t stride)
{
	return start / stride == (end - 1) / stride;
}

bool span_join(struct span *span, const struct span *part, uint32_t stride, uint16_t header_len)
{
	if (span->start == span->end || span->end != part->start || span->patchable != part->patchable)
		return false;
	/* More of the same block. */
	if (part->file_off == span_file_end(span) &&
	    (span->stride == 0 || in_one_cell(span->end - 1, part->end, stride))) {
		span->end = part->end;
		return true;
	}
	/* The next block. */
	if (part->start % stride != 0 || !in_one_cell(part->start, part->end, stride) ||
	    part->file_off != span_file_end(span) + header_len)
		return false;
	if (span->stride == 0) {
		if (!in_one_cell(span->start, span->end, stride))
			return false;
		span->file_off -= header_len;
		span->stride = stride;
		span->header_len = header_len;
	}
	span->end = part->end;
	return true;
}

EXPORT bool blockz_map_extent_at(const struct blockz_map *map, uint64_t off, struct blockz_extent *extent_ret)
{
	size_t index = map_find_span(map, off);
	if (index == map->span_count || map->spans[index].start > off)
		return false;
	*extent_ret = span_extent(&map->spans[index], off);
	return true;
}

/* The range of one kind that starts at off, as far as one span or one piece tells. */
static struct blockz_map_range range_part(const struct blockz_map *map, uint64_t off)
{
	size_t span_index = map_find_span(map, off), piece_index = map_find_piece(map, off);
	const struct span *span = span_index < map->span_count ? &map->spans[span_index] : NULL;
	const struct piece *piece = &map->pieces[piece_index];
	if (span != NULL && span->start <= off)
		return (struct blockz_map_range){
			.start = span->start, .end = span->end,
			.kind = BLOCKZ_RAW, .patchable = span->patchable,
			.file_off = span->file_off, .file_end = span_file_end(span),
		};
	struct blockz_map_range range = {
		.start = piece->start, .end = map_piece_end(map, piece_index),
		.kind = piece->kind == BLOCKZ_ZERO ? BLOCKZ_ZERO : BLOCKZ_COMPRESSED,
		.file_off = piece->file_off, .file_end = piece->file_off + piece->file_len,
	};
	/* Raw bytes inside a piece bound what is compressed before and behind them. */
	if (span != NULL && span->start < range.end) {
		range.end = span->start;
		range.file_end = span->file_off;
	}
	if (span_index > 0 && map->spans[span_index - 1].end > range.start) {
		range.start = map->spans[span_index - 1].end;
		range.file_off = span_file_end(&map->spans[span_index - 1]);
	}
	return range;
}

static bool joins(const struct blockz_map_range *a, const struct blockz_map_range *b)
{
	return a->kind == b->kind && a->patchable == b->patchable;
}

EXPORT bool blockz_map_range_at(const struct blockz_map *map, uint64_t off, struct blockz_map_range *range_ret)
{
	if (off >= map->image_size)
		return false;
	struct blockz_map_range range = range_part(map, off);
	while (range.end < map->image_size) {
		struct blockz_map_range next = range_part(map, range.end);
		if (!joins(&range, &next))
			break;
		range.end = next.end;
		range.file_end = next.file_end;
	}
	while (range.start > 0) {
		struct blockz_map_range before = range_part(map, range.start - 1);
		if (!joins(&range, &before))
			break;
		range.start = before.start;
		range.file_off = before.file_off;
	}
	*range_ret = range;
	return true;
}
