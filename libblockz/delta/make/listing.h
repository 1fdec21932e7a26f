/* SPDX-License-Identifier: BSD-3-Clause */
/* A list of OLD's blocks as a delta has it, and where their content is in OLD's space by that list. */
#ifndef DELTA_MAKE_LISTING_H
#define DELTA_MAKE_LISTING_H

#include "delta/file/delta.h"
#include "delta/make/image.h"

struct listing {
	struct delta_old_blocks blocks;
	uint64_t *places; /* of each of OLD's blocks: where its content begins; if it is not listed, where that of the next does */
	size_t count; /* of places */
};

/* Lists the chosen blocks of OLD that have to be decoded.  chosen: one for each block.  Errors: BLOCKZ_FAILED (no memory). */
enum blockz_status listing_make(const struct image *old, const bool *chosen, struct listing *listing_ret,
				struct blockz_fault *fault);
void listing_free(struct listing *listing); /* leaves an empty one */

/* The index among OLD's blocks of the listed one whose content holds a place in OLD's space that is behind the file. */
size_t listing_block_at(const struct listing *listing, uint64_t place);

#endif
