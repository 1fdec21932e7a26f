/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A piece that does not fit its old place, however strongly it is encoded, borrows room from its neighbours: they are encoded
 * stronger than they were, and what lies between is moved as it stands.
 *
 *      old   | piece       | moved | neighbour        |
 *      new   | longer piece     | moved | neighbour   |
 *
 * Each neighbour that is asked is to be shorter by all that is lacking, and is filled up to that.  If it cannot be so short,
 * it lends what it can, and the next is asked for the rest.  Where the piece is too short by an amount that cannot be filled,
 * the same is done with a negative number.
 *
 * What is moved is contiguous in the file, so nothing but pieces of one stream stands between, and none of it is written to.
 */
#include <stdlib.h>

#include "base/bisect.h"
#include "base/fault.h"
#include "edit/plan_anywhere.h"
#include "parallel/pool.h"

enum {
	REACH = 8,      /* neighbours at either side */
	LEND_SHARE = 4, /* no level makes a piece shorter by more than one part in so many */
	EXTRA = 8,      /* neighbours that may be encoded, beside as many as there are pieces to be encoded in any case */
};

struct borrower {
	struct anywhere *self;
	void *thread;
	struct renew_job job;
	size_t left; /* so many neighbours may still be encoded */
	uint64_t image_bytes; /* of those that were, as many times as that took longer than at the weakest level */
};

/* ---- Neighbours ---- */

/* Goes to the next piece, or copy, or to the one before; false: it does not stand right beside this one in the file. */
static bool step(const struct blockz_map *map, struct touched *at, bool ahead)
{
	const struct touched_place here = touched_place(map, at);
	bool is_edge = ahead ? at->copy + 1 == map->pieces[at->piece].copies : at->copy == 0;
	if (is_edge && at->piece == (ahead ? map->piece_count - 1 : 0))
		return false;
	if (is_edge) {
		at->piece = ahead ? at->piece + 1 : at->piece - 1;
		at->copy = ahead ? 0 : map->pieces[at->piece].copies - 1;
	} else {
		at->copy = ahead ? at->copy + 1 : at->copy - 1;
	}
	const struct touched_place there = touched_place(map, at);
	return ahead ? there.file_off == here.file_off + here.file_len : there.file_off + there.file_len == here.file_off;
}

static bool is_touched_before(const void *memory, uint64_t i, uint64_t off)
{
	const struct anywhere *self = memory;
	return touched_place(self->planner->map, &self->touched[i]).start < off;
}

/* What the edits have to do with a piece, if anything. */
static struct touched as_touched(const struct anywhere *self, const struct touched *at)
{
	uint64_t start = touched_place(self->planner->map, at).start;
	size_t i = (size_t)bisect(self->count, is_touched_before, self, start);
	const struct touched *found = &self->touched[i];
	if (i < self->count && found->piece == at->piece && found->copy == at->copy && found->fate != TOUCHED_SAME)
		return *found;
	return (struct touched){ .piece = at->piece, .copy = at->copy, .part = self->planner->part_count, .fate = TOUCHED_RENEW };
}

/* True if raw bytes in a piece are overwritten where they are. */
static bool is_written_to(const struct planner *planner, const struct touched_place *place)
{
	size_t i = plan_first(planner->plan, planner->raw_count, false, place->start);
	return i < planner->raw_count && planner->plan->writes[i].image_off < place->end;
}

static bool may_move(const struct anywhere *self, const struct touched *at)
{
	const struct planner *planner = self->planner;
	const struct touched_place place = touched_place(planner->map, at);
	if (planner->map->pieces[at->piece].kind == BLOCKZ_RAW || map_is_group(planner->map, at->piece) ||
	    place.end - place.start > PIECE_MEMORY_MAX || place.file_len > PIECE_FILE_MAX)
		return false;
	return as_touched(self, at).fate == TOUCHED_RENEW && !is_written_to(planner, &place);
}

/* Neighbours at one side, one after the other. */
struct side {
	bool ahead, ended;
	struct touched at;
};

static bool next_neighbour(const struct anywhere *self, struct side *side)
{
	side->ended = side->ended || !step(self->planner->map, &side->at, side->ahead) || !may_move(self, &side->at);
	return !side->ended;
}

