/* SPDX-License-Identifier: BSD-3-Clause */
/* The state that the blocks of a frame leave, followed block by block. */
#ifndef FORMAT_ZSTD_HISTORY_H
#define FORMAT_ZSTD_HISTORY_H

#include "format/zstd/frame_blocks.h"
#include "format/zstd/sequences.h"

enum { HISTORY_MAX = 64 };

struct history {
	struct block_state state; /* behind the last block */
	bool lost;                /* there was a block that could not be read, and nothing is known behind it */
	/* Of the last block; one that is not compressed has no sequences. */
	struct block_head head;
	uint32_t reps[REP_COUNT]; /* before it */
	struct sequence sequences[SEQUENCES_MAX];
	/* Private. */
	struct sequence_tables tables;
	struct buffer bytes;
	size_t count; /* of blocks that had sequences */
	struct {
		uint64_t off;
		size_t len;
		struct block_state before;
	} blocks[HISTORY_MAX]; /* the last of these */
};

/* Of a frame that begins.  NULL: no memory. */
struct history *history_new(void);
void history_free(struct history *history);

/* Goes on by a block whose sequences are of no interest, so that the offsets are not known behind it. */
void history_skip(struct history *history, const struct frame_block *block);
/* Reads the sequences of the next block. */
void history_read(struct history *history, const struct frame_block *block);
/* Finds the last offsets, from the sequences of some blocks before, or else loses track.  Errors: BLOCKZ_FAILED. */
enum blockz_status history_find_reps(struct history *history, const struct blockz_source *file, struct blockz_fault *fault);

/*
 * True if the last block has the tables and the offsets that it had, where another state is before it.  That becomes what the
 * block leaves then; else it is spoilt.
 */
bool history_holds(const struct history *history, struct block_state *state);

#endif
