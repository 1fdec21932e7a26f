/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Editing inside a Block, chunk by chunk.
 *
 * Two texts go side by side, the old one and the one that is to be, each as far back as the dictionary reaches.  A chunk is
 * decoded to tokens and to the old text, over which the edit is laid.  Chunks stay as they stand up to the first that has
 * something of the edit, or copies from it; from there on they are encoded again (format/xz/recode.c), up to one that resets
 * what was learned.  Raw chunks are overwritten.
 *
 *     old     [ A ][ B ][ C ][raw][ D ][ E ]    the edit is in B; D resets the state, and copies nothing of the edit
 *     new     [ A ][ B'][ C'][raw][ D ][ E ]
 *
 * The Check is verified over the old text, and made anew over the new one.
 */
#include "format/xz/splice.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/copy.h"
#include "base/equal.h"
#include "base/fault.h"
#include "format/xz/block.h"
#include "format/xz/index.h"
#include "format/xz/recode.h"
#include "format/xz/token_decode.h"
#include "io/access.h"

enum {
	READ_LEN = 512 << 10,
	HEADERS_MAX = CHUNK_LZMA_HEADER_LEN + 1,
	OUT_MAX = 1 << 20,       /* so much is collected before it is given away, and a chunk more */
	WINDOW_SHARE = 4,        /* a text has so small a part of the dictionary more room than that, and a chunk */
};

/* New bytes for a range of the file, which grows as long as what follows stands right behind it. */
struct replacement {
	struct blockz_range old;
	uint8_t *bytes;
	size_t len;
};

struct splice {
	const struct piece_edit *edit;
	const struct piece *piece;
	struct xz_block block;
	uint64_t off, end; /* in the file: of the next chunk; of the piece */
	uint8_t *file_bytes;
	struct blockz_range held; /* of the file, in file_bytes */
	/* The texts. */
	uint64_t image_len, pos; /* of the piece; how much of it was decoded */
	uint64_t since_reset;
	uint32_t dict_size;
	uint8_t *old, *new;
	size_t room, filled; /* of each */
	size_t next_range;
	uint64_t changed_end; /* behind the last byte that differs; 0: none does, so far */
	struct check_sum old_sum, new_sum;
	/* The chunks. */
	struct xz_chunk_order order;
	struct xz_model model; /* of what is there */
	uint8_t properties;
	struct xz_token *tokens;
	struct xz_recoder *recoder;
	bool recoding;
	struct replacement out;
	uint64_t growth; /* of the chunks, modulo 2^64 */
};

static enum blockz_status damaged(const struct splice *splice, struct blockz_fault *fault)
{
	return xz_block_damaged(splice->off, fault);
}

static enum blockz_status other_sizes(const struct splice *splice, struct blockz_fault *fault)
{
	return xz_block_other_sizes(splice->off, fault);
}

/* The bytes of the file from off on, within the piece; valid until the next call. */
static enum blockz_status fetch(struct splice *splice, uint64_t off, size_t len, const uint8_t **bytes_ret,
				struct blockz_fault *fault)
{
	struct blockz_range *held = &splice->held;
	if (len > splice->end - off)
		return other_sizes(splice, fault);
	if (off < held->start || off + len > held->end) {
		*held = (struct blockz_range){ off, off + min(READ_LEN, splice->end - off) };
		enum blockz_status status =
			read_file(splice->edit->file, splice->file_bytes, (size_t)(held->end - held->start), off, fault);
		if (status != BLOCKZ_OK) {
			held->end = held->start;
			return status;
		}
	}
	*bytes_ret = splice->file_bytes + (off - held->start);
	return BLOCKZ_OK;
}

/* ---- What is replaced */

static enum blockz_status give(struct splice *splice, struct blockz_fault *fault)
{
	struct replacement *out = &splice->out;
	const struct piece_edit *edit = splice->edit;
	if (out->old.start == out->old.end)
		return BLOCKZ_OK;
	enum blockz_status status = edit->replace(edit->ctx, out->old, out->bytes, out->len, fault);
	out->old.start = out->old.end = out->len = 0;
	return status;
}

