/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks: each is a piece.  Rows of struct format. */
#ifndef FORMAT_XZ_CODEC_H
#define FORMAT_XZ_CODEC_H

#include "format/format.h"

/* The preset of a level, as liblzma counts them. */
uint32_t xz_preset(const struct pack_params *params);

void *xz_encoder_new(const struct pack_params *params);
void xz_encoder_free(void *encoder);
uint64_t xz_encoder_memory(const struct pack_params *params);
/* How long the header of a compressed Block of so many image bytes is; 0: there is none that long. */
uint32_t xz_header_len(size_t image_len);
/* The tag counts the bytes of Block Padding, which the Index does not. */
enum blockz_status xz_encode(void *encoder, const struct plain_piece *plain, struct encoding *encoding,
			     struct blockz_fault *fault);

void *xz_decoder_new(uint64_t window_max);
void xz_decoder_free(void *decoder);
enum blockz_status xz_decode(void *decoder, const struct encoded_piece *encoded, uint8_t *out, size_t out_len,
			     struct blockz_fault *fault);
enum blockz_status xz_decode_long(void *decoder, const struct blockz_source *file, const struct piece *piece,
				  uint64_t image_len, decode_emit emit, void *ctx, struct blockz_fault *fault);

#endif
