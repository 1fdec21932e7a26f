/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames: each is a piece.  Rows of struct format. */
#ifndef FORMAT_ZSTD_CODEC_H
#define FORMAT_ZSTD_CODEC_H

#include "format/format.h"

void *zstd_encoder_new(const struct pack_params *params);
void zstd_encoder_free(void *encoder);
uint64_t zstd_encoder_memory(const struct pack_params *params);
/* The tag is the frame's checksum. */
enum blockz_status zstd_encode(void *encoder, const struct plain_piece *plain, struct encoding *encoding,
			       struct blockz_fault *fault);

void *zstd_decoder_new(uint64_t window_max);
void zstd_decoder_free(void *decoder);
enum blockz_status zstd_decode(void *decoder, const struct encoded_piece *encoded, uint8_t *out, size_t out_len,
			       struct blockz_fault *fault);
enum blockz_status zstd_decode_long(void *decoder, const struct blockz_source *file, const struct piece *piece,
				    uint64_t image_len, decode_emit emit, void *ctx, struct blockz_fault *fault);

#endif
