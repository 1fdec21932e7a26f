/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Planning an edit of any bytes: raw ones as ever, and pieces in which compressed ones change are encoded again.
 *
 * It is known which pieces these are before the first is encoded, so that the way can be chosen by what each would take:
 *
 *   in place   every piece is made to fit its old place, or borrows room from its neighbours, so that the plan is writes of
 *              the same length, as for raw bytes
 *   splice     each is encoded once, and the plan is of a new file, with an index of the new lengths
 *
 * If there is no room for one piece, the first way is given up for all of them, and what was planned for it is forgotten.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/export.h"
#include "base/fault.h"
#include "base/plural.h"
#include "edit/estimate.h"
#include "edit/plan_anywhere.h"
#include "mapped/groups.h"
#include "parallel/pool.h"

/* ---- The way ---- */

/* By what both ways would take, which is told of the plan, too. */
static bool choose_in_place(struct anywhere *self)
{
	struct planner *planner = self->planner;
	struct blockz_plan_renewed *sum = &planner->plan->renewed;
	struct estimate *estimate = &self->estimate;
	for (size_t i = 0; i < self->count; i++) {
		const struct touched_place place = touched_place(planner->map, &self->touched[i]);
		if (self->touched[i].fate != TOUCHED_SAME)
			estimate_add(estimate, planner->map->format, self->touched[i].fate == TOUCHED_SPLICE, place.end - place.start,
				     place.file_len);
	}
	estimate_ways(estimate, planner->map, pool_threads(self->how->work.threads));
	sum->in_place_ns = estimate->in_place_ns;
	sum->splice_ns = estimate->splice_ns;
	if (self->resize.is_wanted)
		return false;
	return self->how->way == BLOCKZ_WAY_AUTO ? estimate->in_place : self->how->way == BLOCKZ_WAY_IN_PLACE;
}

bool anywhere_affords(const struct anywhere *self, uint64_t image_bytes, uint64_t file_bytes)
{
	struct estimate more = self->estimate;
	estimate_add(&more, self->planner->map->format, false, image_bytes, file_bytes);
	estimate_ways(&more, self->planner->map, pool_threads(self->how->work.threads));
	return self->how->way == BLOCKZ_WAY_IN_PLACE || more.in_place;
}

void anywhere_misfit(struct anywhere *self, const struct need *need)
{
	if (self->misfit != BLOCKZ_UNKNOWN)
		return;
	self->misfit = touched_place(self->planner->map, need->touched).start;
	self->missing = need->bytes > 0 ? (uint64_t)need->bytes : 0;
}

/* What a splice inside of a piece lacks is not known. */
static enum blockz_status refuse_misfit(const struct anywhere *self)
{
	const struct planner *planner = self->planner;
	char by[64] = "";
	if (self->missing > 0)
		snprintf(by, sizeof(by), ": %" PRIu64 " byte%s too long", self->missing, plural(self->missing));
	return fault_set(planner->fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN,
			 "the %s at image offset %" PRIu64 " does not fit into its old place%s", planner->map->format->piece_noun,
			 self->misfit, by);
}

/* A new file is about as long as the old one; what a cut leaves of it is not known. */
static enum blockz_status ask_for_room(const struct anywhere *self)
{
	const struct planner *planner = self->planner;
	const struct blockz_anywhere *how = self->how;
	if (self->in_place || how->reserve == NULL || planner->image_size < planner->map->image_size)
		return BLOCKZ_OK;
	return how->reserve(how->reserve_ctx, planner->map->file_size, planner->fault);
}

/* By the way that was chosen. */
static enum blockz_status encode(struct anywhere *self)
{
	enum blockz_status status = ask_for_room(self);
	return status == BLOCKZ_OK ? renew_pieces(self) : status;
}

