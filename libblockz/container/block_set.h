/* SPDX-License-Identifier: BSD-3-Clause */
/* A set of blocks, to which they are added as they are found, in any order and as often as something refers to them. */
#ifndef CONTAINER_BLOCK_SET_H
#define CONTAINER_BLOCK_SET_H

#include "codec/blocks.h"

enum { BLOCK_SET_MAX = 16 << 20 };

/* All zeros at first. */
struct block_set {
	struct block *items;
	size_t count;
	size_t united; /* of these, so many were sorted and are all different */
};

/* Frees what the set holds, and leaves an empty one. */
void block_set_free(struct block_set *set);

/*
 * Adds a block, whose bounds have been checked.  Memory is that of twice as many blocks as are different, whatever refers
 * to them.  Errors: BLOCKZ_DAMAGED (one overlaps another), BLOCKZ_LIMIT (more than BLOCK_SET_MAX), BLOCKZ_FAILED.
 */
enum blockz_status block_set_add(struct block_set *set, const struct block *block, struct blockz_fault *fault);

/* Appends all blocks, each once and in order, to an empty list, which is the caller's.  Errors: as above. */
enum blockz_status block_set_list(struct block_set *set, struct blocks *blocks, struct blockz_fault *fault);

#endif
