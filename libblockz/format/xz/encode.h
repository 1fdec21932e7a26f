/* SPDX-License-Identifier: BSD-3-Clause */
/* A Block from the image bytes of a piece: rows of struct format. */
#ifndef FORMAT_XZ_ENCODE_H
#define FORMAT_XZ_ENCODE_H

#include "format/format.h"

/* The preset of a level, as liblzma counts them. */
uint32_t xz_preset(const struct pack_params *params);

void *xz_encoder_new(const struct pack_params *params);
void xz_encoder_free(void *encoder);
/* Of LZMA2 alone; it allocates nothing. */
uint64_t xz_encoder_memory(const struct pack_params *params);
/* How long the header of a Block of so many image bytes is, whose only filter is LZMA2; 0: there is none that long. */
uint32_t xz_header_len(size_t image_len);
/* The tag counts the bytes of Block Padding, which the Index does not. */
enum blockz_status xz_encode(void *encoder, const struct plain_piece *plain, struct encoding *encoding,
			     struct blockz_fault *fault);

#endif
