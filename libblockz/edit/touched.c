/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pieces are collected by where edits lie, without decoding; then each is decoded and compared, on all threads.  Of zero
 * pieces only those are collected for which an edit has something else than zeros.
 */
#include "edit/touched.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/checked.h"
#include "base/equal.h"
#include "base/fault.h"
#include "base/zeros.h"
#include "io/access.h"
#include "edit/estimate.h"
#include "parallel/pool.h"

enum { ZEROS_PART = 64 << 10 };

struct touched_place touched_place(const struct blockz_map *map, const struct touched *touched)
{
	const struct piece *piece = &map->pieces[touched->piece];
	uint64_t image_len = piece_image_len(map, touched->piece) / piece->copies, file_len = piece->file_len / piece->copies;
	uint64_t start = piece->start + touched->copy * image_len;
	return (struct touched_place){ start, start + image_len, piece->file_off + touched->copy * file_len, file_len };
}

enum blockz_status touched_refuse_long(const struct planner *planner, const struct touched *touched)
{
	const struct touched_place place = touched_place(planner->map, touched);
	return fault_set(planner->fault, BLOCKZ_UNSUPPORTED, place.file_off,
			 "the %s of %" PRIu64 " bytes of image from %" PRIu64 " on is too long to be encoded again",
			 planner->map->format->piece_noun, place.end - place.start, place.start);
}

/* ---- Collecting ---- */

struct collection {
	struct planner *planner;
	struct touched *items;
	size_t count;
};

static enum blockz_status add_touched(struct collection *self, size_t piece, uint64_t copy, size_t part)
{
	const struct touched *last = self->count > 0 ? &self->items[self->count - 1] : NULL;
	if (last != NULL && last->piece == piece && last->copy == copy)
		return BLOCKZ_OK;
	if (self->count == MAP_ITEMS_MAX)
		return fault_set(self->planner->fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN, "edits touch more than %d pieces",
				 MAP_ITEMS_MAX);
	struct touched *room = array_room(self->items, self->count, sizeof(*room));
	if (room == NULL)
		return fault_nomem(self->planner->fault);
	self->items = room;
	self->items[self->count++] = (struct touched){ .piece = piece, .copy = copy, .part = part, .fate = TOUCHED_RENEW };
	return BLOCKZ_OK;
}

enum blockz_status touched_zeros_end(const struct planner *planner, const struct edit_part *part, uint64_t pos, uint64_t end,
				     uint64_t *end_ret)
{
	const struct blockz_edit *edit = &planner->edits[part->edit];
	uint64_t shift = edit->range.start - edit->data_off; /* image offsets are so much more, modulo 2^64 */
	uint8_t bytes[ZEROS_PART];
	while (pos < end) {
		uint64_t start = 0, stop = 0;
		int error = find_data(&edit->data, pos - shift, &start, &stop);
		if (error != 0)
			return fault_about(planner->fault, fault_errno(planner->fault, error, BLOCKZ_UNKNOWN, "finding holes"),
					   BLOCKZ_ABOUT_EDIT);
		pos = min(start + shift, end);
		size_t len = (size_t)min(min(stop + shift, end) - pos, ZEROS_PART);
		enum blockz_status status = read_data(&edit->data, bytes, len, pos - shift, BLOCKZ_ABOUT_EDIT, planner->fault);
		if (status != BLOCKZ_OK)
			return status;
		if (!all_zeros(bytes, len))
			break;
		pos += len;
	}
	*end_ret = pos;
	return BLOCKZ_OK;
}

/* Those copies of a zero piece for which [start, end) of a part has something. */
static enum blockz_status collect_zeros(struct collection *self, size_t index, size_t part, uint64_t start, uint64_t end)
{
	const struct piece *piece = &self->planner->map->pieces[index];
	uint64_t copy_len = piece_image_len(self->planner->map, index) / piece->copies;
	while (start < end) {
		enum blockz_status status = touched_zeros_end(self->planner, &self->planner->parts[part], start, end, &start);
		if (status != BLOCKZ_OK || start == end)
			return status;
		uint64_t copy = (start - piece->start) / copy_len;
		status = add_touched(self, index, copy, part);
		if (status != BLOCKZ_OK)
			return status;
		start = min(end, piece->start + (copy + 1) * copy_len);
	}
	return BLOCKZ_OK;
}

