/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The differ finds where the bytes of a new text come from in an old one: a list of approximate matches, within which most
 * bytes are equal.  Texts are memory: the differ reads no files, and knows neither deltas nor what texts are made of.  It
 * calls the pool for parts of a new text.
 */
#ifndef DELTA_DIFFER_DIFFER_H
#define DELTA_DIFFER_DIFFER_H

#include "blockz.h"

struct match {
	uint64_t new_off, old_off, len; /* of both texts; len > 0 */
};

struct matches {
	struct match *items; /* by ascending new_off, none overlapping another */
	size_t count;
};

/* Frees the items; the struct is the caller's. */
void matches_free(struct matches *matches);

/*
 * Where a text is looked for in several, which may be parts of one, the first pass is done with all of them before the second,
 * for which they may be shorter ones.
 */
enum differ_pass {
	DIFFER_LONG_RUNS, /* what long equal runs lead to */
	DIFFER_THE_REST,
};

/* The longest old text that a pass may have, and the bytes of memory that an index of one takes, the text not counted. */
uint64_t differ_old_max(enum differ_pass pass);
uint64_t differ_memory(enum differ_pass pass, uint64_t old_len);

/* Bytes that lists of matches take for a new text of this length, as a rule. */
uint64_t differ_matches_memory(uint64_t new_len);

struct differ;

/*
 * Indexes an old text, which stays the caller's and has to outlive the differ; for the second pass only what matches have not
 * used of it, whose old_off are ahead of the text by old_base.  Errors: BLOCKZ_FAILED (no memory).
 */
enum blockz_status differ_new(enum differ_pass pass, const uint8_t *old, size_t old_len, uint64_t old_base,
			      const struct matches *used, struct differ **differ_ret, struct blockz_fault *fault);
/* NULL is fine. */
void differ_free(struct differ *differ);

/*
 * Adds matches for those parts of a new text that have none yet (matches is empty at first; those of other old texts,
 * whose offsets the caller has told apart by old_base, stay as they are).  old_base is added to each old_off.  The
 * result depends on the texts and the matches alone, not on threads.
 * Errors: BLOCKZ_FAILED (no memory, interrupted); then matches is as it was.
 */
enum blockz_status differ_match(const struct differ *differ, const uint8_t *new, size_t new_len,
				const struct blockz_work *work, struct matches *matches, struct blockz_fault *fault);

#endif
