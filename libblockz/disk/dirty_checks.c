/* SPDX-License-Identifier: BSD-3-Clause */
/* What was verified is remembered in one bit each. */
#include "disk/dirty_checks.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/fault.h"
#include "io/access.h"
#include "journal/journal.h"
#include "edit/may_patch.h"

static bool seen(const uint8_t *bits, size_t index)
{
	return (bits[index / 8] >> index % 8 & 1) != 0;
}

static void see(uint8_t *bits, size_t index)
{
	bits[index / 8] |= (uint8_t)(1 << index % 8);
}

enum blockz_status old_checks_init(struct old_checks *old, const struct blockz_source *file,
				   const struct blockz_map *map, struct blockz_fault *fault)
{
	old->pieces = calloc(map->piece_count / 8 + 1, 1);
	old->spans = calloc(map->span_count / 8 + 1, 1);
	if (old->pieces == NULL || old->spans == NULL || !piece_reader_init(&old->reader, file, map))
		return fault_nomem(fault);
	old->reader.strict = old->reader.written = true;
	return BLOCKZ_OK;
}

void old_checks_free(struct old_checks *old)
{
	piece_reader_free(&old->reader);
	buffer_free(&old->bytes);
	free(old->pieces);
	free(old->spans);
}

/* Checks over a piece that stand elsewhere than in it. */
static enum blockz_status verify_outside(struct old_checks *old, size_t index, struct blockz_fault *fault)
{
	const struct blockz_map *map = old->reader.map;
	const struct piece *piece = &map->pieces[index];
	enum blockz_status status = BLOCKZ_OK;
	uint8_t expected[CHECK_LEN_MAX], found[CHECK_LEN_MAX];
	for (size_t i = map_find_check(map, piece->start); i < map->check_count && status == BLOCKZ_OK; i++) {
		const struct check *check = &map->checks[i];
		if (check->of_file || check->start != piece->start)
			break;
		if (check_methods[check->method].poly != NULL || map_check_is_inside(map, check))
			continue;
		if (!check_sum(check->method, old->bytes.bytes, (size_t)(check->end - check->start), expected))
			return fault_nomem(fault);
		status = read_file(old->reader.file, found, check_methods[check->method].len, check->field_off, fault);
		if (status == BLOCKZ_OK && memcmp(found, expected, check_methods[check->method].len) != 0)
			return fault_set(fault, BLOCKZ_DAMAGED, check->field_off,
					 "%s of image bytes %" PRIu64 "-%" PRIu64 " does not match them",
					 check_methods[check->method].name, check->start, check->end);
	}
	return status;
}

/* Verifies a raw piece, all of whose bytes are in old->bytes then. */
static enum blockz_status verify_piece(struct old_checks *old, size_t index, struct blockz_fault *fault)
{
	if (!buffer_reserve(&old->bytes, (size_t)piece_image_len(old->reader.map, index)))
		return fault_nomem(fault);
	enum blockz_status status = piece_read_raw_checked(&old->reader, index, old->bytes.bytes, NULL, fault);
	return status == BLOCKZ_OK ? verify_outside(old, index, fault) : status;
}

static enum blockz_status check_span(struct old_checks *old, uint64_t off, struct blockz_fault *fault)
{
	const struct blockz_map *map = old->reader.map;
	size_t index = map_find_span(map, off);
	if (seen(old->spans, index))
		return BLOCKZ_OK;
	enum blockz_status status = may_patch_span(&old->reader, &map->spans[index], &old->bytes, fault);
	if (status == BLOCKZ_OK)
		see(old->spans, index);
	return status;
}

static enum blockz_status read_unit(struct old_checks *old, uint64_t start, size_t len, struct blockz_fault *fault)
{
	if (!buffer_reserve(&old->bytes, len))
		return fault_nomem(fault);
	return piece_read_raw(&old->reader, start, start + len, old->bytes.bytes, fault);
}

