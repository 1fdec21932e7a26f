/* SPDX-License-Identifier: BSD-3-Clause */
/* Tokens, encoded to the payload of an LZMA chunk. */
#ifndef FORMAT_XZ_TOKEN_ENCODE_H
#define FORMAT_XZ_TOKEN_ENCODE_H

#include "format/xz/model.h"

/* More bytes than a token can take: 26 direct bits, and some 20 that are worth up to six each. */
enum { TOKEN_BYTES_MAX = 32 };

struct token_encoder {
	struct xz_model *model;
	/* Private: the range coder.  A carry can still go through what was not written yet, a byte and many of 0xff. */
	uint64_t low;
	uint32_t range;
	uint8_t held;
	size_t held_count;
	uint8_t *out;
	size_t len;
};

/* Begins to write to out. */
void token_encoder_start(struct token_encoder *encoder, struct xz_model *model, uint8_t *out);
/* How many bytes there will be at most if it ends here. */
size_t token_encoder_len(const struct token_encoder *encoder);
/* The byte at a place. */
void token_encoder_literal(struct token_encoder *encoder, const struct xz_place *place);
/* A match at a place; one of one byte is at the last distance. */
void token_encoder_match(struct token_encoder *encoder, const struct xz_place *place, uint32_t dist, uint32_t len);
/* Returns how many bytes were written. */
size_t token_encoder_end(struct token_encoder *encoder);

/* Which of the last distances it is; REP_COUNT: none. */
unsigned xz_find_rep(const struct xz_model *model, uint32_t dist);

#endif
