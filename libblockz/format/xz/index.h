/* SPDX-License-Identifier: BSD-3-Clause */
/* Streams and their Indexes, read in bounded memory: xz-file-format 1.1, sections 2.1 and 4. */
#ifndef FORMAT_XZ_INDEX_H
#define FORMAT_XZ_INDEX_H

#include "blockz.h"
#include "check/method.h"
#include "format/xz/layout.h"

/* One Stream; its Blocks stand between its header and its Index. */
struct xz_stream {
	uint64_t off; /* of its Stream Header */
	uint64_t index_off, index_len;
	uint64_t records;
	enum check_method method;
};

/*
 * Finds the Streams of a file from its end, in that order: the last is the first.  *streams_ret is the caller's to free.
 * Each Index is read, and adds up to the Blocks of its Stream.
 * Errors: BLOCKZ_DAMAGED, BLOCKZ_UNSUPPORTED (a reserved Check), BLOCKZ_LIMIT, BLOCKZ_FAILED.
 */
enum blockz_status xz_find_streams(const struct blockz_source *file, struct xz_stream **streams_ret, size_t *count_ret,
				   struct blockz_fault *fault);

/* Gets a Record of the Index; any status but BLOCKZ_OK ends the walk. */
typedef enum blockz_status (*xz_record)(void *ctx, uint64_t unpadded_len, uint64_t image_len,
					struct blockz_fault *fault);

/* Shows each Record of an Index of index_len bytes at index_off; verifies its CRC-32 at the end.  Errors: as above. */
enum blockz_status xz_index_walk(const struct blockz_source *file, uint64_t index_off, uint64_t index_len,
				 xz_record record, void *ctx, uint64_t *records_ret, struct blockz_fault *fault);

/* The length of a Block with its padding. */
static inline uint64_t xz_padded(uint64_t unpadded_len)
{
	return (unpadded_len + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

#endif
