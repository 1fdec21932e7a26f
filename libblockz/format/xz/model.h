/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an LZMA coder has learned, and the tokens that it codes: the same for who decodes a chunk and who encodes its tokens
 * again.  A token is a literal, or a match: so many bytes are those that stand so far back.  Each bit of it is coded by what
 * is thought of it so far, in its context, and changes that.
 */
#ifndef FORMAT_XZ_MODEL_H
#define FORMAT_XZ_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/xz/layout.h"

enum {
	STATE_COUNT = 12,
	STATE_MATCHED = 7, /* from here on the last token was a match */
	POS_STATES = 1 << LZMA_PB_MAX,
	REP_COUNT = 4,
	LITERAL_TREES = 1 << LZMA_LCLP_MAX,
	LITERAL_TREE = 0x300,
	MATCH_MIN = 2,
	MATCH_LOW = 1 << 3, /* lengths of three bits, then others of three, then of eight */
	MATCH_HIGH = 1 << 8,
	MATCH_MAX = MATCH_MIN + 2 * MATCH_LOW + MATCH_HIGH - 1,
	DISTANCE_STATES = 4, /* by the length of the match */
	SLOT_BITS = 6,
	SLOT_SPECIAL = 4, /* from here on bits follow that have a context each, from SLOT_DIRECT on such as have none */
	SLOT_DIRECT = 14,
	ALIGN_BITS = 4, /* but for the lowest of them */
	SPECIAL_PROBS = (1 << SLOT_DIRECT / 2) - SLOT_DIRECT + 1,
};

/* The range coder's: a probability is of a bit that is 0. */
enum {
	PROB_BITS = 11,
	PROB_START = 1 << (PROB_BITS - 1),
	PROB_SHIFT = 5, /* how fast it moves */
	RANGE_BITS = 24, /* the range has more of them */
	RANGE_CODER_LEN = 5, /* bytes that it takes to begin, or to end */
};

struct length_probs {
	uint16_t choice[2], low[POS_STATES][MATCH_LOW], mid[POS_STATES][MATCH_LOW], high[MATCH_HIGH];
};

struct xz_probs {
	uint16_t is_match[STATE_COUNT][POS_STATES];
	uint16_t is_rep[STATE_COUNT], is_not_rep0[STATE_COUNT], is_not_rep1[STATE_COUNT], is_not_rep2[STATE_COUNT];
	uint16_t is_long_rep0[STATE_COUNT][POS_STATES];
	uint16_t slot[DISTANCE_STATES][1 << SLOT_BITS], special[SPECIAL_PROBS], align[1 << ALIGN_BITS];
	struct length_probs match_len, rep_len;
	uint16_t literal[LITERAL_TREES][LITERAL_TREE];
};

/* What the last tokens were. */
struct xz_last {
	unsigned state;
	uint32_t reps[REP_COUNT]; /* the last distances; that of the byte before is 1 */
};

struct xz_model {
	unsigned lc, lp, pb;
	struct xz_last last;
	struct xz_probs probs;
};

struct xz_token {
	uint32_t dist; /* of a match; of a literal, where the byte stands that is its context, 0: none is */
	uint32_t len;  /* 0: a literal; 1 is possible at the last distance alone */
};

static inline size_t xz_token_len(const struct xz_token *token)
{
	return token->len == 0 ? 1 : token->len;
}

/* A place in a text: as many bytes as tokens can refer to stand before it. */
struct xz_place {
	uint8_t *at;
	uint64_t pos; /* since the dictionary was reset */
	uint32_t dict_size;
};

/* How far back a token at a place can refer. */
static inline uint32_t xz_reach(const struct xz_place *place)
{
	return place->pos < place->dict_size ? (uint32_t)place->pos : place->dict_size;
}

static inline void xz_place_advance(struct xz_place *place, size_t len)
{
	place->at += len;
	place->pos += len;
}

/* Forgets what was learned.  It has the properties that it had. */
void xz_model_reset(struct xz_model *model);
/* Sets lc, lp and pb by a byte of properties, and resets the model.  False: they cannot be. */
bool xz_model_set(struct xz_model *model, uint8_t properties);

static inline unsigned xz_pos_state(const struct xz_model *model, const struct xz_place *place)
{
	return (unsigned)place->pos & ((1U << model->pb) - 1);
}

static inline uint16_t *xz_literal_probs(struct xz_model *model, const struct xz_place *place)
{
	unsigned before = place->pos == 0 ? 0 : place->at[-1];
	unsigned low = (unsigned)place->pos & ((1U << model->lp) - 1);
	return model->probs.literal[(low << model->lc) + (before >> (8 - model->lc))];
}

static inline uint16_t *xz_slot_probs(struct xz_model *model, uint32_t len)
{
	return model->probs.slot[len - MATCH_MIN < DISTANCE_STATES ? len - MATCH_MIN : DISTANCE_STATES - 1];
}

/* ---- What follows a token */

static inline void xz_after_literal(struct xz_last *last)
{
	unsigned state = last->state;
	last->state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
}

static inline void xz_after_match(struct xz_last *last, uint32_t dist)
{
	for (unsigned i = REP_COUNT - 1; i > 0; i--)
		last->reps[i] = last->reps[i - 1];
	last->reps[0] = dist;
	last->state = last->state < STATE_MATCHED ? 7 : 10;
}

/* A match at the last distance of that index, of one byte or more. */
static inline void xz_after_rep(struct xz_last *last, unsigned rep, uint32_t len)
{
	uint32_t dist = last->reps[rep];
	for (; rep > 0; rep--)
		last->reps[rep] = last->reps[rep - 1];
	last->reps[0] = dist;
	if (len == 1)
		last->state = last->state < STATE_MATCHED ? 9 : 11;
	else
		last->state = last->state < STATE_MATCHED ? 8 : 11;
}

#endif
