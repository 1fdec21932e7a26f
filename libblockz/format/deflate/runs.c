/* SPDX-License-Identifier: BSD-3-Clause */
/* The edges of runs, in bytes that they share with what stays. */
#include "format/deflate/runs.h"

#include "base/checked.h"
#include "base/fault.h"
#include "format/deflate/empty.h"
#include "io/access.h"

enum { SPILL = 1 << 20 }; /* so many new bytes are handed on before their run has ended */

const struct piece *runs_piece(const struct runs *runs)
{
	return &runs->edit->map->pieces[runs->edit->piece];
}

enum blockz_status runs_read(const struct runs *runs, void *bytes, size_t len, uint64_t off, struct blockz_fault *fault)
{
	return read_file(runs->edit->file, bytes, len, runs_piece(runs)->file_off + off, fault);
}

static enum blockz_status replace(const struct runs *runs, uint64_t start, uint64_t end, const uint8_t *bytes, size_t len,
				  struct blockz_fault *fault)
{
	uint64_t base = runs_piece(runs)->file_off;
	return runs->edit->replace(runs->edit->ctx, (struct blockz_range){ base + start, base + end }, bytes, len, fault);
}

enum blockz_status runs_hand_on(struct runs *runs, struct blockz_fault *fault)
{
	if (runs->state != RUNS_HELD)
		return BLOCKZ_OK;
	runs->state = RUNS_NONE;
	runs->final_bit = BLOCKZ_UNKNOWN;
	return replace(runs, runs->start_byte, runs->held_end, runs->bits.bytes, bits_len(&runs->bits), fault);
}

enum blockz_status runs_overwrite(struct runs *runs, uint64_t off, const uint8_t *bytes, size_t len,
				  struct blockz_fault *fault)
{
	enum blockz_status status = runs_hand_on(runs, fault);
	return status == BLOCKZ_OK ? replace(runs, off, off + len, bytes, len, fault) : status;
}

/* ---- Where a run begins ------------------------------------------------------------------------------------ */

/* A run is to begin inside of the final block, which so is none any longer. */
static enum blockz_status clear_final(struct runs *runs, const struct walk_block *block, struct blockz_fault *fault)
{
	uint64_t bit = runs->final_bit, off = block->header_bit / 8;
	uint8_t byte;
	if (bit != BLOCKZ_UNKNOWN) {
		runs->bits.bytes[bit / 8] &= (uint8_t)~(1U << bit % 8);
		return BLOCKZ_OK;
	}
	enum blockz_status status = runs_read(runs, &byte, 1, off, fault);
	byte &= (uint8_t)~(1U << block->header_bit % 8);
	return status == BLOCKZ_OK ? runs_overwrite(runs, off, &byte, 1, fault) : status;
}

static enum blockz_status open_run(struct runs *runs, const struct stretch *stretch, struct blockz_fault *fault)
{
	uint8_t byte = 0;
	enum blockz_status status = BLOCKZ_OK;
	if (stretch->inside && stretch->block->final)
		status = clear_final(runs, stretch->block, fault);
	if (status == BLOCKZ_OK)
		status = runs_hand_on(runs, fault);
	if (status == BLOCKZ_OK)
		status = runs_read(runs, &byte, 1, stretch->start_bit / 8, fault);
	if (status != BLOCKZ_OK)
		return status;
	runs->state = RUNS_OPEN;
	runs->start_byte = stretch->start_bit / 8;
	runs->in_block = stretch->inside;
	runs->bits.count = 0;
	bits_put(&runs->bits, byte, stretch->start_bit % 8);
	return BLOCKZ_OK;
}

/* Hands on what stands for all up to the byte at which a stretch begins. */
static enum blockz_status spill(struct runs *runs, const struct stretch *stretch, struct blockz_fault *fault)
{
	struct bits *bits = &runs->bits;
	uint64_t off = stretch->start_bit / 8;
	size_t len = (size_t)(bits->count / 8);
	if (len < SPILL || off == runs->start_byte || runs->edit->keep_length)
		return BLOCKZ_OK;
	enum blockz_status status = replace(runs, runs->start_byte, off, bits->bytes, len, fault);
	bits->bytes[0] = bits->bytes[len];
	bits->count %= 8;
	runs->start_byte = off;
	return status;
}

static enum blockz_status read_own(struct runs *runs, const struct walk_block *block, struct blockz_fault *fault)
{
	struct own_block *own = &runs->own;
	const struct walk_lens lens = walker_lens(runs->walker, block);
	uint64_t first = block->header_bit, behind = block->symbols_bit;
	block_code_of(&own->code, &lens);
	own->final = block->final;
	own->header_first = first % 8;
	own->header_count = (unsigned)(behind - first);
	return runs_read(runs, own->header, (size_t)((behind + 7) / 8 - first / 8), first / 8, fault);
}

