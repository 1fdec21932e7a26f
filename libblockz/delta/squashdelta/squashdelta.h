/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SquashDelta 0.1: header and list of blocks, as its specification and its programs have them, in big-endian fields; images
 * expanded by such a list, and squashed again.  The VCDIFF between two expanded files is not made here: xdelta3 does that,
 * which only tools/ start.  This calls containers to choose blocks and codecs to decode and encode them, and knows nothing
 * of blockz's own deltas.
 */
#ifndef DELTA_SQUASHDELTA_SQUASHDELTA_H
#define DELTA_SQUASHDELTA_SQUASHDELTA_H

#include "blockz_delta.h"
#include "codec/codec.h"

enum {
	SQUASHDELTA_HEADER_LEN = 16, /* magic, flags (0), compression, count of blocks */
	SQUASHDELTA_ENTRY_LEN = 12,  /* offset, length, uncompressed length */
	SQUASHDELTA_BLOCKS_MAX = 1 << 22, /* 4 GiB of blocks of 1 KiB, which is what 4 KiB become at best */
};

struct squashdelta_block {
	uint32_t file_off, file_len, plain_len; /* in the image; both lengths > 0 and <= CODEC_BLOCK_MAX */
};

struct blockz_squashdelta {
	struct codec_params params;
	struct squashdelta_block *items; /* by ascending file_off, none overlapping another */
	size_t count;
	uint64_t packed_len, plain_len; /* sums */
};

/* The header's compression field for these parameters; false: it cannot express them. */
bool squashdelta_compression(const struct codec_params *params, uint32_t *compression_ret);

/* Returns an empty list, which is for blockz_squashdelta_free(); NULL: no memory. */
struct blockz_squashdelta *squashdelta_new(const struct codec_params *params);

/*
 * Appends a block that was read at offset.  Errors: BLOCKZ_DAMAGED (it does not come behind the last, or has no length
 * that a block can have), BLOCKZ_FAILED.
 */
enum blockz_status squashdelta_append(struct blockz_squashdelta *list, const struct squashdelta_block *block,
				      uint64_t offset, struct blockz_fault *fault);

/*
 * Reads the list at the end of an expanded file, which is the caller's to free, and the size of the image, within which all
 * its blocks lie.  Errors: BLOCKZ_DAMAGED, BLOCKZ_UNSUPPORTED, BLOCKZ_LIMIT, BLOCKZ_FAILED.
 */
enum blockz_status squashdelta_read_end(const struct blockz_source *expanded, struct blockz_squashdelta **list_ret,
					uint64_t *image_size_ret, struct blockz_fault *fault);

/* Appends the list and then the header, as they stand at the end of an expanded file.  Errors: BLOCKZ_FAILED. */
enum blockz_status squashdelta_write_end(const struct blockz_squashdelta *list, const struct blockz_sink *sink,
					 struct blockz_fault *fault);

/* Whether all blocks lie within an image of this size.  Errors: BLOCKZ_DAMAGED. */
enum blockz_status squashdelta_fit(const struct blockz_squashdelta *list, uint64_t image_size,
				   struct blockz_fault *fault);

#endif
