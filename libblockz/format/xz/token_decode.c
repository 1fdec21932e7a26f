/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The range decoder, and what LZMA has it decode, token by token.
 *
 * Nearly all of the time goes to bits that the next one waits for.  Those of trees are as likely to be wrongly guessed as not, and
 * so are decoded without a branch; what stands in the tree for both of its values is loaded before a bit is known.
 */
#include "format/xz/token_decode.h"

#include <string.h>

#include "base/copy.h"

#define INLINE inline __attribute__((always_inline))

enum {
	TOKEN_IN_MAX = 49, /* a match has up to 48 bits, each of which takes a byte at most; and so does what follows the last */
	PROB_ROUND = (1 << PROB_BITS) - (1 << PROB_SHIFT) + 1, /* so that both ways to move round toward where they come from */
};

/* ---- Bits */

struct range_decoder {
	const uint8_t *in;
	uint32_t range, code;
};

static INLINE void normalize(struct range_decoder *range)
{
	if (range->range >> RANGE_BITS != 0)
		return;
	range->range <<= 8;
	range->code = range->code << 8 | *range->in++;
}

static INLINE unsigned decode_bit(struct range_decoder *range, uint16_t *prob)
{
	normalize(range);
	uint32_t p = *prob, bound = (range->range >> PROB_BITS) * p;
	if (range->code < bound) {
		range->range = bound;
		*prob = (uint16_t)(p + (((1U << PROB_BITS) - p) >> PROB_SHIFT));
		return 0;
	}
	range->range -= bound;
	range->code -= bound;
	*prob = (uint16_t)(p - (p >> PROB_SHIFT));
	return 1;
}

/* The same without a branch, by a probability that was loaded.  Returns all bits set for 1. */
static INLINE uint32_t decode_mask(struct range_decoder *range, uint16_t *prob, uint32_t p)
{
	normalize(range);
	uint32_t bound = (range->range >> PROB_BITS) * p, rest = range->range - bound;
	uint32_t one = 0 - (uint32_t)(range->code >= bound);
	range->range = bound ^ ((bound ^ rest) & one);
	range->code -= bound & one;
	*prob = (uint16_t)(p - (uint32_t)((int32_t)(p - (PROB_ROUND & ~one)) >> PROB_SHIFT));
	return one;
}

/* The highest bit first; the context is all that is above. */
static INLINE unsigned decode_tree(struct range_decoder *range, uint16_t *probs, unsigned bits)
{
	unsigned node = 1;
	uint32_t p = probs[1];
	for (unsigned i = 1; i < bits; i++) {
		uint32_t zero = probs[2 * node], one = probs[2 * node + 1];
		uint32_t bit = decode_mask(range, &probs[node], p);
		node = 2 * node - bit;
		p = zero ^ ((zero ^ one) & bit);
	}
	node = 2 * node - decode_mask(range, &probs[node], p);
	return node - (1U << bits);
}

/* The lowest bit first. */
static INLINE unsigned decode_reverse(struct range_decoder *range, uint16_t *probs, unsigned bits)
{
	unsigned node = 1, value = 0;
	for (unsigned i = 0; i < bits; i++) {
		uint32_t bit = decode_mask(range, &probs[node], probs[node]);
		node = 2 * node - bit;
		value |= (bit & 1) << i;
	}
	return value;
}

/* Bits of which nothing is thought. */
static INLINE uint32_t decode_direct(struct range_decoder *range, unsigned bits)
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

/* ---- Input */

/* Input in which a token can be decoded without asking how much there is; its last bytes have zeros behind them. */
struct input {
	const uint8_t *end;
	ptrdiff_t need; /* bytes that are there before each token; 0: in the tail */
	uint8_t tail[2 * TOKEN_IN_MAX];
};

/* So little is left of the input that the rest of it has to be decoded in the tail.  False: it was, and nothing is. */
static bool enter_tail(struct input *input, struct range_decoder *range)
{
	if (input->need == 0)
		return false;
	size_t len = (size_t)(input->end - range->in);
	memset(input->tail, 0, sizeof(input->tail));
	memcpy(input->tail, range->in, len);
	range->in = input->tail;
	input->end = input->tail + len;
	input->need = 0;
	return true;
}

/* ---- Tokens */

/* What a decoder has at hand. */
struct decoder {
	struct range_decoder range;
	struct xz_last last;
	struct xz_place place;
	struct xz_model *model;
};

static INLINE uint8_t decode_literal(struct decoder *decoder)
{
	uint16_t *probs = xz_literal_probs(decoder->model, &decoder->place);
	if (decoder->last.state < STATE_MATCHED)
		return (uint8_t)decode_tree(&decoder->range, probs, 8);
	/* As long as it has the bits of the byte at the last distance, these are context too. */
	unsigned other = *(decoder->place.at - decoder->last.reps[0]), same = 0x100, node = 1;
	while (node < 0x100) {
		other <<= 1;
		unsigned guess = other & same;
		uint16_t *prob = &probs[same + guess + node];
		uint32_t bit = decode_mask(&decoder->range, prob, *prob);
		node = 2 * node - bit;
		same &= guess ^ ~bit;
	}
	return (uint8_t)node;
}

static INLINE uint32_t decode_length(struct range_decoder *range, struct length_probs *probs, unsigned pos_state)
{
	if (decode_bit(range, &probs->choice[0]) == 0)
		return MATCH_MIN + decode_tree(range, probs->low[pos_state], 3);
	if (decode_bit(range, &probs->choice[1]) == 0)
		return MATCH_MIN + MATCH_LOW + decode_tree(range, probs->mid[pos_state], 3);
	return MATCH_MIN + 2 * MATCH_LOW + decode_tree(range, probs->high, 8);
}

