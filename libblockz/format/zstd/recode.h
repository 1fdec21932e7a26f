/* SPDX-License-Identifier: BSD-3-Clause */
/* A block of sequences, encoded so that blocks behind it find what they need. */
#ifndef FORMAT_ZSTD_RECODE_H
#define FORMAT_ZSTD_RECODE_H

#include "format/format.h"
#include "format/zstd/sequences.h"

struct recoder {
	struct block_state state; /* in the new frame, behind all that was encoded so far */
	/* Private. */
	struct sequence_tables wanted, plain;
	struct huffman tree;
	struct description tree_of;
	struct sequence segment[SEQUENCES_MAX];
	uint8_t literals[BLOCK_MAX];
};

/* A block that was, and what is to take its place. */
struct recoding {
	const struct block_head *head;
	const struct block_state *left; /* what the old block has left */
	const struct sequence *sequences;
	size_t count;
	const uint8_t *text;
	size_t text_len;
	size_t block_max; /* neither blocks nor their text have more bytes */
};

/*
 * Makes blocks, none of them the last, that decode to the text behind what has left recoder->state, and goes on to the state
 * that they leave: if it can be, the same as the old block has left.  *done_ret: false where the block is not one for this:
 * the state is then lost.  Errors: BLOCKZ_FAILED.
 */
enum blockz_status zstd_recode(struct recoder *recoder, const struct recoding *recoding, struct encoding *encoding, bool *done_ret,
			  struct blockz_fault *fault);

#endif
