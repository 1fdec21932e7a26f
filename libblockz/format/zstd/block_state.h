/* SPDX-License-Identifier: BSD-3-Clause */
/* What blocks of a frame leave to those behind them, beside their text: RFC 8878, section 3.1.1.3. */
#ifndef FORMAT_ZSTD_BLOCK_STATE_H
#define FORMAT_ZSTD_BLOCK_STATE_H

#include "format/zstd/huffman.h"

enum { REP_COUNT = 3 };

enum literals_type { LITERALS_RAW = 0, LITERALS_RLE = 1, LITERALS_PACKED = 2, LITERALS_TREELESS = 3 };

/* The tables of sequences, in the order in which they are described. */
enum sequence_field { FIELD_LITERALS, FIELD_OFFSET, FIELD_MATCH, FIELD_COUNT };

/* The modes of a table, and one more, of what is not known. */
enum table_mode { TABLE_PREDEFINED = 0, TABLE_RLE = 1, TABLE_FSE = 2, TABLE_REPEAT = 3, TABLE_UNKNOWN = 4 };

/* A table or a tree, as it was described, which is all that there is to say of it. */
struct description {
	enum table_mode mode;
	size_t len;
	uint8_t bytes[TREE_LEN_MAX];
};

struct block_state {
	struct description tree; /* is of TABLE_FSE, or not known */
	struct description tables[FIELD_COUNT];
	uint32_t reps[REP_COUNT]; /* the last offsets; 0: not known */
};

/* The state at the beginning of a frame, and one of which nothing is known. */
struct block_state block_state_first(void);
struct block_state block_state_unknown(void);

bool descriptions_equal(const struct description *a, const struct description *b);
bool reps_known(const uint32_t reps[REP_COUNT]);
/* True if both are known, and leave the same. */
bool block_states_equal(const struct block_state *a, const struct block_state *b);
/* Returns the offset that a sequence's value stands for, and makes it the last one; 0: it is not known, or none. */
uint32_t reps_take(uint32_t reps[REP_COUNT], uint32_t value, bool no_literals);

/* What stands before the sequences of a block. */
struct block_head {
	enum literals_type literals;
	size_t count; /* of sequences */
	bool repeats[FIELD_COUNT];
	size_t len; /* where they begin */
};

/*
 * Reads it of the content of a compressed block, and leaves its tree and its tables to the state, but not its offsets.
 * False: it is damaged, or repeats what is not known.
 */
bool block_head_read(struct block_head *head, struct block_state *state, const uint8_t *bytes, size_t len);

#endif
