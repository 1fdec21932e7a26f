/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Containers, each a const row, found by magic: they tell where the compressed blocks of an image are.  They call codecs and
 * the readers of mapped files, never write, and know nothing of deltas, for which the list of blocks is made.
 */
#ifndef CONTAINER_CONTAINER_H
#define CONTAINER_CONTAINER_H

#include "codec/blocks.h"

enum { CONTAINER_HEAD_LEN = 96 };

struct container {
	const char *name;
	bool (*matches)(const uint8_t *head, size_t len);
	/*
	 * Fills an empty list, for blocks_free().  BLOCKZ_DAMAGED and BLOCKZ_UNSUPPORTED say that the file cannot be taken apart, and
	 * why: it can still be treated as plain bytes.  BLOCKZ_LIMIT likewise.  BLOCKZ_FAILED: I/O, no memory.
	 */
	enum blockz_status (*read)(const struct blockz_source *file, const struct codec_env *env, struct blocks *blocks,
				   struct blockz_fault *fault);
};

/* The list of containers; a file is one of the first that it looks like. */
#define CONTAINER_ROWS(row) \
	row(container_squashfs) \
	row(container_mapped_file)

#define CONTAINER_DECLARE(name) extern const struct container name;
CONTAINER_ROWS(CONTAINER_DECLARE)
#undef CONTAINER_DECLARE

/*
 * Fills an empty list, for blocks_free(), with the blocks of a file: by the container that its head belongs to, or none
 * ("plain"), with a note if a container could not be read.  file->size is known.  Errors: BLOCKZ_FAILED.
 */
enum blockz_status container_read(const struct blockz_source *file, const struct codec_env *env,
				  struct blocks *blocks, struct blockz_fault *fault);

#endif
