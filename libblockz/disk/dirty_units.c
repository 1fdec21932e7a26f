/* SPDX-License-Identifier: BSD-3-Clause */
/* Units stand in an array by ascending offset, and are found by bisection. */
#include "disk/dirty_units.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/bisect.h"
#include "base/checked.h"
#include "base/fault.h"
#include "edit/may_patch.h"

static bool is_linear(enum check_method method)
{
	return method == CHECK_NONE || check_methods[method].poly != NULL;
}

static uint64_t end_of(const struct blockz_map *map, uint64_t start)
{
	size_t index = map_find_piece(map, start);
	uint64_t end = min(map_piece_end(map, index), map->spans[map_find_span(map, start)].end);
	return is_linear(map->pieces[index].method) ? min(end, start - start % UNIT_SIZE + UNIT_SIZE) : end;
}

/*
 * Whether raw bytes of a piece can be written to while it is in use.  Where it holds compressed bytes too, they have to
 * decode while its check is not right yet, so that must not stand in it.
 */
static bool is_writable(const struct blockz_map *map, size_t index)
{
	const struct piece *piece = &map->pieces[index];
	if (piece_is_long(map, index))
		return false;
	if (piece->kind == BLOCKZ_RAW)
		return true;
	for (size_t i = map_find_check(map, piece->start); i < map->check_count; i++) {
		const struct check *check = &map->checks[i];
		if (check->of_file || check->start != piece->start)
			break;
		if (map_check_is_inside(map, check) || !is_linear(check->method))
			return false;
	}
	return true;
}

static enum blockz_status add_unit(struct units *units, uint64_t start, struct blockz_fault *fault)
{
	if (units->count >= INTENT_RECORDS_MAX)
		return fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN, "more than %d units of raw bytes in one file",
				 INTENT_RECORDS_MAX);
	struct unit_item *room = array_room(units->items, units->count, sizeof(*room));
	if (room == NULL)
		return fault_nomem(fault);
	units->items = room;
	units->items[units->count] = (struct unit_item){ .start = start };
	atomic_init(&units->items[units->count++].state, UNIT_CLEAN);
	return BLOCKZ_OK;
}

enum blockz_status units_init(struct units *units, const struct blockz_map *map, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	*units = (struct units){ .map = map };
	for (size_t i = 0; i < map->span_count && status == BLOCKZ_OK; i++) {
		const struct span *span = &map->spans[i];
		uint64_t pos = span->patchable ? span->start : span->end;
		while (pos < span->end && status == BLOCKZ_OK) {
			size_t index = map_find_piece(map, pos);
			if (!is_writable(map, index)) {
				pos = map_piece_end(map, index);
				continue;
			}
			status = add_unit(units, pos, fault);
			units->recorded += map->pieces[index].method != CHECK_NONE;
			pos = end_of(map, pos);
		}
	}
	return status;
}

void units_free(struct units *units)
{
	free(units->items);
	*units = (struct units){ 0 };
}

uint64_t unit_end(const struct units *units, size_t index)
{
	return end_of(units->map, units->items[index].start);
}

static bool starts_before(const void *units, uint64_t i, uint64_t off)
{
	return ((const struct units *)units)->items[i].start < off;
}

size_t units_from(const struct units *units, uint64_t off)
{
	return (size_t)bisect(units->count, starts_before, units, off);
}

/* The last unit that starts at or before off, which is an offset in the image; the count if there is none. */
static size_t last_before(const struct units *units, uint64_t off)
{
	size_t behind = units_from(units, off + 1);
	return behind == 0 ? units->count : behind - 1;
}

static enum blockz_status refuse(const struct blockz_map *map, uint64_t off, struct blockz_fault *fault)
{
	size_t index = map_find_span(map, off);
	if (index == map->span_count || map->spans[index].start > off || !map->spans[index].patchable)
		return may_patch_refuse(map, off, fault);
	return fault_set(fault, BLOCKZ_UNSUPPORTED, map->pieces[map_find_piece(map, off)].file_off,
			 "image offset %" PRIu64 " is raw, but in a piece that also holds compressed bytes under its check, "
			 "or is too large to be checked; it can be patched, not served for writing", off);
}

enum blockz_status units_find(const struct units *units, uint64_t off, uint64_t end, size_t *first_ret,
			      size_t *last_ret, struct blockz_fault *fault)
{
	size_t first = last_before(units, off), index = first;
	for (;; index++) {
		if (index == units->count || units->items[index].start > off || unit_end(units, index) <= off)
			return refuse(units->map, off, fault);
		off = unit_end(units, index);
		if (off >= end)
			break;
	}
	*first_ret = first;
	*last_ret = index;
	return BLOCKZ_OK;
}

struct intent_unit unit_intent(const struct units *units, size_t index)
{
	const struct blockz_map *map = units->map;
	const struct unit_item *item = &units->items[index];
	const struct span *span = &map->spans[map_find_span(map, item->start)];
	struct intent_unit unit = {
		.span = *span, .method = map->pieces[map_find_piece(map, item->start)].method, .old = item->old,
	};
	unit.span.start = item->start;
	unit.span.end = unit_end(units, index);
	unit.span.file_off = span_extent(span, item->start).file_off;
	/* A span's first header stands before its first part, even where the unit starts in the middle of one. */
	if (span->stride != 0)
		unit.span.file_off -= span->header_len;
	return unit;
}
