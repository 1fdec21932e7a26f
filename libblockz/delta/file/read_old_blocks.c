/* SPDX-License-Identifier: BSD-3-Clause */
/* Record O: the blocks of OLD that are decoded behind its bytes, and so the length of OLD's space. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/fault.h"
#include "base/plural.h"
#include "delta/file/reader.h"

static const char *const old_names[OLD_STREAM_COUNT] = {
	"old-gaps", "old-file-lens", "old-plain-lens", "old-codecs",
};

/* A block behind what ends at *end. */
static enum blockz_status read_old_block(struct delta_reader *reader, uint64_t *end, struct delta_old_block *block,
					 struct blockz_fault *fault)
{
	struct block_fields fields;
	uint64_t start = 0;
	enum blockz_status status = record_block(reader, false, &fields, fault);
	if (status != BLOCKZ_OK)
		return status;
	uint64_t gap = fields.numbers[OLD_GAPS], file_len = fields.numbers[OLD_FILE_LENS];
	if (fields.coder >= CODEC_COUNT)
		return delta_damaged(reader, fault, "a block of OLD is of codec %u", fields.coder);
	if (!checked_add(*end, gap, &start) || start > reader->head.old_size ||
	    file_len > reader->head.old_size - start)
		return delta_damaged(reader, fault, "a block of OLD lies behind its end, at %" PRIu64 " + %" PRIu64,
				     *end, gap);
	*block = (struct delta_old_block){
		.file_off = start, .file_len = (uint32_t)file_len & 0x3ffffff,
		.plain_len = (uint32_t)fields.numbers[OLD_PLAIN_LENS], .codec = fields.coder & 0x3f,
	};
	*end = start + file_len;
	reader->old_space += block->plain_len;
	return BLOCKZ_OK;
}

/* Reads the record's head, and starts its streams. */
static enum blockz_status load_old_blocks(struct delta_reader *reader, uint64_t *count_ret, struct blockz_fault *fault)
{
	struct record record;
	uint64_t count = 0;
	enum blockz_status status = record_read(reader, &record, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (record.type != RECORD_OLD)
		return delta_damaged(reader, fault, "its type is %u, expected %d", record.type, RECORD_OLD);
	status = record_varint(reader, &record, &count, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (count > DELTA_OLD_BLOCKS_MAX)
		return delta_damaged(reader, fault, "it has %" PRIu64 " blocks, expected up to %d", count,
				     DELTA_OLD_BLOCKS_MAX);
	status = record_load(reader, &record, old_names, OLD_STREAM_COUNT, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (reader->lens[OLD_CODECS].plain_len != count)
		return delta_damaged(reader, fault, "it has %" PRIu64 " block%s, and codecs of %" PRIu64, count, plural(count),
				     reader->lens[OLD_CODECS].plain_len);
	*count_ret = count;
	return BLOCKZ_OK;
}

enum blockz_status delta_read_old_blocks(struct delta_reader *reader, struct delta_old_blocks *blocks_ret,
					 struct blockz_fault *fault)
{
	uint64_t count = 0, end = 0;
	enum blockz_status status = load_old_blocks(reader, &count, fault);
	if (status != BLOCKZ_OK)
		return status;
	reader->old_blocks = calloc((size_t)count + 1, sizeof(*reader->old_blocks));
	if (reader->old_blocks == NULL)
		return fault_nomem(fault);
	for (; reader->old_block_count < count; reader->old_block_count++) {
		status = read_old_block(reader, &end, &reader->old_blocks[reader->old_block_count], fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	status = record_unload(reader, fault);
	if (status == BLOCKZ_OK)
		*blocks_ret = (struct delta_old_blocks){ reader->old_blocks, reader->old_block_count };
	return status;
}