/* Makes sure that new bytes, a chunk's at most, for what stands at file offset off can be put behind the collected ones. */
static enum blockz_status collect_at(struct splice *splice, uint64_t off, struct blockz_fault *fault)
{
	struct replacement *out = &splice->out;
	enum blockz_status status = off == out->old.end && out->len <= OUT_MAX ? BLOCKZ_OK : give(splice, fault);
	if (out->len == 0)
		out->old = (struct blockz_range){ off, off };
	return status;
}

static void collected(struct splice *splice, uint64_t old_len, size_t len)
{
	splice->out.old.end += old_len;
	splice->out.len += len;
	splice->growth += len - old_len;
}

/* ---- The texts */

/* Makes room for the text of a chunk. */
static void slide(struct splice *splice, size_t len)
{
	if (splice->filled + len <= splice->room)
		return;
	size_t gone = splice->filled - splice->dict_size;
	memmove(splice->old, splice->old + gone, splice->dict_size);
	memmove(splice->new, splice->new + gone, splice->dict_size);
	splice->filled = splice->dict_size;
}

static struct xz_place place_in(const struct splice *splice, uint8_t *text)
{
	return (struct xz_place){ text + splice->filled, splice->since_reset, splice->dict_size };
}

static enum blockz_status lay_over_range(struct splice *splice, uint64_t start, uint64_t end, struct blockz_fault *fault)
{
	const struct piece_edit *edit = splice->edit;
	size_t at = splice->filled + (size_t)(start - splice->pos), len = (size_t)(end - start);
	uint64_t image_off = splice->piece->start + start;
	enum blockz_status status = edit->lay_over(edit->ctx, splice->new + at, len, image_off, fault);
	size_t first = status == BLOCKZ_OK ? equal_ahead(splice->old + at, splice->new + at, len) : len;
	if (first == len)
		return status;
	len -= equal_behind(splice->old + at + len, splice->new + at + len, len - first);
	splice->changed_end = start + len;
	return edit->changed(edit->ctx, image_off + first, splice->old + at + first, splice->new + at + first, len - first, fault);
}

/* The new text of a chunk of len bytes, whose old text is there. */
static enum blockz_status lay_over(struct splice *splice, size_t len, struct blockz_fault *fault)
{
	const struct piece_edit *edit = splice->edit;
	uint64_t chunk_end = splice->pos + len;
	enum blockz_status status = BLOCKZ_OK;
	memcpy(splice->new + splice->filled, splice->old + splice->filled, len);
	while (splice->next_range < edit->count && status == BLOCKZ_OK) {
		const struct blockz_range *range = &edit->ranges[splice->next_range];
		uint64_t start = range->start - splice->piece->start, end = range->end - splice->piece->start;
		if (start < chunk_end)
			status = lay_over_range(splice, start > splice->pos ? start : splice->pos, min(end, chunk_end), fault);
		if (end > chunk_end)
			break;
		splice->next_range++;
	}
	check_sum_update(&splice->old_sum, splice->old + splice->filled, len);
	check_sum_update(&splice->new_sum, splice->new + splice->filled, len);
	return status;
}

static void pass_text(struct splice *splice, size_t len)
{
	splice->filled += len;
	splice->pos += len;
	splice->since_reset += len;
}

/* ---- Chunks */