static enum blockz_status collect_part(struct collection *self, size_t part)
{
	const struct blockz_map *map = self->planner->map;
	const struct edit_part *edit = &self->planner->parts[part];
	enum blockz_status status = BLOCKZ_OK;
	for (uint64_t pos = edit->start, end; pos < edit->end && status == BLOCKZ_OK; pos = end) {
		size_t index = map_find_piece(map, pos);
		end = min(map_piece_end(map, index), edit->end);
		if (map->pieces[index].kind == BLOCKZ_ZERO)
			status = collect_zeros(self, index, part, pos, end);
		else if (map->pieces[index].kind == BLOCKZ_COMPRESSED && !map_is_patchable(map, pos, end))
			status = add_touched(self, index, 0, part);
	}
	return status;
}

/* The first part that lies in a piece, where one that is patchable may stand before that which had it collected. */
static void find_first_parts(const struct planner *planner, struct touched *items, size_t count)
{
	size_t part = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t start = touched_place(planner->map, &items[i]).start;
		while (planner->parts[part].end <= start)
			part++;
		items[i].part = part;
	}
}

/* ---- Comparing ---- */

static enum blockz_status decode_old(struct piece_reader *reader, const struct touched *touched, uint8_t *out, size_t len,
				     struct blockz_fault *fault)
{
	if (reader->map->pieces[touched->piece].kind != BLOCKZ_ZERO)
		return piece_decode(reader, &reader->map->pieces[touched->piece], len, out, NULL, fault);
	memset(out, 0, len);
	return piece_prove_zeros(reader, touched->piece, touched->copy, 1, fault);
}

enum blockz_status revision_make(struct revision *revision, struct piece_reader *reader, const struct planner *planner,
				 const struct touched *touched, struct blockz_fault *fault)
{
	const struct touched_place place = touched_place(planner->map, touched);
	size_t len = (size_t)(place.end - place.start);
	if (!buffer_reserve(&revision->old, len + DECODE_SLACK) || !buffer_reserve(&revision->new, len))
		return fault_nomem(fault);
	uint8_t *old = revision->old.bytes, *new = revision->new.bytes;
	enum blockz_status status = decode_old(reader, touched, old, len, fault);
	if (status != BLOCKZ_OK)
		return status;
	memcpy(new, old, len);
	status = planner_lay_over(planner, touched->part, new, len, place.start, fault);
	if (status != BLOCKZ_OK)
		return status;
	revision->len = len;
	revision->from = equal_ahead(old, new, len);
	revision->to = revision->from < len ? len - equal_behind(old + len, new + len, len) : 0;
	revision->from = min(revision->from, revision->to);
	return BLOCKZ_OK;
}

void revision_free(struct revision *revision)
{
	buffer_free(&revision->old);
	buffer_free(&revision->new);
	buffer_free(&revision->behind);
}

/* True if something changes that does not lie in patchable spans. */
static bool changes_compressed(const struct blockz_map *map, const struct revision *revision, uint64_t start)
{
	const uint8_t *old = revision->old.bytes, *new = revision->new.bytes;
	uint64_t pos = start + revision->from, end = start + revision->to;
	for (size_t i = planner_next_patchable(map, map_find_span(map, pos)); pos < end; i = planner_next_patchable(map, i + 1)) {
		uint64_t stop = i < map->span_count ? min(map->spans[i].start, end) : end;
		if (pos < stop && memcmp(old + (pos - start), new + (pos - start), (size_t)(stop - pos)) != 0)
			return true;
		pos = i < map->span_count ? map->spans[i].end : end;
	}
	return false;
}

struct comparison {
	struct planner *planner;
	struct touched *items;
	size_t count, next;
};

static void *thread_new(void *ctx)
{
	const struct comparison *self = ctx;
	struct piece_reader *reader = piece_reader_new(self->planner->file, self->planner->map);
	if (reader != NULL)
		reader->strict = true;
	return reader;
}

struct compare_job {
	struct revision revision;
	struct touched *touched;
};

static void job_release(void *memory)
{
	struct compare_job *job = memory;
	revision_free(&job->revision);
}

