/* SPDX-License-Identifier: BSD-3-Clause */
/* A writer from its beginning to its end, and the records that it writes. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "check/crc.h"
#include "delta/file/layout.h"
#include "delta/file/stream_write.h"
#include "delta/file/varint.h"
#include "delta/file/writer.h"
#include "io/access.h"

/* ---- Bytes and checks ---- */

enum blockz_status writer_put(struct delta_writer *writer, const void *bytes, size_t len, struct blockz_fault *fault)
{
	if (len == 0)
		return BLOCKZ_OK;
	enum blockz_status status = write_out(&writer->sink, bytes, len, fault);
	writer->crc = crc32_update(writer->crc, bytes, len);
	writer->len += len;
	return status;
}

enum blockz_status writer_put_check(struct delta_writer *writer, struct blockz_fault *fault)
{
	uint8_t field[DELTA_CHECK_LEN];
	store_le32(field, writer->crc);
	enum blockz_status status = write_out(&writer->sink, field, sizeof(field), fault);
	writer->len += sizeof(field);
	return status;
}

static void columns_free(struct column *columns, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(columns[i].bytes);
}

/* ---- Records ---- */

struct record {
	uint8_t bytes[RECORD_HEAD_MAX];
	size_t len;
};

static void record_start(struct record *record, uint8_t type)
{
	record->bytes[0] = type;
	record->len = RECORD_FIXED_LEN;
}

static void record_add(struct record *record, uint64_t value)
{
	assert(record->len + VARINT_MAX <= sizeof(record->bytes));
	record->len += varint_put(record->bytes + record->len, value);
}

static enum blockz_status record_put(struct delta_writer *writer, struct record *record, struct blockz_fault *fault)
{
	store_le16(record->bytes + 1, (uint16_t)(record->len + DELTA_CHECK_LEN));
	enum blockz_status status = writer_put(writer, record->bytes, record->len, fault);
	return status == BLOCKZ_OK ? writer_put_check(writer, fault) : status;
}

static enum blockz_status put_streams(struct delta_writer *writer, struct record *record, const struct stream *streams,
				      size_t count, struct blockz_fault *fault)
{
	size_t len = 0;
	for (size_t i = 0; i < count; i++) {
		record->bytes[record->len++] = streams[i].method;
		record_add(record, streams[i].coded_len);
		record_add(record, streams[i].plain_len);
		len += streams[i].coded_len;
	}
	if (len > DELTA_SECTION_PACKED_MAX)
		return fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN, "a section of the delta comes to %zu bytes, "
				 "expected up to %d", len, DELTA_SECTION_PACKED_MAX);
	enum blockz_status status = record_put(writer, record, fault);
	for (size_t i = 0; i < count && status == BLOCKZ_OK; i++)
		status = writer_put(writer, streams[i].coded != NULL ? streams[i].coded : streams[i].plain,
			     streams[i].coded_len, fault);
	return status == BLOCKZ_OK ? writer_put_check(writer, fault) : status;
}

static void choose_dictionaries(struct stream *streams, size_t count)
{
	for (size_t i = 0; i < count; i++)
		streams[i].dictionary_max = i == SECTION_DIFF || i == SECTION_EXTRA ? DELTA_DICTIONARY_MAX
										    : STREAM_DICTIONARY_MAX;
}

/* ---- OLD's blocks ---- */

static bool fill_old_columns(struct column *columns, const struct delta_old_blocks *blocks)
{
	uint64_t end = 0;
	bool good = true;
	for (size_t i = 0; i < blocks->count && good; i++) {
		const struct delta_old_block *block = &blocks->items[i];
		assert(block->file_off >= end);
		good = column_add_varint(&columns[OLD_GAPS], block->file_off - end) &&
		       column_add_varint(&columns[OLD_FILE_LENS], block->file_len) &&
		       column_add_varint(&columns[OLD_PLAIN_LENS], block->plain_len) &&
		       column_add_byte(&columns[OLD_CODECS], (uint8_t)block->codec);
		end = block->file_off + block->file_len;
	}
	return good;
}

static enum blockz_status put_old_blocks(struct delta_writer *writer, const struct delta_old_blocks *blocks,
					 struct blockz_fault *fault)
{
	struct column columns[OLD_STREAM_COUNT] = { { 0 } };
	struct stream streams[OLD_STREAM_COUNT] = { { 0 } };
	struct record record;
	enum blockz_status status = BLOCKZ_OK;
	assert(blocks->count <= DELTA_OLD_BLOCKS_MAX);
	if (!fill_old_columns(columns, blocks))
		status = fault_nomem(fault);
	for (size_t i = 0; i < OLD_STREAM_COUNT; i++)
		streams[i] = (struct stream){ .plain = columns[i].bytes, .plain_len = columns[i].len };
	record_start(&record, RECORD_OLD);
	record_add(&record, blocks->count);
	choose_dictionaries(streams, OLD_STREAM_COUNT);
	if (status == BLOCKZ_OK)
		status = streams_encode(streams, OLD_STREAM_COUNT, writer->threads, fault);
	if (status == BLOCKZ_OK)
		status = put_streams(writer, &record, streams, OLD_STREAM_COUNT, fault);
	for (size_t i = 0; i < OLD_STREAM_COUNT; i++)
		free(streams[i].coded);
	columns_free(columns, OLD_STREAM_COUNT);
	return status;
}

