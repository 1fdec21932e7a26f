/* SPDX-License-Identifier: BSD-3-Clause */
/* What the codecs of pieces have in common: contexts that hold an encoder and a decoder of a format. */
#ifndef CODEC_FORMAT_PIECE_H
#define CODEC_FORMAT_PIECE_H

#include "codec/codec.h"
#include "format/format.h"

struct format_piece;

/* As context_new() and context_free() of struct codec have it. */
void *format_piece_new(const struct format *format);
void format_piece_free(void *context);

/* By the format's encoder for params, which values stand for.  Errors: BLOCKZ_FAILED. */
enum blockz_status format_piece_encode(struct format_piece *context, const uint32_t *values,
				       const struct pack_params *params, const struct plain_piece *plain,
				       struct buffer *out, size_t *len_ret, struct blockz_fault *fault);

/* As decode() of struct codec. */
enum blockz_status format_piece_decode(struct format_piece *context, const struct encoded_piece *encoded,
				       uint8_t *out, size_t out_len, struct blockz_fault *fault);

#endif
