/* SPDX-License-Identifier: BSD-3-Clause */
/* The edges of runs, in bytes that they share with what stays. */
#include "format/deflate/runs.h"

#include "base/checked.h"
#include "base/fault.h"
#include "io/access.h"

enum {
	HEADER_MAX = 576, /* of a block: 17 bits, 19 * 3, and 316 lengths of at most 14 */
	SPILL = 1 << 20,  /* so many new bytes are handed on before their run has ended */
};

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
	const struct run *run = &runs->run;
	if (runs->state != RUNS_HELD)
		return BLOCKZ_OK;
	runs->state = RUNS_NONE;
	runs->final_bit = BLOCKZ_UNKNOWN;
	return replace(runs, run->start_byte, runs->held_end, run->bits->bytes, bits_len(run->bits), fault);
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
		runs->run.bits->bytes[bit / 8] &= (uint8_t)~(1U << bit % 8);
		return BLOCKZ_OK;
	}
	enum blockz_status status = runs_read(runs, &byte, 1, off, fault);
	byte &= (uint8_t)~(1U << block->header_bit % 8);
	return status == BLOCKZ_OK ? runs_overwrite(runs, off, &byte, 1, fault) : status;
}

static enum blockz_status open_run(struct runs *runs, const struct stretch *stretch, const uint8_t *text,
				   struct blockz_fault *fault)
{
	size_t dict_len = (size_t)min(WALK_WINDOW, stretch->out);
	unsigned end_code = 0, end_code_len = 0;
	uint8_t byte = 0;
	enum blockz_status status = BLOCKZ_OK;
	if (stretch->inside)
		end_code = walker_end_code(runs->walker, stretch->block, &end_code_len);
	if (stretch->inside && stretch->block->final)
		status = clear_final(runs, stretch->block, fault);
	if (status == BLOCKZ_OK)
		status = runs_hand_on(runs, fault);
	if (status == BLOCKZ_OK)
		status = runs_read(runs, &byte, 1, stretch->start_bit / 8, fault);
	if (status == BLOCKZ_OK)
		status = run_begin(&runs->run, stretch->start_bit, byte, end_code, end_code_len, text - dict_len, dict_len, fault);
	if (status == BLOCKZ_OK)
		runs->state = RUNS_OPEN;
	return status;
}

/* Hands on what stands for all up to the byte at which a stretch begins. */
static enum blockz_status spill(struct runs *runs, const struct stretch *stretch, struct blockz_fault *fault)
{
	struct run *run = &runs->run;
	uint64_t off = stretch->start_bit / 8;
	if (run_len(run) < SPILL || off == run->start_byte || runs->edit->keep_length)
		return BLOCKZ_OK;
	run_choose(run);
	enum blockz_status status = replace(runs, run->start_byte, off, run->bits->bytes, bits_len(run->bits), fault);
	run->bits->count = 0;
	run->start_byte = off;
	return status;
}

enum blockz_status runs_add(struct runs *runs, const struct stretch *stretch, const uint8_t *text,
			    struct blockz_fault *fault)
{
	enum blockz_status status = runs->state == RUNS_OPEN ? spill(runs, stretch, fault) :
							       open_run(runs, stretch, text, fault);
	return status == BLOCKZ_OK ? run_add(&runs->run, text, stretch->len, fault) : status;
}

/* ---- Where it ends ----------------------------------------------------------------------------------------- */

/* The block goes on behind the run: its header is put before the rest. */
static enum blockz_status repeat_header(const struct runs *runs, const struct walk_block *block, uint8_t bytes[HEADER_MAX],
					struct run_end *end, struct blockz_fault *fault)
{
	uint64_t first = block->header_bit, behind = block->symbols_bit;
	end->header = bytes;
	end->header_first = first % 8;
	end->header_count = behind - first;
	return runs_read(runs, bytes, (size_t)((behind + 7) / 8 - first / 8), first / 8, fault);
}

/* Appends the first bits of the rest, which share a byte with the last ones of the run. */
static enum blockz_status put_rest(struct runs *runs, uint64_t bit, struct blockz_fault *fault)
{
	struct bits *bits = runs->run.bits;
	uint8_t byte;
	runs->held_end = (bit + 7) / 8;
	if (bit % 8 == 0)
		return BLOCKZ_OK;
	enum blockz_status status = runs_read(runs, &byte, 1, bit / 8, fault);
	if (status != BLOCKZ_OK)
		return status;
	bits_copy(bits, &byte, bit % 8, 8 - bit % 8);
	return bits->nomem ? fault_nomem(fault) : BLOCKZ_OK;
}

enum blockz_status runs_end(struct runs *runs, const struct stretch *stretch, bool behind, struct blockz_fault *fault)
{
	const struct walk_block *block = stretch->block;
	const bool inside = behind ? !stretch->ends : stretch->inside;
	struct run_end end = { .bit = behind ? stretch->end_bit : stretch->start_bit };
	uint8_t header[HEADER_MAX];
	bool fits = false;
	enum blockz_status status = BLOCKZ_OK;
	end.keep_length = runs->edit->keep_length;
	end.is_final = block->final && behind && stretch->ends;
	if (end.is_final)
		end.bit = runs_piece(runs)->file_len * 8;
	if (inside)
		status = repeat_header(runs, block, header, &end, fault);
	if (status == BLOCKZ_OK)
		status = run_finish(&runs->run, &end, &fits, fault);
	if (status != BLOCKZ_OK || !fits)
		return status;
	runs->state = RUNS_HELD;
	if (block->final && inside)
		runs->final_bit = runs->run.bits->count - end.header_count;
	else if (block->final && !behind && end.bit % 8 != 0)
		runs->final_bit = runs->run.bits->count;
	return put_rest(runs, end.bit, fault);
}
