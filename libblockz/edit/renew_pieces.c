/* SPDX-License-Identifier: BSD-3-Clause */
/* Long pieces are spliced; others are decoded, changed and encoded on all threads, and written to the scratch in order. */
#include <stdlib.h>

#include "base/array.h"
#include "base/bisect.h"
#include "base/checked.h"
#include "base/fault.h"
#include "edit/estimate.h"
#include "edit/join_runs.h"
#include "edit/plan_anywhere.h"
#include "parallel/pool.h"

/* ---- What has come of pieces ---- */

static uint64_t renewed_start(const struct blockz_map *map, const struct renewed_piece *piece)
{
	return touched_place(map, &(struct touched){ .piece = piece->piece, .copy = piece->copy }).start;
}

static bool is_piece_before(const void *memory, uint64_t i, uint64_t off)
{
	const struct planner *planner = memory;
	return renewed_start(planner->map, &planner->pieces[i]) < off;
}

struct renewed_piece *renewed_find(const struct planner *planner, uint64_t start)
{
	size_t i = (size_t)bisect(planner->piece_count, is_piece_before, planner, start);
	bool found = i < planner->piece_count && renewed_start(planner->map, &planner->pieces[i]) == start;
	return found ? &planner->pieces[i] : NULL;
}

static bool is_before(const struct renewed_piece *a, const struct renewed_piece *b)
{
	return a->piece < b->piece || (a->piece == b->piece && a->copy < b->copy);
}

/* Puts it where it belongs, which mostly is behind all others. */
static enum blockz_status insert_renewed(struct planner *planner, const struct renewed_piece *renewed, struct blockz_fault *fault)
{
	struct renewed_piece *room = array_room(planner->pieces, planner->piece_count, sizeof(*room));
	if (room == NULL)
		return fault_nomem(fault);
	planner->pieces = room;
	size_t at = planner->piece_count++;
	for (; at > 0 && is_before(renewed, &room[at - 1]); at--)
		room[at] = room[at - 1];
	room[at] = *renewed;
	return BLOCKZ_OK;
}

/* Bytes of a piece that is encoded again, but for one that is raw as a whole and stays so. */
static uint64_t raw_bytes(const struct blockz_map *map, size_t piece, const struct touched_place *place)
{
	uint64_t bytes = 0;
	if (map->pieces[piece].kind == BLOCKZ_RAW)
		return 0;
	for (size_t i = map_find_span(map, place->start); i < map->span_count && map->spans[i].start < place->end; i++)
		if (map->spans[i].patchable)
			bytes += min(map->spans[i].end, place->end) - max(map->spans[i].start, place->start);
	return bytes;
}

static enum blockz_status note_renewed(struct planner *planner, const struct renewed_piece *renewed, struct blockz_fault *fault)
{
	const struct touched touched = { .piece = renewed->piece, .copy = renewed->copy };
	const struct touched_place place = touched_place(planner->map, &touched);
	struct blockz_plan_renewed *sum = &planner->plan->renewed;
	sum->pieces++;
	sum->image_bytes += place.end - place.start;
	sum->file_bytes += place.file_len;
	sum->raw_bytes += raw_bytes(planner->map, renewed->piece, &place);
	if (piece_is_unverified(&planner->map->pieces[renewed->piece], planner->map->format))
		sum->unverified++;
	return insert_renewed(planner, renewed, fault);
}

/* Of a neighbour that lends room nothing changes. */
static enum blockz_status take_first(struct planner *planner, const struct renew_job *job, const struct renewed_piece *renewed,
				     struct blockz_fault *fault)
{
	const struct plan_change change = {
		touched_place(planner->map, job->touched).start + job->revision.from, job->revision.to - job->revision.from, job->delta,
	};
	enum blockz_status status = note_renewed(planner, renewed, fault);
	return status == BLOCKZ_OK && change.length > 0 ? plan_add_change(planner->plan, &change, fault) : status;
}

