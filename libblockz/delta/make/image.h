/* SPDX-License-Identifier: BSD-3-Clause */
/* One of the two images of a delta that is being made: taken apart, and hashed. */
#ifndef DELTA_MAKE_IMAGE_H
#define DELTA_MAKE_IMAGE_H

#include "check/sha256.h"
#include "codec/blocks.h"

/* Tells the bytes of blocks apart as they stand in the file. */
struct block_hash {
	uint64_t low, high;
};

struct image {
	enum blockz_subject subject; /* OLD or NEW: of that, all of the file counts, and not just what the container says */
	struct blockz_source file; /* so many bytes of it */
	struct blocks blocks;
	struct block_hash *hashes; /* of each block */
	uint8_t sha256[SHA256_LEN];
};

/* Takes both apart and reads each once from end to end, at the same time.  Errors: BLOCKZ_FAILED. */
enum blockz_status images_read(struct image images[2], const struct blockz_source *const files[2],
			       const struct codec_env *env, const struct blockz_work *work, struct blockz_fault *fault);
void image_free(struct image *image);

/*
 * The index of a block that is byte for byte block `block` of image, by size, codec and hash; or UINT32_MAX.  Of several the
 * one at the same place in the file, or behind it, so that what is copied goes on where it ended.  The
 * hash is no proof against somebody who makes collisions; a delta is believed when it was applied.
 */
struct block_index;

struct block_index *block_index_new(const struct image *image); /* NULL: no memory */
void block_index_free(struct block_index *index);
uint32_t block_index_find(const struct block_index *index, const struct image *image, size_t block);

#endif
