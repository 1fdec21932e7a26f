/* SPDX-License-Identifier: BSD-3-Clause */
/* An index that finds the longest run of an old text, or of stretches of it, by a suffix array. */
#ifndef DELTA_DIFFER_SUFFIX_INDEX_H
#define DELTA_DIFFER_SUFFIX_INDEX_H

#include "delta/differ/finder.h"

/* divsufsort() counts in int32_t. */
enum { SUFFIX_OLD_MAX = 0x7ffffff0 };

struct suffix_index;

/* Some of the old text; stretches are in ascending order. */
struct stretch {
	size_t off, len;
};

/* An index of stretches of an old text, which it copies.  NULL: no memory. */
struct suffix_index *suffix_index_new(const uint8_t *old, const struct stretch *stretches, size_t stretch_count);
void suffix_index_free(struct suffix_index *index); /* NULL is fine */
/* Bytes of memory that an index takes of stretches that are so long together. */
uint64_t suffix_index_memory(uint64_t len, uint64_t stretch_count);
/* The index as a finder, which is valid as long as the index. */
struct finder suffix_index_finder(const struct suffix_index *index);

#endif
