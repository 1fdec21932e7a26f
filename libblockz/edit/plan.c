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
#include "edit/compare.h"
#include "edit/may_patch.h"
#include "edit/planner.h"

enum { PAGE = 4096 };

/* ---- Payload ---- */

/* Adds the write of image bytes [start, end), contiguous in the file; the bytes begin at old and new. */
static enum blockz_status add_payload(struct planner *planner, uint32_t edit, uint64_t start, uint64_t end,
				      uint64_t file_off, const uint8_t *old, const uint8_t *new)
{
	size_t len = (size_t)(end - start);
	const struct piece *piece = &planner->map->pieces[map_find_piece(planner->map, start)];
	const struct check_facts *facts = &check_methods[piece->method];
	struct plan_write write = {
		.file_off = file_off, .image_off = start, .length = (uint32_t)len, .new_length = (uint32_t)len, .edit = edit,
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

enum blockz_status planner_add_raw(struct planner *planner, uint32_t edit, const struct span *span, uint64_t start,
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

enum blockz_status planner_compare(struct planner *planner, uint32_t edit, uint64_t start, uint64_t end, uint64_t *off_ret)
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
	*off_ret = BLOCKZ_UNKNOWN;
	if (compare.differs == BLOCKZ_UNKNOWN)
		return status;
	*off_ret = compare.differs - source->data_off + source->range.start;
	return BLOCKZ_OK;
}

/* Compares [start, end) with the image, patchable spans apart, which are planned. */
static enum blockz_status compare_part(struct planner *planner, uint32_t edit, uint64_t start, uint64_t end)
{
	uint64_t off = BLOCKZ_UNKNOWN;
	enum blockz_status status = planner_compare(planner, edit, start, end, &off);
	if (status != BLOCKZ_OK || off == BLOCKZ_UNKNOWN)
		return status;
	fault_set(planner->fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN,
		  "the first difference outside raw ranges is at image offset %" PRIu64, off);
	return fault_about(planner->fault, BLOCKZ_UNSUPPORTED, BLOCKZ_ABOUT_EDIT);
}

/* The first span from index on that can be patched. */
size_t planner_next_patchable(const struct blockz_map *map, size_t index)
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
	for (index = planner_next_patchable(map, index); index < map->span_count; index = planner_next_patchable(map, index + 1)) {
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
		size_t index = planner_next_patchable(map, map_find_span(map, pos));
		const struct span *span = index < map->span_count ? &map->spans[index] : NULL;
		if (span != NULL && span->start <= pos) {
			end = min(span->end, part->end);
			status = planner_add_raw(planner, part->edit, span, pos, end);
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

/* ---- The whole ---- */

static enum blockz_status check_edits(const struct planner *planner, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct blockz_edit *edit = &planner->edits[i];
		if (edit->range.start > edit->range.end || edit->range.end > planner->image_size)
			return fault_set(planner->fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN,
					 "edit %" PRIu64 "-%" PRIu64 " does not lie in the image of %" PRIu64 " byte%s",
					 edit->range.start, edit->range.end, planner->image_size, plural(planner->image_size));
		if (edit->data.size == BLOCKZ_UNKNOWN || edit->data_off > edit->data.size ||
		    edit->data.size - edit->data_off < edit->range.end - edit->range.start)
			return fault_set(planner->fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN,
					 "new data is shorter than the edit %" PRIu64 "-%" PRIu64, edit->range.start,
					 edit->range.end);
	}
	return BLOCKZ_OK;
}

enum blockz_status planner_lay_over(const struct planner *planner, size_t part, uint8_t *bytes, size_t len, uint64_t start,
				    struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	const size_t count = planner->part_count + planner->later_count;
	for (; part < count && planner->parts[part].start < start + len && status == BLOCKZ_OK; part++) {
		const struct edit_part *over = &planner->parts[part];
		const struct blockz_edit *edit = &planner->edits[over->edit];
		uint64_t from = max(over->start, start), to = min(over->end, start + len);
		if (from < to)
			status = read_data(&edit->data, bytes + (from - start), (size_t)(to - from),
					   edit->data_off + (from - edit->range.start), BLOCKZ_ABOUT_EDIT, fault);
	}
	return status;
}

static enum blockz_status plan_raw_edits(struct planner *planner)
{
	for (size_t i = 0; i < planner->part_count; i++) {
		enum blockz_status status = plan_part(planner, &planner->parts[i]);
		if (status != BLOCKZ_OK)
			return status;
	}
	planner->raw_count = planner->plan->write_count;
	return planner_add_checks(planner);
}

/* Lays the edits out as parts, and has a plan made of them. */
static enum blockz_status plan_parts(struct planner *planner, size_t count,
				     enum blockz_status (*plan_all)(struct planner *planner))
{
	struct edit_part *parts = NULL;
	enum blockz_status status = fault_about(planner->fault, check_edits(planner, count), BLOCKZ_ABOUT_EDIT);
	if (status == BLOCKZ_OK)
		status = edit_parts_make(planner->edits, count, &parts, &planner->part_count, planner->fault);
	planner->parts = parts;
	if (status == BLOCKZ_OK)
		status = plan_all(planner);
	free(parts);
	return status;
}

enum blockz_status planner_run(struct planner *planner, const struct blockz_edit *edits, size_t count,
			       enum blockz_status (*plan_all)(struct planner *planner), struct blockz_plan **plan_ret)
{
	const struct blockz_map *map = planner->map;
	enum blockz_status status = may_patch_map(map, planner->fault);
	if (status != BLOCKZ_OK)
		return status;
	if (count >= PLAN_EDITS_MAX)
		return fault_set(planner->fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN, "%zu edits are too many", count);
	planner->plan = plan_new(map->file_size, edits, count);
	if (planner->plan == NULL || !piece_reader_init(&planner->reader, planner->file, map)) {
		blockz_plan_free(planner->plan);
		return fault_nomem(planner->fault);
	}
	planner->plan->image_size = planner->image_size;
	planner->edits = planner->plan->edits;
	planner->reader.strict = true;
	status = plan_parts(planner, count, plan_all);
	piece_reader_free(&planner->reader);
	buffer_free(&planner->old);
	buffer_free(&planner->new);
	if (status == BLOCKZ_OK)
		*plan_ret = planner->plan;
	else
		blockz_plan_free(planner->plan);
	return status;
}

EXPORT enum blockz_status blockz_plan_new(const struct blockz_source *file, const struct blockz_map *map,
					  const struct blockz_edit *edits, size_t count,
					  const struct blockz_work *work, struct blockz_plan **plan_ret,
					  struct blockz_fault *fault)
{
	struct planner planner = {
		.file = file, .map = map, .work = work, .image_size = map->image_size, .kept = map->image_size, .fault = fault,
	};
	return planner_run(&planner, edits, count, plan_raw_edits, plan_ret);
}