enum blockz_status delta_writer_new(const struct blockz_sink *sink, const struct delta_head *head,
				    const struct delta_old_blocks *old_blocks, unsigned threads,
				    struct delta_writer **writer_ret, struct blockz_fault *fault)
{
	assert(head->encoder_count <= DELTA_ENCODERS_MAX);
	struct delta_writer *writer = calloc(1, sizeof(*writer));
	if (writer == NULL)
		return fault_nomem(fault);
	writer->sink = *sink;
	writer->threads = threads;
	enum blockz_status status = delta_write_head(writer, head, fault);
	if (status == BLOCKZ_OK)
		status = put_old_blocks(writer, old_blocks, fault);
	if (status == BLOCKZ_OK)
		*writer_ret = writer;
	else
		delta_writer_free(writer);
	return status;
}

void delta_writer_free(struct delta_writer *writer)
{
	free(writer);
}

uint64_t delta_writer_len(const struct delta_writer *writer)
{
	return writer->len;
}

/* ---- Sections ---- */

static bool fill_block_columns(struct column *columns, const struct section *section)
{
	bool good = true;
	for (size_t i = 0; i < section->block_count && good; i++) {
		const struct delta_new_block *block = &section->blocks[i];
		good = column_add_varint(&columns[SECTION_BEFORES], block->before) &&
		       column_add_varint(&columns[SECTION_PLAIN_LENS], block->plain_len) &&
		       column_add_varint(&columns[SECTION_FILE_LENS], block->file_len) &&
		       column_add_byte(&columns[SECTION_ENCODERS], block->encoder);
	}
	return good;
}

static bool fill_op_columns(struct column *columns, const struct section *section)
{
	uint64_t old_end = 0;
	bool good = true;
	for (size_t i = 0; i < section->op_count && good; i++) {
		const struct op *op = &section->ops[i];
		good = column_add_byte(&columns[SECTION_KINDS], op->kind) && column_add_varint(&columns[SECTION_LENS], op->len);
		if (op->kind != OP_COPY && op->kind != OP_ADD)
			continue;
		good = good && column_add_varint(&columns[SECTION_SEEKS], zigzag(op->old_off - old_end));
		old_end = op->old_off + op->len;
	}
	return good;
}

/* A section that is being written, and where its streams are among those of all. */
struct section_writing {
	struct column columns[SECTION_DIFF];
	struct stream *streams; /* SECTION_STREAM_COUNT */
};

static bool fill_streams(struct section_writing *writing, const struct section *section)
{
	assert(section->op_count <= DELTA_SECTION_OPS_MAX && section->block_count <= DELTA_SECTION_BLOCKS_MAX);
	bool good = fill_block_columns(writing->columns, section) && fill_op_columns(writing->columns, section);
	struct stream *streams = writing->streams;
	for (size_t i = 0; i < SECTION_DIFF; i++)
		streams[i] = (struct stream){ .plain = writing->columns[i].bytes, .plain_len = writing->columns[i].len };
	streams[SECTION_DIFF] = (struct stream){ .plain = section->diff, .plain_len = section->diff_len };
	streams[SECTION_EXTRA] = (struct stream){ .plain = section->extra, .plain_len = section->extra_len };
	streams[SECTION_PACKED] = (struct stream){ .plain = section->packed, .plain_len = section->packed_len };
	choose_dictionaries(streams, SECTION_STREAM_COUNT);
	return good;
}

static enum blockz_status put_section(struct delta_writer *writer, const struct section *section,
				      const struct stream *streams, struct blockz_fault *fault)
{
	struct record record;
	record_start(&record, RECORD_SECTION);
	record_add(&record, section->stream_len);
	record_add(&record, section->op_count);
	record_add(&record, section->block_count);
	writer->sections++;
	writer->ops += section->op_count;
	writer->blocks += section->block_count;
	return put_streams(writer, &record, streams, SECTION_STREAM_COUNT, fault);
}

enum blockz_status delta_write_sections(struct delta_writer *writer, const struct section *sections, size_t count,
					struct blockz_fault *fault)
{
	struct section_writing writings[DELTA_SECTIONS_AT_ONCE];
	struct stream streams[DELTA_SECTIONS_AT_ONCE * SECTION_STREAM_COUNT] = { { 0 } };
	bool good = true;
	assert(count <= DELTA_SECTIONS_AT_ONCE);
	memset(writings, 0, sizeof(writings));
	for (size_t i = 0; i < count; i++) {
		writings[i].streams = streams + i * SECTION_STREAM_COUNT;
		good = good && fill_streams(&writings[i], &sections[i]);
	}
	enum blockz_status status = good ? streams_encode(streams, count * SECTION_STREAM_COUNT, writer->threads, fault)
					 : fault_nomem(fault);
	for (size_t i = 0; i < count && status == BLOCKZ_OK; i++)
		status = put_section(writer, &sections[i], writings[i].streams, fault);
	for (size_t i = 0; i < count * SECTION_STREAM_COUNT; i++)
		free(streams[i].coded);
	for (size_t i = 0; i < count; i++)
		columns_free(writings[i].columns, SECTION_DIFF);
	return status;
}

enum blockz_status delta_write_end(struct delta_writer *writer, struct blockz_fault *fault)
{
	struct record record;
	record_start(&record, RECORD_END);
	record_add(&record, writer->sections);
	record_add(&record, writer->ops);
	record_add(&record, writer->blocks);
	return record_put(writer, &record, fault);
}
