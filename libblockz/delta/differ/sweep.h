/* SPDX-License-Identifier: BSD-3-Clause */
/* Looks for matches in all parts of a new text that have none. */
#ifndef DELTA_DIFFER_SWEEP_H
#define DELTA_DIFFER_SWEEP_H

#include "delta/differ/finder.h"
#include "delta/differ/match.h"

/*
 * Adds to matches what is found.  Those with old offsets beyond the old text are of other texts, and only in the way.
 * The new text is cut at multiples of a fixed length into parts, each of which one thread looks at by itself.
 * Errors, with matches as it was: BLOCKZ_FAILED (no memory, interrupted).
 */
enum blockz_status sweep(const struct texts *texts, const struct finder *finder, const struct blockz_work *work,
			 struct matches *matches, struct blockz_fault *fault);

#endif
