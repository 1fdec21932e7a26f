/* SPDX-License-Identifier: BSD-3-Clause */
/* Finite state entropy: the tables of RFC 8878, section 4.1, read and used in both directions. */
#ifndef FORMAT_ZSTD_FSE_H
#define FORMAT_ZSTD_FSE_H

#include "format/zstd/bits.h"

enum { FSE_LOG_MAX = 9, FSE_SYMBOLS = 53 };

/* How many of the states each symbol has; -1 is one, in which the decoder has to begin anew. */
struct fse_counts {
	unsigned log; /* 1 << log states */
	int16_t of[FSE_SYMBOLS];
};

struct fse_state {
	uint16_t base; /* the next state is this, and so many bits more */
	uint8_t bits, symbol;
};

struct fse_table {
	unsigned log;
	struct fse_state states[1 << FSE_LOG_MAX]; /* as a decoder needs them */
	uint16_t order[1 << FSE_LOG_MAX];          /* the states by symbol, */
	uint16_t first[FSE_SYMBOLS];               /* whose begin here, */
	uint16_t count[FSE_SYMBOLS];               /* and are so many */
};

/* Reads what describes a table, of symbols up to `symbols`; *len_ret: it has so many bytes.  False: it is none. */
bool fse_counts_read(struct fse_counts *counts, const uint8_t *bytes, size_t len, unsigned log_max, unsigned symbols,
		     size_t *len_ret);
void fse_table_make(struct fse_table *table, const struct fse_counts *counts);
/* One of a single symbol, which takes no bits. */
void fse_table_make_single(struct fse_table *table, uint8_t symbol);

static inline uint16_t fse_next(const struct fse_table *table, uint16_t state, struct bits_back *bits)
{
	const struct fse_state *row = &table->states[state];
	return (uint16_t)(row->base + bits_back_read(bits, row->bits));
}

/* The state before, which gives the symbol and goes on to `next`; its bits are put out.  The table has the symbol. */
static inline uint16_t fse_before(const struct fse_table *table, uint16_t next, unsigned symbol, struct bits_out *bits)
{
	uint32_t states = 1u << table->log, value = states + next, count = table->count[symbol];
	unsigned n = table->log - highest_bit(count);
	if (value >> n < count)
		n--;
	bits_put(bits, value, n);
	return table->order[table->first[symbol] + (value >> n) - count];
}

#endif
