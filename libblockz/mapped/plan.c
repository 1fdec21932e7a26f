/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Planning an edit: which payload bytes change, and what that does to the checks over them.
 *
 * Payload is read where an edit lies, with the whole piece around it where that has a CRC of its own, so that damage is
 * found before it is written over.  Checks are moved by the difference of old and new bytes, never computed from the
 * data, so that damage elsewhere stays visible.  Nothing is written here.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/equal.h"
#include "base/export.h"
#include "base/fault.h"
#include "base/plural.h"
#include "check/crc.h"
#include "io/access.h"
#include "mapped/compare.h"
#include "mapped/may_patch.h"
#include "mapped/piece.h"
#include "range/edit_parts.h"
#include "range/plan.h"

enum { PAGE = 4096 };

/* The check that was made anew last: where it stands twice, the second has the same value. */
struct renewed {
	uint64_t start, end; /* end 0: none yet */
	enum check_method method;
	uint8_t old[CHECK_LEN_MAX], new[CHECK_LEN_MAX];
};

struct planner {
	struct blockz_plan *plan;
	const struct blockz_map *map;
	const struct blockz_edit *edits;
	const struct blockz_work *work;
	struct piece_reader reader;
	struct buffer old, new;
	const struct span *guarded; /* the span whose neighbours were looked at last */
	struct renewed renewed;
	struct blockz_fault *fault;
};

/* ---- Payload ---- */

/* Adds the write of image bytes [start, end), contiguous in the file; the bytes begin at old and new. */
static enum blockz_status add_payload(struct planner *planner, uint32_t edit, uint64_t start, uint64_t end,
				      uint64_t file_off, const uint8_t *old, const uint8_t *new)
{
	size_t len = (size_t)(end - start);
	const struct piece *piece = &planner->map->pieces[map_find_piece(planner->map, start)];
	const struct check_facts *facts = &check_methods[piece->method];
	struct plan_write write = {
		.file_off = file_off, .image_off = start, .length = (uint32_t)len, .edit = edit,
		.value = crc32_update(0, new, len),
	};
	if (piece->method == CHECK_NONE)
		planner->plan->unchecked += len;
	if (piece->method == CHECK_CRC32)
		write.delta = write.value ^ crc32_update(0, old, len);
	else if (facts->poly != NULL)
		write.delta = facts->update(0, new, len) ^ facts->update(0, old, len);
	return plan_add(planner->plan, &write, planner->fault);
}

static uint64_t page_end(const struct blockz_extent *extent, uint64_t pos)
{
	return min(extent->start + extent->length, pos - pos % PAGE + PAGE);
}

/* Where the pages from pos on that differ end; pos if that page does not. */
static uint64_t differing_end(const struct blockz_extent *extent, uint64_t pos, const uint8_t *old, const uint8_t *new)
{
	while (pos < extent->start + extent->length) {
		size_t at = (size_t)(pos - extent->start), len = (size_t)(page_end(extent, pos) - pos);
		if (memcmp(old + at, new + at, len) == 0)
			break;
		pos += len;
	}
	return pos;
}

/*
 * Plans the 4 KiB pages of one extent that differ: each run of them is a write, trimmed to its first and last byte that
 * differ.
 */
static enum blockz_status plan_extent(struct planner *planner, uint32_t edit, const struct blockz_extent *extent,
				      const uint8_t *old, const uint8_t *new)
{
	enum blockz_status status = BLOCKZ_OK;
	uint64_t end = extent->start + extent->length, pos = extent->start;
	while (pos < end && status == BLOCKZ_OK) {
		uint64_t run_end = differing_end(extent, pos, old, new);
		if (run_end == pos) {
			pos = page_end(extent, pos);
			continue;
		}
		size_t from = (size_t)(pos - extent->start), to = (size_t)(run_end - extent->start);
		from += equal_ahead(old + from, new + from, to - from);
		to -= equal_behind(old + to, new + to, to - from);
		status = add_payload(planner, edit, extent->start + from, extent->start + to, extent->file_off + from, old + from,
				     new + from);
		pos = run_end;
	}
	return status;
}

/* What an index says of a span that will change is shown to be true of what stands around it. */
static enum blockz_status check_span(struct planner *planner, const struct span *span)
{
	if (planner->guarded == span)
		return BLOCKZ_OK;
	planner->guarded = span;
	return may_patch_span(&planner->reader, span, &planner->new, planner->fault);
}