enum blockz_status renewed_take(struct planner *planner, const struct renew_job *job, struct blockz_fault *fault)
{
	const struct touched_place place = touched_place(planner->map, job->touched);
	const struct blockz_range old = { place.file_off, place.file_off + place.file_len };
	const struct renewed_piece renewed = renew_job_result(planner, job);
	struct renewed_piece *before = renewed_find(planner, place.start);
	enum blockz_status status = before == NULL ? take_first(planner, job, &renewed, fault) : BLOCKZ_OK;
	if (status != BLOCKZ_OK)
		return status;
	if (before != NULL) {
		*before = renewed;
		plan_drop(planner->plan, &old, 1, PLAN_PIECE);
	}
	return plan_add_new(planner->plan, old, job->encoding.out.bytes, job->encoding.len, PLAN_PIECE, fault);
}

/* ---- Splices inside of pieces ---- */

struct splicing {
	struct anywhere *self;
	const struct touched *touched;
	uint64_t growth; /* of the piece, modulo 2^64 */
	uint64_t replaced; /* bytes of it */
	uint64_t tag; /* this and the next as in struct renewed_piece */
	uint32_t check;
};

static enum blockz_status splice_lay_over(void *ctx, uint8_t *bytes, size_t len, uint64_t off, struct blockz_fault *fault)
{
	const struct splicing *splicing = ctx;
	return planner_lay_over(splicing->self->planner, splicing->touched->part, bytes, len, off, fault);
}

static enum blockz_status splice_replace(void *ctx, struct blockz_range old, const uint8_t *bytes, size_t len,
					 struct blockz_fault *fault)
{
	struct splicing *splicing = ctx;
	splicing->growth += len - (old.end - old.start);
	splicing->replaced += old.end - old.start;
	return plan_add_new(splicing->self->planner->plan, old, bytes, len, PLAN_PIECE, fault);
}

static enum blockz_status splice_changed(void *ctx, uint64_t off, const uint8_t *old, const uint8_t *new, size_t len,
					 struct blockz_fault *fault)
{
	const struct splicing *splicing = ctx;
	const struct planner *planner = splicing->self->planner;
	const struct check_facts *facts = &check_methods[planner->map->pieces[splicing->touched->piece].method];
	const struct plan_change change = {
		off, len, facts->poly != NULL ? facts->update(0, old, len) ^ facts->update(0, new, len) : 0,
	};
	return plan_add_change(planner->plan, &change, fault);
}

/* The ranges of the parts that lie in a piece. */
static enum blockz_status ranges_in(const struct planner *planner, const struct touched *touched, struct blockz_range **ranges_ret,
				    size_t *count_ret, struct blockz_fault *fault)
{
	const struct touched_place place = touched_place(planner->map, touched);
	size_t first = touched->part, end = first;
	while (end < planner->part_count && planner->parts[end].start < place.end)
		end++;
	struct blockz_range *ranges = calloc(end - first + 1, sizeof(*ranges));
	if (ranges == NULL)
		return fault_nomem(fault);
	for (size_t i = first; i < end; i++) {
		uint64_t start = max(planner->parts[i].start, place.start);
		ranges[i - first] = (struct blockz_range){ start, min(planner->parts[i].end, place.end) };
	}
	*count_ret = blockz_ranges_unite(ranges, end - first);
	*ranges_ret = ranges;
	return BLOCKZ_OK;
}

static enum blockz_status note_spliced(struct anywhere *self, const struct splicing *splicing, struct blockz_fault *fault)
{
	const struct touched *touched = splicing->touched;
	const struct touched_place place = touched_place(self->planner->map, touched);
	if (splicing->replaced == 0)
		return BLOCKZ_OK;
	self->planner->plan->renewed.file_bytes -= place.file_len - splicing->replaced;
	const struct renewed_piece renewed = {
		.piece = touched->piece, .copy = touched->copy, .file_len = place.file_len + splicing->growth, .tag = splicing->tag,
		.check = splicing->check,
	};
	return note_renewed(self->planner, &renewed, fault);
}

