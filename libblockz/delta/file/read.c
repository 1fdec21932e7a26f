/* SPDX-License-Identifier: BSD-3-Clause */
/* A reader keeps the section that it is in, and what all before add up to. */
#include "delta/file/read.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/fault.h"
#include "base/plural.h"
#include "delta/file/reader.h"
#include "delta/file/varint.h"

static const char *const old_names[OLD_STREAM_COUNT] = {
	"old-gaps", "old-file-lens", "old-plain-lens", "old-codecs",
};

static const char *const section_names[SECTION_STREAM_COUNT] = {
	"befores", "plain-lens", "file-lens", "encoders", "kinds", "lens", "seeks", "diff", "extra", "packed",
};

enum blockz_status delta_reader_new(const struct blockz_source *delta, struct delta_reader **reader_ret,
				    struct blockz_fault *fault)
{
	struct delta_reader *reader = calloc(1, sizeof(*reader));
	if (reader == NULL)
		return fault_nomem(fault);
	input_init(&reader->input, delta);
	enum blockz_status status = fault_about(fault, delta_read_head(&reader->input, &reader->head, fault), BLOCKZ_ABOUT_DELTA);
	if (status != BLOCKZ_OK) {
		delta_reader_free(reader);
		return status;
	}
	reader->old_space = reader->head.old_size;
	*reader_ret = reader;
	return BLOCKZ_OK;
}

void delta_reader_free(struct delta_reader *reader)
{
	if (reader == NULL)
		return;
	for (size_t i = 0; i < STREAM_COUNT_MAX; i++)
		stream_reader_free(&reader->streams[i]);
	buffer_free(&reader->coded);
	free(reader->old_blocks);
	free(reader);
}

const struct delta_head *delta_reader_head(const struct delta_reader *reader)
{
	return &reader->head;
}

const struct delta_stream_lens *delta_reader_streams(const struct delta_reader *reader, size_t *count_ret)
{
	*count_ret = reader->stream_count;
	return reader->lens;
}

const struct delta_totals *delta_reader_totals(const struct delta_reader *reader)
{
	return &reader->totals;
}

uint64_t delta_reader_len(const struct delta_reader *reader)
{
	return reader->input.off;
}

/* ---- OLD's blocks ---- */

