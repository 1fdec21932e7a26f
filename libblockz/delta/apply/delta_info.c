/* SPDX-License-Identifier: BSD-3-Clause */
/* What a delta says of itself. */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/export.h"
#include "base/fault.h"
#include "blockz_delta.h"
#include "delta/file/read.h"

static void tell_encoder(const struct delta_encoder *from, struct blockz_encoder *encoder)
{
	_Static_assert((int)CODEC_FINGERPRINT_LEN == (int)BLOCKZ_FINGERPRINT_LEN, "the same fingerprints");
	_Static_assert(sizeof(encoder->name) >= (size_t)CODEC_NAME_MAX, "room for a name");
	codec_encoder_name(&from->params, encoder->name);
	memcpy(encoder->fingerprint, from->fingerprint, sizeof(encoder->fingerprint));
}

static void tell_head(const struct delta_head *head, struct blockz_delta_info *info)
{
	*info = (struct blockz_delta_info){
		.old_size = head->old_size, .new_size = head->new_size, .encoder_count = head->encoder_count,
	};
	memcpy(info->old_sha256, head->old_sha256, sizeof(info->old_sha256));
	memcpy(info->new_sha256, head->new_sha256, sizeof(info->new_sha256));
	memcpy(info->old_container, head->old_container, sizeof(info->old_container));
	memcpy(info->new_container, head->new_container, sizeof(info->new_container));
	memcpy(info->note, head->note, sizeof(info->note));
	_Static_assert(sizeof(info->encoders) / sizeof(info->encoders[0]) >= DELTA_ENCODERS_MAX, "room for all");
	for (size_t i = 0; i < head->encoder_count; i++)
		tell_encoder(&head->encoders[i], &info->encoders[i]);
}

EXPORT enum blockz_status blockz_delta_info(const struct blockz_source *delta, struct blockz_delta_info *info_ret,
					    struct blockz_fault *fault)
{
	struct delta_reader *reader = NULL;
	enum blockz_status status = delta_reader_new(delta, &reader, fault);
	if (status == BLOCKZ_OK)
		tell_head(delta_reader_head(reader), info_ret);
	delta_reader_free(reader);
	return status;
}

/* ---- All of it ---- */

enum { STEP_MAX = 64 << 10 };

/* Reads all ops of a section, and with them all its streams. */
static enum blockz_status read_section(struct delta_reader *reader, uint8_t *bytes, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	bool done = false;
	while (status == BLOCKZ_OK) {
		struct delta_step step = { .len = 0 };
		status = delta_read_step(reader, STEP_MAX, &step, &done, fault);
		if (status != BLOCKZ_OK || done)
			break;
		while (step.len > 0 && status == BLOCKZ_OK) {
			struct op op = { 0 };
			status = delta_read_op(reader, min(step.len, STEP_MAX), &op, bytes, fault);
			step.len -= op.len;
		}
	}
	return status;
}

static void add_parts(const struct delta_reader *reader, size_t first, struct blockz_delta_summary *summary)
{
	size_t count = 0;
	const struct delta_stream_lens *streams = delta_reader_streams(reader, &count);
	for (size_t i = 0; i < count; i++) {
		struct blockz_delta_part *part = &summary->parts[first + i];
		part->coded += streams[i].coded_len;
		part->plain += streams[i].plain_len;
		memcpy(part->name, streams[i].name, strlen(streams[i].name) + 1);
	}
	summary->part_count = first + count;
}

static struct blockz_delta_ops ops_of(const struct delta_totals *totals, enum op_kind kind)
{
	return (struct blockz_delta_ops){ totals->ops[kind], totals->ops_len[kind] };
}

static void tell_totals(const struct delta_reader *reader, struct blockz_delta_summary *summary)
{
	const struct delta_totals *totals = delta_reader_totals(reader);
	summary->delta_size = delta_reader_len(reader);
	summary->sections = totals->sections;
	summary->blocks = totals->blocks;
	summary->blocks_plain = totals->blocks_plain_len;
	summary->blocks_coded = totals->blocks_file_len;
	summary->copy = ops_of(totals, OP_COPY);
	summary->add = ops_of(totals, OP_ADD);
	summary->extra = ops_of(totals, OP_EXTRA);
	summary->packed = ops_of(totals, OP_PACKED);
}

static enum blockz_status read_all(struct delta_reader *reader, struct blockz_delta_summary *summary, uint8_t *bytes,
				   struct blockz_fault *fault)
{
	struct delta_old_blocks blocks = { 0 };
	enum blockz_status status = delta_read_old_blocks(reader, &blocks, fault);
	if (status != BLOCKZ_OK)
		return status;
	summary->old_blocks = blocks.count;
	add_parts(reader, 0, summary);
	size_t first = summary->part_count;
	bool done = false;
	while (status == BLOCKZ_OK) {
		status = delta_read_section(reader, &done, fault);
		if (status != BLOCKZ_OK || done)
			break;
		add_parts(reader, first, summary);
		status = read_section(reader, bytes, fault);
	}
	tell_totals(reader, summary);
	return status;
}

EXPORT enum blockz_status blockz_delta_summary(const struct blockz_source *delta,
					       struct blockz_delta_summary *summary_ret, struct blockz_fault *fault)
{
	struct delta_reader *reader = NULL;
	struct blockz_delta_summary summary = { 0 };
	enum blockz_status status = delta_reader_new(delta, &reader, fault);
	if (status != BLOCKZ_OK)
		return status;
	uint8_t *bytes = malloc(STEP_MAX);
	status = bytes == NULL ? fault_nomem(fault) : read_all(reader, &summary, bytes, fault);
	if (status == BLOCKZ_OK)
		*summary_ret = summary;
	free(bytes);
	delta_reader_free(reader);
	return status;
}
