/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One of the two images of a delta that is being made: taken apart by its container, and hashed, as a whole and block by block.
 * What is between the container's blocks is cut into blocks as well, which are plain.  Nothing behind this looks at a container.
 */
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

/*
 * Takes both apart and reads each once from end to end, at the same time.  The files must live as long as the images, which are
 * image_free()'s even after a failure.  Errors: BLOCKZ_FAILED, and what containers say.
 */
enum blockz_status images_read(struct image images[2], const struct blockz_source *const files[2],
			       const struct codec_env *env, const struct blockz_work *work, struct blockz_fault *fault);
void image_free(struct image *image);

#endif
