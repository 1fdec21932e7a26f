/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sequences of an old block, with others in their midst, are encoded by the old block's own tables, since blocks behind may
 * use these again.  Most often that makes one block.  But a table has no code for what the old block did not need; then the
 * text is cut into segments, a block each:
 *
 *     literals that have no code         a raw block, which leaves the state as it is
 *     literals before a sequence, so     what is too much is put at the end of the segment before, where it needs no code
 *     many that their number has none
 *     a match whose length or offset     a segment of its own, by the predefined tables, behind which the old ones are
 *     has none                           described again; or literals, where it is a short part of an old match
 *
 * A table that was described last is not described again, as is a tree.  An offset is coded by the old value where this
 * stands for the same in the new frame, else as one of the last three, or as itself.
 */
#include "format/zstd/recode.h"

#include "base/fault.h"
#include "format/zstd/frame.h"

enum {
	SHORT_MATCH = 40, /* a part of one is not worth tables of its own */
	LITERALS_GAP = 16, /* so many that have a code do not end a raw block */
	HEADS_MAX = BLOCK_HEADER_LEN + 5 + TREE_LEN_MAX + 6 + 4 + FIELD_COUNT * TREE_LEN_MAX, /* of a segment, but for its data */
	STREAMS = 4,
	STREAMS_FROM = 256, /* literals; fewer are one stream */
	WORD = 8,           /* which writers of bits write more */
};

struct segment {
	struct recoder *recoder;
	const struct recoding *recoding;
	uint8_t *out;
	size_t out_len, room;
	size_t start, pos; /* of the text: where it begins, and what is in sequences */
	size_t scanned;    /* of the text: literals up to here have codes */
	size_t count;      /* of sequences */
	bool plain;        /* by the predefined tables */
	bool failed;
};

/* ---- Literals */

static size_t put_literals_header(uint8_t *out, enum literals_type type, size_t len)
{
	size_t header = len < 32 ? 1 : len < 4096 ? 2 : 3;
	unsigned format = header == 1 ? 0 : header == 2 ? 1 : 3;
	size_t value = (size_t)type | format << 2 | len << (header == 1 ? 3 : 4);
	for (size_t i = 0; i < header; i++)
		out[i] = (uint8_t)(value >> 8 * i);
	return header;
}

static bool all_same(const uint8_t *bytes, size_t len)
{
	return len > 1 && memcmp(bytes, bytes + 1, len - 1) == 0;
}

/* How many bytes the streams have; SIZE_MAX: there is a literal without a code. */
static size_t streams_len(const struct huffman *tree, const uint8_t *bytes, size_t len)
{
	if (len < STREAMS_FROM)
		return huffman_len(tree, bytes, len);
	size_t part = (len + STREAMS - 1) / STREAMS, total = 2 * (STREAMS - 1);
	for (size_t i = 0; i < STREAMS; i++) {
		size_t stream = huffman_len(tree, bytes + i * part, i + 1 < STREAMS ? part : len - i * part);
		if (stream > UINT16_MAX)
			return SIZE_MAX;
		total += stream;
	}
	return total;
}

static void put_streams(const struct huffman *tree, const uint8_t *bytes, size_t len, uint8_t *out)
{
	if (len < STREAMS_FROM) {
		huffman_write(tree, bytes, len, out);
		return;
	}
	size_t part = (len + STREAMS - 1) / STREAMS, pos = 2 * (STREAMS - 1);
	for (size_t i = 0; i < STREAMS; i++) {
		size_t stream = huffman_write(tree, bytes + i * part, i + 1 < STREAMS ? part : len - i * part, out + pos);
		if (i + 1 < STREAMS)
			store_le16(out + 2 * i, (uint16_t)stream);
		pos += stream;
	}
}

static size_t put_packed(struct recoder *recoder, const struct description *tree, size_t len, size_t streams, uint8_t *out)
{
	bool known = descriptions_equal(&recoder->state.tree, tree);
	size_t described = known ? 0 : tree->len, size = described + streams, most = len > size ? len : size;
	unsigned format = len < STREAMS_FROM ? 0 : most < 1 << 10 ? 1 : most < 1 << 14 ? 2 : 3;
	unsigned bits = format < 2 ? 10 : format == 2 ? 14 : 18;
	size_t header = format < 2 ? 3 : (size_t)format + 2;
	uint64_t value = (uint64_t)(known ? LITERALS_TREELESS : LITERALS_PACKED) | format << 2 | (uint64_t)len << 4 |
			 (uint64_t)size << (4 + bits);
	for (size_t i = 0; i < header; i++)
		out[i] = (uint8_t)(value >> 8 * i);
	memcpy(out + header, tree->bytes, described);
	put_streams(&recoder->tree, recoder->literals, len, out + header + described);
	recoder->state.tree = *tree;
	return header + size;
}

