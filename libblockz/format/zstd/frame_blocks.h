/* SPDX-License-Identifier: BSD-3-Clause */
/* A frame of a file, of any length, decoded block by block. */
#ifndef FORMAT_ZSTD_FRAME_BLOCKS_H
#define FORMAT_ZSTD_FRAME_BLOCKS_H

#include "format/zstd/block_decoder.h"
#include "format/zstd/frame.h"

/* Whoever has the struct ends it, zeros or not. */
struct frame_blocks {
	const struct blockz_source *file;
	uint64_t off, end; /* what is still to be read of the file */
	struct frame_header header;
	struct block_decoder *decoder; /* has the text of the block that was read last */
	/* Private. */
	struct buffer bytes;
	struct blockz_range held; /* of the file, in bytes */
};

struct frame_block {
	uint64_t off; /* in the file */
	const uint8_t *bytes; /* with its header, until the next is read */
	size_t len;
	bool last;
};

/* Reads the header of the frame in [off, end).  Errors, of all three: BLOCKZ_DAMAGED, BLOCKZ_LIMIT, BLOCKZ_FAILED. */
enum blockz_status frame_blocks_begin(struct frame_blocks *blocks, const struct blockz_source *file, uint64_t off,
				      uint64_t end, uint64_t window_max, struct blockz_fault *fault);
/* Reads a block; there is one more unless the one before was the last. */
enum blockz_status frame_blocks_next(struct frame_blocks *blocks, struct frame_block *block_ret,
				     struct blockz_fault *fault);
/* Behind the last block: shows that the checksum matches, and that nothing is left. */
enum blockz_status frame_blocks_finish(struct frame_blocks *blocks, struct blockz_fault *fault);
void frame_blocks_end(struct frame_blocks *blocks);

#endif
