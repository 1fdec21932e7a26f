/* SPDX-License-Identifier: BSD-3-Clause */
/* The compressed pieces that edits change, found by decoding them and laying the edits over. */
#ifndef EDIT_TOUCHED_H
#define EDIT_TOUCHED_H

#include "edit/planner.h"

enum touched_fate {
	TOUCHED_SAME,   /* nothing in it changes, or raw bytes that can be overwritten */
	TOUCHED_RENEW,  /* it is encoded again */
	TOUCHED_SPLICE, /* a part of it is: it is long */
};

/* A compressed piece, or one copy of a zero piece, in which edits lie. */
struct touched {
	size_t piece;
	uint64_t copy;
	size_t part; /* the first of the planner's parts that lies in it */
	enum touched_fate fate;
};

/* Where it is. */
struct touched_place {
	uint64_t start, end; /* image offsets */
	uint64_t file_off, file_len;
};
struct touched_place touched_place(const struct blockz_map *map, const struct touched *touched);

/* Refuses one that is too long to be encoded again: BLOCKZ_UNSUPPORTED. */
enum blockz_status touched_refuse_long(const struct planner *planner, const struct touched *touched);

/*
 * Finds them, ascending, each with what has to become of it.  *touched_ret is the caller's to free.
 * Errors: those of decoding; BLOCKZ_UNSUPPORTED (one is too long), BLOCKZ_LIMIT (too many), BLOCKZ_FAILED.
 */
enum blockz_status touched_find(struct planner *planner, struct touched **touched_ret, size_t *count_ret);

/*
 * How far from pos on an edit has nothing but zeros, at most to `end`, both in the part, by what it knows of its holes and by its
 * bytes.  Errors: BLOCKZ_FAILED.
 */
enum blockz_status touched_zeros_end(const struct planner *planner, const struct edit_part *part, uint64_t pos, uint64_t end,
				     uint64_t *end_ret);

/* A piece before and after the edits; zeros at first, revision_free() frees what it holds. */
struct revision {
	struct buffer old, new, behind;
	size_t len;
	size_t from, to; /* the first byte that differs, and the one behind the last; both 0: none does */
};

/*
 * Decodes a piece that is touched, verifies what checks there are over it, and lays the edits over.  Errors: those of
 * decoding, BLOCKZ_FAILED.
 */
enum blockz_status revision_make(struct revision *revision, struct piece_reader *reader, const struct planner *planner,
				 const struct touched *touched, struct blockz_fault *fault);
void revision_free(struct revision *revision);

#endif
