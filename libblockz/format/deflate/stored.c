/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs of stored blocks wait in a queue until the walk is so far behind them that no match can reach them. */
#include "format/deflate/stored.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "format/deflate/layout.h"

void stored_begin(struct stored *stored, uint64_t image_base)
{
	stored->image_base = image_base;
	stored->first = stored->count = stored->run_blocks = 0;
	stored->run_len = 0;
	stored->reach->watch_end = 0;
}

void stored_free(struct stored *stored)
{
	free(stored->queue);
	stored->queue = NULL;
}

/* ---- The ring of marks ---- */

static bool marked(const struct walk_reach *reach, uint64_t pos)
{
	return reach->ring[pos % WALK_WINDOW / 64] >> pos % 64 & 1;
}

/* The end of the bytes from pos on, up to limit, whose marks are equal. */
static uint64_t equal_marks_end(const struct walk_reach *reach, uint64_t pos, uint64_t limit)
{
	bool mark = marked(reach, pos);
	uint64_t all = mark ? UINT64_MAX : 0;
	while (pos < limit) {
		if (pos % 64 == 0 && limit - pos >= 64 && reach->ring[pos % WALK_WINDOW / 64] == all)
			pos += 64;
		else if (marked(reach, pos) == mark)
			pos++;
		else
			break;
	}
	return pos;
}

/* Makes the marks of [start, end) those of bytes that no match has copied. */
static void clear_marks(struct walk_reach *reach, uint64_t start, uint64_t end)
{
	if (end - start >= WALK_WINDOW) {
		memset(reach->ring, 0, sizeof(reach->ring));
		return;
	}
	while (start < end) {
		if (start % 64 == 0 && end - start >= 64) {
			reach->ring[start % WALK_WINDOW / 64] = 0;
			start += 64;
		} else {
			reach->ring[start % WALK_WINDOW / 64] &= ~((uint64_t)1 << start % 64);
			start++;
		}
	}
}

/* ---- Spans out of parts of blocks ---- */

static enum blockz_status close_span(struct stored *stored, struct blockz_fault *fault)
{
	if (stored->open.start == stored->open.end)
		return BLOCKZ_OK;
	enum blockz_status status = map_add_span(stored->map, &stored->open, fault);
	stored->open.start = stored->open.end;
	return status;
}

static enum blockz_status add_part(struct stored *stored, const struct stored_block *block, uint64_t start,
				   uint64_t end, struct blockz_fault *fault)
{
	struct span part = {
		.start = stored->image_base + start,
		.end = stored->image_base + end,
		.file_off = block->payload_off + (start - block->start),
		.patchable = !marked(stored->reach, start),
	};
	if (span_join(&stored->open, &part, STORED_PAYLOAD, STORED_HEADER_LEN))
		return BLOCKZ_OK;
	enum blockz_status status = close_span(stored, fault);
	stored->open = part;
	return status;
}

/* Decides on all bytes below pos. */
static enum blockz_status settle_blocks(struct stored *stored, uint64_t pos, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	while (stored->first < stored->count && status == BLOCKZ_OK) {
		struct stored_block *block = &stored->queue[stored->first];
		uint64_t limit = block->end < pos ? block->end : pos;
		if (block->start >= limit)
			return BLOCKZ_OK;
		struct stored_block part = *block;
		while (part.start < limit && status == BLOCKZ_OK) {
			uint64_t end = equal_marks_end(stored->reach, part.start, limit);
			status = add_part(stored, &part, part.start, end, fault);
			part.payload_off += end - part.start;
			part.start = end;
		}
		*block = part;
		if (block->start == block->end)
			stored->first++;
	}
	return status;
}

/* ---- The queue ---- */

static bool enqueue(struct stored *stored, const struct stored_block *block)
{
	/* Not before half of it is free: else a queue that stays full would be moved for each block. */
	if (stored->count == stored->room && stored->first > stored->room / 2) {
		memmove(stored->queue, stored->queue + stored->first,
			(stored->count - stored->first) * sizeof(*stored->queue));
		stored->count -= stored->first;
		stored->first = 0;
	}
	if (stored->count == stored->room) {
		size_t room = stored->room == 0 ? 64 : 2 * stored->room;
		struct stored_block *queue = realloc(stored->queue, room * sizeof(*queue));
		if (queue == NULL)
			return false;
		stored->queue = queue;
		stored->room = room;
	}
	stored->queue[stored->count++] = *block;
	return true;
}

/* A run that stayed too short is forgotten: all its blocks are still in the queue. */
static void end_run(struct stored *stored)
{
	if (stored->run_len < STORED_RUN_MIN)
		stored->count -= stored->run_blocks;
	stored->run_len = 0;
	stored->run_blocks = 0;
}

enum blockz_status stored_pass(struct stored *stored, const struct walk_block *block, uint64_t payload_off,
			       struct blockz_fault *fault)
{
	if (block->type != WALK_STORED) {
		end_run(stored);
		return BLOCKZ_OK;
	}
	if (block->out_start == block->out_end)
		return BLOCKZ_OK;
	struct walk_reach *reach = stored->reach;
	uint64_t decided = block->out_end > WALK_WINDOW ? block->out_end - WALK_WINDOW : 0;
	enum blockz_status status = settle_blocks(stored, decided, fault);
	if (status != BLOCKZ_OK)
		return status;
	uint64_t fresh = reach->watch_end > decided ? reach->watch_end : decided;
	clear_marks(reach, fresh, block->out_end);
	reach->watch_end = block->out_end;
	if (!enqueue(stored, &(struct stored_block){ block->out_start, block->out_end, payload_off }))
		return fault_nomem(fault);
	stored->run_len += block->out_end - block->out_start;
	stored->run_blocks++;
	/* A long block's own beginning is out of reach already, and its marks in the ring are those of its end. */
	return stored->run_len < STORED_RUN_MIN ? BLOCKZ_OK : settle_blocks(stored, decided, fault);
}

enum blockz_status stored_end(struct stored *stored, struct blockz_fault *fault)
{
	end_run(stored);
	enum blockz_status status = settle_blocks(stored, UINT64_MAX, fault);
	return status == BLOCKZ_OK ? close_span(stored, fault) : status;
}