static enum blockz_status take(const struct pool_call *call, bool *done_ret)
{
	struct comparison *self = call->ctx;
	struct compare_job *job = call->job;
	while (self->next < self->count && self->items[self->next].fate == TOUCHED_SPLICE)
		self->next++;
	*done_ret = self->next == self->count;
	if (!*done_ret)
		job->touched = &self->items[self->next++];
	return BLOCKZ_OK;
}

static enum blockz_status compare(const struct pool_call *call)
{
	const struct comparison *self = call->ctx;
	struct compare_job *job = call->job;
	const struct planner *planner = self->planner;
	enum blockz_status status = revision_make(&job->revision, call->thread, planner, job->touched, call->fault);
	if (status == BLOCKZ_OK &&
	    !changes_compressed(planner->map, &job->revision, touched_place(planner->map, job->touched).start))
		job->touched->fate = TOUCHED_SAME;
	return status;
}

static enum blockz_status tell(const struct pool_call *call)
{
	const struct comparison *self = call->ctx;
	const struct compare_job *job = call->job;
	return pool_progress(self->planner->work, touched_place(self->planner->map, job->touched).end, 0, call->fault);
}

/* ---- Long pieces, which are not held in memory ---- */

/*
 * *differs_ret: something in a long piece may change.  Whether chosen bytes do is left to the splice, which has to decode it
 * in any case; those of a whole image mostly do not.
 */
static enum blockz_status long_differs(struct planner *planner, const struct touched *touched, bool *differs_ret)
{
	const struct touched_place place = touched_place(planner->map, touched);
	*differs_ret = false;
	for (size_t i = touched->part; i < planner->part_count && planner->parts[i].start < place.end && !*differs_ret; i++) {
		const struct edit_part *part = &planner->parts[i];
		uint64_t off = BLOCKZ_UNKNOWN, start = max(part->start, place.start);
		*differs_ret = !planner->edits[part->edit].same_elsewhere;
		if (*differs_ret)
			break;
		enum blockz_status status = planner_compare(planner, part->edit, start, min(part->end, place.end), &off);
		if (status != BLOCKZ_OK)
			return status;
		*differs_ret = off != BLOCKZ_UNKNOWN;
	}
	return BLOCKZ_OK;
}

static enum blockz_status decide_long(struct planner *planner, struct touched *touched)
{
	const struct touched_place place = touched_place(planner->map, touched);
	const struct blockz_map *map = planner->map;
	const enum blockz_edit_how how = estimate_how(map->format, map->pieces[touched->piece].kind, place.end - place.start,
						      place.file_len);
	bool differs = false;
	if (how == BLOCKZ_EDIT_PIECE)
		return BLOCKZ_OK;
	enum blockz_status status = long_differs(planner, touched, &differs);
	if (status != BLOCKZ_OK)
		return status;
	touched->fate = differs ? TOUCHED_SPLICE : TOUCHED_SAME;
	if (differs && how == BLOCKZ_EDIT_NONE)
		return touched_refuse_long(planner, touched);
	return BLOCKZ_OK;
}

/* ---- The whole ---- */

static enum blockz_status compare_all(struct planner *planner, struct touched *items, size_t count)
{
	struct comparison self = { .planner = planner, .items = items, .count = count };
	const struct pool_jobs jobs = {
		.ctx = &self, .job_size = sizeof(struct compare_job), .job_release = job_release, .thread_new = thread_new,
		.thread_free = piece_reader_delete, .take = take, .work = compare, .give = tell,
	};
	for (size_t i = 0; i < count; i++) {
		enum blockz_status status = decide_long(planner, &items[i]);
		if (status != BLOCKZ_OK)
			return status;
	}
	return pool_run(&jobs, planner->work->threads, planner->fault);
}

enum blockz_status touched_find(struct planner *planner, struct touched **touched_ret, size_t *count_ret)
{
	struct collection self = { .planner = planner };
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < planner->part_count && status == BLOCKZ_OK; i++)
		status = collect_part(&self, i);
	if (status == BLOCKZ_OK) {
		find_first_parts(planner, self.items, self.count);
		status = compare_all(planner, self.items, self.count);
	}
	if (status != BLOCKZ_OK) {
		free(self.items);
		return status;
	}
	*touched_ret = self.items;
	*count_ret = self.count;
	return BLOCKZ_OK;
}
