/* SPDX-License-Identifier: BSD-3-Clause */
/* What the codecs of pieces have in common: contexts that hold an encoder and a decoder of a format. */
#ifndef CODEC_FORMAT_PIECE_H
#define CODEC_FORMAT_PIECE_H

#include "codec/codec.h"
#include "format/format.h"

struct pieces;

/* As context_new() and context_free() of struct codec have it. */
void *pieces_new(const struct format *format);
void pieces_free(void *pieces);

/* By the format's encoder for params, which values stand for.  Errors: BLOCKZ_FAILED. */
enum blockz_status pieces_encode(struct pieces *pieces, const uint32_t *values, const struct pack_params *params,
				 const struct plain_piece *plain, struct buffer *out, size_t *len_ret,
				 struct blockz_fault *fault);

/* As decode() of struct codec. */
enum blockz_status pieces_decode(struct pieces *pieces, const struct encoded_piece *encoded, uint8_t *out, size_t out_len,
				 struct blockz_fault *fault);

#endif