static enum blockz_status encode_by_a_way(struct anywhere *self)
{
	struct planner *planner = self->planner;
	self->in_place = choose_in_place(self);
	enum blockz_status status = encode(self);
	if (status != BLOCKZ_OK)
		return status;
	if (self->misfit != BLOCKZ_UNKNOWN && self->how->way == BLOCKZ_WAY_IN_PLACE)
		return refuse_misfit(self);
	if (self->misfit != BLOCKZ_UNKNOWN) {
		self->in_place = false;
		status = encode(self);
	}
	planner->plan->is_splice = !self->in_place;
	return status;
}

/* ---- Raw bytes, where no piece around them is encoded again ---- */

static enum blockz_status add_raw_between(struct planner *planner, uint32_t edit, uint64_t pos, uint64_t end)
{
	const struct blockz_map *map = planner->map;
	size_t i = planner_next_patchable(map, map_find_span(map, pos));
	enum blockz_status status = BLOCKZ_OK;
	for (; i < map->span_count && map->spans[i].start < end && status == BLOCKZ_OK; i = planner_next_patchable(map, i + 1)) {
		const struct span *span = &map->spans[i];
		status = planner_add_raw(planner, edit, span, span->start > pos ? span->start : pos, min(span->end, end));
	}
	return status;
}

/* Both parts and pieces that are touched ascend. */
static enum blockz_status add_raw(struct anywhere *self)
{
	struct planner *planner = self->planner;
	enum blockz_status status = BLOCKZ_OK;
	size_t next = 0;
	for (size_t i = 0; i < planner->part_count && status == BLOCKZ_OK; i++) {
		const struct edit_part *part = &planner->parts[i];
		for (uint64_t pos = part->start; pos < part->end && status == BLOCKZ_OK;) {
			struct touched_place place = { .start = BLOCKZ_UNKNOWN };
			for (; next < self->count; next++) {
				place = touched_place(planner->map, &self->touched[next]);
				if (self->touched[next].fate != TOUCHED_SAME && place.end > pos)
					break;
				place.start = BLOCKZ_UNKNOWN;
			}
			if (place.start > pos)
				status = add_raw_between(planner, part->edit, pos, min(place.start, part->end));
			pos = place.start > pos && place.start >= part->end ? part->end : place.end;
		}
	}
	planner->raw_count = planner->plan->write_count;
	return status;
}

/* ---- The whole ---- */

static size_t count_renewed(const struct anywhere *self)
{
	size_t count = 0;
	for (size_t i = 0; i < self->count; i++)
		count += self->touched[i].fate != TOUCHED_SAME;
	return count;
}

static bool keeps_lengths(const struct blockz_plan *plan)
{
	for (size_t i = 0; i < plan->write_count; i++)
		if (plan->writes[i].length != plan->writes[i].new_length)
			return false;
	return true;
}

/* An index may tell of other lengths in more bytes than it had. */
static enum blockz_status require_way(const struct anywhere *self)
{
	struct planner *planner = self->planner;
	if (planner->plan->is_splice || keeps_lengths(planner->plan))
		return BLOCKZ_OK;
	if (self->how->way == BLOCKZ_WAY_IN_PLACE)
		return fault_set(planner->fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN, "the index does not fit into its old place");
	planner->plan->is_splice = true;
	return BLOCKZ_OK;
}

/* The end of an image that gets another size, once all that stays of it is planned. */
static enum blockz_status plan_end(struct anywhere *self)
{
	struct planner *planner = self->planner;
	const struct touched *last = self->count > 0 ? &self->touched[self->count - 1] : NULL;
	const bool is_whole = last != NULL && last->fate == TOUCHED_RENEW && last->piece + 1 == planner->map->piece_count;
	if (!self->resize.is_wanted)
		return BLOCKZ_OK;
	return resize_run(&self->resize, planner, is_whole);
}