/* Those that differ in length or content from what they were have no copies beside them. */
static bool may_lend(const struct planner *planner, const struct touched *at)
{
	return planner->map->pieces[at->piece].kind == BLOCKZ_COMPRESSED ||
	       renewed_find(planner, touched_place(planner->map, at).start) != NULL;
}

bool borrow_is_hopeless(const struct anywhere *self, const struct need *need)
{
	int64_t bytes = need->bytes;
	for (int ahead = 0; ahead < 2; ahead++) {
		struct side side = { .ahead = ahead, .at = *need->touched };
		for (int i = 0; i < REACH && next_neighbour(self, &side); i++)
			if (may_lend(self->planner, &side.at))
				bytes -= (int64_t)(touched_place(self->planner->map, &side.at).file_len / LEND_SHARE);
	}
	return bytes > 0;
}

/* ---- Borrowing ---- */

/* Sets the room of the job for a neighbour that is asked for so many bytes; false: it is not worth it. */
static bool set_room(struct borrower *borrower, const struct touched *at, int64_t bytes)
{
	const struct planner *planner = borrower->self->planner;
	const struct touched_place place = touched_place(planner->map, at);
	const struct renewed_piece *renewed = renewed_find(planner, place.start);
	uint64_t len = renewed != NULL ? renewed->file_len : place.file_len;
	if (len > place.file_len || bytes >= (int64_t)len || borrower->left == 0)
		return false;
	if (!anywhere_affords(borrower->self, borrower->image_bytes + (place.end - place.start), place.file_len))
		return false;
	borrower->job.room = len - (uint64_t)bytes;
	borrower->left--;
	return true;
}

static void count_work(struct borrower *borrower, uint64_t image_len)
{
	for (unsigned attempt = 0; attempt < borrower->job.attempts; attempt++)
		borrower->image_bytes += image_len << attempt;
}

/* A neighbour that turns out to be damaged, or cannot be encoded, is none to be asked; it stays as it is. */
static enum blockz_status ask(struct borrower *borrower, const struct touched *at, int64_t *bytes)
{
	struct planner *planner = borrower->self->planner;
	struct renew_job *job = &borrower->job;
	const struct touched touched = as_touched(borrower->self, at);
	if (!may_lend(planner, at) || !set_room(borrower, at, *bytes))
		return BLOCKZ_OK;
	job->touched = &touched;
	job->attempts = 0;
	enum blockz_status status = renew_piece(planner, job, borrower->thread, planner->fault);
	const struct touched_place place = touched_place(planner->map, at);
	count_work(borrower, place.end - place.start);
	if (status == BLOCKZ_DAMAGED || status == BLOCKZ_UNSUPPORTED)
		return BLOCKZ_OK;
	if (status != BLOCKZ_OK)
		return status;
	int64_t left = (int64_t)(job->encoding.len - job->room);
	if (!job->fits && left >= *bytes)
		return BLOCKZ_OK;
	*bytes = left;
	status = renewed_take(planner, job, planner->fault);
	return status == BLOCKZ_OK ? pool_progress(planner->work, place.end, planner->plan->scratch_len, planner->fault)
				   : status;
}

/* Asks neighbours, the nearest first. */
static enum blockz_status borrow(struct borrower *borrower, const struct need *need)
{
	struct side sides[] = { { .ahead = true, .at = *need->touched }, { .ahead = false, .at = *need->touched } };
	struct anywhere *self = borrower->self;
	enum blockz_status status = BLOCKZ_OK;
	int64_t bytes = need->bytes;
	for (int i = 0; i < 2 * REACH && bytes != 0 && status == BLOCKZ_OK; i++)
		if (next_neighbour(self, &sides[i % 2]))
			status = ask(borrower, &sides[i % 2].at, &bytes);
	if (status == BLOCKZ_OK && bytes != 0)
		anywhere_misfit(self, need);
	return status;
}

enum blockz_status borrow_all(struct anywhere *self)
{
	struct borrower borrower = {
		.self = self, .thread = renew_thread_new(self->planner), .left = self->planner->piece_count + EXTRA,
	};
	enum blockz_status status = borrower.thread != NULL ? BLOCKZ_OK : fault_nomem(self->planner->fault);
	for (size_t i = 0; i < self->need_count && status == BLOCKZ_OK && self->misfit == BLOCKZ_UNKNOWN; i++)
		status = borrow(&borrower, &self->needs[i]);
	renew_job_release(&borrower.job);
	renew_thread_free(borrower.thread);
	return status;
}