/* Splices if that makes the piece longer by less than `most` bytes.  *done_ret: it does; else nothing was planned. */
static enum blockz_status try_splice(struct anywhere *self, const struct touched *touched, int64_t most, bool *done_ret,
				     struct blockz_fault *fault)
{
	struct planner *planner = self->planner;
	struct blockz_plan *plan = planner->plan;
	const size_t writes = plan->write_count, changes = plan->change_count;
	const uint64_t scratch_len = plan->scratch_len;
	struct splicing splicing = { .self = self, .touched = touched };
	struct piece_edit edit = {
		.file = planner->file, .map = planner->map, .piece = touched->piece, .keep_length = self->in_place,
		.check_ret = &splicing.check, .tag_ret = &splicing.tag, .lay_over = splice_lay_over, .replace = splice_replace,
		.changed = splice_changed, .ctx = &splicing,
	};
	struct blockz_range *ranges = NULL;
	enum blockz_status status = ranges_in(planner, touched, &ranges, &edit.count, fault);
	edit.ranges = ranges;
	*done_ret = false;
	if (status == BLOCKZ_OK)
		status = planner->map->format->splice(&edit, done_ret, fault);
	free(ranges);
	*done_ret = *done_ret && status == BLOCKZ_OK && (int64_t)splicing.growth < most;
	if (*done_ret)
		return note_spliced(self, &splicing, fault);
	plan->write_count = writes;
	plan->change_count = changes;
	plan->scratch_len = scratch_len;
	return status;
}

/* ---- Long pieces ---- */

/*
 * One that cannot be spliced is encoded again as a whole.  In its place that takes many times what a splice does, and is left to
 * who asks for it.
 */
static enum blockz_status renew_whole(struct anywhere *self, struct touched *touched)
{
	const struct touched_place place = touched_place(self->planner->map, touched);
	bool may_take_long = !self->in_place || self->how->way == BLOCKZ_WAY_IN_PLACE;
	if (may_take_long && estimate_is_short(place.end - place.start, place.file_len)) {
		touched->fate = TOUCHED_RENEW;
		return BLOCKZ_OK;
	}
	if (!self->in_place)
		return touched_refuse_long(self->planner, touched);
	anywhere_misfit(self, &(struct need){ .touched = touched });
	return BLOCKZ_OK;
}

static enum blockz_status splice_piece(struct anywhere *self, struct touched *touched)
{
	bool done = false;
	enum blockz_status status = try_splice(self, touched, INT64_MAX, &done, self->planner->fault);
	return status != BLOCKZ_OK || done ? status : renew_whole(self, touched);
}

static enum blockz_status splice_pieces(struct anywhere *self)
{
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < self->count && status == BLOCKZ_OK && self->misfit == BLOCKZ_UNKNOWN; i++)
		if (self->touched[i].fate == TOUCHED_SPLICE)
			status = splice_piece(self, &self->touched[i]);
	return status;
}

/* ---- Encoding ---- */

static void *thread_new(void *ctx)
{
	const struct anywhere *self = ctx;
	return renew_thread_new(self->planner);
}

static enum blockz_status take_piece(const struct pool_call *call, bool *done_ret)
{
	struct anywhere *self = call->ctx;
	struct renew_job *job = call->job;
	while (self->next < self->count && self->touched[self->next].fate != TOUCHED_RENEW)
		self->next++;
	*done_ret = self->next == self->count || self->misfit != BLOCKZ_UNKNOWN;
	if (*done_ret)
		return BLOCKZ_OK;
	job->touched = &self->touched[self->next++];
	job->room = self->in_place ? touched_place(self->planner->map, job->touched).file_len : BLOCKZ_UNKNOWN;
	return BLOCKZ_OK;
}

static enum blockz_status work_on_piece(const struct pool_call *call)
{
	const struct anywhere *self = call->ctx;
	return renew_piece(self->planner, call->job, call->thread, call->fault);
}

static enum blockz_status note_need(struct anywhere *self, const struct need *need, struct blockz_fault *fault)
{
	struct need *room = array_room(self->needs, self->need_count, sizeof(*room));
	if (room == NULL)
		return fault_nomem(fault);
	self->needs = room;
	self->needs[self->need_count++] = *need;
	if (borrow_is_hopeless(self, need))
		anywhere_misfit(self, need);
	return BLOCKZ_OK;
}

/*
 * True if a piece becomes longer than by what changes in it, as it does if another program, or a stronger level, made it: then
 * a splice inside of it may make it less so.
 */