/* In the shortest way. */
static size_t put_literals(struct recoder *recoder, const struct description *tree, size_t len, uint8_t *out)
{
	const uint8_t *literals = recoder->literals;
	size_t streams = tree->mode != TABLE_UNKNOWN && len > 0 ? streams_len(&recoder->tree, literals, len) : SIZE_MAX;
	size_t described = descriptions_equal(&recoder->state.tree, tree) ? 0 : tree->len;
	if (!all_same(literals, len) && streams < len && streams + described + 2 < len)
		return put_packed(recoder, tree, len, streams, out);
	bool same = all_same(literals, len);
	size_t header = put_literals_header(out, same ? LITERALS_RLE : LITERALS_RAW, len), put = same ? 1 : len;
	memcpy(out + header, literals, put);
	return header + put;
}

/* ---- Segments */

static size_t put_count(uint8_t *out, size_t count)
{
	if (count < 128) {
		out[0] = (uint8_t)count;
		return 1;
	}
	if (count < 0x7f00) {
		out[0] = (uint8_t)((count >> 8) + 128);
		out[1] = (uint8_t)count;
		return 2;
	}
	out[0] = 255;
	store_le16(out + 1, (uint16_t)(count - 0x7f00));
	return 3;
}

/* Describes the tables as shortly as can be. */
static size_t put_tables(struct block_state *state, const struct description tables[FIELD_COUNT], uint8_t *out)
{
	size_t pos = 1;
	out[0] = 0;
	for (int field = 0; field < FIELD_COUNT; field++) {
		const struct description *table = &tables[field];
		bool known = table->mode == TABLE_FSE && descriptions_equal(&state->tables[field], table);
		out[0] |= (uint8_t)((known ? TABLE_REPEAT : table->mode) << (6 - 2 * field));
		memcpy(out + pos, table->bytes, known ? 0 : table->len);
		pos += known ? 0 : table->len;
		state->tables[field] = *table;
	}
	return pos;
}

static const struct description predefined[FIELD_COUNT] = {
	{ .mode = TABLE_PREDEFINED }, { .mode = TABLE_PREDEFINED }, { .mode = TABLE_PREDEFINED },
};

static bool has_room(struct segment *segment, size_t len)
{
	segment->failed = segment->failed || len > segment->room - segment->out_len;
	return !segment->failed;
}

static void put_raw(struct segment *segment, size_t start, size_t end)
{
	if (start == end || !has_room(segment, BLOCK_HEADER_LEN + end - start))
		return;
	uint8_t *out = segment->out + segment->out_len;
	block_header_store(out, &(struct block_header){ false, BLOCK_RAW, (uint32_t)(end - start) });
	memcpy(out + BLOCK_HEADER_LEN, segment->recoding->text + start, end - start);
	segment->out_len += BLOCK_HEADER_LEN + end - start;
}

/* All literals of a segment, one behind the other; returns how many. */
static size_t gather_literals(struct segment *segment, size_t end)
{
	struct recoder *recoder = segment->recoder;
	const uint8_t *text = segment->recoding->text;
	size_t pos = segment->start, len = 0;
	for (size_t i = 0; i < segment->count; i++) {
		memcpy(recoder->literals + len, text + pos, recoder->segment[i].literals);
		len += recoder->segment[i].literals;
		pos += recoder->segment[i].literals + recoder->segment[i].match;
	}
	memcpy(recoder->literals + len, text + pos, end - pos);
	return len + (end - pos);
}

static size_t put_sequences(struct segment *segment, uint8_t *out)
{
	struct recoder *recoder = segment->recoder;
	size_t len = put_count(out, segment->count);
	if (segment->count == 0)
		return len;
	len += put_tables(&recoder->state, segment->plain ? predefined : segment->recoding->left->tables, out + len);
	return len + sequences_write(recoder->segment, segment->count, segment->plain ? &recoder->plain : &recoder->wanted, out + len);
}

/* Makes a block of the sequences, and of literals up to `end`; the next segment begins there. */
static void flush(struct segment *segment, size_t end)
{
	struct recoder *recoder = segment->recoder;
	struct block_state before = recoder->state;
	size_t text_len = end - segment->start, room = HEADS_MAX + text_len + segment->count * SEQUENCE_LEN_MAX + 4 * WORD;
	if (text_len > 0 && has_room(segment, room)) {
		uint8_t *out = segment->out + segment->out_len;
		size_t len = BLOCK_HEADER_LEN;
		len += put_literals(recoder, &segment->recoding->left->tree, gather_literals(segment, end), out + len);
		len += put_sequences(segment, out + len);
		size_t content = len - BLOCK_HEADER_LEN;
		segment->failed = content >= segment->recoding->block_max;
		if (segment->count == 0 && content >= text_len) {
			recoder->state = before;
			segment->failed = false;
			put_raw(segment, segment->start, end);
		} else {
			block_header_store(out, &(struct block_header){ false, BLOCK_COMPRESSED, (uint32_t)content });
			segment->out_len += len;
		}
	}
	segment->start = segment->pos = end;
	segment->count = 0;
	segment->plain = false;
}

static bool has_code(const struct segment *segment, uint8_t literal)
{
	enum literals_type type = segment->recoding->head->literals;
	return type == LITERALS_RAW || type == LITERALS_RLE || segment->recoder->tree.bits[literal] > 0;
}

