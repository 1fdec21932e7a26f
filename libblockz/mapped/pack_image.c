/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * blockz_pack(): the image is cut by its size, the piece size and the raw ranges alone, and read in order.  Holes are not
 * read.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/export.h"
#include "base/fault.h"
#include "base/plural.h"
#include "io/access.h"
#include "mapped/pack_options.h"

enum {
	ZERO_RUN_MAX = 4096, /* pieces of a hole at once: progress is told, and interruption heard, between them */
};

struct input {
	const struct blockz_source *image;
	const struct pack_params *params;
	struct blockz_range *raw;
	size_t raw_count;
	uint64_t pos;                  /* image offset of the next piece */
	size_t next_raw;               /* first raw range that ends behind pos */
	uint64_t data_start, data_end; /* the image's first data extent that ends behind pos, as known so far */
	bool ended;                    /* a stream has ended */
};

/* Where the piece that starts at pos ends, by cuts alone. */
static void cut_piece(struct input *input, struct pack_piece *piece)
{
	while (input->next_raw < input->raw_count && input->raw[input->next_raw].end <= input->pos)
		input->next_raw++;
	const struct blockz_range *raw = input->next_raw < input->raw_count ? &input->raw[input->next_raw] : NULL;
	bool in_raw = raw != NULL && raw->start <= input->pos;
	uint64_t size = in_raw ? input->params->raw_size : input->params->piece_size;
	uint64_t edge = input->pos - input->pos % size + size;
	uint64_t end = min(edge, input->params->image_size);
	if (raw != NULL)
		end = min(end, in_raw ? raw->end : raw->start);
	piece->kind = in_raw ? BLOCKZ_RAW : BLOCKZ_COMPRESSED;
	piece->start = input->pos;
	piece->end = end;
	piece->copies = 1;
	piece->may_be_zero = !in_raw && end - input->pos == size;
}

/* Makes a run of the zero pieces that a hole holds from pos on; false if there is none. */
static enum blockz_status take_hole(struct input *input, struct pack_piece *piece, bool *taken_ret,
				    struct blockz_fault *fault)
{
	const struct blockz_source *image = input->image;
	*taken_ret = false;
	if (!piece->may_be_zero || image->size == BLOCKZ_UNKNOWN)
		return BLOCKZ_OK;
	if (input->data_end <= input->pos) {
		int error = find_data(image, input->pos, &input->data_start, &input->data_end);
		if (error != 0)
			return fault_about(fault, fault_errno(fault, error, BLOCKZ_UNKNOWN, "finding holes in the image"),
					   BLOCKZ_ABOUT_IMAGE);
	}
	uint64_t limit = min(input->data_start, input->params->image_size);
	if (input->next_raw < input->raw_count)
		limit = min(limit, input->raw[input->next_raw].start);
	uint64_t piece_size = input->params->piece_size;
	uint64_t copies = limit > input->pos ? min((limit - input->pos) / piece_size, ZERO_RUN_MAX) : 0;
	if (copies == 0)
		return BLOCKZ_OK;
	piece->kind = BLOCKZ_ZERO;
	piece->end = input->pos + copies * piece_size;
	piece->copies = copies;
	*taken_ret = true;
	return BLOCKZ_OK;
}

static enum blockz_status take_bytes(struct input *input, struct pack_piece *piece, uint8_t *bytes,
				     struct blockz_fault *fault)
{
	const struct blockz_source *image = input->image;
	size_t len = (size_t)(piece->end - piece->start), got = 0;
	if (image->size != BLOCKZ_UNKNOWN)
		return read_data(image, bytes, len, piece->start, BLOCKZ_ABOUT_IMAGE, fault);
	int error = image->ops->read(image->ctx, bytes, len, piece->start, &got);
	if (error != 0)
		return fault_about(fault, fault_errno(fault, error, BLOCKZ_UNKNOWN, "image"), BLOCKZ_ABOUT_IMAGE);
	if (got < len) {
		input->ended = true;
		piece->end = piece->start + got;
		piece->may_be_zero = false;
	}
	return BLOCKZ_OK;
}

/* The end of a stream shows itself only when it is there. */
static enum blockz_status check_end(const struct input *input, struct blockz_fault *fault)
{
	if (input->raw_count == 0)
		return BLOCKZ_OK;
	const struct blockz_range *last = &input->raw[input->raw_count - 1];
	uint64_t least = last->end == BLOCKZ_UNKNOWN ? last->start : last->end;
	if (least <= input->pos)
		return BLOCKZ_OK;
	return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN,
			 "raw range up to %" PRIu64 " lies beyond the image, which has %" PRIu64 " byte%s", least,
			 input->pos, plural(input->pos));
}

static enum blockz_status next_piece(void *ctx, struct pack_piece *piece, uint8_t *bytes, struct blockz_fault *fault)
{
	struct input *input = ctx;
	if (input->ended || input->pos >= input->params->image_size)
		return check_end(input, fault);
	cut_piece(input, piece);
	bool taken;
	enum blockz_status status = take_hole(input, piece, &taken, fault);
	if (status == BLOCKZ_OK && !taken)
		status = take_bytes(input, piece, bytes, fault);
	input->pos = piece->end;
	return status == BLOCKZ_OK && piece->start == piece->end ? check_end(input, fault) : status;
}

EXPORT enum blockz_status blockz_pack(const struct blockz_source *image, const struct blockz_sink *sink,
				      const struct blockz_pack_options *options,
				      struct blockz_pack_result *result_ret, struct blockz_fault *fault)
{
	struct pack_task task = { .sink = sink, .work = &options->work };
	struct input input = { .image = image, .params = &task.params };
	enum blockz_status status = pack_options_check(options, image->size, &task, fault);
	if (status == BLOCKZ_OK)
		status = pack_raw(options->raw, options->raw_count, image->size, &input.raw, &input.raw_count, fault);
	if (status != BLOCKZ_OK)
		return status;
	task.params.raw_count = input.raw_count;
	task.zero_size = task.params.piece_size;
	task.feed = (struct pack_feed){ .ctx = &input, .next = next_piece };
	status = pack_run(&task, result_ret, fault);
	free(input.raw);
	return status;
}
