/* SPDX-License-Identifier: BSD-3-Clause */
/* The sequences of a compressed block: literals, and a match behind them. */
#ifndef FORMAT_ZSTD_SEQUENCES_H
#define FORMAT_ZSTD_SEQUENCES_H

#include "format/zstd/block_state.h"
#include "format/zstd/fse.h"
#include "format/zstd/layout.h"

enum { MATCH_MIN = 3, SEQUENCES_MAX = BLOCK_MAX / MATCH_MIN + 1 };

struct sequence {
	uint32_t literals, match; /* bytes */
	uint32_t offset;          /* 0: not known */
	uint32_t value;           /* as it stands for the offset; 0: not chosen yet */
	uint32_t own_literals;    /* so many of the literals were the sequence's own in its old block */
};

/* A number as it is coded: a symbol, and bits. */
struct code {
	unsigned symbol, bits;
	uint32_t extra;
};

struct code sequence_code(enum sequence_field field, uint32_t number);

/* Tables for a state, made again when its descriptions are others.  All zeros at first. */
struct sequence_tables {
	struct fse_table of[FIELD_COUNT];
	struct description made_of[FIELD_COUNT];
	bool made[FIELD_COUNT];
};

bool sequence_counts_read(struct fse_counts *counts, enum sequence_field field, const uint8_t *bytes, size_t len,
			  size_t *len_ret);
/* False: damaged. */
bool sequence_tables_make(struct sequence_tables *tables, const struct description of[FIELD_COUNT]);

/*
 * Reads a block's sequences, at most SEQUENCES_MAX, of which there are head->count, by tables of the state that its head has
 * left; reps go on.  False: they are damaged, or make more than text_len bytes of text.
 */
bool sequences_read(struct sequence *sequences, const struct block_head *head, const struct sequence_tables *tables,
		    uint32_t reps[REP_COUNT], const uint8_t *bytes, size_t len, size_t text_len);
/* Writes sequences, not 0 of them; there is room for SEQUENCE_LEN_MAX bytes each, and as many more.  Returns the length. */
size_t sequences_write(const struct sequence *sequences, size_t count, const struct sequence_tables *tables, uint8_t *out);

/* Three states of 9 bits at most, 31 bits of an offset, and 16 of each length. */
enum { SEQUENCE_LEN_MAX = 12 };

#endif