/* Where literals begin again that have codes, from one on that has none. */
static size_t codeless_end(const struct segment *segment, size_t pos, size_t end)
{
	const uint8_t *text = segment->recoding->text;
	size_t codeless = pos + 1;
	for (size_t i = codeless; i < end && i - codeless < LITERALS_GAP; i++)
		if (!has_code(segment, text[i]))
			codeless = i + 1;
	return codeless;
}

/* Puts those literals up to `end` that have no code into raw blocks. */
static void cut_literals(struct segment *segment, size_t end)
{
	if (segment->scanned < segment->pos)
		segment->scanned = segment->pos;
	while (segment->scanned < end) {
		size_t pos = segment->scanned++;
		if (has_code(segment, segment->recoding->text[pos]))
			continue;
		size_t codeless = codeless_end(segment, pos, end);
		flush(segment, pos);
		put_raw(segment, pos, codeless);
		segment->start = segment->pos = segment->scanned = codeless;
	}
}

/* ---- Sequences */

static bool table_has(const struct fse_table *tables, enum sequence_field field, uint32_t number)
{
	return tables[field].count[sequence_code(field, number).symbol] > 0;
}

/* Finds a value for an offset, and has the state know it; 0: there is none. */
static uint32_t choose_value(struct segment *segment, const struct sequence *sequence, const struct fse_table *tables)
{
	uint32_t *reps = segment->recoder->state.reps;
	const uint32_t choice[] = { sequence->value, 1, 2, 3, sequence->offset + REP_COUNT };
	for (size_t i = 0; i < sizeof(choice) / sizeof(choice[0]); i++) {
		uint32_t after[REP_COUNT] = { reps[0], reps[1], reps[2] };
		if (choice[i] == 0 || !table_has(tables, FIELD_OFFSET, choice[i]) ||
		    reps_take(after, choice[i], sequence->literals == 0) != sequence->offset)
			continue;
		memcpy(reps, after, sizeof(after));
		return choice[i];
	}
	return 0;
}

/* Adds one to the segment, if there are codes for it. */
static bool add(struct segment *segment, struct sequence sequence, const struct fse_table *tables)
{
	if (!table_has(tables, FIELD_LITERALS, sequence.literals) || !table_has(tables, FIELD_MATCH, sequence.match))
		return false;
	sequence.value = choose_value(segment, &sequence, tables);
	if (sequence.value == 0)
		return false;
	segment->recoder->segment[segment->count++] = sequence;
	segment->pos += sequence.literals + sequence.match;
	return true;
}

/* The sequence whose match begins at `at`. */
static void put_sequence(struct segment *segment, const struct sequence *old, size_t at)
{
	const struct fse_table *tables = segment->recoder->wanted.of;
	struct sequence sequence = *old;
	cut_literals(segment, at);
	sequence.literals = (uint32_t)(at - segment->pos);
	if (add(segment, sequence, tables))
		return;
	if (sequence.literals > sequence.own_literals) {
		flush(segment, at - sequence.own_literals);
		sequence.literals = sequence.own_literals;
		if (add(segment, sequence, tables))
			return;
	}
	/* Without an old sequence those behind it would not find its offset among the last ones either. */
	if (sequence.match <= SHORT_MATCH && sequence.value == 0)
		return;
	flush(segment, at);
	sequence.literals = 0;
	segment->plain = true;
	segment->failed = segment->failed || !add(segment, sequence, segment->recoder->plain.of);
	flush(segment, at + sequence.match);
}

static bool prepare(struct recoder *recoder, const struct recoding *recoding)
{
	const struct description *tree = &recoding->left->tree;
	if (!sequence_tables_make(&recoder->plain, predefined))
		return false;
	if (recoding->head->count > 0 && !sequence_tables_make(&recoder->wanted, recoding->left->tables))
		return false;
	if (tree->mode == TABLE_UNKNOWN || descriptions_equal(tree, &recoder->tree_of))
		return true;
	recoder->tree_of = *tree;
	return huffman_read(&recoder->tree, tree->bytes, tree->len);
}

enum blockz_status zstd_recode(struct recoder *recoder, const struct recoding *recoding, struct encoding *encoding, bool *done_ret,
			  struct blockz_fault *fault)
{
	struct segment segment = { .recoder = recoder, .recoding = recoding, .room = 2 * BLOCK_MAX + SEQUENCES_MAX * SEQUENCE_LEN_MAX };
	size_t at = 0;
	*done_ret = prepare(recoder, recoding);
	if (!*done_ret)
		return BLOCKZ_OK;
	if (!buffer_reserve(&encoding->out, segment.room))
		return fault_nomem(fault);
	segment.out = encoding->out.bytes;
	for (size_t i = 0; i < recoding->count && !segment.failed; i++) {
		at += recoding->sequences[i].literals;
		put_sequence(&segment, &recoding->sequences[i], at);
		at += recoding->sequences[i].match;
	}
	cut_literals(&segment, recoding->text_len);
	flush(&segment, recoding->text_len);
	encoding->len = segment.out_len;
	*done_ret = !segment.failed && segment.out_len > 0;
	return BLOCKZ_OK;
}
