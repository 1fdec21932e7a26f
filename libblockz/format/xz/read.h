/* SPDX-License-Identifier: BSD-3-Clause */
/* The image bytes of a piece from a Block: rows of struct format. */
#ifndef FORMAT_XZ_READ_H
#define FORMAT_XZ_READ_H

#include "format/format.h"

void *xz_decoder_new(uint64_t window_max);
void xz_decoder_free(void *decoder);
enum blockz_status xz_decode(void *decoder, const struct encoded_piece *encoded, uint8_t *out, size_t out_len,
			     struct blockz_fault *fault);
enum blockz_status xz_decode_long(void *decoder, const struct blockz_source *file, const struct piece *piece,
				  uint64_t image_len, decode_emit emit, void *ctx, struct blockz_fault *fault);

#endif