/* 0: a mark of the end, which no chunk has. */
static INLINE uint32_t decode_distance(struct decoder *decoder, uint32_t len)
{
	struct range_decoder *range = &decoder->range;
	struct xz_model *model = decoder->model;
	unsigned slot = decode_tree(range, xz_slot_probs(model, len), SLOT_BITS), bits = (slot >> 1) - 1;
	if (slot < SLOT_SPECIAL)
		return slot + 1;
	uint32_t base = (2 | (slot & 1)) << bits;
	if (slot < SLOT_DIRECT)
		return base + decode_reverse(range, model->probs.special + (base - slot), bits) + 1;
	base += decode_direct(range, bits - ALIGN_BITS) << ALIGN_BITS;
	return base + decode_reverse(range, model->probs.align, ALIGN_BITS) + 1;
}

/* This and the next return the length, and the distance is then the last one. */
static INLINE uint32_t decode_rep(struct decoder *decoder, unsigned pos_state)
{
	struct range_decoder *range = &decoder->range;
	struct xz_probs *probs = &decoder->model->probs;
	unsigned state = decoder->last.state, rep = 0;
	uint32_t len = 1;
	if (decode_bit(range, &probs->is_not_rep0[state]) != 0)
		rep = decode_bit(range, &probs->is_not_rep1[state]) == 0 ? 1 : 2 + decode_bit(range, &probs->is_not_rep2[state]);
	if (rep != 0 || decode_bit(range, &probs->is_long_rep0[state][pos_state]) != 0)
		len = decode_length(range, &probs->rep_len, pos_state);
	xz_after_rep(&decoder->last, rep, len);
	return len;
}

static INLINE uint32_t decode_match(struct decoder *decoder, unsigned pos_state)
{
	struct xz_probs *probs = &decoder->model->probs;
	if (decode_bit(&decoder->range, &probs->is_rep[decoder->last.state]) != 0)
		return decode_rep(decoder, pos_state);
	uint32_t len = decode_length(&decoder->range, &probs->match_len, pos_state);
	xz_after_match(&decoder->last, decode_distance(decoder, len));
	return len;
}

/* A token with its text, of which there is room for len bytes and COPY_SLACK.  False: it cannot be. */
static INLINE bool decode_token(struct decoder *decoder, size_t len, struct xz_token *token_ret)
{
	struct xz_place *place = &decoder->place;
	unsigned pos_state = xz_pos_state(decoder->model, place);
	if (decode_bit(&decoder->range, &decoder->model->probs.is_match[decoder->last.state][pos_state]) == 0) {
		*token_ret = (struct xz_token){ .dist = decoder->last.state < STATE_MATCHED ? 0 : decoder->last.reps[0] };
		*place->at = decode_literal(decoder);
		xz_after_literal(&decoder->last);
		xz_place_advance(place, 1);
		return true;
	}
	uint32_t part = decode_match(decoder, pos_state), dist = decoder->last.reps[0];
	*token_ret = (struct xz_token){ dist, part };
	if (dist - 1 >= xz_reach(place) || part > len)
		return false;
	copy_match(place->at, part, dist);
	xz_place_advance(place, part);
	return true;
}

static bool begin(struct range_decoder *range, const uint8_t *in, size_t in_len)
{
	*range = (struct range_decoder){ .in = in + 1, .range = UINT32_MAX };
	if (in_len < RANGE_CODER_LEN || *in != 0)
		return false;
	for (size_t i = 1; i < RANGE_CODER_LEN; i++)
		range->code = range->code << 8 | *range->in++;
	return true;
}

static INLINE bool decode(struct xz_model *model, const uint8_t *in, size_t in_len, struct xz_place place, size_t len,
			  struct xz_token *tokens, size_t *count_ret)
{
	const uint8_t *end = place.at + len;
	struct decoder decoder = { .last = model->last, .place = place, .model = model };
	struct input input = { .end = in + in_len, .need = TOKEN_IN_MAX };
	struct xz_token token;
	size_t count = 0;
	if (!begin(&decoder.range, in, in_len))
		return false;
	while (decoder.place.at < end) {
		if (input.end - decoder.range.in < input.need && !enter_tail(&input, &decoder.range))
			return false;
		if (!decode_token(&decoder, (size_t)(end - decoder.place.at), &token))
			return false;
		if (tokens != NULL)
			tokens[count++] = token;
	}
	normalize(&decoder.range);
	model->last = decoder.last;
	if (tokens != NULL)
		*count_ret = count;
	return decoder.range.in == input.end && decoder.range.code == 0;
}

/* What the header of a chunk has the model forget. */
static bool reset(struct xz_model *model, const struct xz_chunk *chunk, uint8_t properties)
{
	if (chunk->control >= CHUNK_LZMA_PROPS)
		return xz_model_set(model, properties);
	if ((chunk->control & CHUNK_LZMA_RESET) > CHUNK_LZMA)
		xz_model_reset(model);
	return true;
}

bool xz_chunk_decode(struct xz_model *model, const struct xz_chunk *chunk, const uint8_t *payload, struct xz_place place,
		     struct xz_token *tokens, size_t *count_ret)
{
	const size_t skipped = chunk->control >= CHUNK_LZMA_PROPS, in_len = chunk->payload_len - skipped;
	const uint8_t *in = payload + skipped;
	if (!reset(model, chunk, *payload))
		return false;
	/* Two copies, so that the one without tokens never asks. */
	return tokens != NULL ? decode(model, in, in_len, place, chunk->image_len, tokens, count_ret) :
				decode(model, in, in_len, place, chunk->image_len, NULL, NULL);
}
