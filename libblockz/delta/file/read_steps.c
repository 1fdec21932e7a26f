/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps of the section that was loaded last, and the ops that each is made by. */
#include <inttypes.h>

#include "base/checked.h"
#include "base/plural.h"
#include "delta/file/reader.h"
#include "delta/file/varint.h"

/* ---- Steps ---- */

/* Reads the next block of NEW. */
static enum blockz_status read_new_block(struct delta_reader *reader, struct blockz_fault *fault)
{
	struct block_fields fields;
	enum blockz_status status = record_block(reader, true, &fields, fault);
	if (status != BLOCKZ_OK)
		return status;
	uint64_t before = fields.numbers[SECTION_BEFORES], plain_len = fields.numbers[SECTION_PLAIN_LENS];
	uint64_t file_len = fields.numbers[SECTION_FILE_LENS];
	if (fields.coder >= reader->head.encoder_count)
		return delta_damaged(reader, fault, "a block of NEW is by encoder %u of %zu", fields.coder,
				     reader->head.encoder_count);
	if (before > reader->stream_left || plain_len > reader->stream_left - before)
		return delta_damaged(reader, fault, "a block of NEW goes beyond the section");
	reader->block = (struct delta_new_block){
		.before = before, .plain_len = (uint32_t)plain_len, .file_len = (uint32_t)file_len,
		.encoder = fields.coder,
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
		enum blockz_status status = read_new_block(reader, fault);
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

/* Reads where an op begins in OLD's space, within which it has to lie. */
static enum blockz_status read_old_off(struct delta_reader *reader, struct op *op, struct blockz_fault *fault)
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
		status = read_old_off(reader, &op, fault);
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
