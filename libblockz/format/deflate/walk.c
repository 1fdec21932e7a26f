/* SPDX-License-Identifier: BSD-3-Clause */
/* From block to block: their headers, and the codes in these; the symbols between are walked in walk_symbols.c. */
#include "format/deflate/walk.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "format/deflate/walk_input.h"
#include "format/deflate/walk_symbols.h"
#include "format/deflate/walk_tables.h"

/* Caps that keep bit offsets and output offsets far from overflow. */
#define INPUT_MAX (UINT64_C(1) << 60)
#define OUT_MAX   (UINT64_C(1) << 63)

enum { MAX_HLIT = 286, MAX_HDIST = 30 };

struct walker {
	struct walk_input in;
	uint64_t out;           /* bytes so far */
	uint64_t history_start; /* distances may not reach below this output offset */
	bool fixed_built;
	struct walk_codes fixed, dynamic;
	uint8_t buffer[WALK_INPUT_BUFFER + WALK_INPUT_PADDING];
};

enum blockz_status walker_new(struct walker **walker_ret, struct blockz_fault *fault)
{
	struct walker *walker = malloc(sizeof(*walker));
	if (walker == NULL)
		return fault_nomem(fault);
	walker->fixed_built = false;
	walker->in.buffer = walker->buffer;
	walker_reset_memory(walker, NULL, 0);
	*walker_ret = walker;
	return BLOCKZ_OK;
}

void walker_free(struct walker *walker)
{
	free(walker);
}

void walker_reset_memory(struct walker *walker, const uint8_t *bytes, size_t len)
{
	walk_input_memory(&walker->in, bytes, len);
	walker->out = 0;
	walker->history_start = 0;
}

void walker_reset_source(struct walker *walker, const struct blockz_source *source, uint64_t start, uint64_t end)
{
	walk_input_source(&walker->in, source, start, end);
	walker->out = 0;
	walker->history_start = 0;
}

bool walker_at_end(const struct walker *walker)
{
	return walk_input_position(&walker->in) + 8 > walker->in.len * 8;
}

void walker_forget_history(struct walker *walker)
{
	walker->history_start = walker->out;
}

/* The stream is damaged at the current position, or behind its end: what was found there was padding then. */
static enum blockz_status damaged(const struct walker *walker, struct blockz_fault *fault, const char *text)
{
	const struct walk_input *in = &walker->in;
	if (walk_input_overrun(in))
		return fault_set(fault, BLOCKZ_DAMAGED, in->start + in->len, "the deflate stream ends within a block");
	return fault_set(fault, BLOCKZ_DAMAGED, in->start + walk_input_position(in) / 8, "%s", text);
}

/* ---- Stored blocks ----------------------------------------------------------------------------------------- */

static enum blockz_status walk_stored(struct walker *walker, struct walk_block *block, struct blockz_fault *fault)
{
	struct walk_input *in = &walker->in;
	walk_input_take(in, in->count & 7);
	enum blockz_status status = walk_input_fill(in, fault);
	if (status != BLOCKZ_OK)
		return status;
	unsigned len = (unsigned)in->bits & 0xffff;
	unsigned check = (unsigned)(in->bits >> 16) & 0xffff;
	if (len != (check ^ 0xffff))
		return damaged(walker, fault, "LEN and NLEN of a stored block do not match");
	in->bits >>= 32;
	in->count -= 32;
	uint64_t payload_off = walk_input_position(in) / 8;
	if (payload_off > in->len || len > in->len - payload_off)
		return fault_set(fault, BLOCKZ_DAMAGED, in->start + in->len, "the deflate stream ends within a block");
	block->payload_off = payload_off;
	walk_input_skip(in, len);
	walker->out += len;
	return BLOCKZ_OK;
}

/* ---- Header of dynamic blocks: RFC 1951, section 3.2.7 ----------------------------------------------------- */

static enum blockz_status read_precode(struct walker *walker, unsigned count, uint32_t *table,
				       struct blockz_fault *fault)
{
	uint8_t lens[WALK_PRECODE_SYMBOLS] = { 0 };
	struct walk_input *in = &walker->in;
	for (unsigned i = 0; i < count; i++) {
		if (in->count < 3) {
			enum blockz_status status = walk_input_fill(in, fault);
			if (status != BLOCKZ_OK)
				return status;
		}
		lens[walk_precode_order[i]] = (uint8_t)walk_input_take(in, 3);
	}
	const char *wrong = walk_precode_build(table, lens);
	return wrong != NULL ? damaged(walker, fault, wrong) : BLOCKZ_OK;
}