/* Reads the old bytes of [start, end), which lie in one span, and if the piece has a CRC all of it. */
static enum blockz_status read_old(struct planner *planner, uint64_t start, uint64_t end, const uint8_t **old_ret)
{
	size_t index = map_find_piece(planner->map, start);
	const struct piece *piece = &planner->map->pieces[index];
	bool whole = piece->kind == BLOCKZ_RAW;
	size_t len = (size_t)(whole ? piece_image_len(planner->map, index) : end - start);
	if (!buffer_reserve(&planner->old, len))
		return fault_nomem(planner->fault);
	*old_ret = planner->old.bytes + (whole ? start - piece->start : 0);
	if (!whole)
		return piece_read_raw(&planner->reader, start, end, planner->old.bytes, planner->fault);
	return piece_read_raw_checked(&planner->reader, index, planner->old.bytes, NULL, planner->fault);
}

/* Plans [start, end) of an edit, within one span and, if pieces are raw, one piece. */
static enum blockz_status plan_raw_part(struct planner *planner, uint32_t edit, const struct span *span,
					uint64_t start, uint64_t end)
{
	const struct blockz_edit *source = &planner->edits[edit];
	size_t len = (size_t)(end - start), count = planner->plan->write_count;
	const uint8_t *old = NULL;
	enum blockz_status status = read_old(planner, start, end, &old);
	if (status != BLOCKZ_OK)
		return status;
	if (!buffer_reserve(&planner->new, len))
		return fault_nomem(planner->fault);
	status = read_data(&source->data, planner->new.bytes, len, source->data_off + (start - source->range.start),
			   BLOCKZ_ABOUT_EDIT, planner->fault);
	for (uint64_t pos = start; pos < end && status == BLOCKZ_OK;) {
		struct blockz_extent extent = span_extent(span, pos);
		extent.length = min(extent.length, end - pos);
		status = plan_extent(planner, edit, &extent, old + (pos - start), planner->new.bytes + (pos - start));
		pos += extent.length;
	}
	return status == BLOCKZ_OK && planner->plan->write_count > count ? check_span(planner, span) : status;
}

static enum blockz_status plan_raw(struct planner *planner, uint32_t edit, const struct span *span, uint64_t start,
				   uint64_t end)
{
	enum blockz_status status = BLOCKZ_OK;
	while (start < end && status == BLOCKZ_OK) {
		size_t index = map_find_piece(planner->map, start);
		uint64_t part_end = min(map_piece_end(planner->map, index), end);
		if (planner->map->pieces[index].kind != BLOCKZ_RAW)
			part_end = min(part_end, start + RAW_PART_MAX);
		status = plan_raw_part(planner, edit, span, start, part_end);
		start = part_end;
	}
	return status;
}

/* ---- What is not raw ---- */

/* Compares [start, end) with the image, patchable spans apart, which are planned. */
static enum blockz_status compare_part(struct planner *planner, uint32_t edit, uint64_t start, uint64_t end)
{
	const struct blockz_edit *source = &planner->edits[edit];
	struct compare_sink compare = {
		.data = &source->data, .pos = source->data_off + (start - source->range.start), .differs = BLOCKZ_UNKNOWN,
		.map = planner->map, .image_pos = start, .span = map_find_span(planner->map, start),
	};
	struct blockz_sink sink = compare_sink(&compare);
	enum blockz_status status = blockz_extract(planner->reader.file, planner->map,
						   (struct blockz_range){ start, end }, &sink, planner->work,
						   planner->fault);
	compare_sink_free(&compare);
	if (compare.data_failed && planner->fault != NULL)
		planner->fault->subject = BLOCKZ_ABOUT_EDIT;
	if (compare.differs == BLOCKZ_UNKNOWN)
		return status;
	fault_set(planner->fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN,
		  "the first difference outside raw ranges is at image offset %" PRIu64,
		  compare.differs - source->data_off + source->range.start);
	return fault_about(planner->fault, BLOCKZ_UNSUPPORTED, BLOCKZ_ABOUT_EDIT);
}

/* The first span from index on that can be patched. */
static size_t next_patchable(const struct blockz_map *map, size_t index)
{
	while (index < map->span_count && !map->spans[index].patchable)
		index++;
	return index;
}

/*
 * Where a comparison that starts at pos, outside patchable spans, has to stop: at the next of them that is a piece of its
 * own.  Others are passed over within their piece, which is decoded once however many there are.
 */
static uint64_t compare_end(const struct blockz_map *map, size_t index, uint64_t end)
{
	for (index = next_patchable(map, index); index < map->span_count; index = next_patchable(map, index + 1)) {
		uint64_t start = map->spans[index].start;
		if (start >= end)
			break;
		if (map->pieces[map_find_piece(map, start)].kind == BLOCKZ_RAW)
			return start;
	}
	return end;
}

