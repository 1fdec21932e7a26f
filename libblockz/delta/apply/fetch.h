/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Does what some parts of NEW take of OLD.  The order does not matter, so it is the one in which fewest of OLD's blocks have to be
 * decoded: first what is taken of those at hand, then one block after the other, each for all parts.
 */
#ifndef DELTA_APPLY_FETCH_H
#define DELTA_APPLY_FETCH_H

#include "delta/file/old_space.h"

struct fetch {
	uint64_t old_off;
	uint8_t *out;
	uint32_t len; /* no longer than a block may be */
	bool adds, done;
};

/* Takes all of them, and changes their order; NULL is fine for none.  Errors: see old_copy(). */
enum blockz_status fetch_all(struct fetch *fetches, size_t count, struct old *old, struct old_reader *reader,
			     struct blockz_fault *fault);

#endif