/* Encodes a stretch into the open run. */
static enum blockz_status encode(struct runs *runs, const struct stretch *stretch, const struct edited_text *text,
				 struct blockz_fault *fault)
{
	const bool stored = stretch->block->type == WALK_STORED;
	enum blockz_status status = stored ? BLOCKZ_OK : read_own(runs, stretch->block, fault);
	if (status != BLOCKZ_OK)
		return status;
	const struct recoding recoding = {
		.text = text, .own = stored ? NULL : &runs->own, .ends = stretch->ends, .shortest = runs->edit->keep_length,
	};
	deflate_recode(runs->recoder, &recoding, &runs->in_block, &runs->bits);
	return runs->bits.nomem ? fault_nomem(fault) : BLOCKZ_OK;
}

enum blockz_status runs_add(struct runs *runs, const struct stretch *stretch, const struct edited_text *text,
			    struct blockz_fault *fault)
{
	enum blockz_status status = runs->state == RUNS_OPEN ? spill(runs, stretch, fault) : open_run(runs, stretch, fault);
	const bool nothing = stretch->len == 0 && !runs->in_block; /* a block of no text is left out */
	return status == BLOCKZ_OK && !nothing ? encode(runs, stretch, text, fault) : status;
}

/* ---- Where it ends ----------------------------------------------------------------------------------------- */

/* Where a run ends in the piece. */
struct run_end {
	uint64_t bit;
	bool inside;   /* a block goes on behind it: its header has to stand before the rest */
	bool is_final; /* the stream ends there; bit is at a byte's edge */
};

/* The rest is nothing, but the end of the stream. */
static bool put_stream_end(struct bits *bits, uint64_t count, bool keep_length)
{
	bool fits = !keep_length;
	for (uint64_t before = EMPTY_END_BITS + 7; !fits && before >= EMPTY_END_BITS; before--)
		fits = count >= before && empty_fill(bits, count - before);
	if (fits)
		empty_end(bits);
	return fits;
}

/* Fills up to where the rest goes on: a bit of a byte, or of the stream. */
static bool put_filler(struct runs *runs, const struct run_end *end)
{
	struct bits *bits = &runs->bits;
	const uint64_t count = end->bit - runs->start_byte * 8, header = end->inside ? runs->own.header_count : 0;
	const bool keep_length = runs->edit->keep_length;
	if (end->is_final)
		return put_stream_end(bits, count, keep_length);
	if (keep_length)
		return count >= header && empty_fill(bits, count - header);
	empty_fill_to_phase(bits, (unsigned)((count - header) % 8));
	return true;
}

/* False: the length cannot be kept, and nothing was put. */
static bool put_end(struct runs *runs, const struct run_end *end)
{
	struct bits *bits = &runs->bits;
	const uint64_t count = bits->count;
	if (runs->in_block)
		block_code_put_end(&runs->own.code, bits);
	if (!put_filler(runs, end)) {
		bits_cut(bits, count);
		return false;
	}
	if (end->inside)
		own_block_put_header(&runs->own, runs->own.final, bits);
	return true;
}

/* Appends the first bits of the rest, which share a byte with the last ones of the run. */
static enum blockz_status put_rest(struct runs *runs, uint64_t bit, struct blockz_fault *fault)
{
	uint8_t byte;
	runs->held_end = (bit + 7) / 8;
	if (bit % 8 == 0)
		return BLOCKZ_OK;
	enum blockz_status status = runs_read(runs, &byte, 1, bit / 8, fault);
	if (status == BLOCKZ_OK)
		bits_copy(&runs->bits, &byte, bit % 8, 8 - bit % 8);
	return status;
}

enum blockz_status runs_end(struct runs *runs, const struct stretch *stretch, bool behind, struct blockz_fault *fault)
{
	const struct walk_block *block = stretch->block;
	struct run_end end = { .bit = stretch->start_bit, .inside = stretch->inside };
	if (behind)
		end = (struct run_end){ .bit = stretch->end_bit, .inside = !stretch->ends };
	end.is_final = block->final && behind && stretch->ends;
	if (end.is_final)
		end.bit = runs_piece(runs)->file_len * 8;
	if (!put_end(runs, &end))
		return runs->bits.nomem ? fault_nomem(fault) : BLOCKZ_OK;
	runs->state = RUNS_HELD;
	if (block->final && end.inside)
		runs->final_bit = runs->bits.count - runs->own.header_count;
	else if (block->final && !behind && end.bit % 8 != 0)
		runs->final_bit = runs->bits.count;
	enum blockz_status status = put_rest(runs, end.bit, fault);
	return status == BLOCKZ_OK && runs->bits.nomem ? fault_nomem(fault) : status;
}