/* Plans one part that a single edit covers. */
static enum blockz_status plan_part(struct planner *planner, const struct edit_part *part)
{
	const struct blockz_map *map = planner->map;
	uint64_t compared = part->start; /* up to here all outside patchable spans is equal */
	enum blockz_status status = BLOCKZ_OK;
	for (uint64_t pos = part->start, end; pos < part->end && status == BLOCKZ_OK; pos = end) {
		size_t index = next_patchable(map, map_find_span(map, pos));
		const struct span *span = index < map->span_count ? &map->spans[index] : NULL;
		if (span != NULL && span->start <= pos) {
			end = min(span->end, part->end);
			status = plan_raw(planner, part->edit, span, pos, end);
			continue;
		}
		end = span != NULL ? min(span->start, part->end) : part->end;
		if (!planner->edits[part->edit].same_elsewhere) {
			status = may_patch_refuse(map, pos, planner->fault);
		} else if (compared <= pos) {
			compared = compare_end(map, index, part->end);
			status = compare_part(planner, part->edit, pos, compared);
		}
	}
	return status;
}

/* ---- Checks ---- */

/* Plans the new field of a check, if it differs from the one in the file. */
static enum blockz_status plan_field(struct planner *planner, const struct check *check, const uint8_t *old,
				     const uint8_t *new)
{
	size_t len = check_methods[check->method].len;
	return memcmp(old, new, len) == 0 ? BLOCKZ_OK
					  : plan_add_field(planner->plan, check->field_off, old, new, len, planner->fault);
}

static enum blockz_status read_field(struct planner *planner, const struct check *check, uint8_t *field)
{
	return read_file(planner->reader.file, field, check_methods[check->method].len, check->field_off, planner->fault);
}

/* Moves a linear check by the first count writes, which are sorted by the key that its kind goes by. */
static enum blockz_status move_check(struct planner *planner, const struct check *check, size_t count)
{
	const struct check_facts *facts = &check_methods[check->method];
	uint64_t delta = plan_delta(planner->plan, count, check);
	if (delta == 0)
		return BLOCKZ_OK;
	uint8_t old[CHECK_LEN_MAX], new[CHECK_LEN_MAX];
	enum blockz_status status = read_field(planner, check, old);
	for (size_t i = 0; i < facts->len; i++)
		new[i] = (uint8_t)(old[i] ^ delta >> 8 * i);
	return status == BLOCKZ_OK ? plan_field(planner, check, old, new) : status;
}

/* Puts the new bytes of the first count writes that lie in a piece over its old ones. */
static enum blockz_status lay_over(struct planner *planner, size_t count, uint64_t start, uint64_t end, uint8_t *bytes)
{
	const struct blockz_plan *plan = planner->plan;
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = plan_first(plan, count, false, start); i < count && status == BLOCKZ_OK; i++) {
		const struct plan_write *write = &plan->writes[i];
		const struct blockz_edit *edit = &planner->edits[write->edit];
		if (write->image_off >= end)
			break;
		status = read_data(&edit->data, bytes + (write->image_off - start), write->length,
				   edit->data_off + (write->image_off - edit->range.start), BLOCKZ_ABOUT_EDIT, planner->fault);
	}
	return status;
}

/* What a check that is not linear is over the old bytes of its piece, and over the new ones. */
static enum blockz_status renew_values(struct planner *planner, const struct check *check, size_t count)
{
	const struct blockz_map *map = planner->map;
	struct renewed *renewed = &planner->renewed;
	size_t index = map_find_piece(map, check->start), len = (size_t)(check->end - check->start);
	if (renewed->start == check->start && renewed->end == check->end && renewed->method == check->method)
		return BLOCKZ_OK;
	if (piece_is_long(map, index))
		return fault_set(planner->fault, BLOCKZ_UNSUPPORTED, check->field_off,
				 "the %s over %zu bytes of image cannot be made anew: that is too much",
				 check_methods[check->method].name, len);
	if (!buffer_reserve(&planner->old, len + DECODE_SLACK))
		return fault_nomem(planner->fault);
	uint8_t *bytes = planner->old.bytes;
	enum blockz_status status = map->pieces[index].kind == BLOCKZ_RAW
					    ? piece_read_raw_checked(&planner->reader, index, bytes, NULL, planner->fault)
					    : piece_decode(&planner->reader, index, bytes, NULL, planner->fault);
	if (status != BLOCKZ_OK)
		return status;
	renewed->end = 0; /* until both are there */
	if (!check_sum(check->method, bytes, len, renewed->old))
		return fault_nomem(planner->fault);
	status = lay_over(planner, count, check->start, check->end, bytes);
	if (status != BLOCKZ_OK)
		return status;
	if (!check_sum(check->method, bytes, len, renewed->new))
		return fault_nomem(planner->fault);
	renewed->start = check->start;
	renewed->end = check->end;
	renewed->method = check->method;
	return BLOCKZ_OK;
}

