/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables are kept as they stand in the block that described them, so that one can be said again. */
#include "format/zstd/block_state.h"

#include "format/zstd/sequences.h"

static const struct description unknown = { .mode = TABLE_UNKNOWN };

struct block_state block_state_unknown(void)
{
	return (struct block_state){ .tree = unknown, .tables = { unknown, unknown, unknown } };
}

struct block_state block_state_first(void)
{
	struct block_state state = block_state_unknown();
	state.reps[0] = 1;
	state.reps[1] = 4;
	state.reps[2] = 8;
	return state;
}

bool descriptions_equal(const struct description *a, const struct description *b)
{
	return a->mode == b->mode && a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

bool reps_known(const uint32_t reps[REP_COUNT])
{
	return reps[0] != 0 && reps[1] != 0 && reps[2] != 0;
}

bool block_states_equal(const struct block_state *a, const struct block_state *b)
{
	for (int field = 0; field < FIELD_COUNT; field++)
		if (!descriptions_equal(&a->tables[field], &b->tables[field]))
			return false;
	return descriptions_equal(&a->tree, &b->tree) && reps_known(a->reps) && memcmp(a->reps, b->reps, sizeof(a->reps)) == 0;
}

uint32_t reps_take(uint32_t reps[REP_COUNT], uint32_t value, bool no_literals)
{
	uint32_t offset, which = value - 1 + no_literals;
	if (value > REP_COUNT)
		offset = value - REP_COUNT;
	else if (which == 0)
		return reps[0];
	else
		offset = which < REP_COUNT ? reps[which] : reps[0] - (reps[0] > 0);
	if (value > REP_COUNT || which > 1)
		reps[2] = reps[1];
	reps[1] = reps[0];
	reps[0] = offset;
	return offset;
}

static bool describe(struct description *description, enum table_mode mode, const uint8_t *bytes, size_t len)
{
	if (len > sizeof(description->bytes))
		return false;
	description->mode = mode;
	description->len = len;
	memcpy(description->bytes, bytes, len);
	return true;
}

/* Returns how many bytes the literals take, with their header; SIZE_MAX: damaged. */
static size_t read_literals(struct block_head *head, struct block_state *state, const uint8_t *bytes, size_t len)
{
	static const unsigned plain_header[] = { 1, 2, 1, 3 }, packed_header[] = { 3, 3, 4, 5 }, size_bits[] = { 10, 10, 14, 18 };
	unsigned format = bytes[0] >> 2 & 3;
	head->literals = (enum literals_type)(bytes[0] & 3);
	if (head->literals == LITERALS_RAW || head->literals == LITERALS_RLE) {
		unsigned shift = format % 2 ? 4 : 3, header = plain_header[format];
		size_t size = (size_t)bits_at(bytes, len, shift, 8 * header - shift);
		return header + (head->literals == LITERALS_RLE ? 1 : size);
	}
	unsigned header = packed_header[format], bits = size_bits[format];
	size_t size = (size_t)bits_at(bytes, len, 4 + bits, bits);
	if (head->literals == LITERALS_TREELESS)
		return state->tree.mode == TABLE_UNKNOWN ? SIZE_MAX : header + size;
	if (len < header + size || size == 0)
		return SIZE_MAX;
	size_t described = huffman_description_len(bytes[header]);
	if (described > size || !describe(&state->tree, TABLE_FSE, bytes + header, described))
		return SIZE_MAX;
	return header + size;
}

/* Returns how many bytes tell the number of sequences; SIZE_MAX: damaged. */
static size_t read_count(struct block_head *head, const uint8_t *bytes, size_t len)
{
	if (len == 0)
		return SIZE_MAX;
	size_t header = bytes[0] < 128 ? 1 : bytes[0] < 255 ? 2 : 3;
	if (len < header)
		return SIZE_MAX;
	if (header == 1)
		head->count = bytes[0];
	else
		head->count = header == 2 ? ((size_t)bytes[0] - 128) << 8 | bytes[1] : load_le16(bytes + 1) + (size_t)0x7f00;
	return header;
}

/* Returns how many bytes describe a table; SIZE_MAX: damaged. */
static size_t read_table(struct description *table, enum sequence_field field, enum table_mode mode, const uint8_t *bytes,
			 size_t len)
{
	struct fse_counts counts;
	size_t described = mode == TABLE_RLE ? 1 : 0;
	if (mode == TABLE_REPEAT)
		return table->mode == TABLE_UNKNOWN ? SIZE_MAX : 0;
	if (mode == TABLE_FSE && !sequence_counts_read(&counts, field, bytes, len, &described))
		return SIZE_MAX;
	return described <= len && describe(table, mode, bytes, described) ? described : SIZE_MAX;
}

bool block_head_read(struct block_head *head, struct block_state *state, const uint8_t *bytes, size_t len)
{
	*head = (struct block_head){ .count = 0 };
	size_t pos = len > 0 ? read_literals(head, state, bytes, len) : SIZE_MAX;
	size_t header = pos <= len ? read_count(head, bytes + pos, len - pos) : SIZE_MAX;
	if (header == SIZE_MAX)
		return false;
	pos += header;
	if (head->count > 0 && pos < len) {
		unsigned modes = bytes[pos++];
		for (int field = 0; field < FIELD_COUNT; field++) {
			enum table_mode mode = (enum table_mode)(modes >> (6 - 2 * field) & 3);
			size_t described = read_table(&state->tables[field], (enum sequence_field)field, mode, bytes + pos, len - pos);
			if (described == SIZE_MAX)
				return false;
			head->repeats[field] = mode == TABLE_REPEAT;
			pos += described;
		}
	}
	head->len = pos;
	return true;
}
