/* SPDX-License-Identifier: BSD-3-Clause */
/* LZMA chunks whose text was edited: their tokens, encoded again. */
#ifndef FORMAT_XZ_RECODE_H
#define FORMAT_XZ_RECODE_H

#include "format/xz/chunks.h"
#include "format/xz/model.h"

enum { CHUNK_TEXT_MAX = 1 << 21, CHUNK_PACKED_MAX = 1 << 16 };

/* What a chunk becomes at most: none of the chunks that take its place is longer than a raw one with its text. */
enum { RECODED_MAX = CHUNK_TEXT_MAX + CHUNK_TEXT_MAX / 1024 + 64 };

struct xz_recoder {
	struct xz_model model; /* as what was encoded so far has left it */
	uint8_t properties;
	uint8_t owed; /* what the next LZMA chunk has to reset, as its control byte tells it */
	/* Private. */
	uint8_t *out;
	size_t out_len;
	struct xz_place place, chunk_place; /* in the new text: what comes next, and where the chunk begins that is being made */
	struct xz_model chunk_model;
	const uint8_t *old; /* what stood at the place */
	uint8_t *end;       /* of the text */
	uint32_t *places;   /* where four bytes of that sum have stood last, as the low bits of an offset in the Block */
	uint32_t text_pos;  /* that offset, of the place */
	uint8_t packed[CHUNK_PACKED_MAX]; /* the chunk that is being made */
};

/* NULL: no memory. */
struct xz_recoder *xz_recoder_new(void);
void xz_recoder_free(struct xz_recoder *recoder);

/* A chunk that was decoded, with the text that it had, and the one that it is to have; the same number of bytes stands before. */
struct xz_decoded {
	struct xz_chunk chunk;
	const struct xz_token *tokens;
	size_t count;
	struct xz_place place; /* in the new text */
	const uint8_t *old;    /* the old text, from that place on */
	uint64_t text_pos;     /* where that is, in the Block's text */
};

/* True if what is coded by the tokens, and by contexts, is as it was: then so are the chunk's bytes, by the same model. */
bool xz_tokens_hold(const struct xz_decoded *decoded);

/* Remembers where things stand in the text of a chunk that stays as it is. */
void xz_recoder_pass(struct xz_recoder *recoder, const struct xz_decoded *decoded);

/*
 * Encodes the tokens of a chunk again: as they are where they give the new text, or else cut, or others.  Writes chunks to out,
 * at most RECODED_MAX bytes, and returns how many bytes they have.
 */
size_t xz_recode(struct xz_recoder *recoder, const struct xz_decoded *decoded, uint8_t *out);

#endif
