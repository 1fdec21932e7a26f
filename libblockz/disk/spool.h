/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A copy of what can only be decoded from its beginning, for who reads it anywhere: long pieces of formats without marks.
 *
 * They are decoded once, and packed again, in short pieces, to a store of the caller's.  There the bytes of an image
 * have their own offsets, and what is not of long pieces is zeros.
 */
#ifndef DISK_SPOOL_H
#define DISK_SPOOL_H

#include "mapped/long_reader.h"

/* What it is packed as. */
#define BLOCKZ_SPOOL_FORMAT "zstd"

struct spool;

/* The pieces that are to be copied, ascending, and what reads them: it is not needed once they are. */
struct spool_task {
	const struct blockz_map *map;
	const size_t *pieces;
	size_t count;
	struct long_reader *reader;
	const struct blockz_store *store; /* as struct blockz_disk_options has it */
	uint64_t cache; /* bytes of the copy that are kept decoded */
};

/*
 * Makes the copy.  A damaged piece is none of the errors: it is told by who reads from it.  The map and the store must live as
 * long as the spool.  Errors: BLOCKZ_FAILED, BLOCKZ_LIMIT; any, where more pieces are damaged than it remembers.
 */
enum blockz_status spool_new(const struct spool_task *task, struct spool **spool_ret, struct blockz_fault *fault);
void spool_free(struct spool *spool); /* NULL is fine */

/* Both may be called by any thread, for image bytes [start, end) of one of the pieces. */

/* Errors: BLOCKZ_DAMAGED, BLOCKZ_UNSUPPORTED, BLOCKZ_LIMIT (of the piece); BLOCKZ_FAILED. */
enum blockz_status spool_read(struct spool *spool, size_t piece, uint64_t start, uint64_t end, uint8_t *out,
			      struct blockz_fault *fault);

/* The longest run from start on of which one thing can be said, as disk_image_extent() says it. */
enum blockz_status spool_extent(struct spool *spool, size_t piece, uint64_t start, uint64_t end, bool *zeros_ret,
				uint64_t *end_ret, struct blockz_fault *fault);

#endif