static bool grows(const struct anywhere *self, const struct renew_job *job)
{
	enum { GROWTH_MAX = 200 };
	const struct blockz_map *map = self->planner->map;
	const struct touched_place place = touched_place(map, job->touched);
	return !self->in_place && map->format->splice != NULL && map->pieces[job->touched->piece].kind != BLOCKZ_ZERO &&
	       !planner_opens(self->planner, place.end) && job->encoding.len > place.file_len + job->changed + GROWTH_MAX;
}

/* Takes the shorter of what was encoded and a splice, which not every piece allows. */
static enum blockz_status take_shorter(struct anywhere *self, const struct renew_job *job, struct blockz_fault *fault)
{
	const struct touched_place place = touched_place(self->planner->map, job->touched);
	bool done = false;
	enum blockz_status status = try_splice(self, job->touched, (int64_t)(job->encoding.len - place.file_len), &done,
						fault);
	if (status == BLOCKZ_UNSUPPORTED || status == BLOCKZ_LIMIT)
		status = BLOCKZ_OK;
	return status == BLOCKZ_OK && !done ? renewed_take(self->planner, job, fault) : status;
}

static enum blockz_status give_piece(const struct pool_call *call)
{
	struct anywhere *self = call->ctx;
	const struct renew_job *job = call->job;
	struct planner *planner = self->planner;
	const struct touched_place place = touched_place(planner->map, job->touched);
	const struct need need = { job->touched, (int64_t)(job->encoding.len - place.file_len) };
	if (self->misfit != BLOCKZ_UNKNOWN)
		return BLOCKZ_OK;
	enum blockz_status status = self->in_place && !job->fits ? note_need(self, &need, call->fault) : BLOCKZ_OK;
	if (status == BLOCKZ_OK && self->misfit == BLOCKZ_UNKNOWN)
		status = grows(self, job) ? take_shorter(self, job, call->fault) : renewed_take(planner, job, call->fault);
	return status == BLOCKZ_OK ? pool_progress(planner->work, place.end, planner->plan->scratch_len, call->fault) : status;
}

static enum blockz_status encode_pieces(struct anywhere *self)
{
	const struct pool_jobs jobs = {
		.ctx = self, .job_size = sizeof(struct renew_job), .job_release = renew_job_release, .thread_new = thread_new,
		.thread_free = renew_thread_free, .take = take_piece, .work = work_on_piece, .give = give_piece,
	};
	self->next = 0;
	return pool_run(&jobs, self->how->work.threads, self->planner->fault);
}

/* ---- All of them ---- */

/* Those of pieces that were encoded whole come behind those that were spliced. */
static int compare_changes(const void *a, const void *b)
{
	const struct plan_change *ca = a, *cb = b;
	return (ca->image_off > cb->image_off) - (ca->image_off < cb->image_off);
}

enum blockz_status renew_pieces(struct anywhere *self)
{
	struct planner *planner = self->planner;
	struct blockz_plan *plan = planner->plan;
	plan->write_count = planner->raw_count;
	plan->change_count = planner->piece_count = 0;
	plan->scratch_len = 0;
	plan->renewed.pieces = plan->renewed.image_bytes = plan->renewed.file_bytes = plan->renewed.unverified = 0;
	plan->renewed.raw_bytes = 0;
	self->need_count = 0;
	self->misfit = BLOCKZ_UNKNOWN;
	enum blockz_status status = splice_pieces(self);
	if (status == BLOCKZ_OK && self->misfit == BLOCKZ_UNKNOWN)
		status = encode_pieces(self);
	if (status == BLOCKZ_OK && self->misfit == BLOCKZ_UNKNOWN && self->need_count > 0)
		status = borrow_all(self);
	if (status == BLOCKZ_OK && self->misfit == BLOCKZ_UNKNOWN && self->need_count > 0)
		status = join_runs(planner);
	if (status != BLOCKZ_OK)
		return status;
	if (plan->change_count > 0)
		qsort(plan->changes, plan->change_count, sizeof(*plan->changes), compare_changes);
	return BLOCKZ_OK;
}
