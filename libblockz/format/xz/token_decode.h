/* SPDX-License-Identifier: BSD-3-Clause */
/* The tokens of an LZMA chunk, and its text. */
#ifndef FORMAT_XZ_TOKEN_DECODE_H
#define FORMAT_XZ_TOKEN_DECODE_H

#include "format/xz/model.h"

/*
 * Decodes in_len bytes, behind the header and the properties of a chunk, to len bytes of text from a place on, and to tokens,
 * for which there is room for len.  False: liblzma would not decode them either.
 */
bool xz_tokens_decode(struct xz_model *model, const uint8_t *in, size_t in_len, struct xz_place place, size_t len,
		      struct xz_token *tokens, size_t *count_ret);

#endif
