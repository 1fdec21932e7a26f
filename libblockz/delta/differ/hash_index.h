/* SPDX-License-Identifier: BSD-3-Clause */
/* An index that finds long runs of an old text in no time, by the hashes of samples of it. */
#ifndef DELTA_DIFFER_HASH_INDEX_H
#define DELTA_DIFFER_HASH_INDEX_H

#include "delta/differ/finder.h"

enum {
	HASH_LEN = 16, /* bytes of a sample */
	HASH_STEP = 8, /* from one sample to the next: runs of HASH_LEN + HASH_STEP - 1 bytes are always seen */
};

/* Samples are counted in 32 bits. */
#define HASH_OLD_MAX ((uint64_t)(UINT32_MAX - 1) * HASH_STEP)

struct hash_index;

/* An index of an old text, which has to outlive it.  NULL: no memory. */
struct hash_index *hash_index_new(const uint8_t *old, size_t old_len);
void hash_index_free(struct hash_index *index); /* NULL is fine */
/* Bytes of memory that an index takes. */
uint64_t hash_index_memory(uint64_t old_len);
/* The index as a finder, which is valid as long as the index. */
struct finder hash_index_finder(const struct hash_index *index);

#endif
