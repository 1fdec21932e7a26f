/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the client decodes of OLD.  It keeps blocks for a while, one that it does not have is decoded whole, however little of
 * it is wanted.  As files move within a file system and parts of them are found in other ones, most of these journeys are
 * for next to nothing.
 *
 * A stay of a block lasts from when it is decoded until the client has no room for it any more.  It is found by going
 * through NEW as the client does, some parts at once (delta/apply/fetch.h), with as much room as one has.
 */
#ifndef DELTA_MAKE_DECODE_COST_H
#define DELTA_MAKE_DECODE_COST_H

#include "delta/differ/differ.h"
#include "delta/make/plain_text.h"

/*
 * A stay has to bring one byte of NEW for so many that are decoded.  Measured on two disk images of 365 MiB in gzip pieces of
 * 1 MiB: from 1024 to 128 the delta becomes half a per cent smaller, as short matches are dear, and applying it takes a
 * fifth less; SquashFS does not notice.
 */
enum { DECODED_FOR_A_BYTE = 128 };

/* Gives up what matches have in stays that bring less than decoding is worth.  Errors: BLOCKZ_FAILED (no memory). */
enum blockz_status decode_cost_prune(const struct plain_text *old, const struct plain_text *new, struct matches *matches,
				     struct blockz_fault *fault);

/* Adds to decoded[block of NEW] the bytes of OLD's blocks that are decoded for it.  Errors: BLOCKZ_FAILED (no memory). */
enum blockz_status decode_cost_count(const struct plain_text *old, const struct plain_text *new, const struct matches *matches,
				     uint64_t *decoded, struct blockz_fault *fault);

#endif
