/* SPDX-License-Identifier: BSD-3-Clause */
/* The image bytes of a piece, and the proof that it decodes alone.  Rows of struct format. */
#ifndef FORMAT_DEFLATE_DECODE_H
#define FORMAT_DEFLATE_DECODE_H

#include "format/format.h"

void *deflate_decoder_new(uint64_t window_max);
void deflate_decoder_free(void *decoder);
enum blockz_status deflate_decode(void *decoder, const struct encoded_piece *encoded, uint8_t *out, size_t out_len,
				  struct blockz_fault *fault);

#endif
