/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of planning an edit of compressed bytes share; plan_anywhere.c begins with how they work together. */
#ifndef MAPPED_PLAN_ANYWHERE_H
#define MAPPED_PLAN_ANYWHERE_H

#include "mapped/touched.h"

struct anywhere {
	struct planner *planner;
	const struct blockz_anywhere *how;
	struct touched *touched;
	size_t count, next;
	bool in_place;
	/* In place: the first piece that does not fit, and by how much.  UNKNOWN: all do, so far. */
	uint64_t misfit, missing;
};

/*
 * Encodes all pieces that have to be, to the plan, the changes in them, and planner->pieces: in place or not, as self says.
 * Where one does not fit its place, self->misfit says which, and what was planned means nothing.
 * Errors: those of decoding and encoding; BLOCKZ_FAILED.
 */
enum blockz_status renew_pieces(struct anywhere *self);

/* Has the format make what tells of lengths anew; the checks are planned already.  Errors: those of renew_index(). */
enum blockz_status renew_index(struct planner *planner);

#endif
