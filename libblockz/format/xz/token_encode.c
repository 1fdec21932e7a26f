/* SPDX-License-Identifier: BSD-3-Clause */
/* The range encoder, and what LZMA has it encode: the counterpart of format/xz/token_decode.c. */
#include "format/xz/token_encode.h"

#include "base/checked.h"

/* ---- Bits */

/* Writes the highest byte of low, as soon as no carry can reach it. */
static void shift_low(struct token_encoder *encoder)
{
	uint8_t carry = (uint8_t)(encoder->low >> 32);
	if ((uint32_t)encoder->low < 0xff000000 || carry != 0) {
		for (; encoder->held_count > 0; encoder->held_count--) {
			encoder->out[encoder->len++] = (uint8_t)(encoder->held + carry);
			encoder->held = 0xff;
		}
		encoder->held = (uint8_t)(encoder->low >> RANGE_BITS);
	}
	encoder->held_count++;
	encoder->low = (encoder->low & 0xffffff) << 8;
}

static inline void normalize(struct token_encoder *encoder)
{
	if (encoder->range >> RANGE_BITS != 0)
		return;
	encoder->range <<= 8;
	shift_low(encoder);
}

static inline void encode_bit(struct token_encoder *encoder, uint16_t *prob, unsigned bit)
{
	normalize(encoder);
	uint32_t bound = (encoder->range >> PROB_BITS) * *prob;
	if (bit == 0) {
		encoder->range = bound;
		*prob = (uint16_t)(*prob + (((1U << PROB_BITS) - *prob) >> PROB_SHIFT));
		return;
	}
	encoder->low += bound;
	encoder->range -= bound;
	*prob = (uint16_t)(*prob - (*prob >> PROB_SHIFT));
}

static inline void encode_tree(struct token_encoder *encoder, uint16_t *probs, unsigned bits, unsigned value)
{
	unsigned node = 1;
	for (unsigned i = bits; i > 0; i--) {
		unsigned bit = value >> (i - 1) & 1;
		encode_bit(encoder, &probs[node], bit);
		node = node << 1 | bit;
	}
}

static inline void encode_reverse(struct token_encoder *encoder, uint16_t *probs, unsigned bits, unsigned value)
{
	unsigned node = 1;
	for (unsigned i = 0; i < bits; i++) {
		unsigned bit = value >> i & 1;
		encode_bit(encoder, &probs[node], bit);
		node = node << 1 | bit;
	}
}

static void encode_direct(struct token_encoder *encoder, unsigned bits, uint32_t value)
{
	for (unsigned i = bits; i > 0; i--) {
		normalize(encoder);
		encoder->range >>= 1;
		if (value >> (i - 1) & 1)
			encoder->low += encoder->range;
	}
}

void token_encoder_start(struct token_encoder *encoder, struct xz_model *model, uint8_t *out)
{
	*encoder = (struct token_encoder){ .model = model, .range = UINT32_MAX, .held_count = 1, .out = out };
}

size_t token_encoder_len(const struct token_encoder *encoder)
{
	return encoder->len + encoder->held_count + RANGE_CODER_LEN;
}

size_t token_encoder_end(struct token_encoder *encoder)
{
	normalize(encoder);
	for (size_t i = 0; i < RANGE_CODER_LEN; i++)
		shift_low(encoder);
	return encoder->len;
}

/* ---- Tokens */

void token_encoder_literal(struct token_encoder *encoder, const struct xz_place *place)
{
	struct xz_model *model = encoder->model;
	uint16_t *probs = xz_literal_probs(model, place);
	unsigned state = model->last.state;
	encode_bit(encoder, &model->probs.is_match[state][xz_pos_state(model, place)], 0);
	xz_after_literal(&model->last);
	if (state < STATE_MATCHED) {
		encode_tree(encoder, probs, 8, *place->at);
		return;
	}
	unsigned other = *(place->at - model->last.reps[0]), same = 0x100, node = 1;
	for (unsigned i = 8; i > 0; i--) {
		other <<= 1;
		unsigned guess = other & same, bit = *place->at >> (i - 1) & 1U;
		encode_bit(encoder, &probs[same + guess + node], bit);
		node = node << 1 | bit;
		same &= bit ? guess : ~guess;
	}
}

static void encode_length(struct token_encoder *encoder, struct length_probs *probs, unsigned pos_state, uint32_t len)
{
	unsigned value = len - MATCH_MIN;
	encode_bit(encoder, &probs->choice[0], value >= MATCH_LOW);
	if (value < MATCH_LOW) {
		encode_tree(encoder, probs->low[pos_state], 3, value);
		return;
	}
	value -= MATCH_LOW;
	encode_bit(encoder, &probs->choice[1], value >= MATCH_LOW);
	if (value < MATCH_LOW)
		encode_tree(encoder, probs->mid[pos_state], 3, value);
	else
		encode_tree(encoder, probs->high, 8, value - MATCH_LOW);
}

static void encode_distance(struct token_encoder *encoder, uint32_t dist, uint32_t len)
{
	struct xz_model *model = encoder->model;
	uint16_t *slots = xz_slot_probs(model, len);
	uint32_t value = dist - 1;
	if (value < SLOT_SPECIAL) {
		encode_tree(encoder, slots, SLOT_BITS, value);
		return;
	}
	unsigned bits = highest_bit(value) - 1, slot = 2 * bits + (value >> bits);
	uint32_t base = value >> bits << bits;
	encode_tree(encoder, slots, SLOT_BITS, slot);
	if (slot < SLOT_DIRECT) {
		encode_reverse(encoder, model->probs.special + (base - slot), bits, value - base);
		return;
	}
	encode_direct(encoder, bits - ALIGN_BITS, (value - base) >> ALIGN_BITS);
	encode_reverse(encoder, model->probs.align, ALIGN_BITS, value & ((1U << ALIGN_BITS) - 1));
}

unsigned xz_find_rep(const struct xz_model *model, uint32_t dist)
{
	unsigned rep = 0;
	while (rep < REP_COUNT && model->last.reps[rep] != dist)
		rep++;
	return rep;
}

static void encode_rep(struct token_encoder *encoder, unsigned pos_state, unsigned rep, uint32_t len)
{
	struct xz_probs *probs = &encoder->model->probs;
	unsigned state = encoder->model->last.state;
	encode_bit(encoder, &probs->is_not_rep0[state], rep > 0);
	if (rep == 0)
		encode_bit(encoder, &probs->is_long_rep0[state][pos_state], len > 1);
	if (rep > 0)
		encode_bit(encoder, &probs->is_not_rep1[state], rep > 1);
	if (rep > 1)
		encode_bit(encoder, &probs->is_not_rep2[state], rep > 2);
	if (len > 1)
		encode_length(encoder, &probs->rep_len, pos_state, len);
	xz_after_rep(&encoder->model->last, rep, len);
}

void token_encoder_match(struct token_encoder *encoder, const struct xz_place *place, uint32_t dist, uint32_t len)
{
	struct xz_model *model = encoder->model;
	unsigned state = model->last.state, pos_state = xz_pos_state(model, place), rep = xz_find_rep(model, dist);
	encode_bit(encoder, &model->probs.is_match[state][pos_state], 1);
	encode_bit(encoder, &model->probs.is_rep[state], rep < REP_COUNT);
	if (rep < REP_COUNT) {
		encode_rep(encoder, pos_state, rep, len);
		return;
	}
	encode_length(encoder, &model->probs.match_len, pos_state, len);
	encode_distance(encoder, dist, len);
	xz_after_match(&model->last, dist);
}
