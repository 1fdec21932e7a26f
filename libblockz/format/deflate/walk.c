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
	static const uint8_t order[WALK_PRECODE_SYMBOLS] = {
		16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
	};
	uint8_t lens[WALK_PRECODE_SYMBOLS] = { 0 };
	struct walk_input *in = &walker->in;
	for (unsigned i = 0; i < count; i++) {
		if (in->count < 3) {
			enum blockz_status status = walk_input_fill(in, fault);
			if (status != BLOCKZ_OK)
				return status;
		}
		lens[order[i]] = (uint8_t)walk_input_take(in, 3);
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

static enum blockz_status walk_symbols(struct walker *walker, const struct walk_codes *codes,
				       struct walk_reach *reach, struct blockz_fault *fault)
{
	uint32_t table = 0;
	bool far = false;
	for (;;) {
		enum walk_stop stop;
		if (far)
			stop = walk_symbols_far(&walker->in, &walker->out, codes, &table);
		else
			stop = walk_symbols_near(&walker->in, &walker->out, codes, walker->history_start, reach);
		switch (stop) {
		case WALK_STOP_INPUT: {
			/* Here, so that not even one endless block can make offsets overflow. */
			if (walker->out >= OUT_MAX)
				return fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN, "more than 2^63 bytes of output");
			enum blockz_status status = walk_input_more(&walker->in, fault);
			if (status != BLOCKZ_OK)
				return status;
			break;
		}
		case WALK_STOP_FAR:
			far = true;
			break;
		case WALK_STOP_END:
			return BLOCKZ_OK;
		case WALK_STOP_SYMBOL:
			return damaged(walker, fault, "no symbol has this Huffman code");
		case WALK_STOP_DISTANCE:
			return damaged(walker, fault, "a distance reaches beyond the beginning of the data");
		}
	}
}

/* ---- Blocks ------------------------------------------------------------------------------------------------ */

static enum blockz_status walk_body(struct walker *walker, struct walk_block *block, struct walk_reach *reach,
				    struct blockz_fault *fault)
{
	enum blockz_status status;
	switch (block->type) {
	case WALK_STORED:
		return walk_stored(walker, block, fault);
	case WALK_FIXED:
		if (!walker->fixed_built)
			walk_codes_build_fixed(&walker->fixed);
		walker->fixed_built = true;
		return walk_symbols(walker, &walker->fixed, reach, fault);
	case WALK_DYNAMIC:
		status = read_codes(walker, fault);
		return status != BLOCKZ_OK ? status : walk_symbols(walker, &walker->dynamic, reach, fault);
	default:
		return damaged(walker, fault, "reserved block type");
	}
}

enum blockz_status walker_next(struct walker *walker, struct walk_block *block_ret, struct walk_reach *reach,
			       struct blockz_fault *fault)
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

	status = walk_body(walker, &block, reach, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (walk_input_overrun(in))
		return damaged(walker, fault, "");
	if (walker->out > OUT_MAX)
		return fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN, "more than 2^63 bytes of output");
	block.end_bit = walk_input_position(in);
	block.out_end = walker->out;
	*block_ret = block;
	return BLOCKZ_OK;
}
