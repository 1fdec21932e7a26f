/* SPDX-License-Identifier: BSD-3-Clause */
/* A reader from its beginning to its end, and the sections that it loads one after the other. */
#include "delta/file/read.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/plural.h"
#include "delta/file/reader.h"

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
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		uint64_t found = 0;
		enum blockz_status status = record_varint(reader, record, &found, fault);
		if (status != BLOCKZ_OK)
			return status;
		if (found != expected[i])
			return delta_damaged(reader, fault, "the delta has %" PRIu64 " %s, and had %" PRIu64 " when it was "
					     "written", expected[i], what[i], found);
	}
	enum blockz_status status = record_finish(reader, record, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (reader->new_len != reader->head.new_size)
		return delta_damaged(reader, fault, "the delta makes %" PRIu64 " byte%s of NEW, expected %" PRIu64,
				     reader->new_len, plural(reader->new_len), reader->head.new_size);
	return input_end(&reader->input, fault);
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
