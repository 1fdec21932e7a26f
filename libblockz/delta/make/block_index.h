/* SPDX-License-Identifier: BSD-3-Clause */
/* Finds blocks of an image that are byte for byte those of another, by size, codec and hash.  Reads no file. */
#ifndef DELTA_MAKE_BLOCK_INDEX_H
#define DELTA_MAKE_BLOCK_INDEX_H

#include "delta/make/image.h"

struct block_index;

/* The image must live as long.  NULL: no memory. */
struct block_index *block_index_new(const struct image *image);
void block_index_free(struct block_index *index); /* NULL is fine */

/*
 * The index of a block that is the same as block `block` of image; or UINT32_MAX.  Of several the one at the same place in the
 * file, or behind it, so that what is copied goes on where it ended.  The hash is no proof against somebody who makes
 * collisions; a delta is believed when it was applied.
 */
uint32_t block_index_find(const struct block_index *index, const struct image *image, size_t block);

#endif
