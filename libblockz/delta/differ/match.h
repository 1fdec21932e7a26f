/* SPDX-License-Identifier: BSD-3-Clause */
/* Single matches, which are extended while most bytes are equal, and lists of them. */
#ifndef DELTA_DIFFER_MATCH_H
#define DELTA_DIFFER_MATCH_H

#include <stdbool.h>

#include "delta/differ/differ.h"
#include "delta/differ/texts.h"

/* What is added to new_off to get old_off (texts.h), and the offset behind a match in the new text. */
static inline size_t match_diagonal(const struct match *match)
{
	return (size_t)(match->old_off - match->new_off);
}

static inline size_t match_end(const struct match *match)
{
	return (size_t)(match->new_off + match->len);
}

/* The first match that ends behind an offset in the new text. */
size_t matches_first_behind(const struct matches *matches, uint64_t new_off);

/* Adds a match behind the others; false: no memory. */
bool matches_add(struct matches *matches, struct match match);

/* Copies a list, for matches_free(); false: no memory, and there is no copy. */
bool matches_copy(const struct matches *matches, struct matches *copy_ret);

/*
 * How many bytes behind (before) a match belong to it, of the len ones between it and the next: the length at which
 * those that are equal, or differ as a field before does, most outnumber the others.
 */
size_t match_extend_ahead(const struct texts *texts, size_t new_off, size_t diagonal, size_t len);
size_t match_extend_behind(const struct texts *texts, size_t new_end, size_t diagonal, size_t len);

/* How many of len bytes on a diagonal cost next to nothing in a diff stream; none beyond the old text do. */
size_t match_cheap(const struct texts *texts, size_t new_off, size_t diagonal, size_t len);

/*
 * Where in [start, end), all of which could be on either diagonal, it is best to change from the one before to the one
 * behind: the bytes before the change.
 */
size_t match_best_split(const struct texts *texts, size_t start, size_t end, size_t before, size_t behind);

#endif
