/* SPDX-License-Identifier: BSD-3-Clause */
/* Three numbers a sequence, each coded as a symbol, of a finite state coder of its own, and bits. */
#include "format/zstd/sequences.h"

enum { LITERALS_SYMBOLS = 36, OFFSET_SYMBOLS = 32, MATCH_SYMBOLS = 53 };

/* RFC 8878, section 3.1.1.3.2.1.1: what a symbol stands for, if no bits are set. */
static const uint32_t literals_base[LITERALS_SYMBOLS] = {
	0,  1,  2,  3,  4,  5,  6,  7,  8,  9,   10,  11,  12,   13,   14,   15,   16,    18,
	20, 22, 24, 28, 32, 40, 48, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536,
};
static const uint8_t literals_bits[LITERALS_SYMBOLS] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
};
static const uint32_t match_base[MATCH_SYMBOLS] = {
	3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19,  20,  21,  22,   23,   24,   25,   26,    27,    28,    29,
	30, 31, 32, 33, 34, 35, 37, 39, 41, 43, 47, 51, 59, 67, 83, 99, 131, 259, 515, 1027, 2051, 4099, 8195, 16387, 32771, 65539,
};
static const uint8_t match_bits[MATCH_SYMBOLS] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
};

/* Section 3.1.1.3.2.2: the tables of TABLE_PREDEFINED. */
static const struct fse_counts predefined[FIELD_COUNT] = {
	[FIELD_LITERALS] = { 6, { 4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2,
				  2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1 } },
	[FIELD_OFFSET] = { 5, { 1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1 } },
	[FIELD_MATCH] = { 6, { 1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1,  1,  1,  1,  1,  1,  1,  1,  1,  1, 1,
			       1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1 } },
};

static const struct {
	unsigned symbols, log_max;
} fields[FIELD_COUNT] = { { LITERALS_SYMBOLS, 9 }, { OFFSET_SYMBOLS, 8 }, { MATCH_SYMBOLS, 9 } };

struct code sequence_code(enum sequence_field field, uint32_t number)
{
	if (field == FIELD_OFFSET) {
		unsigned log = highest_bit(number);
		return (struct code){ log, log, number - ((uint32_t)1 << log) };
	}
	const uint32_t *base = field == FIELD_MATCH ? match_base : literals_base;
	unsigned symbol = fields[field].symbols - 1;
	while (base[symbol] > number)
		symbol--;
	return (struct code){ symbol, (field == FIELD_MATCH ? match_bits : literals_bits)[symbol], number - base[symbol] };
}

bool sequence_counts_read(struct fse_counts *counts, enum sequence_field field, const uint8_t *bytes, size_t len,
			  size_t *len_ret)
{
	return fse_counts_read(counts, bytes, len, fields[field].log_max, fields[field].symbols, len_ret);
}

static bool make(struct fse_table *table, const struct description *description, enum sequence_field field)
{
	struct fse_counts counts = predefined[field];
	size_t len = 0;
	if (description->mode == TABLE_UNKNOWN)
		return false;
	if (description->mode == TABLE_RLE) {
		if (description->bytes[0] >= fields[field].symbols)
			return false;
		fse_table_make_single(table, description->bytes[0]);
		return true;
	}
	if (description->mode == TABLE_FSE && !sequence_counts_read(&counts, field, description->bytes, description->len, &len))
		return false;
	fse_table_make(table, &counts);
	return true;
}

bool sequence_tables_make(struct sequence_tables *tables, const struct description of[FIELD_COUNT])
{
	for (int field = 0; field < FIELD_COUNT; field++) {
		if (tables->made[field] && descriptions_equal(&tables->made_of[field], &of[field]))
			continue;
		tables->made[field] = make(&tables->of[field], &of[field], (enum sequence_field)field);
		if (!tables->made[field])
			return false;
		tables->made_of[field] = of[field];
	}
	return true;
}