/* A block behind what ends at *end. */
static enum blockz_status read_old_block(struct delta_reader *reader, uint64_t *end, struct delta_old_block *block,
					 struct blockz_fault *fault)
{
	struct stream_reader *streams = reader->streams;
	uint64_t gap = 0, file_len = 0, plain_len = 0, start = 0;
	uint8_t codec = 0;
	enum blockz_status status = stream_read_varint(&streams[OLD_GAPS], &gap, fault);
	if (status == BLOCKZ_OK)
		status = stream_read_varint(&streams[OLD_FILE_LENS], &file_len, fault);
	if (status == BLOCKZ_OK)
		status = stream_read_varint(&streams[OLD_PLAIN_LENS], &plain_len, fault);
	if (status == BLOCKZ_OK)
		status = stream_read_byte(&streams[OLD_CODECS], &codec, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (file_len == 0 || file_len > CODEC_BLOCK_MAX || plain_len == 0 || plain_len > CODEC_BLOCK_MAX)
		return delta_damaged(reader, fault, "a block of OLD has %" PRIu64 " bytes, of %" PRIu64
				     ", expected 1 to %d", file_len, plain_len, CODEC_BLOCK_MAX);
	if (codec >= CODEC_COUNT)
		return delta_damaged(reader, fault, "a block of OLD is of codec %u", codec);
	if (!checked_add(*end, gap, &start) || start > reader->head.old_size ||
	    file_len > reader->head.old_size - start)
		return delta_damaged(reader, fault, "a block of OLD lies behind its end, at %" PRIu64 " + %" PRIu64,
				     *end, gap);
	*block = (struct delta_old_block){
		.file_off = start, .file_len = (uint32_t)file_len & 0x3ffffff, .plain_len = (uint32_t)plain_len,
		.codec = codec & 0x3f,
	};
	*end = start + file_len;
	reader->old_space += plain_len;
	return BLOCKZ_OK;
}

enum blockz_status delta_read_old_blocks(struct delta_reader *reader, struct delta_old_blocks *blocks_ret,
					 struct blockz_fault *fault)
{
	struct record record;
	uint64_t count = 0, end = 0;
	enum blockz_status status = record_read(reader, &record, fault);
	if (status == BLOCKZ_OK && record.type != RECORD_OLD)
		return delta_damaged(reader, fault, "its type is %u, expected %d", record.type, RECORD_OLD);
	if (status == BLOCKZ_OK)
		status = record_varint(reader, &record, &count, fault);
	if (status == BLOCKZ_OK && count > DELTA_OLD_BLOCKS_MAX)
		return delta_damaged(reader, fault, "it has %" PRIu64 " blocks, expected up to %d", count,
				     DELTA_OLD_BLOCKS_MAX);
	if (status == BLOCKZ_OK)
		status = record_load(reader, &record, old_names, OLD_STREAM_COUNT, fault);
	if (status == BLOCKZ_OK && reader->lens[OLD_CODECS].plain_len != count)
		return delta_damaged(reader, fault, "it has %" PRIu64 " block%s, and codecs of %" PRIu64, count, plural(count),
				     reader->lens[OLD_CODECS].plain_len);
	if (status != BLOCKZ_OK)
		return status;
	reader->old_blocks = calloc((size_t)count + 1, sizeof(*reader->old_blocks));
	if (reader->old_blocks == NULL)
		return fault_nomem(fault);
	for (; reader->old_block_count < count && status == BLOCKZ_OK; reader->old_block_count++)
		status = read_old_block(reader, &end, &reader->old_blocks[reader->old_block_count], fault);
	if (status == BLOCKZ_OK)
		status = record_unload(reader, fault);
	if (status == BLOCKZ_OK)
		*blocks_ret = (struct delta_old_blocks){ reader->old_blocks, reader->old_block_count };
	return status;
}

/* ---- Sections ---- */

static enum blockz_status load_section(struct delta_reader *reader, struct record *record, struct blockz_fault *fault)
{
	uint64_t *fields[] = { &reader->stream_left, &reader->ops_left, &reader->blocks_left };
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]) && status == BLOCKZ_OK; i++)
		status = record_varint(reader, record, fields[i], fault);
	if (status == BLOCKZ_OK)
		status = record_load(reader, record, section_names, SECTION_STREAM_COUNT, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (reader->ops_left > DELTA_SECTION_OPS_MAX || reader->ops_left != reader->lens[SECTION_KINDS].plain_len ||
	    reader->blocks_left > DELTA_SECTION_BLOCKS_MAX ||
	    reader->blocks_left != reader->lens[SECTION_ENCODERS].plain_len)
		return delta_damaged(reader, fault, "it has %" PRIu64 " ops and %" PRIu64 " blocks, kinds of %" PRIu64
				     " and encoders of %" PRIu64 ", expected up to %d and %d", reader->ops_left,
				     reader->blocks_left, reader->lens[SECTION_KINDS].plain_len,
				     reader->lens[SECTION_ENCODERS].plain_len, DELTA_SECTION_OPS_MAX,
				     DELTA_SECTION_BLOCKS_MAX);
	reader->totals.sections++;
	reader->old_end = 0;
	reader->op.len = 0;
	reader->has_block = false;
	return BLOCKZ_OK;
}

static uint64_t sum_ops(const struct delta_totals *totals)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < OP_COUNT; i++)
		sum += totals->ops[i];
	return sum;
}