/* Reads `count` code lengths; lens has room for them. */
static enum blockz_status read_lengths(struct walker *walker, const uint32_t *table, uint8_t *lens, unsigned count,
				       struct blockz_fault *fault)
{
	struct walk_input *in = &walker->in;
	unsigned n = 0;
	while (n < count) {
		enum blockz_status status = walk_input_fill(in, fault);
		if (status != BLOCKZ_OK)
			return status;
		/* A symbol and its extra bits are at most 14 bits: three of them need no other load. */
		for (unsigned i = 0; i < 3 && n < count; i++) {
			uint32_t e = table[in->bits & ((1U << WALK_PRECODE_BITS) - 1)];
			walk_input_take(in, e & 15);
			unsigned symbol = e >> WALK_PRECODE_SHIFT;
			if (symbol < 16) {
				lens[n++] = (uint8_t)symbol;
				continue;
			}
			uint8_t value = 0;
			unsigned repeat;
			if (symbol == 16) {
				if (n == 0)
					return damaged(walker, fault, "a code length repeats, but there is none yet");
				value = lens[n - 1];
				repeat = 3 + walk_input_take(in, 2);
			} else if (symbol == 17) {
				repeat = 3 + walk_input_take(in, 3);
			} else {
				repeat = 11 + walk_input_take(in, 7);
			}
			if (repeat > count - n)
				return damaged(walker, fault, "too many code lengths");
			memset(lens + n, value, repeat);
			n += repeat;
		}
	}
	return BLOCKZ_OK;
}

static enum blockz_status read_codes(struct walker *walker, struct blockz_fault *fault)
{
	struct walk_input *in = &walker->in;
	enum blockz_status status = walk_input_fill(in, fault);
	if (status != BLOCKZ_OK)
		return status;
	unsigned litlen_count = 257 + walk_input_take(in, 5);
	unsigned dist_count = 1 + walk_input_take(in, 5);
	unsigned precode_count = 4 + walk_input_take(in, 4);
	if (litlen_count > MAX_HLIT || dist_count > MAX_HDIST)
		return damaged(walker, fault, "too many length or distance codes");

	uint32_t table[1 << WALK_PRECODE_BITS];
	status = read_precode(walker, precode_count, table, fault);
	if (status != BLOCKZ_OK)
		return status;
	uint8_t lens[MAX_HLIT + MAX_HDIST];
	status = read_lengths(walker, table, lens, litlen_count + dist_count, fault);
	if (status != BLOCKZ_OK)
		return status;
	const char *wrong = walk_codes_build(&walker->dynamic, lens, litlen_count, lens + litlen_count, dist_count);
	return wrong != NULL ? damaged(walker, fault, wrong) : BLOCKZ_OK;
}

/* ---- Symbols ----------------------------------------------------------------------------------------------- */

/* Here, so that not even one endless block can make offsets overflow. */
static enum blockz_status more_input(struct walker *walker, struct blockz_fault *fault)
{
	if (walker->out >= OUT_MAX)
		return fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN, "more than 2^63 bytes of output");
	return walk_input_more(&walker->in, fault);
}

static enum blockz_status wrong_symbol(const struct walker *walker, enum walk_stop stop, struct blockz_fault *fault)
{
	return damaged(walker, fault, stop == WALK_STOP_SYMBOL ? "no symbol has this Huffman code" :
								 "a distance reaches beyond the beginning of the data");
}

static enum blockz_status walk_symbols(struct walker *walker, const struct walk_codes *codes,
				       struct walk_reach *reach, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	uint32_t table = 0;
	bool far = false;
	for (;;) {
		enum walk_stop stop;
		if (far)
			stop = walk_symbols_far(&walker->in, &walker->out, codes, &table);
		else
			stop = walk_symbols_near(&walker->in, &walker->out, codes, walker->history_start, reach);
		switch (stop) {
		case WALK_STOP_INPUT:
			status = more_input(walker, fault);
			if (status != BLOCKZ_OK)
				return status;
			break;
		case WALK_STOP_FAR:
			far = true;
			break;
		case WALK_STOP_END:
			return BLOCKZ_OK;
		default:
			return wrong_symbol(walker, stop, fault);
		}
	}
}

