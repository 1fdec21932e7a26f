/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Encoding tokens again, of a text that was edited.
 *
 *     old     the cat sat on the mat,  the cat is      the second "the cat " is a match, 25 bytes back
 *     new     the dog sat on the mat,  the cat is      "the " and " " are matches at the same distance; "cat" was not found
 *                                                      elsewhere: three literals
 *
 * So an edit does not spread: a match that copied what has changed is made by other tokens, and gives its old text again, and
 * what copies from there is as it was.  But all that is coded behind depends on what was learned before, up to a chunk that
 * resets the state; and up to there all chunks are encoded again.  Searching for matches is what takes an encoder its time,
 * and nearly all of it has been done.
 */
#include "format/xz/recode.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/equal.h"
#include "format/xz/token_encode.h"

enum {
	PLACE_BITS = 18,
	PLACE_LEN = 4, /* bytes that are looked for */
	/* A match at a new distance is not worth its bits if it is short and far. */
	FAR_FOR_TWO = 1 << 7,
	FAR_FOR_THREE = 1 << 14,
};

struct xz_recoder *xz_recoder_new(void)
{
	struct xz_recoder *recoder = calloc(1, sizeof(*recoder));
	if (recoder == NULL)
		return NULL;
	recoder->places = calloc((size_t)1 << PLACE_BITS, sizeof(*recoder->places));
	if (recoder->places != NULL)
		return recoder;
	free(recoder);
	return NULL;
}

void xz_recoder_free(struct xz_recoder *recoder)
{
	if (recoder == NULL)
		return;
	free(recoder->places);
	free(recoder);
}

/* ---- Chunks that stay as they are */

bool xz_tokens_hold(const struct xz_decoded *decoded)
{
	const uint8_t *old = decoded->old, *new = decoded->place.at;
	/* The byte before is context of the first. */
	if (decoded->place.pos > 0 && old[-1] != new[-1])
		return false;
	if (memcmp(old, new, decoded->chunk.image_len) != 0)
		return false;
	for (size_t i = 0; i < decoded->count; i++) {
		const struct xz_token *token = &decoded->tokens[i];
		size_t len = xz_token_len(token);
		if (token->dist > 0 && equal_ahead(old - token->dist, new - token->dist, len) < len)
			return false;
		old += len;
		new += len;
	}
	return true;
}

static uint32_t *find_place(struct xz_recoder *recoder, const uint8_t *at)
{
	return &recoder->places[load_le32(at) * 2654435761U >> (32 - PLACE_BITS)];
}

void xz_recoder_pass(struct xz_recoder *recoder, const struct xz_decoded *decoded)
{
	const uint8_t *at = decoded->place.at, *end = at + decoded->chunk.image_len;
	uint32_t text_pos = (uint32_t)decoded->text_pos;
	for (size_t i = 0; i < decoded->count && end - at >= PLACE_LEN; i++) {
		size_t len = xz_token_len(&decoded->tokens[i]);
		*find_place(recoder, at) = text_pos;
		at += len;
		text_pos += (uint32_t)len;
	}
}

/* ---- The chunks that are made */

static void store_header(struct xz_recoder *recoder, uint8_t control, size_t text_len)
{
	uint8_t *out = recoder->out + recoder->out_len;
	out[0] = control;
	out[1] = (uint8_t)((text_len - 1) >> 8);
	out[2] = (uint8_t)(text_len - 1);
	recoder->out_len += CHUNK_RAW_HEADER_LEN;
}

/* What does not become shorter is better stored, and teaches the model nothing. */
static void make_raw_chunk(struct xz_recoder *recoder, size_t text_len)
{
	bool resets = recoder->owed >= CHUNK_LZMA_RESET;
	store_header(recoder, resets ? CHUNK_RAW_RESET : CHUNK_RAW, text_len);
	memcpy(recoder->out + recoder->out_len, recoder->chunk_place.at, text_len);
	recoder->out_len += text_len;
	recoder->model = recoder->chunk_model;
	recoder->owed = resets ? CHUNK_LZMA_PROPS : recoder->owed;
}

static void make_lzma_chunk(struct xz_recoder *recoder, size_t text_len, size_t len)
{
	store_header(recoder, (uint8_t)(recoder->owed | (text_len - 1) >> 16), text_len);
	uint8_t *out = recoder->out + recoder->out_len;
	*out++ = (uint8_t)((len - 1) >> 8);
	*out++ = (uint8_t)(len - 1);
	if (recoder->owed >= CHUNK_LZMA_PROPS)
		*out++ = recoder->properties;
	memcpy(out, recoder->packed, len);
	recoder->out_len = (size_t)(out - recoder->out) + len;
	recoder->owed = CHUNK_LZMA;
}

static void begin_chunk(struct xz_recoder *recoder, struct token_encoder *encoder)
{
	recoder->chunk_place = recoder->place;
	recoder->chunk_model = recoder->model;
	token_encoder_start(encoder, &recoder->model, recoder->packed);
}

