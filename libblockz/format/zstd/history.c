/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * To know the tables that a block can repeat, heads are enough, which costs little.  The last offsets are known only to who
 * has gone through the sequences; but three offsets that a block brings itself make what was before it irrelevant.  So these
 * are read when they are needed, of as few blocks as will do.
 */
#include "format/zstd/history.h"

#include <stdlib.h>

#include "base/fault.h"
#include "io/access.h"

struct history *history_new(void)
{
	struct history *history = calloc(1, sizeof(*history));
	if (history != NULL)
		history->state = block_state_first();
	return history;
}

void history_free(struct history *history)
{
	if (history != NULL)
		buffer_free(&history->bytes);
	free(history);
}

/* Reads the content of a compressed block, and what it leaves. */
static bool read_content(struct history *history, struct block_state *state, const uint8_t *bytes, size_t len, bool skip)
{
	struct block_head *head = &history->head;
	if (!block_head_read(head, state, bytes, len))
		return false;
	if (skip && head->count > 0)
		memset(state->reps, 0, sizeof(state->reps));
	if (skip || head->count == 0)
		return true;
	return sequence_tables_make(&history->tables, state->tables) &&
	       sequences_read(history->sequences, head, &history->tables, state->reps, bytes, len, BLOCK_MAX);
}

static void go_on(struct history *history, const struct frame_block *block, bool skip)
{
	struct block_state before = history->state;
	struct block_header header = block_header_load(block->bytes);
	history->head = (struct block_head){ .count = 0 };
	memcpy(history->reps, before.reps, sizeof(before.reps));
	if (header.type != BLOCK_COMPRESSED || history->lost)
		return;
	history->lost = !read_content(history, &history->state, block->bytes + BLOCK_HEADER_LEN, block->len - BLOCK_HEADER_LEN,
				      skip);
	if (history->head.count == 0)
		return;
	size_t at = history->count++ % HISTORY_MAX;
	history->blocks[at].off = block->off;
	history->blocks[at].len = block->len;
	history->blocks[at].before = before;
}

void history_skip(struct history *history, const struct frame_block *block)
{
	go_on(history, block, true);
}

void history_read(struct history *history, const struct frame_block *block)
{
	go_on(history, block, false);
}

/* Goes once more through one of the last blocks. */
static enum blockz_status read_again(struct history *history, size_t which, const struct blockz_source *file,
				     struct block_state *state, struct blockz_fault *fault)
{
	uint64_t off = history->blocks[which % HISTORY_MAX].off;
	size_t len = history->blocks[which % HISTORY_MAX].len;
	if (!buffer_reserve(&history->bytes, len))
		return fault_nomem(fault);
	enum blockz_status status = read_file(file, history->bytes.bytes, len, off, fault);
	if (status == BLOCKZ_OK)
		history->lost = !read_content(history, state, history->bytes.bytes + BLOCK_HEADER_LEN, len - BLOCK_HEADER_LEN, false);
	return status;
}

enum blockz_status history_find_reps(struct history *history, const struct blockz_source *file, struct blockz_fault *fault)
{
	size_t most = history->count < HISTORY_MAX ? history->count : HISTORY_MAX;
	for (size_t back = 1; !reps_known(history->state.reps) && !history->lost; back *= 2) {
		back = back < most ? back : most;
		struct block_state state = history->blocks[(history->count - back) % HISTORY_MAX].before;
		for (size_t i = history->count - back; i < history->count && !history->lost; i++) {
			enum blockz_status status = read_again(history, i, file, &state, fault);
			if (status != BLOCKZ_OK)
				return status;
		}
		memcpy(history->state.reps, state.reps, sizeof(state.reps));
		history->lost = history->lost || (back == most && !reps_known(state.reps));
	}
	return BLOCKZ_OK;
}

/* ---- Behind another state */

/* True if the block repeats no table that is another now; the state goes on to those that it leaves. */
static bool tables_hold(const struct history *history, struct block_state *state)
{
	const struct block_head *head = &history->head;
	const struct block_state *left = &history->state;
	if (head->literals == LITERALS_TREELESS && !descriptions_equal(&state->tree, &left->tree))
		return false;
	if (head->literals == LITERALS_PACKED)
		state->tree = left->tree;
	for (int field = 0; field < FIELD_COUNT && head->count > 0; field++) {
		if (head->repeats[field] && !descriptions_equal(&state->tables[field], &left->tables[field]))
			return false;
		state->tables[field] = left->tables[field];
	}
	return true;
}

/* True if the block's offsets are what they were behind other last ones; the state goes on. */
static bool offsets_hold(const struct history *history, struct block_state *state)
{
	const struct sequence *sequences = history->sequences;
	if (memcmp(state->reps, history->reps, sizeof(state->reps)) == 0) {
		memcpy(state->reps, history->state.reps, sizeof(state->reps));
		return true;
	}
	for (size_t i = 0; i < history->head.count; i++)
		if (reps_take(state->reps, sequences[i].value, sequences[i].literals == 0) != sequences[i].offset)
			return false;
	return true;
}

bool history_holds(const struct history *history, struct block_state *state)
{
	return tables_hold(history, state) && offsets_hold(history, state);
}
