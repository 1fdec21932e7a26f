/* SPDX-License-Identifier: BSD-3-Clause */
#include "delta/make/plain_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/checked.h"
#include "base/fault.h"
#include "delta/make/unpack.h"
#include "io/access.h"
#include "parallel/pool.h"

static bool append(struct text *text, uint64_t len, uint64_t file_off, uint32_t block)
{
	struct text_span *spans = array_room(text->spans, text->count, sizeof(*spans));
	if (spans == NULL)
		return false;
	text->spans = spans;
	spans[text->count++] = (struct text_span){ text->len, len, file_off, block };
	text->len += len;
	return true;
}

static bool append_plain(struct text *text, uint64_t start, uint64_t end)
{
	for (uint64_t len; start < end; start += len) {
		len = min(end - start, TEXT_SPAN_MAX);
		if (!append(text, len, start, TEXT_NO_BLOCK))
			return false;
	}
	return true;
}

/* Walks the file once and appends what was asked for. */
static bool append_all(struct text *text, const bool *wanted, bool plain, bool blocks)
{
	const struct blocks *all = &text->image->blocks;
	uint64_t pos = 0;
	bool ok = true;
	for (size_t i = 0; i < all->count && ok; i++) {
		const struct block *block = &all->items[i];
		if (plain)
			ok = append_plain(text, pos, block->file_off);
		if (blocks && wanted[i])
			ok = ok && append(text, block->plain_len, block->file_off, (uint32_t)i);
		pos = block->file_off + block->file_len;
	}
	return ok && (!plain || append_plain(text, pos, all->size));
}

enum blockz_status text_layout(const struct image *image, const bool *wanted, bool in_order, struct text *text_ret,
			       struct blockz_fault *fault)
{
	struct text text = { .image = image };
	bool ok = in_order ? append_all(&text, wanted, true, true)
			   : append_all(&text, wanted, true, false) && append_all(&text, wanted, false, true);
	if (!ok) {
		text_free(&text);
		return fault_nomem(fault);
	}
	*text_ret = text;
	return BLOCKZ_OK;
}

void text_free(struct text *text)
{
	free(text->spans);
	*text = (struct text){ 0 };
}

size_t text_find(const struct text *text, uint64_t text_off)
{
	size_t low = 0, high = text->count;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (text->spans[middle].text_off <= text_off)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* Both ways of going through blocks in parallel: one job is one span. */
struct reading {
	const struct image *image;
	const struct codec_env *env;
	const struct blockz_work *work;
	const struct text_span *spans;
	size_t next, end;
	uint64_t done;
	/* Either the memory that all spans go to, or somebody who looks at each. */
	uint8_t *out;
	void (*look)(void *ctx, size_t block, const uint8_t *plain, size_t len);
	void *look_ctx;
};

static void *thread_new(void *ctx)
{
	const struct reading *reading = ctx;
	return unpacker_new(reading->image, reading->env);
}

static enum blockz_status take_span(const struct pool_call *call, bool *done_ret)
{
	struct reading *reading = call->ctx;
	*done_ret = reading->next == reading->end;
	if (!*done_ret)
		*(const struct text_span **)call->job = &reading->spans[reading->next++];
	return BLOCKZ_OK;
}

/* Blocks are decoded beside their place, since decoders may write behind it. */
static enum blockz_status read_span(const struct pool_call *call)
{
	const struct reading *reading = call->ctx;
	const struct text_span *span = *(const struct text_span **)call->job;
	uint8_t *out = reading->out == NULL ? NULL : reading->out + (span->text_off - reading->spans[0].text_off);
	if (span->block == TEXT_NO_BLOCK)
		return read_data(&reading->image->file, out, (size_t)span->len, span->file_off, reading->image->subject,
				 call->fault);
	const uint8_t *plain = NULL;
	enum blockz_status status = unpack(call->thread, &reading->image->blocks.items[span->block], &plain, call->fault);
	if (reading->look == NULL) {
		if (status == BLOCKZ_OK)
			memcpy(out, plain, (size_t)span->len);
		return status;
	}
	if (status == BLOCKZ_FAILED)
		return status;
	reading->look(reading->look_ctx, span->block, status == BLOCKZ_OK ? plain : NULL, (size_t)span->len);
	return BLOCKZ_OK;
}

static enum blockz_status count_span(const struct pool_call *call)
{
	struct reading *reading = call->ctx;
	reading->done += (*(const struct text_span **)call->job)->len;
	return pool_progress(reading->work, reading->done, 0, call->fault);
}

static enum blockz_status read_spans(struct reading *reading, struct blockz_fault *fault)
{
	const struct pool_jobs jobs = {
		.ctx = reading, .job_size = sizeof(const struct text_span *),
		.thread_new = thread_new, .thread_free = unpacker_free,
		.take = take_span, .work = read_span, .give = count_span,
	};
	return pool_run(&jobs, reading->work->threads, fault);
}

enum blockz_status text_read(const struct text *text, size_t first, size_t end, const struct codec_env *env,
			     uint8_t *out, const struct blockz_work *work, struct blockz_fault *fault)
{
	struct reading reading = {
		.image = text->image, .env = env, .work = work, .spans = text->spans + first, .end = end - first,
		.out = out,
	};
	return read_spans(&reading, fault);
}

enum blockz_status text_look(const struct image *image, const bool *wanted, const struct codec_env *env,
			     void (*look)(void *ctx, size_t block, const uint8_t *plain, size_t len), void *ctx,
			     const struct blockz_work *work, struct blockz_fault *fault)
{
	struct text text = { .image = image };
	if (!append_all(&text, wanted, false, true)) {
		text_free(&text);
		return fault_nomem(fault);
	}
	struct reading reading = {
		.image = image, .env = env, .work = work, .spans = text.spans, .end = text.count,
		.look = look, .look_ctx = ctx,
	};
	enum blockz_status status = read_spans(&reading, fault);
	text_free(&text);
	return status;
}
