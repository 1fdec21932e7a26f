/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Parts of NEW, as the delta says them one after the other: a part is a block, or some bytes between blocks.  Several make
 * a batch, which one thread works on, so that a block of OLD is decoded once for all of them.
 *
 * A part is made in place: the delta's own bytes (differences and new content) are decoded to where they belong, and then
 * OLD's bytes are copied beside them, or added to them.  Neither encodes a block nor writes NEW: see merge.c.
 */
#ifndef DELTA_APPLY_PARTS_H
#define DELTA_APPLY_PARTS_H

#include "delta/apply/fetch.h"
#include "delta/apply/flight.h"
#include "delta/file/read.h"

struct part {
	struct delta_step step;
	uint64_t new_off, delta_off; /* where it stands in NEW, and what is behind it in the delta */
	struct buffer plain, encoded;
};

/* Zeros at first, and used for one batch after the other. */
struct batch {
	struct part parts[CLIENT_PARTS];
	size_t count;
	uint64_t len, cost; /* of the parts, as they are made, and in memory: the latter is in flight, */
	uint64_t made;      /* and so much of it waits to be written */
	struct fetch *fetches;
	size_t fetch_count, good_fetches; /* that are to be done: all, and those of parts that are whole */
};

void batch_free(struct batch *batch); /* what it has allocated, not itself */

/* The way through the delta.  One thread at a time uses it; old and flight belong to the caller. */
struct parts_reader {
	struct delta_reader *delta;
	struct old *old;
	struct flight *flight;
	/* Private, and zeros at first. */
	bool in_section, at_end;
	struct delta_step ahead; /* if is_ahead: the next one, which is in no batch yet */
	bool is_ahead;
	uint64_t new_len;         /* bytes of NEW so far */
	struct blockz_fault late; /* of what comes behind the batch that was read last */
};

/*
 * Reads the parts of the next batch, and what they take of OLD, most of which waits for batch_fetch(); a batch that has
 * been read is in flight until batch_leave().  *done_ret: there was none left, or another batch has failed.
 * Errors: those of delta_read_section() and old_copy().
 */
enum blockz_status batch_read(struct parts_reader *reader, struct batch *batch, struct old_reader *old_reader,
			      bool *done_ret, struct blockz_fault *fault);

/* Takes of OLD what waits; the plain bytes of all parts are there then.  Errors: those of old_copy(). */
enum blockz_status batch_fetch(struct batch *batch, struct old *old, struct old_reader *old_reader,
			       struct blockz_fault *fault);

/* All blocks are encoded, and the batch waits to be written: gives back what long ones were encoded from. */
void batch_wait(struct batch *batch, struct flight *flight);

/* Ends the flight of a batch that is not needed any more, and gives long memory back. */
void batch_leave(struct batch *batch, struct flight *flight, bool failed);

#endif
