/* SPDX-License-Identifier: BSD-3-Clause */
/* The image bytes of a piece from a frame: rows of struct format. */
#ifndef FORMAT_ZSTD_READ_H
#define FORMAT_ZSTD_READ_H

#include <zstd.h>

#include "format/format.h"
#include "format/zstd/frame.h"

void *zstd_decoder_new(uint64_t window_max);
void zstd_decoder_free(void *decoder);
enum blockz_status zstd_decode(void *decoder, const struct encoded_piece *encoded, uint8_t *out, size_t out_len,
			       struct blockz_fault *fault);

/* For frames of any window: the limit is compared by ourselves, to the byte.  NULL: no memory. */
ZSTD_DCtx *zstd_context_new(void);

/* Says why libzstd has refused a frame, or what stands in one, at file_off: by what it has returned. */
enum blockz_status zstd_refuse_frame(size_t result, uint64_t file_off, struct blockz_fault *fault);
/* Refuses a frame at file_off that needs more of the bytes before than window_max.  Errors: BLOCKZ_LIMIT. */
enum blockz_status zstd_check_window(const struct frame_header *header, uint64_t window_max, uint64_t file_off,
				     struct blockz_fault *fault);

#endif
