/* SPDX-License-Identifier: BSD-3-Clause */
/* Headers of frames and blocks, and the frames of raw blocks that blockz writes. */
#ifndef FORMAT_ZSTD_FRAME_H
#define FORMAT_ZSTD_FRAME_H

#include "blockz.h"
#include "check/method.h"
#include "format/zstd/layout.h"

struct frame_header {
	size_t len;
	uint64_t content_size; /* BLOCKZ_UNKNOWN: does not say */
	uint64_t window;
	bool checksum;
};

/*
 * Parses the header of a frame whose first len bytes (as many as there are, up to FRAME_HEADER_LEN_MAX) stand at file_off.
 * Errors: BLOCKZ_DAMAGED, BLOCKZ_UNSUPPORTED (a dictionary).
 */
enum blockz_status frame_header_parse(const uint8_t *bytes, size_t len, uint64_t file_off,
				      struct frame_header *header_ret, struct blockz_fault *fault);

struct block_header {
	bool last;
	enum block_type type;
	uint32_t size; /* of the content; of an RLE block that is one byte in the file */
};

/* The header of a block in three bytes, and back; nothing of it is checked. */
struct block_header block_header_load(const uint8_t bytes[BLOCK_HEADER_LEN]);
void block_header_store(uint8_t bytes[BLOCK_HEADER_LEN], const struct block_header *header);
/* Refuses one, at file_off, that no frame of this header can have.  Errors: BLOCKZ_DAMAGED. */
enum blockz_status block_header_check(const struct block_header *block, const struct frame_header *header,
				      uint64_t file_off, struct blockz_fault *fault);

/*
 * Shows that len bytes, which stand at file_off, are one frame by its header and those of its blocks, none of which has more
 * bytes than its window allows.  Errors: as for the header.
 */
enum blockz_status frame_walk(const uint8_t *bytes, size_t len, uint64_t file_off, struct frame_header *header_ret,
			      struct blockz_fault *fault);

/* How many bytes the image range [start, end), not empty, has as a frame of raw blocks. */
uint64_t raw_frame_len(uint64_t start, uint64_t end, bool checksum);
/* Writes the header of such a frame. */
void raw_frame_header(uint8_t bytes[RAW_HEADER_LEN], uint64_t content_size, bool checksum);
/* True if bytes, as many as the header has, are the header of such a frame. */
bool is_raw_frame_header(const uint8_t *bytes, const struct frame_header *header);

/*
 * *yes_ret: a frame of these lengths and this checksum holds nothing but zeros, by all that can be told without decoding
 * it: whoever serves or verifies it as zeros proves it.  Returns false without memory.
 */
bool looks_zero(struct zero_sums *sums, uint64_t file_len, uint64_t image_len, uint32_t checksum, bool *yes_ret);

/* Where the raw block of image offset pos ends, in a range that ends at `end`. */
uint64_t raw_block_end(uint64_t pos, uint64_t end);

#endif
