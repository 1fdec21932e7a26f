/* SPDX-License-Identifier: BSD-3-Clause */
/* The range decoder, and what LZMA has it decode, token by token. */
#include "format/xz/token_decode.h"

/* ---- Bits */

struct range_decoder {
	const uint8_t *in, *end;
	uint32_t range, code;
	bool overrun;
};

static inline void normalize(struct range_decoder *range)
{
	if (range->range >> RANGE_BITS != 0)
		return;
	range->range <<= 8;
	range->code <<= 8;
	if (range->in < range->end)
		range->code |= *range->in++;
	else
		range->overrun = true;
}

static inline unsigned decode_bit(struct range_decoder *range, uint16_t *prob)
{
	normalize(range);
	uint32_t bound = (range->range >> PROB_BITS) * *prob;
	if (range->code < bound) {
		range->range = bound;
		*prob = (uint16_t)(*prob + (((1U << PROB_BITS) - *prob) >> PROB_SHIFT));
		return 0;
	}
	range->range -= bound;
	range->code -= bound;
	*prob = (uint16_t)(*prob - (*prob >> PROB_SHIFT));
	return 1;
}

/* The highest bit first; the context is all that is above. */
static inline unsigned decode_tree(struct range_decoder *range, uint16_t *probs, unsigned bits)
{
	unsigned node = 1;
	for (unsigned i = 0; i < bits; i++)
		node = node << 1 | decode_bit(range, &probs[node]);
	return node - (1U << bits);
}

/* The lowest bit first. */
static inline unsigned decode_reverse(struct range_decoder *range, uint16_t *probs, unsigned bits)
{
	unsigned node = 1, value = 0;
	for (unsigned i = 0; i < bits; i++) {
		unsigned bit = decode_bit(range, &probs[node]);
		node = node << 1 | bit;
		value |= bit << i;
	}
	return value;
}

/* Bits of which nothing is thought. */
static uint32_t decode_direct(struct range_decoder *range, unsigned bits)
{
	uint32_t value = 0;
	for (unsigned i = 0; i < bits; i++) {
		normalize(range);
		range->range >>= 1;
		range->code -= range->range;
		uint32_t zero = 0 - (range->code >> 31);
		range->code += range->range & zero;
		value = (value << 1) + (zero + 1);
	}
	return value;
}

/* ---- Tokens */

static uint8_t decode_literal(struct xz_model *model, struct range_decoder *range, const struct xz_place *place)
{
	uint16_t *probs = xz_literal_probs(model, place);
	unsigned node = 1;
	if (model->state < STATE_MATCHED)
		return (uint8_t)decode_tree(range, probs, 8);
	/* As long as it has the bits of the byte at the last distance, these are context too. */
	unsigned other = *(place->at - model->reps[0]), same = 0x100;
	while (node < 0x100) {
		other <<= 1;
		unsigned guess = other & same, bit = decode_bit(range, &probs[same + guess + node]);
		node = node << 1 | bit;
		same &= bit ? guess : ~guess;
	}
	return (uint8_t)node;
}

static uint32_t decode_length(struct range_decoder *range, struct length_probs *probs, unsigned pos_state)
{
	if (decode_bit(range, &probs->choice[0]) == 0)
		return MATCH_MIN + decode_tree(range, probs->low[pos_state], 3);
	if (decode_bit(range, &probs->choice[1]) == 0)
		return MATCH_MIN + MATCH_LOW + decode_tree(range, probs->mid[pos_state], 3);
	return MATCH_MIN + 2 * MATCH_LOW + decode_tree(range, probs->high, 8);
}

/* 0: a mark of the end, which no chunk has. */
static uint32_t decode_distance(struct xz_model *model, struct range_decoder *range, uint32_t len)
{
	unsigned slot = decode_tree(range, xz_slot_probs(model, len), SLOT_BITS), bits = (slot >> 1) - 1;
	if (slot < SLOT_SPECIAL)
		return slot + 1;
	uint32_t base = (2 | (slot & 1)) << bits;
	if (slot < SLOT_DIRECT)
		return base + decode_reverse(range, model->probs.special + (base - slot), bits) + 1;
	base += decode_direct(range, bits - ALIGN_BITS) << ALIGN_BITS;
	return base + decode_reverse(range, model->probs.align, ALIGN_BITS) + 1;
}

static struct xz_token decode_rep(struct xz_model *model, struct range_decoder *range, unsigned pos_state)
{
	struct xz_probs *probs = &model->probs;
	unsigned state = model->state, rep = 0;
	uint32_t len = 1;
	if (decode_bit(range, &probs->is_not_rep0[state]) == 0) {
		if (decode_bit(range, &probs->is_long_rep0[state][pos_state]) == 1)
			len = decode_length(range, &probs->rep_len, pos_state);
	} else {
		rep = decode_bit(range, &probs->is_not_rep1[state]) == 0 ? 1 : 2 + decode_bit(range, &probs->is_not_rep2[state]);
		len = decode_length(range, &probs->rep_len, pos_state);
	}
	xz_after_rep(model, rep, len);
	return (struct xz_token){ model->reps[0], len };
}

static struct xz_token decode_match(struct xz_model *model, struct range_decoder *range, unsigned pos_state)
{
	if (decode_bit(range, &model->probs.is_rep[model->state]) == 1)
		return decode_rep(model, range, pos_state);
	uint32_t len = decode_length(range, &model->probs.match_len, pos_state);
	uint32_t dist = decode_distance(model, range, len);
	xz_after_match(model, dist);
	return (struct xz_token){ dist, len };
}

static struct xz_token decode_token(struct xz_model *model, struct range_decoder *range, const struct xz_place *place)
{
	unsigned pos_state = xz_pos_state(model, place);
	if (decode_bit(range, &model->probs.is_match[model->state][pos_state]) == 1)
		return decode_match(model, range, pos_state);
	struct xz_token literal = { .dist = model->state < STATE_MATCHED ? 0 : model->reps[0] };
	*place->at = decode_literal(model, range, place);
	xz_after_literal(model);
	return literal;
}

static void copy(uint8_t *to, const uint8_t *from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = from[i];
}

bool xz_tokens_decode(struct xz_model *model, const uint8_t *in, size_t in_len, struct xz_place place, size_t len,
		      struct xz_token *tokens, size_t *count_ret)
{
	const uint8_t *end = place.at + len;
	struct range_decoder range = { .in = in, .end = in + in_len, .range = UINT32_MAX };
	size_t count = 0;
	if (in_len < RANGE_CODER_LEN || *range.in++ != 0)
		return false;
	for (size_t i = 1; i < RANGE_CODER_LEN; i++)
		range.code = range.code << 8 | *range.in++;
	while (place.at < end && !range.overrun) {
		struct xz_token token = decode_token(model, &range, &place);
		size_t part = xz_token_len(&token);
		if (token.len > 0) {
			if (token.dist - 1 >= xz_reach(&place) || part > (size_t)(end - place.at))
				return false;
			copy(place.at, place.at - token.dist, part);
		}
		tokens[count++] = token;
		xz_place_advance(&place, part);
	}
	normalize(&range);
	*count_ret = count;
	return !range.overrun && range.in == range.end && range.code == 0;
}