enum blockz_status old_checks_take(struct old_checks *old, struct units *units, size_t index, bool *has_check_ret,
				   struct blockz_fault *fault)
{
	const struct blockz_map *map = units->map;
	struct unit_item *item = &units->items[index];
	size_t piece_index = map_find_piece(map, item->start), len = (size_t)(unit_end(units, index) - item->start);
	const struct piece *piece = &map->pieces[piece_index];
	const struct check_facts *facts = &check_methods[piece->method];
	bool linear = facts->poly != NULL;
	/* The map's own CRC of a piece is that of before the first write. */
	bool verifies = piece->kind == BLOCKZ_RAW && (!linear || !seen(old->pieces, piece_index));
	bool has_bytes = verifies && piece->start == item->start && piece_image_len(map, piece_index) == len;
	enum blockz_status status = check_span(old, item->start, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (verifies) {
		status = verify_piece(old, piece_index, fault);
		if (status != BLOCKZ_OK)
			return status;
		see(old->pieces, piece_index);
	}
	if (linear && !has_bytes) {
		status = read_unit(old, item->start, len, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	if (linear)
		item->old = facts->update(0, old->bytes.bytes, len);
	*has_check_ret = piece->method != CHECK_NONE;
	return BLOCKZ_OK;
}

/* ---- What the journal has to hold ---- */

/* True if a check over the image covers a unit. */
static bool covers_unit(const struct units *units, const struct check *check)
{
	size_t first = units_from(units, check->start);
	return first < units->count && units->items[first].start < check->end;
}

static enum blockz_status collect_checks(struct intent *intent, const struct units *units, struct blockz_fault *fault)
{
	const struct blockz_map *map = units->map;
	for (size_t i = 0; i < map->check_count; i++) {
		const struct check *check = &map->checks[i];
		if (check->method == CHECK_NONE || (!check->of_file && !covers_unit(units, check)))
			continue;
		struct intent_check *room = array_room(intent->checks, (size_t)intent->check_count, sizeof(*room));
		if (room == NULL)
			return fault_nomem(fault);
		intent->checks = room;
		intent->checks[intent->check_count++] = (struct intent_check){ .check = *check };
	}
	return BLOCKZ_OK;
}

static enum blockz_status add_blank(struct intent *intent, uint64_t start, uint64_t end, struct blockz_fault *fault)
{
	if (start >= end)
		return BLOCKZ_OK;
	struct blockz_range *room = array_room(intent->blanks, (size_t)intent->blank_count, sizeof(*room));
	if (room == NULL)
		return fault_nomem(fault);
	intent->blanks = room;
	intent->blanks[intent->blank_count++] = (struct blockz_range){ start, end };
	return BLOCKZ_OK;
}

/* Where payload lies in the ends of the file; the headers between its parts are left out with it. */
static enum blockz_status collect_blanks(struct intent *intent, const struct blockz_map *map,
					 struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	uint64_t head = map->file_size < JOURNAL_ENDS ? map->file_size : JOURNAL_ENDS, tail = map->file_size - head;
	for (size_t i = 0; i < map->span_count && status == BLOCKZ_OK; i++) {
		const struct span *span = &map->spans[i];
		uint64_t start = span->file_off, end = span_file_end(span);
		if (!span->patchable)
			continue;
		status = add_blank(intent, start, end < head ? end : head, fault);
		if (status == BLOCKZ_OK)
			status = add_blank(intent, start > tail ? start : tail, end, fault);
	}
	intent->blank_count = blockz_ranges_unite(intent->blanks, (size_t)intent->blank_count);
	return status;
}

enum blockz_status dirty_collect(struct intent *intent, const struct units *units, struct blockz_fault *fault)
{
	intent_free(intent);
	intent->room = units->recorded;
	enum blockz_status status = collect_checks(intent, units, fault);
	if (status == BLOCKZ_OK)
		status = collect_blanks(intent, units->map, fault);
	if (status != BLOCKZ_OK)
		intent_free(intent);
	return status;
}