static void end_chunk(struct xz_recoder *recoder, struct token_encoder *encoder)
{
	size_t text_len = (size_t)(recoder->place.at - recoder->chunk_place.at), len = token_encoder_end(encoder);
	if (text_len <= RAW_PAYLOAD && len + CHUNK_LZMA_HEADER_LEN + 1 > text_len + CHUNK_RAW_HEADER_LEN)
		make_raw_chunk(recoder, text_len);
	else
		make_lzma_chunk(recoder, text_len, len);
}

/* ---- Tokens */

/* Remembers the place, and goes on behind len bytes. */
static void advance(struct xz_recoder *recoder, size_t len)
{
	if (recoder->end - recoder->place.at >= PLACE_LEN)
		*find_place(recoder, recoder->place.at) = recoder->text_pos;
	xz_place_advance(&recoder->place, len);
	recoder->old += len;
	recoder->text_pos += (uint32_t)len;
}

/* How many bytes at the place are those that stand so far back. */
static size_t match_len(const struct xz_recoder *recoder, uint32_t dist, size_t max)
{
	const uint8_t *at = recoder->place.at;
	return dist == 0 || dist > xz_reach(&recoder->place) ? 0 : equal_ahead(at - dist, at, max);
}

static bool is_worth(const struct xz_recoder *recoder, uint32_t dist, size_t len)
{
	if (len < MATCH_MIN || len > 3 || xz_find_rep(&recoder->model, dist) < REP_COUNT)
		return len >= MATCH_MIN;
	return dist <= (len == 2 ? FAR_FOR_TWO : FAR_FOR_THREE);
}

/* Another match: at one of the last distances, or where the same four bytes have stood last. */
static struct xz_token find_match(struct xz_recoder *recoder)
{
	struct xz_token best = { 0 };
	size_t max = (size_t)min(MATCH_MAX, (uint64_t)(recoder->end - recoder->place.at));
	for (unsigned i = 0; i < REP_COUNT; i++) {
		size_t len = match_len(recoder, recoder->model.last.reps[i], max);
		if (len >= MATCH_MIN && len > best.len)
			best = (struct xz_token){ recoder->model.last.reps[i], (uint32_t)len };
	}
	if (max < PLACE_LEN)
		return best;
	uint32_t dist = recoder->text_pos - *find_place(recoder, recoder->place.at);
	size_t len = match_len(recoder, dist, max);
	return len >= PLACE_LEN && len > best.len + 1 ? (struct xz_token){ dist, (uint32_t)len } : best;
}

/* What comes next, of a token of which so many bytes are left: it as it was, a part of it, or another one. */
static struct xz_token choose(struct xz_recoder *recoder, const struct xz_token *token, size_t left)
{
	const struct xz_token literal = { 0 };
	size_t len = token->len > 0 ? match_len(recoder, token->dist, left) : 0;
	if (token->len == 1 && len == 1 && token->dist == recoder->model.last.reps[0])
		return *token;
	if (len >= MATCH_MIN && (len == token->len || is_worth(recoder, token->dist, len)))
		return (struct xz_token){ token->dist, (uint32_t)len };
	if (token->len <= 1 && *recoder->old == *recoder->place.at)
		return literal;
	return find_match(recoder);
}

static void encode_token(struct xz_recoder *recoder, struct token_encoder *encoder, const struct xz_token *token)
{
	if (token->len == 0)
		token_encoder_literal(encoder, &recoder->place);
	else
		token_encoder_match(encoder, &recoder->place, token->dist, token->len);
	advance(recoder, xz_token_len(token));
}

/* A token that was found can end within one that was there, of which the rest is left then. */
static void recode_tokens(struct xz_recoder *recoder, struct token_encoder *encoder, const struct xz_decoded *decoded)
{
	const uint8_t *end = recoder->place.at;
	for (size_t i = 0; i < decoded->count; i++) {
		end += xz_token_len(&decoded->tokens[i]);
		while (recoder->place.at < end) {
			struct xz_token token = choose(recoder, &decoded->tokens[i], (size_t)(end - recoder->place.at));
			if (token_encoder_len(encoder) > CHUNK_PACKED_MAX - TOKEN_BYTES_MAX) {
				end_chunk(recoder, encoder);
				begin_chunk(recoder, encoder);
			}
			encode_token(recoder, encoder, &token);
		}
	}
	end_chunk(recoder, encoder);
}

size_t xz_recode(struct xz_recoder *recoder, const struct xz_decoded *decoded, uint8_t *out)
{
	struct token_encoder encoder;
	uint8_t resets = decoded->chunk.control & CHUNK_LZMA_RESET;
	if (resets >= CHUNK_LZMA_PROPS)
		xz_model_set(&recoder->model, recoder->properties);
	else if (resets > CHUNK_LZMA)
		xz_model_reset(&recoder->model);
	recoder->owed = resets > recoder->owed ? resets : recoder->owed;
	recoder->out = out;
	recoder->out_len = 0;
	recoder->place = decoded->place;
	recoder->old = decoded->old;
	recoder->end = decoded->place.at + decoded->chunk.image_len;
	recoder->text_pos = (uint32_t)decoded->text_pos;
	begin_chunk(recoder, &encoder);
	recode_tokens(recoder, &encoder, decoded);
	return recoder->out_len;
}