/* A raw chunk has other bytes in place of those that it has.  Resets of the dictionary end what has to be encoded again. */
static enum blockz_status pass_raw(struct splice *splice, const struct xz_chunk *chunk, const uint8_t *bytes,
				   struct blockz_fault *fault)
{
	size_t len = chunk->image_len;
	const uint8_t *old = splice->old + splice->filled, *new = splice->new + splice->filled;
	memcpy(splice->old + splice->filled, bytes, len);
	enum blockz_status status = lay_over(splice, len, fault);
	if (chunk->control == CHUNK_RAW_RESET)
		splice->recoding = false;
	size_t first = status == BLOCKZ_OK ? equal_ahead(old, new, len) : len;
	if (first == len)
		return status;
	size_t part = len - first - equal_behind(old + len, new + len, len - first);
	status = collect_at(splice, splice->off + chunk->header_len + first, fault);
	memcpy(splice->out.bytes + splice->out.len, new + first, part);
	collected(splice, part, part);
	return status;
}

/* Whether a chunk that is coded by what is there can stay. */
static bool stays(const struct splice *splice, const struct xz_decoded *decoded)
{
	uint64_t reach = xz_reach(&decoded->place) + 1;
	return splice->changed_end == 0 || splice->changed_end + reach <= splice->pos || xz_tokens_hold(decoded);
}

/* Decides whether a chunk is encoded again; before: what was learned before it. */
static void decide(struct splice *splice, const struct xz_decoded *decoded, const struct xz_model *before)
{
	struct xz_recoder *recoder = splice->recoder;
	uint8_t resets = decoded->chunk.control & CHUNK_LZMA_RESET;
	recoder->properties = splice->properties;
	/* It has to bring what is owed. */
	if (resets > CHUNK_LZMA && (recoder->owed < CHUNK_LZMA_PROPS || resets >= CHUNK_LZMA_PROPS))
		splice->recoding = false;
	if (splice->recoding || stays(splice, decoded))
		return;
	splice->recoding = true;
	recoder->model = *before;
	recoder->owed = CHUNK_LZMA;
}

static enum blockz_status decode_chunk(struct splice *splice, struct xz_decoded *decoded, const uint8_t *payload,
				       struct blockz_fault *fault)
{
	const struct xz_chunk *chunk = &decoded->chunk;
	if (chunk->control >= CHUNK_LZMA_PROPS)
		splice->properties = *payload;
	if (!xz_chunk_decode(&splice->model, chunk, payload, place_in(splice, splice->old), splice->tokens, &decoded->count))
		return damaged(splice, fault);
	return lay_over(splice, chunk->image_len, fault);
}

static enum blockz_status pass_lzma(struct splice *splice, const struct xz_chunk *chunk, const uint8_t *payload,
				    struct blockz_fault *fault)
{
	const struct xz_model before = splice->model;
	struct xz_decoded decoded = {
		.chunk = *chunk, .tokens = splice->tokens, .place = place_in(splice, splice->new),
		.old = splice->old + splice->filled, .text_pos = splice->pos,
	};
	enum blockz_status status = decode_chunk(splice, &decoded, payload, fault);
	if (status != BLOCKZ_OK)
		return status;
	decide(splice, &decoded, &before);
	if (!splice->recoding) {
		xz_recoder_pass(splice->recoder, &decoded);
		return BLOCKZ_OK;
	}
	status = collect_at(splice, splice->off, fault);
	if (status == BLOCKZ_OK)
		collected(splice, chunk->header_len + chunk->payload_len,
			  xz_recode(splice->recoder, &decoded, splice->out.bytes + splice->out.len));
	return status;
}

