/* SPDX-License-Identifier: BSD-3-Clause */
/* The image bytes of a piece from a frame: rows of struct format. */
#ifndef FORMAT_ZSTD_READ_H
#define FORMAT_ZSTD_READ_H

#include "format/format.h"

void *zstd_decoder_new(uint64_t window_max);
void zstd_decoder_free(void *decoder);
enum blockz_status zstd_decode(void *decoder, const struct encoded_piece *encoded, uint8_t *out, size_t out_len,
			       struct blockz_fault *fault);
enum blockz_status zstd_decode_long(void *decoder, const struct blockz_source *file, const struct piece *piece,
				    uint64_t image_len, decode_emit emit, void *ctx, struct blockz_fault *fault);

#endif