static enum blockz_status plan_touched(struct anywhere *self)
{
	struct planner *planner = self->planner;
	enum blockz_status status = add_raw(self);
	if (status == BLOCKZ_OK && count_renewed(self) > 0)
		status = encode_by_a_way(self);
	if (status == BLOCKZ_OK)
		status = plan_end(self);
	if (status != BLOCKZ_OK)
		return status;
	if (self->how->way == BLOCKZ_WAY_SPLICE)
		planner->plan->is_splice = true;
	status = planner_add_checks(planner);
	if (status == BLOCKZ_OK && (planner->piece_count > 0 || self->resize.is_wanted))
		status = renew_index(planner);
	if (self->resize.is_wanted)
		resize_finish(&self->resize, planner);
	return status == BLOCKZ_OK ? require_way(self) : status;
}

/* For blockz_plan_anywhere(), whose options are behind the planner. */
struct anywhere_planner {
	struct planner planner; /* the first member */
	const struct blockz_anywhere *how;
};

static enum blockz_status plan_in_map(struct planner *planner)
{
	const struct anywhere_planner *outer = (const struct anywhere_planner *)planner;
	struct anywhere self = { .planner = planner, .how = outer->how, .misfit = BLOCKZ_UNKNOWN };
	planner->plan->scratch = outer->how->scratch;
	enum blockz_status status = resize_begin(&self.resize, planner, planner->image_size);
	if (status == BLOCKZ_OK && self.resize.is_wanted && self.how->way == BLOCKZ_WAY_IN_PLACE)
		status = fault_set(planner->fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN, "an image of another size takes a new file");
	if (status == BLOCKZ_OK)
		status = touched_find(planner, &self.touched, &self.count);
	if (status == BLOCKZ_OK)
		status = plan_touched(&self);
	resize_free(&self.resize);
	free(self.touched);
	free(self.needs);
	free(planner->pieces);
	return status;
}

/* What of the image is edited, and where it is to end; ranges has room for one more than there are parts. */
static size_t list_edited(const struct planner *planner, struct blockz_range *ranges)
{
	const uint64_t end = min(planner->map->image_size, planner->image_size);
	bool has_end = end == 0 || planner->image_size == planner->map->image_size;
	size_t count = 0;
	for (size_t i = 0; i < planner->part_count; i++) {
		const struct edit_part *part = &planner->parts[i];
		if (!has_end && part->start >= end)
			ranges[count++] = (struct blockz_range){ end - 1, end };
		has_end |= part->end >= end;
		ranges[count++] = (struct blockz_range){ part->start, part->end };
	}
	if (!has_end)
		ranges[count++] = (struct blockz_range){ end - 1, end };
	return count;
}

/* Planning sees the pieces of groups that are edited. */
static enum blockz_status plan_all(struct planner *planner)
{
	const struct blockz_map *map = planner->map;
	struct blockz_map *opened = NULL;
	if (map->format->renew_index == NULL)
		return fault_set(planner->fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN, "%s files cannot be encoded again",
				 map->format->public.name);
	if (map->group_cut == 0)
		return plan_in_map(planner);
	struct blockz_range *ranges = calloc(planner->part_count + 1, sizeof(*ranges));
	if (ranges == NULL)
		return fault_nomem(planner->fault);
	enum blockz_status status = groups_open(planner->file, map, ranges, list_edited(planner, ranges), &opened, planner->fault);
	if (status == BLOCKZ_OK) {
		planner->map = planner->reader.map = opened;
		status = plan_in_map(planner);
		planner->map = planner->reader.map = map;
	}
	blockz_map_free(opened);
	free(ranges);
	return status;
}

EXPORT enum blockz_status blockz_plan_anywhere(const struct blockz_source *file, const struct blockz_map *map,
					       const struct blockz_edit *edits, size_t count, const struct blockz_anywhere *how,
					       struct blockz_plan **plan_ret, struct blockz_fault *fault)
{
	struct anywhere_planner self = {
		.planner = {
			.file = file, .map = map, .work = &how->work, .image_size = how->resize ? how->image_size : map->image_size,
			.kept = map->image_size, .fault = fault,
		},
		.how = how,
	};
	if (self.planner.image_size > INT64_MAX)
		return fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN, "an image of more than 2^63 - 1 bytes");
	return planner_run(&self.planner, edits, count, plan_all, plan_ret);
}