static enum blockz_status read_end(struct delta_reader *reader, struct record *record, struct blockz_fault *fault)
{
	const struct delta_totals *totals = &reader->totals;
	const uint64_t expected[] = { totals->sections, sum_ops(totals), totals->blocks };
	static const char *const what[] = { "sections", "ops", "blocks" };
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]) && status == BLOCKZ_OK; i++) {
		uint64_t found = 0;
		status = record_varint(reader, record, &found, fault);
		if (status == BLOCKZ_OK && found != expected[i])
			return delta_damaged(reader, fault, "the delta has %" PRIu64 " %s, and had %" PRIu64 " when it was "
					     "written", expected[i], what[i], found);
	}
	if (status == BLOCKZ_OK)
		status = record_finish(reader, record, fault);
	if (status == BLOCKZ_OK && reader->new_len != reader->head.new_size)
		return delta_damaged(reader, fault, "the delta makes %" PRIu64 " byte%s of NEW, expected %" PRIu64,
				     reader->new_len, plural(reader->new_len), reader->head.new_size);
	return status == BLOCKZ_OK ? input_end(&reader->input, fault) : status;
}

enum blockz_status delta_read_section(struct delta_reader *reader, bool *done_ret, struct blockz_fault *fault)
{
	struct record record;
	enum blockz_status status = record_read(reader, &record, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (record.type != RECORD_SECTION && record.type != RECORD_END)
		return delta_damaged(reader, fault, "its type is %u, expected %d or %d", record.type, RECORD_SECTION,
				     RECORD_END);
	status = record.type == RECORD_END ? read_end(reader, &record, fault) : load_section(reader, &record, fault);
	if (status == BLOCKZ_OK)
		*done_ret = record.type == RECORD_END;
	return status;
}

/* ---- Steps ---- */

static enum blockz_status read_block(struct delta_reader *reader, struct blockz_fault *fault)
{
	struct stream_reader *streams = reader->streams;
	uint64_t before = 0, plain_len = 0, file_len = 0;
	uint8_t encoder = 0;
	enum blockz_status status = stream_read_varint(&streams[SECTION_BEFORES], &before, fault);
	if (status == BLOCKZ_OK)
		status = stream_read_varint(&streams[SECTION_PLAIN_LENS], &plain_len, fault);
	if (status == BLOCKZ_OK)
		status = stream_read_varint(&streams[SECTION_FILE_LENS], &file_len, fault);
	if (status == BLOCKZ_OK)
		status = stream_read_byte(&streams[SECTION_ENCODERS], &encoder, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (file_len == 0 || file_len > CODEC_BLOCK_MAX || plain_len == 0 || plain_len > CODEC_BLOCK_MAX)
		return delta_damaged(reader, fault, "a block of NEW has %" PRIu64 " bytes, of %" PRIu64
				     ", expected 1 to %d", file_len, plain_len, CODEC_BLOCK_MAX);
	if (encoder >= reader->head.encoder_count)
		return delta_damaged(reader, fault, "a block of NEW is by encoder %u of %zu", encoder,
				     reader->head.encoder_count);
	if (before > reader->stream_left || plain_len > reader->stream_left - before)
		return delta_damaged(reader, fault, "a block of NEW goes beyond the section");
	reader->block = (struct delta_new_block){
		.before = before, .plain_len = (uint32_t)plain_len, .file_len = (uint32_t)file_len, .encoder = encoder,
	};
	reader->has_block = true;
	reader->blocks_left--;
	reader->totals.blocks++;
	reader->totals.blocks_plain_len += plain_len;
	reader->totals.blocks_file_len += file_len;
	return BLOCKZ_OK;
}

static enum blockz_status finish_section(struct delta_reader *reader, struct blockz_fault *fault)
{
	if (reader->op.len > 0 || reader->ops_left > 0)
		return delta_damaged(reader, fault, "its ops are longer than its part of the stream");
	return record_unload(reader, fault);
}

/* Counts what a step makes of NEW. */
static enum blockz_status count_new(struct delta_reader *reader, uint64_t len, struct blockz_fault *fault)
{
	if (len > reader->head.new_size - reader->new_len)
		return delta_damaged(reader, fault, "it makes more of NEW than the %" PRIu64 " bytes it has",
				     reader->head.new_size);
	reader->new_len += len;
	return BLOCKZ_OK;
}

enum blockz_status delta_read_step(struct delta_reader *reader, uint64_t verbatim_max, struct delta_step *step_ret,
				   bool *done_ret, struct blockz_fault *fault)
{
	if (!reader->has_block && reader->blocks_left > 0) {
		enum blockz_status status = read_block(reader, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	*done_ret = !reader->has_block && reader->stream_left == 0;
	if (*done_ret)
		return finish_section(reader, fault);
	struct delta_step step = { .block = reader->block };
	uint64_t before = reader->has_block ? reader->block.before : reader->stream_left;
	step.is_block = before == 0;
	step.len = step.is_block ? reader->block.plain_len : min(before, verbatim_max);
	if (step.is_block)
		reader->has_block = false;
	else
		reader->block.before -= step.len;
	reader->stream_left -= step.len;
	*step_ret = step;
	return count_new(reader, step.is_block ? step.block.file_len : step.len, fault);
}

/* ---- Ops ---- */

/* A range of OLD's space. */
static enum blockz_status read_place(struct delta_reader *reader, struct op *op, struct blockz_fault *fault)
{
	uint64_t seek = 0, file_end = reader->head.old_size;
	enum blockz_status status = stream_read_varint(&reader->streams[SECTION_SEEKS], &seek, fault);
	if (status != BLOCKZ_OK)
		return status;
	op->old_off = reader->old_end + unzigzag(seek);
	uint64_t end = op->old_off < file_end ? file_end : reader->old_space;
	if (op->old_off > end || op->len > end - op->old_off)
		return delta_damaged(reader, fault, "an op takes %" PRIu64 " byte%s at %" PRIu64 " of OLD's space, which has %"
				     PRIu64 " + %" PRIu64, op->len, plural(op->len), op->old_off, file_end,
				     reader->old_space - file_end);
	reader->old_end = op->old_off + op->len;
	return BLOCKZ_OK;
}

static enum blockz_status read_op(struct delta_reader *reader, struct blockz_fault *fault)
{
	struct op op = { 0 };
	if (reader->ops_left == 0)
		return delta_damaged(reader, fault, "its ops are shorter than its part of the stream");
	enum blockz_status status = stream_read_byte(&reader->streams[SECTION_KINDS], &op.kind, fault);
	if (status == BLOCKZ_OK)
		status = stream_read_varint(&reader->streams[SECTION_LENS], &op.len, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (op.kind >= OP_COUNT || op.len == 0)
		return delta_damaged(reader, fault, "an op of kind %u takes %" PRIu64 " byte%s", op.kind, op.len,
				     plural(op.len));
	if (op.kind == OP_COPY || op.kind == OP_ADD)
		status = read_place(reader, &op, fault);
	reader->op = op;
	reader->ops_left--;
	reader->totals.ops[op.kind]++;
	reader->totals.ops_len[op.kind] += op.len;
	return status;
}

enum blockz_status delta_read_op(struct delta_reader *reader, uint64_t step_left, struct op *op_ret, uint8_t *bytes,
				 struct blockz_fault *fault)
{
	static const uint8_t streams[OP_COUNT] = {
		[OP_ADD] = SECTION_DIFF, [OP_EXTRA] = SECTION_EXTRA, [OP_PACKED] = SECTION_PACKED,
	};
	enum blockz_status status = reader->op.len == 0 ? read_op(reader, fault) : BLOCKZ_OK;
	if (status != BLOCKZ_OK)
		return status;
	struct op op = reader->op;
	op.len = min(op.len, step_left);
	if (op.kind != OP_COPY)
		status = stream_read(&reader->streams[streams[op.kind]], bytes, (size_t)op.len, fault);
	if (status != BLOCKZ_OK)
		return status;
	reader->op.len -= op.len;
	reader->op.old_off += op.len;
	*op_ret = op;
	return BLOCKZ_OK;
}
