/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of planning an edit of compressed bytes share; plan_anywhere.c begins with how they work together. */
#ifndef EDIT_PLAN_ANYWHERE_H
#define EDIT_PLAN_ANYWHERE_H

#include "edit/estimate.h"
#include "edit/renew_piece.h"
#include "edit/resize.h"

/* A piece that does not fit its old place. */
struct need {
	const struct touched *touched;
	int64_t bytes; /* it is too long by; 0 or less: too short, by an amount that cannot be filled */
};

struct anywhere {
	struct planner *planner;
	const struct blockz_anywhere *how;
	struct touched *touched;
	size_t count, next;
	struct resize resize;
	struct estimate estimate; /* of what has to be encoded */
	bool in_place;
	/* In place: pieces that do not fit, ascending. */
	struct need *needs;
	size_t need_count;
	/* The first for which there is no room among its neighbours either, and how much it lacks.  UNKNOWN: none, so far. */
	uint64_t misfit, missing;
};

/* Notes that a piece does not fit, unless one before it does not. */
void anywhere_misfit(struct anywhere *self, const struct need *need);

/* True if encoding so much more, beside what was estimated, leaves an edit in place the way to choose. */
bool anywhere_affords(const struct anywhere *self, uint64_t image_bytes, uint64_t file_bytes);

/*
 * Encodes all pieces that have to be, to the plan, the changes in them, and planner->pieces: in place or not, as self says.
 * Where one does not fit its place, self->misfit says which, and what was planned means nothing.
 * Errors: those of decoding and encoding; BLOCKZ_FAILED.
 */
enum blockz_status renew_pieces(struct anywhere *self);

/*
 * Adds what came of a job to the plan and planner->pieces, or puts it in the place of what had come of the same piece before.
 * Errors: BLOCKZ_FAILED.
 */
enum blockz_status renewed_take(struct planner *planner, const struct renew_job *job, struct blockz_fault *fault);

/* True if all that its neighbours could ever lend to a piece is less than it needs. */
bool borrow_is_hopeless(const struct anywhere *self, const struct need *need);

/*
 * Has neighbours encoded stronger until there is room for all needs, or one is the misfit; then the writes of pieces together
 * keep the length.  Errors: those of encoding; BLOCKZ_FAILED.
 */
enum blockz_status borrow_all(struct anywhere *self);

/* Has the format make what tells of lengths anew; the checks are planned already.  Errors: those of renew_index(). */
enum blockz_status renew_index(struct planner *planner);

#endif
