/* SPDX-License-Identifier: BSD-3-Clause */
/* Each part of a text is read, and decoded if it is a block, by itself; so any number of threads may do it. */
#include "delta/make/plain_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bisect.h"
#include "base/checked.h"
#include "base/fault.h"
#include "delta/make/unpack.h"
#include "io/access.h"
#include "parallel/pool.h"

static bool append_part(struct plain_text *text, uint64_t len, uint64_t file_off, uint32_t block)
{
	struct text_part *parts = array_room(text->parts, text->count, sizeof(*parts));
	if (parts == NULL)
		return false;
	text->parts = parts;
	parts[text->count++] = (struct text_part){ text->len, len, file_off, block };
	text->len += len;
	return true;
}

static bool append_plain(struct plain_text *text, uint64_t start, uint64_t end)
{
	for (uint64_t len; start < end; start += len) {
		len = min(end - start, TEXT_PART_MAX);
		if (!append_part(text, len, start, TEXT_NO_BLOCK))
			return false;
	}
	return true;
}

/* Walks the file once and appends what was asked for. */
static bool append_all(struct plain_text *text, const bool *wanted, bool plain, bool blocks)
{
	const struct blocks *all = &text->image->blocks;
	uint64_t pos = 0;
	for (size_t i = 0; i < all->count; i++) {
		const struct block *block = &all->items[i];
		if (plain && !append_plain(text, pos, block->file_off))
			return false;
		if (blocks && wanted[i] && !append_part(text, block->plain_len, block->file_off, (uint32_t)i))
			return false;
		pos = block->file_off + block->file_len;
	}
	return !plain || append_plain(text, pos, all->size);
}

enum blockz_status plain_text_layout(const struct image *image, const bool *wanted, bool in_order,
				     struct plain_text *text_ret, struct blockz_fault *fault)
{
	struct plain_text text = { .image = image };
	bool ok = in_order ? append_all(&text, wanted, true, true)
			   : append_all(&text, wanted, true, false) && append_all(&text, wanted, false, true);
	if (!ok) {
		plain_text_free(&text);
		return fault_nomem(fault);
	}
	*text_ret = text;
	return BLOCKZ_OK;
}

struct text_bounds plain_text_bounds(const struct blocks *blocks, const bool *wanted)
{
	struct text_bounds bounds = { .longest = 1 };
	uint64_t between = blocks->size;
	for (size_t i = 0; i < blocks->count; i++) {
		const struct block *block = &blocks->items[i];
		between -= block->file_len;
		if (!wanted[i])
			continue;
		bounds.longest = block->plain_len > bounds.longest ? block->plain_len : bounds.longest;
		bounds.len += block->plain_len;
	}
	bounds.len += between;
	uint64_t part = min(between, TEXT_PART_MAX);
	bounds.longest = part > bounds.longest ? part : bounds.longest;
	return bounds;
}

void plain_text_free(struct plain_text *text)
{
	free(text->parts);
	*text = (struct plain_text){ 0 };
}

static bool starts_at_or_before(const void *text, uint64_t i, uint64_t text_off)
{
	return ((const struct plain_text *)text)->parts[i].text_off <= text_off;
}

size_t plain_text_find(const struct plain_text *text, uint64_t text_off)
{
	return (size_t)bisect_last(text->count, starts_at_or_before, text, text_off);
}

/* ---- Reading in parallel: one job is one part ---- */

struct reading {
	const struct image *image;
	const struct codec_env *env;
	const struct blockz_work *work;
	const struct text_part *parts;
	size_t next, end;
	uint64_t done;
	/* Either the memory that all parts are copied to, or somebody who looks at each block. */
	uint8_t *out;
	const struct text_viewer *viewer;
};

struct job {
	const struct text_part *part;
};

static void *thread_new(void *ctx)
{
	const struct reading *reading = ctx;
	return unpacker_new(reading->image, reading->env);
}

static enum blockz_status take_part(const struct pool_call *call, bool *done_ret)
{
	struct reading *reading = call->ctx;
	struct job *job = call->job;
	*done_ret = reading->next == reading->end;
	if (!*done_ret)
		job->part = &reading->parts[reading->next++];
	return BLOCKZ_OK;
}

/* Blocks are decoded beside their place, since decoders may write behind it. */
static enum blockz_status copy_part(const struct pool_call *call)
{
	const struct reading *reading = call->ctx;
	const struct image *image = reading->image;
	const struct text_part *part = ((const struct job *)call->job)->part;
	uint8_t *out = reading->out + (part->text_off - reading->parts[0].text_off);
	if (part->block == TEXT_NO_BLOCK)
		return read_data(&image->file, out, (size_t)part->len, part->file_off, image->subject, call->fault);
	const uint8_t *plain = NULL;
	enum blockz_status status = unpack(call->thread, &image->blocks.items[part->block], &plain, call->fault);
	if (status == BLOCKZ_OK)
		memcpy(out, plain, (size_t)part->len);
	return status;
}

/* What cannot be decoded is shown as that. */
static enum blockz_status show_block(const struct pool_call *call)
{
	const struct reading *reading = call->ctx;
	const struct text_viewer *viewer = reading->viewer;
	const struct text_part *part = ((const struct job *)call->job)->part;
	const uint8_t *plain = NULL;
	enum blockz_status status = unpack(call->thread, &reading->image->blocks.items[part->block], &plain, call->fault);
	if (status == BLOCKZ_FAILED)
		return status;
	viewer->look(viewer->ctx, part->block, status == BLOCKZ_OK ? plain : NULL, (size_t)part->len);
	return BLOCKZ_OK;
}

static enum blockz_status count_part(const struct pool_call *call)
{
	struct reading *reading = call->ctx;
	reading->done += ((const struct job *)call->job)->part->len;
	return pool_progress(reading->work, reading->done, 0, call->fault);
}

static enum blockz_status read_parts(struct reading *reading, struct blockz_fault *fault)
{
	const struct pool_jobs jobs = {
		.ctx = reading, .job_size = sizeof(struct job), .thread_new = thread_new, .thread_free = unpacker_free,
		.take = take_part, .work = reading->viewer == NULL ? copy_part : show_block, .give = count_part,
	};
	return pool_run(&jobs, reading->work->threads, fault);
}

enum blockz_status plain_text_read(const struct plain_text *text, size_t first, size_t end, const struct codec_env *env,
				   uint8_t *out, const struct blockz_work *work, struct blockz_fault *fault)
{
	struct reading reading = {
		.image = text->image, .env = env, .work = work, .parts = text->parts + first, .end = end - first,
		.out = out,
	};
	return read_parts(&reading, fault);
}

enum blockz_status plain_text_look(const struct image *image, const bool *wanted, const struct codec_env *env,
				   const struct text_viewer *viewer, const struct blockz_work *work,
				   struct blockz_fault *fault)
{
	struct plain_text text = { .image = image };
	if (!append_all(&text, wanted, false, true)) {
		plain_text_free(&text);
		return fault_nomem(fault);
	}
	struct reading reading = {
		.image = image, .env = env, .work = work, .parts = text.parts, .end = text.count, .viewer = viewer,
	};
	enum blockz_status status = read_parts(&reading, fault);
	plain_text_free(&text);
	return status;
}
