/* SPDX-License-Identifier: BSD-3-Clause */
/* Finds long runs of an old text in no time, by the hashes of a sample of its blocks. */
#ifndef DELTA_DIFFER_HASH_INDEX_H
#define DELTA_DIFFER_HASH_INDEX_H

#include "delta/differ/finder.h"

enum {
	HASH_BLOCK = 16, /* bytes hashed */
	HASH_STEP = 8,    /* from one block to the next: runs of HASH_BLOCK + HASH_STEP - 1 bytes are always seen */
};

/* Blocks are counted in 32 bits. */
#define HASH_OLD_MAX ((uint64_t)(UINT32_MAX - 1) * HASH_STEP)

struct hash_index;

/* NULL: no memory. */
struct hash_index *hash_index_new(const uint8_t *old, size_t old_len);
void hash_index_free(struct hash_index *index);
uint64_t hash_index_memory(uint64_t old_len);
struct finder hash_index_finder(const struct hash_index *index);

#endif
