/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A decoder in a state gives its symbol, and goes on to a next state, which is a number of the state's own and some bits.  A
 * symbol that has many states takes few bits.  An encoder goes back: those of a symbol's states that lead to a next one are a
 * single one, since the ranges that they lead to are apart and leave nothing out.
 */
#include "format/zstd/fse.h"

enum { LOG_MIN = 5, LOG_BITS = 4, REPEAT_BITS = 2, REPEAT_MORE = 3 };

struct reader {
	const uint8_t *bytes;
	size_t len, pos; /* pos in bits */
};

static unsigned peek(const struct reader *reader, unsigned n)
{
	return (unsigned)bits_at(reader->bytes, reader->len, reader->pos, n);
}

/* A count between -1 and left, which takes a bit less where it is small. */
static int read_count(struct reader *reader, unsigned left)
{
	unsigned bits = highest_bit(left + 1) + 1, value = peek(reader, bits), low = value & ((1u << (bits - 1)) - 1);
	unsigned short_ones = (1u << bits) - 1 - (left + 1);
	reader->pos += low < short_ones ? bits - 1 : bits;
	if (low < short_ones)
		return (int)low - 1;
	return (int)(value >= 1u << (bits - 1) ? value - short_ones : value) - 1;
}

/* Behind a count of 0: how many more there are. */
static unsigned read_zeros(struct reader *reader)
{
	unsigned zeros = 0, more = REPEAT_MORE;
	while (more == REPEAT_MORE && reader->pos / 8 < reader->len) {
		more = peek(reader, REPEAT_BITS);
		reader->pos += REPEAT_BITS;
		zeros += more;
	}
	return zeros;
}

bool fse_counts_read(struct fse_counts *counts, const uint8_t *bytes, size_t len, unsigned log_max, unsigned symbols,
		     size_t *len_ret)
{
	struct reader reader = { bytes, len, LOG_BITS };
	*counts = (struct fse_counts){ .log = LOG_MIN + (unsigned)bits_at(bytes, len, 0, LOG_BITS) };
	if (counts->log > log_max)
		return false;
	unsigned left = 1u << counts->log;
	for (unsigned symbol = 0; left > 0; symbol++) {
		if (symbol >= symbols || reader.pos / 8 >= len)
			return false;
		int count = read_count(&reader, left);
		counts->of[symbol] = (int16_t)count;
		left -= (unsigned)(count < 0 ? 1 : count);
		if (count == 0)
			symbol += read_zeros(&reader);
	}
	*len_ret = (reader.pos + 7) / 8;
	return *len_ret <= len;
}

/* Gives states to symbols: rare ones from behind, the others in steps that come to each state once. */
static void spread(struct fse_table *table, const struct fse_counts *counts)
{
	unsigned size = 1u << table->log, high = size, step = (size >> 1) + (size >> 3) + 3, pos = 0;
	for (unsigned symbol = 0; symbol < FSE_SYMBOLS; symbol++)
		if (counts->of[symbol] < 0)
			table->states[--high].symbol = (uint8_t)symbol;
	for (unsigned symbol = 0; symbol < FSE_SYMBOLS; symbol++) {
		for (int i = 0; i < counts->of[symbol]; i++) {
			table->states[pos].symbol = (uint8_t)symbol;
			do {
				pos = (pos + step) & (size - 1);
			} while (pos >= high);
		}
	}
}

void fse_table_make(struct fse_table *table, const struct fse_counts *counts)
{
	uint16_t next[FSE_SYMBOLS], first = 0;
	table->log = counts->log;
	spread(table, counts);
	for (unsigned symbol = 0; symbol < FSE_SYMBOLS; symbol++) {
		next[symbol] = table->count[symbol] = (uint16_t)(counts->of[symbol] < 0 ? 1 : counts->of[symbol]);
		table->first[symbol] = first;
		first = (uint16_t)(first + table->count[symbol]);
	}
	for (unsigned i = 0; i < 1u << table->log; i++) {
		struct fse_state *state = &table->states[i];
		unsigned number = next[state->symbol]++;
		state->bits = (uint8_t)(table->log - highest_bit(number));
		state->base = (uint16_t)((number << state->bits) - (1u << table->log));
		table->order[table->first[state->symbol] + number - table->count[state->symbol]] = (uint16_t)i;
	}
}

void fse_table_make_single(struct fse_table *table, uint8_t symbol)
{
	struct fse_counts counts = { .log = 0 };
	counts.of[symbol] = 1;
	fse_table_make(table, &counts);
}
