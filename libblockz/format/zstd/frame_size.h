/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much a frame decodes to, where its header does not say it, or nobody would look: scan and seek table both ask.  Both
 * functions take the file_len bytes of a frame at off, and a cursor over the file that is kept for the next frame: *cursor is NULL
 * at first, and the caller's to free.
 */
#ifndef FORMAT_ZSTD_FRAME_SIZE_H
#define FORMAT_ZSTD_FRAME_SIZE_H

#include "blockz.h"
#include "format/zstd/frame.h"

/* Decodes a frame to find out its size.  Errors: BLOCKZ_DAMAGED, BLOCKZ_LIMIT, BLOCKZ_FAILED. */
enum blockz_status zstd_frame_size(const struct blockz_source *file, uint64_t off, uint64_t file_len,
				   uint64_t window_max, void **cursor, uint64_t *size_ret, struct blockz_fault *fault);

/*
 * Shows that a frame of no bytes, which has this header, is whole: nobody decodes it for its content.
 * Errors: BLOCKZ_DAMAGED, BLOCKZ_LIMIT, BLOCKZ_FAILED.
 */
enum blockz_status zstd_check_empty(const struct blockz_source *file, uint64_t off, uint64_t file_len,
				    const struct frame_header *header, uint64_t window_max, void **cursor,
				    struct blockz_fault *fault);

#endif
