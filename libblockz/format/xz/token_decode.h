/* SPDX-License-Identifier: BSD-3-Clause */
/* The tokens of an LZMA chunk, and its text. */
#ifndef FORMAT_XZ_TOKEN_DECODE_H
#define FORMAT_XZ_TOKEN_DECODE_H

#include "format/xz/chunks.h"
#include "format/xz/model.h"

/*
 * Decodes a chunk that is not raw, by its header and the payload behind that, to text from a place on; and to tokens, for which
 * there is room for as many as it has bytes, unless that is NULL (faster).  Up to COPY_SLACK bytes behind the text are written
 * over.  False: liblzma would not decode it either; then the model means nothing.
 */
bool xz_chunk_decode(struct xz_model *model, const struct xz_chunk *chunk, const uint8_t *payload, struct xz_place place,
		     struct xz_token *tokens, size_t *count_ret);

#endif