/* *ended_ret: it was the mark behind the last chunk. */
static enum blockz_status pass_chunk(struct splice *splice, bool *ended_ret, struct blockz_fault *fault)
{
	struct xz_chunk chunk = { 0 };
	const uint8_t *bytes = NULL;
	enum blockz_status status = fetch(splice, splice->off, CHUNK_END_LEN, &bytes, fault);
	if (status != BLOCKZ_OK)
		return status;
	*ended_ret = *bytes == CHUNK_END;
	if (!*ended_ret && !xz_chunk_may_follow(&splice->order, *bytes))
		return damaged(splice, fault);
	if (!*ended_ret && xz_chunk_resets(*bytes))
		splice->since_reset = 0;
	if (!*ended_ret)
		status = fetch(splice, splice->off, *bytes <= CHUNK_RAW ? CHUNK_RAW_HEADER_LEN : CHUNK_LZMA_HEADER_LEN, &bytes, fault);
	if (status != BLOCKZ_OK)
		return status;
	xz_chunk_parse(bytes, &chunk);
	if (chunk.image_len > splice->image_len - splice->pos)
		return other_sizes(splice, fault);
	slide(splice, chunk.image_len);
	if (!*ended_ret)
		status = fetch(splice, splice->off + chunk.header_len, chunk.payload_len, &bytes, fault);
	if (status == BLOCKZ_OK && !*ended_ret)
		status = (chunk.control <= CHUNK_RAW ? pass_raw : pass_lzma)(splice, &chunk, bytes, fault);
	pass_text(splice, chunk.image_len);
	splice->off += chunk.header_len + chunk.payload_len;
	return status;
}

/* ---- The Block around them */

static enum blockz_status pass_tail(struct splice *splice, uint64_t chunks_len, struct blockz_fault *fault)
{
	uint8_t old_field[CHECK_LEN_MAX] = { 0 }, new_field[CHECK_LEN_MAX] = { 0 };
	uint8_t expected[BLOCK_TAIL_MAX], tail[BLOCK_TAIL_MAX];
	const enum check_method method = splice->piece->method;
	const uint64_t tail_off = splice->off - CHUNK_END_LEN;
	const uint8_t *bytes = NULL;
	unsigned padding = 0;
	check_sum_finish(&splice->old_sum, old_field);
	check_sum_finish(&splice->new_sum, new_field);
	splice->old_sum.method = splice->new_sum.method = CHECK_NONE;
	size_t len = xz_block_tail(chunks_len, method, old_field, expected, &padding);
	if (padding != splice->piece->padding || splice->end - tail_off != len)
		return other_sizes(splice, fault);
	enum blockz_status status = fetch(splice, tail_off, len, &bytes, fault);
	if (status == BLOCKZ_OK && memcmp(bytes, expected, len) != 0)
		return damaged(splice, fault);
	if (status == BLOCKZ_OK)
		status = give(splice, fault);
	size_t new_len = xz_block_tail(chunks_len + splice->growth, method, new_field, tail, &padding);
	*splice->edit->tag_ret = padding;
	if (status == BLOCKZ_OK && (new_len != len || memcmp(tail, expected, len) != 0))
		status = splice->edit->replace(splice->edit->ctx, (struct blockz_range){ tail_off, splice->end }, tail, new_len,
					       fault);
	return status;
}

/* The header tells how long the chunks are, or not. */
static enum blockz_status renew_header(struct splice *splice, struct blockz_fault *fault)
{
	uint8_t bytes[BLOCK_HEADER_LEN_MAX];
	lzma_block *block = &splice->block.block;
	uint64_t start = splice->piece->file_off;
	uint32_t old_len = block->header_size;
	if (block->compressed_size == LZMA_VLI_UNKNOWN || splice->growth == 0)
		return BLOCKZ_OK;
	block->compressed_size += splice->growth;
	lzma_ret result = lzma_block_header_size(block);
	if (block->header_size < old_len)
		block->header_size = old_len;
	if (result == LZMA_OK)
		result = lzma_block_header_encode(block, bytes);
	if (result != LZMA_OK)
		return fault_set(fault, BLOCKZ_FAILED, start, "liblzma: error %d while making a Block Header", (int)result);
	return splice->edit->replace(splice->edit->ctx, (struct blockz_range){ start, start + old_len }, bytes,
				     block->header_size, fault);
}

