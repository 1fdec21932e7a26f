/* SPDX-License-Identifier: BSD-3-Clause */
/* A record is a head of numbers, with a check of its own, and the streams of which the head tells. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "delta/file/reader.h"
#include "delta/file/varint.h"

enum blockz_status delta_damaged(const struct delta_reader *reader, struct blockz_fault *fault, const char *format, ...)
{
	struct blockz_fault why = { .text = "" };
	va_list args;
	va_start(args, format);
	vsnprintf(why.text, sizeof(why.text), format, args);
	va_end(args);
	fault_set(fault, BLOCKZ_DAMAGED, reader->record_off, "DELTA: record at %" PRIu64 ": %s", reader->record_off, why.text);
	return fault_about(fault, BLOCKZ_DAMAGED, BLOCKZ_ABOUT_DELTA);
}

enum blockz_status record_read(struct delta_reader *reader, struct record *record, struct blockz_fault *fault)
{
	reader->record_off = reader->input.off;
	enum blockz_status status = input_read(&reader->input, record->head, RECORD_FIXED_LEN, fault);
	if (status != BLOCKZ_OK)
		return status;
	size_t len = load_le16(record->head + 1);
	if (len < RECORD_FIXED_LEN + DELTA_CHECK_LEN || len > RECORD_HEAD_MAX)
		return delta_damaged(reader, fault, "its head's length is %zu, expected %d to %d", len,
				     RECORD_FIXED_LEN + DELTA_CHECK_LEN, RECORD_HEAD_MAX);
	record->type = record->head[0];
	record->pos = RECORD_FIXED_LEN;
	record->head_len = len - DELTA_CHECK_LEN;
	status = input_read(&reader->input, record->head + record->pos, record->head_len - record->pos, fault);
	return status == BLOCKZ_OK ? input_check(&reader->input, "a record's head", reader->record_off, fault) : status;
}

enum blockz_status record_varint(struct delta_reader *reader, struct record *record, uint64_t *value_ret,
				 struct blockz_fault *fault)
{
	size_t len = varint_get(record->head + record->pos, record->head_len - record->pos, value_ret);
	if (len == 0)
		return delta_damaged(reader, fault, "a number is missing, or is none");
	record->pos += len;
	return BLOCKZ_OK;
}

enum blockz_status record_finish(const struct delta_reader *reader, const struct record *record,
				 struct blockz_fault *fault)
{
	if (record->pos < record->head_len)
		return delta_damaged(reader, fault, "its head goes on behind its last field");
	return BLOCKZ_OK;
}

static enum blockz_status read_stream_field(struct delta_reader *reader, struct record *record, uint8_t *method_ret,
					    struct delta_stream_lens *lens, struct blockz_fault *fault)
{
	if (record->pos == record->head_len)
		return delta_damaged(reader, fault, "a stream is missing");
	*method_ret = record->head[record->pos++];
	enum blockz_status status = record_varint(reader, record, &lens->coded_len, fault);
	return status == BLOCKZ_OK ? record_varint(reader, record, &lens->plain_len, fault) : status;
}

static enum blockz_status load_bytes(struct delta_reader *reader, size_t len, struct blockz_fault *fault)
{
	uint64_t start = reader->input.off;
	if (!buffer_reserve(&reader->coded, len))
		return fault_nomem(fault);
	enum blockz_status status = input_read(&reader->input, reader->coded.bytes, len, fault);
	return status == BLOCKZ_OK ? input_check(&reader->input, "a record's streams", start, fault) : status;
}

static enum blockz_status start_streams(struct delta_reader *reader, uint64_t start, const uint8_t *methods,
					struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	size_t pos = 0;
	for (size_t i = 0; i < reader->stream_count && status == BLOCKZ_OK; i++) {
		const struct delta_stream_lens *lens = &reader->lens[i];
		const struct stream_facts facts = {
			.name = lens->name, .delta_off = start + pos, .method = methods[i],
			.coded = reader->coded.bytes + pos, .coded_len = (size_t)lens->coded_len,
			.plain_len = lens->plain_len,
			.dictionary_max = i == SECTION_DIFF || i == SECTION_EXTRA ? DELTA_DICTIONARY_MAX
										  : STREAM_DICTIONARY_MAX,
		};
		status = stream_start(&reader->streams[i], &facts, fault);
		pos += facts.coded_len;
	}
	return status;
}

enum blockz_status record_load(struct delta_reader *reader, struct record *record, const char *const *names,
			       size_t count, struct blockz_fault *fault)
{
	uint8_t methods[STREAM_COUNT_MAX];
	size_t len = 0;
	reader->stream_count = count;
	for (size_t i = 0; i < count; i++) {
		struct delta_stream_lens *lens = &reader->lens[i];
		lens->name = names[i];
		enum blockz_status status = read_stream_field(reader, record, &methods[i], lens, fault);
		if (status != BLOCKZ_OK)
			return status;
		if (lens->coded_len > DELTA_SECTION_PACKED_MAX - len)
			return delta_damaged(reader, fault, "its streams are longer than %d bytes",
					     DELTA_SECTION_PACKED_MAX);
		len += (size_t)lens->coded_len;
	}
	enum blockz_status status = record_finish(reader, record, fault);
	if (status != BLOCKZ_OK)
		return status;
	uint64_t start = reader->input.off;
	status = load_bytes(reader, len, fault);
	return status == BLOCKZ_OK ? start_streams(reader, start, methods, fault) : status;
}

enum blockz_status record_unload(struct delta_reader *reader, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < reader->stream_count && status == BLOCKZ_OK; i++)
		status = stream_finish(&reader->streams[i], fault);
	return status;
}

/* In the order of the streams, so that the first that is damaged is the one that is told. */
static enum blockz_status read_block_fields(struct delta_reader *reader, struct block_fields *fields,
					    struct blockz_fault *fault)
{
	struct stream_reader *streams = reader->streams;
	for (size_t i = 0; i < BLOCK_NUMBERS; i++) {
		enum blockz_status status = stream_read_varint(&streams[i], &fields->numbers[i], fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	return stream_read_byte(&streams[BLOCK_NUMBERS], &fields->coder, fault);
}

static bool is_block_len(uint64_t len)
{
	return len > 0 && len <= CODEC_BLOCK_MAX;
}

enum blockz_status record_block(struct delta_reader *reader, bool is_new, struct block_fields *fields_ret,
				struct blockz_fault *fault)
{
	enum blockz_status status = read_block_fields(reader, fields_ret, fault);
	if (status != BLOCKZ_OK)
		return status;
	const uint64_t *numbers = fields_ret->numbers;
	uint64_t file_len = numbers[is_new ? SECTION_FILE_LENS : OLD_FILE_LENS];
	uint64_t plain_len = numbers[is_new ? SECTION_PLAIN_LENS : OLD_PLAIN_LENS];
	if (!is_block_len(file_len) || !is_block_len(plain_len))
		return delta_damaged(reader, fault, "a block of %s has %" PRIu64 " bytes, of %" PRIu64 ", expected 1 to %d",
				     is_new ? "NEW" : "OLD", file_len, plain_len, CODEC_BLOCK_MAX);
	return BLOCKZ_OK;
}
