/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks: their headers, and the Blocks of raw chunks that blockz writes. */
#ifndef FORMAT_XZ_BLOCK_H
#define FORMAT_XZ_BLOCK_H

#include "blockz.h"
#include "check/method.h"
#include "format/xz/layout.h"

/* What liblzma calls a method; one that .xz does not have is the last of those that it has. */
lzma_check xz_check_id(enum check_method method);
/* The method of an ID.  False: it is reserved. */
bool xz_check_method(lzma_check id, enum check_method *method_ret);

/* A Block Header, as read; xz_block_free() it. */
struct xz_block {
	lzma_block block; /* its filters point into the next */
	lzma_filter filters[LZMA_FILTERS_MAX + 1];
	bool lzma2_only;
};

/*
 * Parses the Block Header whose bytes (as many as the first of them tells, or more) stand at file_off.
 * Errors: BLOCKZ_DAMAGED, BLOCKZ_UNSUPPORTED (filters), BLOCKZ_FAILED.
 */
enum blockz_status xz_block_parse(const uint8_t *bytes, size_t len, enum check_method method, uint64_t file_off,
				  struct xz_block *block_ret, struct blockz_fault *fault);
/* Frees what a Block Header that was parsed holds; not the struct. */
void xz_block_free(struct xz_block *block);

/* Refuse a Block, at an offset of the file: with filters that nobody here knows, damaged, or of other sizes than the Index says. */
enum blockz_status xz_block_unsupported(uint64_t file_off, struct blockz_fault *fault);
enum blockz_status xz_block_damaged(uint64_t file_off, struct blockz_fault *fault);
enum blockz_status xz_block_other_sizes(uint64_t file_off, struct blockz_fault *fault);

/* The options of its LZMA2, which every Block that can be decoded has as its last filter; NULL: it has none. */
lzma_options_lzma *xz_block_lzma2(const struct xz_block *block);

/*
 * The dictionary of a Block that stands at file_off, which need not be larger than what it holds.  Errors: BLOCKZ_LIMIT (it is
 * longer than window_max), BLOCKZ_UNSUPPORTED.
 */
enum blockz_status xz_block_dictionary(const struct xz_block *block, uint64_t image_len, uint64_t window_max, uint64_t file_off,
				       uint32_t *len_ret, struct blockz_fault *fault);

enum { BLOCK_TAIL_MAX = CHUNK_END_LEN + ALIGNMENT - 1 + CHECK_LEN_MAX };

/*
 * What stands at the end of chunks of so many bytes, with the mark behind the last: this mark, padding, and the Check.  Returns
 * how long it is.
 */
size_t xz_block_tail(uint64_t chunks_len, enum check_method method, const uint8_t *field, uint8_t tail[BLOCK_TAIL_MAX],
		     unsigned *padding_ret);

/* How many bytes the image range [start, end), not empty, has as raw chunks with their end. */
uint64_t raw_chunks_len(uint64_t start, uint64_t end);
/* Where the raw chunk of image offset pos ends, in a range that ends at `end`. */
uint64_t raw_chunk_end(uint64_t pos, uint64_t end);

/* Writes the header of the Block that holds these chunks; returns its length, 0: no memory. */
size_t raw_block_header(uint8_t bytes[BLOCK_HEADER_LEN_MAX], uint64_t start, uint64_t end, enum check_method method);

#endif