static enum blockz_status renew_check(struct planner *planner, const struct check *check, size_t count)
{
	size_t first = plan_first(planner->plan, count, false, check->start);
	if (first == count || planner->plan->writes[first].image_off >= check->end)
		return BLOCKZ_OK;
	uint8_t old[CHECK_LEN_MAX];
	enum blockz_status status = renew_values(planner, check, count);
	if (status != BLOCKZ_OK)
		return status;
	status = read_field(planner, check, old);
	if (status != BLOCKZ_OK)
		return status;
	if (memcmp(old, planner->renewed.old, check_methods[check->method].len) != 0)
		return fault_set(planner->fault, BLOCKZ_DAMAGED, check->field_off,
				 "%s of image bytes %" PRIu64 "-%" PRIu64 " does not match them",
				 check_methods[check->method].name, check->start, check->end);
	return plan_field(planner, check, old, planner->renewed.new);
}

/* Those over image bytes come first in the map; those over file bytes see their fields as writes too. */
static enum blockz_status plan_checks(struct planner *planner)
{
	const struct blockz_map *map = planner->map;
	enum blockz_status status = BLOCKZ_OK;
	size_t payload = planner->plan->write_count, i = 0;
	for (; i < map->check_count && !map->checks[i].of_file && status == BLOCKZ_OK; i++)
		status = check_methods[map->checks[i].method].poly != NULL ? move_check(planner, &map->checks[i], payload)
									   : renew_check(planner, &map->checks[i], payload);
	plan_sort(planner->plan);
	for (; i < map->check_count && status == BLOCKZ_OK; i++) {
		status = move_check(planner, &map->checks[i], planner->plan->write_count);
		plan_sort(planner->plan);
	}
	return status;
}

/* ---- The whole ---- */

static enum blockz_status check_edits(const struct planner *planner, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct blockz_edit *edit = &planner->edits[i];
		if (edit->range.start > edit->range.end || edit->range.end > planner->map->image_size)
			return fault_set(planner->fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN,
					 "edit %" PRIu64 "-%" PRIu64 " does not lie in the image of %" PRIu64 " byte%s",
					 edit->range.start, edit->range.end, planner->map->image_size,
					 plural(planner->map->image_size));
		if (edit->data.size == BLOCKZ_UNKNOWN || edit->data_off > edit->data.size ||
		    edit->data.size - edit->data_off < edit->range.end - edit->range.start)
			return fault_set(planner->fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN,
					 "new data is shorter than the edit %" PRIu64 "-%" PRIu64, edit->range.start,
					 edit->range.end);
	}
	return BLOCKZ_OK;
}

static enum blockz_status plan_all(struct planner *planner, size_t count)
{
	struct edit_part *parts = NULL;
	size_t part_count = 0;
	enum blockz_status status = fault_about(planner->fault, check_edits(planner, count), BLOCKZ_ABOUT_EDIT);
	if (status == BLOCKZ_OK)
		status = edit_parts_make(planner->edits, count, &parts, &part_count, planner->fault);
	for (size_t i = 0; i < part_count && status == BLOCKZ_OK; i++)
		status = plan_part(planner, &parts[i]);
	if (status == BLOCKZ_OK)
		status = plan_checks(planner);
	free(parts);
	return status;
}

EXPORT enum blockz_status blockz_plan_new(const struct blockz_source *file, const struct blockz_map *map,
					  const struct blockz_edit *edits, size_t count,
					  const struct blockz_work *work, struct blockz_plan **plan_ret,
					  struct blockz_fault *fault)
{
	struct planner planner = { .map = map, .work = work, .fault = fault };
	enum blockz_status status = may_patch_map(map, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (count >= PLAN_CHECK)
		return fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN, "%zu edits are too many", count);
	planner.plan = plan_new(map->file_size, edits, count);
	if (planner.plan == NULL || !piece_reader_init(&planner.reader, file, map)) {
		blockz_plan_free(planner.plan);
		return fault_nomem(fault);
	}
	planner.edits = planner.plan->edits;
	planner.reader.strict = true;
	status = plan_all(&planner, count);
	piece_reader_free(&planner.reader);
	buffer_free(&planner.old);
	buffer_free(&planner.new);
	if (status == BLOCKZ_OK)
		*plan_ret = planner.plan;
	else
		blockz_plan_free(planner.plan);
	return status;
}