static enum blockz_status pass_block(struct splice *splice, struct blockz_fault *fault)
{
	const lzma_block *block = &splice->block.block;
	const uint64_t first = splice->off = splice->piece->file_off + block->header_size;
	bool ended = false;
	enum blockz_status status = BLOCKZ_OK;
	while (status == BLOCKZ_OK && !ended)
		status = pass_chunk(splice, &ended, fault);
	if (status != BLOCKZ_OK)
		return status;
	const uint64_t chunks_len = splice->off - first;
	if (splice->pos != splice->image_len ||
	    (block->compressed_size != LZMA_VLI_UNKNOWN && block->compressed_size != chunks_len) ||
	    (block->uncompressed_size != LZMA_VLI_UNKNOWN && block->uncompressed_size != splice->pos))
		return other_sizes(splice, fault);
	status = pass_tail(splice, chunks_len, fault);
	return status == BLOCKZ_OK ? renew_header(splice, fault) : status;
}

/* ---- The whole */

static bool make_room(struct splice *splice)
{
	splice->room = splice->dict_size + splice->dict_size / WINDOW_SHARE + CHUNK_TEXT_MAX;
	splice->old = malloc(splice->room + COPY_SLACK);
	splice->new = malloc(splice->room);
	splice->tokens = malloc(CHUNK_TEXT_MAX * sizeof(*splice->tokens));
	splice->out.bytes = malloc(OUT_MAX + RECODED_MAX);
	splice->recoder = xz_recoder_new();
	return splice->old != NULL && splice->new != NULL && splice->tokens != NULL && splice->out.bytes != NULL &&
	       splice->recoder != NULL;
}

static enum blockz_status start(struct splice *splice, struct blockz_fault *fault)
{
	enum check_method method = splice->piece->method;
	enum blockz_status status = xz_block_dictionary(&splice->block, splice->image_len, splice->edit->map->window_max,
							splice->piece->file_off, &splice->dict_size, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (!make_room(splice) || !check_sum_start(&splice->old_sum, method) || !check_sum_start(&splice->new_sum, method))
		return fault_nomem(fault);
	return BLOCKZ_OK;
}

static void splice_free(struct splice *splice)
{
	check_sum_finish(&splice->old_sum, NULL);
	check_sum_finish(&splice->new_sum, NULL);
	free(splice->file_bytes);
	free(splice->old);
	free(splice->new);
	free(splice->tokens);
	free(splice->out.bytes);
	xz_recoder_free(splice->recoder);
	free(splice);
}

static enum blockz_status parse_header(struct splice *splice, struct blockz_fault *fault)
{
	const struct piece *piece = splice->piece;
	size_t len = (size_t)min(piece->file_len, BLOCK_HEADER_LEN_MAX);
	const uint8_t *bytes = NULL;
	splice->file_bytes = malloc(READ_LEN);
	if (splice->file_bytes == NULL)
		return fault_nomem(fault);
	enum blockz_status status = fetch(splice, piece->file_off, len, &bytes, fault);
	return status == BLOCKZ_OK ? xz_block_parse(bytes, len, piece->method, piece->file_off, &splice->block, fault) : status;
}

/* Filters in front of LZMA2 would change more than the edit, and leave a Block to be encoded again as a whole. */
enum blockz_status xz_splice(const struct piece_edit *edit, bool *done_ret, struct blockz_fault *fault)
{
	struct splice *splice = calloc(1, sizeof(*splice));
	if (splice == NULL)
		return fault_nomem(fault);
	const struct piece *piece = splice->piece = &edit->map->pieces[edit->piece];
	splice->edit = edit;
	splice->end = piece->file_off + piece->file_len;
	splice->image_len = map_piece_end(edit->map, edit->piece) - piece->start;
	splice->order = (struct xz_chunk_order)XZ_CHUNK_ORDER_INIT;
	enum blockz_status status = parse_header(splice, fault);
	if (status == BLOCKZ_OK) {
		*done_ret = splice->block.lzma2_only && !edit->keep_length;
		if (*done_ret)
			status = start(splice, fault);
		if (*done_ret && status == BLOCKZ_OK)
			status = pass_block(splice, fault);
		xz_block_free(&splice->block);
	}
	splice_free(splice);
	return status;
}
