/* SPDX-License-Identifier: BSD-3-Clause */
/* What the codecs of pieces have in common: contexts that hold an encoder and a decoder of a format. */
#ifndef CODEC_FORMAT_PIECE_H
#define CODEC_FORMAT_PIECE_H

#include "codec/blocks.h"
#include "codec/codec.h"
#include "format/format.h"

struct format_piece;

/* As context_new() and context_free() of struct codec have it: NULL is returned without memory, and free takes what new gave. */
void *format_piece_new(const struct format *format);
void format_piece_free(void *context);

/* By the format's encoder for params, which values stand for.  Errors: BLOCKZ_FAILED. */
enum blockz_status format_piece_encode(struct format_piece *context, const uint32_t *values,
				       const struct pack_params *params, const struct plain_piece *plain,
				       struct buffer *out, size_t *len_ret, struct blockz_fault *fault);

/* As decode() of struct codec. */
enum blockz_status format_piece_decode(struct format_piece *context, const struct encoded_piece *encoded,
				       uint8_t *out, size_t out_len, struct blockz_fault *fault);

/*
 * Suggests params with each level in place of values[value]: first the likeliest, then the others from min_level to
 * max_level.  False: no memory.
 */
bool format_piece_suggest_levels(struct blocks *blocks, struct codec_params params, size_t value, uint32_t first,
				 uint32_t min_level, uint32_t max_level);

#endif
