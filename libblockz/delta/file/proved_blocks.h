/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocks of NEW that an encoder was seen to make while a delta was made.  Who applies the delta to see whether it is right need
 * not encode what has the same content again: it is what NEW has there.
 */
#ifndef DELTA_FILE_PROVED_BLOCKS_H
#define DELTA_FILE_PROVED_BLOCKS_H

#include "base/buffer.h"
#include "blockz_delta.h"
#include "codec/prove.h"

struct proved_block {
	uint64_t file_off; /* in NEW */
	uint32_t file_len;
	struct proof_digest digest;
};

/* Bytes of memory that so many take. */
uint64_t proved_blocks_memory(uint64_t count);

/* Starts over with NEW, and no blocks but room for so many.  False: no memory. */
bool proved_blocks_start(struct blockz_proved_blocks *proved, const struct blockz_source *new_image, size_t count);

/* Adds one behind the last, for which there is room. */
void proved_blocks_add(struct blockz_proved_blocks *proved, const struct proved_block *block);

/* The one that stands at an offset of NEW, or NULL; so it is where proved is NULL. */
const struct proved_block *proved_blocks_find(const struct blockz_proved_blocks *proved, uint64_t file_off);

/* Reads its bytes from NEW.  Errors: BLOCKZ_FAILED. */
enum blockz_status proved_blocks_read(const struct blockz_proved_blocks *proved, const struct proved_block *block,
				      struct buffer *out, struct blockz_fault *fault);

#endif