static void read_sequence(struct sequence *sequence, const struct fse_table *tables, const uint16_t *states,
			  struct bits_back *bits)
{
	unsigned literals = tables[FIELD_LITERALS].states[states[FIELD_LITERALS]].symbol;
	unsigned offset = tables[FIELD_OFFSET].states[states[FIELD_OFFSET]].symbol;
	unsigned match = tables[FIELD_MATCH].states[states[FIELD_MATCH]].symbol;
	sequence->value = ((uint32_t)1 << offset) + bits_back_read(bits, offset);
	sequence->match = match_base[match] + bits_back_read(bits, match_bits[match]);
	sequence->literals = sequence->own_literals = literals_base[literals] + bits_back_read(bits, literals_bits[literals]);
}

bool sequences_read(struct sequence *sequences, const struct block_head *head, const struct sequence_tables *tables,
		    uint32_t reps[REP_COUNT], const uint8_t *bytes, size_t len, size_t text_len)
{
	const struct fse_table *of = tables->of;
	struct bits_back bits;
	uint16_t states[FIELD_COUNT];
	size_t total = 0;
	if (head->count == 0)
		return true;
	if (head->count > SEQUENCES_MAX || !bits_back_begin(&bits, bytes + head->len, len - head->len))
		return false;
	for (int field = 0; field < FIELD_COUNT; field++)
		states[field] = (uint16_t)bits_back_read(&bits, of[field].log);
	for (size_t i = 0; i < head->count; i++) {
		struct sequence *sequence = &sequences[i];
		read_sequence(sequence, of, states, &bits);
		sequence->offset = reps_take(reps, sequence->value, sequence->literals == 0);
		total += sequence->literals + sequence->match;
		if (bits.short_of || total > text_len)
			return false;
		if (i + 1 == head->count)
			break;
		states[FIELD_LITERALS] = fse_next(&of[FIELD_LITERALS], states[FIELD_LITERALS], &bits);
		states[FIELD_MATCH] = fse_next(&of[FIELD_MATCH], states[FIELD_MATCH], &bits);
		states[FIELD_OFFSET] = fse_next(&of[FIELD_OFFSET], states[FIELD_OFFSET], &bits);
	}
	return bits.left == 0 && !bits.short_of;
}

size_t sequences_write(const struct sequence *sequences, size_t count, const struct sequence_tables *tables, uint8_t *out)
{
	/* What is read last is written first. */
	static const enum sequence_field order[FIELD_COUNT] = { FIELD_OFFSET, FIELD_MATCH, FIELD_LITERALS };
	static const enum sequence_field order_of_bits[FIELD_COUNT] = { FIELD_LITERALS, FIELD_MATCH, FIELD_OFFSET };
	static const enum sequence_field order_of_states[FIELD_COUNT] = { FIELD_MATCH, FIELD_OFFSET, FIELD_LITERALS };
	struct bits_out bits = { .bytes = out };
	uint16_t states[FIELD_COUNT];
	for (size_t i = count; i-- > 0;) {
		const struct sequence *sequence = &sequences[i];
		const uint32_t numbers[FIELD_COUNT] = { sequence->literals, sequence->value, sequence->match };
		struct code codes[FIELD_COUNT];
		for (int k = 0; k < FIELD_COUNT; k++) {
			enum sequence_field field = order[k];
			const struct fse_table *table = &tables->of[field];
			codes[field] = sequence_code(field, numbers[field]);
			if (i + 1 == count)
				states[field] = table->order[table->first[codes[field].symbol]];
			else
				states[field] = fse_before(table, states[field], codes[field].symbol, &bits);
		}
		for (int k = 0; k < FIELD_COUNT; k++)
			bits_put(&bits, codes[order_of_bits[k]].extra, codes[order_of_bits[k]].bits);
	}
	for (int k = 0; k < FIELD_COUNT; k++)
		bits_put(&bits, states[order_of_states[k]], tables->of[order_of_states[k]].log);
	return bits_end(&bits);
}