/* The same, with text; *ended_ret false: there is no more room for it. */
static enum blockz_status decode_symbols(struct walker *walker, const struct walk_codes *codes, struct walk_text *text,
					 struct walk_tokens *tokens, bool *ended_ret, struct blockz_fault *fault)
{
	for (;;) {
		enum walk_stop stop = walk_symbols_text(&walker->in, &walker->out, codes, walker->history_start, text, tokens);
		if (stop == WALK_STOP_END || stop == WALK_STOP_ROOM) {
			*ended_ret = stop == WALK_STOP_END;
			return BLOCKZ_OK;
		}
		enum blockz_status status = stop == WALK_STOP_INPUT ? more_input(walker, fault) :
								      wrong_symbol(walker, stop, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
}

/* ---- Blocks ------------------------------------------------------------------------------------------------ */

static const struct walk_codes *codes_of(const struct walker *walker, const struct walk_block *block)
{
	return block->type == WALK_FIXED ? &walker->fixed : &walker->dynamic;
}

/* What stands before the symbols; all of a stored block. */
static enum blockz_status begin_body(struct walker *walker, struct walk_block *block, struct blockz_fault *fault)
{
	switch (block->type) {
	case WALK_STORED:
		return walk_stored(walker, block, fault);
	case WALK_FIXED:
		if (!walker->fixed_built)
			walk_codes_build_fixed(&walker->fixed);
		walker->fixed_built = true;
		return BLOCKZ_OK;
	case WALK_DYNAMIC:
		return read_codes(walker, fault);
	default:
		return damaged(walker, fault, "reserved block type");
	}
}

/* The walk has come to the end of a block, or of a part of it. */
static enum blockz_status pass_to_here(const struct walker *walker, struct walk_block *block, struct blockz_fault *fault)
{
	if (walk_input_overrun(&walker->in))
		return damaged(walker, fault, "");
	if (walker->out > OUT_MAX)
		return fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN, "more than 2^63 bytes of output");
	block->end_bit = walk_input_position(&walker->in);
	block->out_end = walker->out;
	return BLOCKZ_OK;
}

enum blockz_status walker_begin(struct walker *walker, struct walk_block *block_ret, struct blockz_fault *fault)
{
	struct walk_input *in = &walker->in;
	if (in->len > INPUT_MAX)
		return fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN, "more than 2^60 bytes of deflate stream");
	struct walk_block block = { .header_bit = walk_input_position(in), .out_start = walker->out };
	enum blockz_status status = walk_input_fill(in, fault);
	if (status != BLOCKZ_OK)
		return status;
	block.final = walk_input_take(in, 1);
	block.type = (enum walk_type)walk_input_take(in, 2);

	status = begin_body(walker, &block, fault);
	if (status != BLOCKZ_OK)
		return status;
	block.symbols_bit = walk_input_position(in);
	status = pass_to_here(walker, &block, fault);
	if (status == BLOCKZ_OK)
		*block_ret = block;
	return status;
}

enum blockz_status walker_text(struct walker *walker, struct walk_block *block, struct walk_text *text,
			       struct walk_tokens *tokens, bool *ended_ret, struct blockz_fault *fault)
{
	enum blockz_status status = decode_symbols(walker, codes_of(walker, block), text, tokens, ended_ret, fault);
	return status == BLOCKZ_OK ? pass_to_here(walker, block, fault) : status;
}

enum blockz_status walker_resume(struct walker *walker, const struct walk_place *place, struct walk_block *block_ret,
				 struct blockz_fault *fault)
{
	bool inside = place->header_bit != BLOCKZ_UNKNOWN;
	walker->out = place->out;
	enum blockz_status status = walk_input_seek(&walker->in, inside ? place->header_bit : place->bit, fault);
	if (status != BLOCKZ_OK || !inside)
		return status;
	status = walker_begin(walker, block_ret, fault);
	if (status == BLOCKZ_OK && block_ret->type == WALK_STORED)
		return fault_set(fault, BLOCKZ_FAILED, walker->in.start + place->header_bit / 8, "the file has changed");
	if (status == BLOCKZ_OK)
		status = walk_input_seek(&walker->in, place->bit, fault);
	return status == BLOCKZ_OK ? pass_to_here(walker, block_ret, fault) : status;
}

struct walk_lens walker_lens(const struct walker *walker, const struct walk_block *block)
{
	return walk_codes_lens(codes_of(walker, block));
}

enum blockz_status walker_next(struct walker *walker, struct walk_block *block_ret, struct walk_reach *reach,
			       struct blockz_fault *fault)
{
	struct walk_block block;
	enum blockz_status status = walker_begin(walker, &block, fault);
	if (status == BLOCKZ_OK && block.type != WALK_STORED) {
		status = walk_symbols(walker, codes_of(walker, &block), reach, fault);
		if (status == BLOCKZ_OK)
			status = pass_to_here(walker, &block, fault);
	}
	if (status == BLOCKZ_OK)
		*block_ret = block;
	return status;
}
