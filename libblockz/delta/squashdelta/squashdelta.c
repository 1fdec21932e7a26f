/* SPDX-License-Identifier: BSD-3-Clause */
/* Expanding images, and squashing what was expanded. */
#include <inttypes.h>
#include <stdlib.h>

#include "delta/squashdelta/squashdelta.h"
#include "base/buffer.h"
#include "base/checked.h"
#include "base/export.h"
#include "base/fault.h"
#include "base/plural.h"
#include "blockz_delta.h"
#include "format/format.h"
#include "io/access.h"
#include "parallel/pool.h"

enum { COPY_LEN = 1 << 20 };

enum part_kind {
	PART_COPY,   /* bytes of the source */
	PART_ZEROS,  /* where a block was */
	PART_DECODE, /* the content of a block */
	PART_ENCODE, /* a block of its content */
};

/* What comes out next. */
struct part {
	enum part_kind kind;
	uint64_t off; /* in the source */
	uint32_t len; /* of what comes out */
	const struct squashdelta_block *block; /* PART_DECODE, PART_ENCODE */
};

/* The way through the image, block by block, and when expanding then through the blocks' content. */
struct walk {
	const struct blockz_source *source; /* the image, or its expanded file */
	const struct blockz_squashdelta *list;
	const struct blockz_sink *sink;
	const struct blockz_work *work;
	struct codec_env env;
	bool squashes;
	uint64_t image_size;
	uint64_t pos;       /* in the image */
	uint64_t plain_pos; /* in the expanded file */
	size_t block, decoded; /* the next of each */
	uint64_t done;      /* bytes that came out */
};

struct walk_job {
	struct part part;
	struct buffer in, out;
};

static void job_release(void *memory)
{
	struct walk_job *job = memory;
	buffer_free(&job->in);
	buffer_free(&job->out);
}

static void *thread_new(void *ctx)
{
	const struct walk *walk = ctx;
	struct codec_contexts *contexts = calloc(1, sizeof(*contexts));
	if (contexts != NULL)
		contexts->env = &walk->env;
	return contexts;
}

static void thread_free(void *memory)
{
	codec_contexts_free(memory);
	free(memory);
}

static struct part part_in_image(struct walk *walk)
{
	const struct squashdelta_block *block = walk->block < walk->list->count ? &walk->list->items[walk->block] : NULL;
	uint64_t end = block != NULL ? block->file_off : walk->image_size;
	struct part part = { .kind = PART_COPY, .off = walk->pos, .len = (uint32_t)min(end - walk->pos, COPY_LEN) };
	if (walk->pos == end) {
		part = (struct part){ walk->squashes ? PART_ENCODE : PART_ZEROS, walk->plain_pos, block->file_len, block };
		walk->plain_pos += block->plain_len;
		walk->block++;
	}
	walk->pos += part.len;
	return part;
}

static enum blockz_status take_part(const struct pool_call *call, bool *done_ret)
{
	struct walk *walk = call->ctx;
	struct walk_job *job = call->job;
	if (walk->pos < walk->image_size) {
		job->part = part_in_image(walk);
	} else if (!walk->squashes && walk->decoded < walk->list->count) {
		const struct squashdelta_block *block = &walk->list->items[walk->decoded++];
		job->part = (struct part){ PART_DECODE, block->file_off, block->plain_len, block };
	} else {
		*done_ret = true;
	}
	return BLOCKZ_OK;
}

static enum blockz_status copy_part(const struct walk *walk, struct walk_job *job, struct blockz_fault *fault)
{
	if (!buffer_reserve(&job->out, job->part.len))
		return fault_nomem(fault);
	return read_file(walk->source, job->out.bytes, job->part.len, job->part.off, fault);
}

/* Says which block of the image a codec's fault is about. */
static enum blockz_status at_block(const struct part *part, enum blockz_status status, struct blockz_fault *fault)
{
	if (status == BLOCKZ_DAMAGED && fault != NULL && fault->offset == BLOCKZ_UNKNOWN)
		fault->offset = part->block->file_off;
	return status;
}

static enum blockz_status decode_part(const struct walk *walk, struct walk_job *job, struct codec_contexts *contexts,
				      struct blockz_fault *fault)
{
	const struct part *part = &job->part;
	size_t len = part->block->file_len;
	if (!buffer_reserve(&job->in, len) || !buffer_reserve(&job->out, (size_t)part->len + DECODE_SLACK))
		return fault_nomem(fault);
	enum blockz_status status = read_file(walk->source, job->in.bytes, len, part->off, fault);
	if (status == BLOCKZ_OK)
		status = codec_decode(contexts, walk->list->params.codec, job->in.bytes, len, job->out.bytes, part->len, fault);
	return at_block(part, status, fault);
}

static enum blockz_status encode_part(const struct walk *walk, struct walk_job *job, struct codec_contexts *contexts,
				      struct blockz_fault *fault)
{
	const struct part *part = &job->part;
	size_t plain_len = part->block->plain_len, len = 0;
	if (!buffer_reserve(&job->in, plain_len))
		return fault_nomem(fault);
	enum blockz_status status = read_file(walk->source, job->in.bytes, plain_len, part->off, fault);
	if (status == BLOCKZ_OK)
		status = codec_encode(contexts, &walk->list->params, job->in.bytes, plain_len, &job->out, &len, fault);
	if (status == BLOCKZ_OK && len != part->len)
		status = fault_set(fault, BLOCKZ_DAMAGED, part->block->file_off,
				   "the encoder makes a block of %zu byte%s, expected %" PRIu32
				   ": damaged, or compressed by another version of the encoder", len, plural(len),
				   part->len);
	return at_block(part, status, fault);
}

static enum blockz_status make_part(const struct pool_call *call)
{
	const struct walk *walk = call->ctx;
	struct walk_job *job = call->job;
	switch (job->part.kind) {
	case PART_COPY:
		return copy_part(walk, job, call->fault);
	case PART_DECODE:
		return decode_part(walk, job, call->thread, call->fault);
	case PART_ENCODE:
		return encode_part(walk, job, call->thread, call->fault);
	case PART_ZEROS:
		break;
	}
	return BLOCKZ_OK;
}

static enum blockz_status write_part(const struct pool_call *call)
{
	struct walk *walk = call->ctx;
	const struct walk_job *job = call->job;
	const struct part *part = &job->part;
	enum blockz_status status = part->kind == PART_ZEROS ? write_zeros(walk->sink, part->len, call->fault)
							     : write_out(walk->sink, job->out.bytes, part->len, call->fault);
	walk->done += part->len;
	return status == BLOCKZ_OK ? pool_progress(walk->work, walk->done, part->off, call->fault) : status;
}

static enum blockz_status run_walk(struct walk *walk, struct blockz_fault *fault)
{
	const struct pool_jobs jobs = {
		.ctx = walk, .job_size = sizeof(struct walk_job), .job_release = job_release,
		.thread_new = thread_new, .thread_free = thread_free,
		.take = take_part, .work = make_part, .give = write_part,
	};
	return pool_run(&jobs, walk->work->threads, fault);
}

EXPORT enum blockz_status blockz_squashdelta_expand(const struct blockz_source *image,
						    const struct blockz_squashdelta *list, const struct blockz_sink *sink,
						    const struct blockz_merge_options *options, struct blockz_fault *fault)
{
	if (image->size == BLOCKZ_UNKNOWN)
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "the image is a stream");
	struct walk walk = { .source = image, .list = list, .sink = sink, .work = &options->work, .env = { options->lzo },
			     .image_size = image->size };
	enum blockz_status status = squashdelta_fit(list, image->size, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = run_walk(&walk, fault);
	return status == BLOCKZ_OK ? squashdelta_write_end(list, sink, fault) : status;
}

EXPORT enum blockz_status blockz_squashdelta_squash(const struct blockz_source *expanded, const struct blockz_sink *sink,
						    const struct blockz_merge_options *options,
						    struct blockz_fault *fault)
{
	struct blockz_squashdelta *list = NULL;
	struct walk walk = { .source = expanded, .sink = sink, .work = &options->work, .env = { options->lzo },
			     .squashes = true };
	if (expanded->size == BLOCKZ_UNKNOWN)
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "the expanded file is a stream");
	enum blockz_status status = squashdelta_read_end(expanded, &list, &walk.image_size, fault);
	walk.list = list;
	walk.plain_pos = walk.image_size;
	if (status == BLOCKZ_OK)
		status = run_walk(&walk, fault);
	blockz_squashdelta_free(list);
	return status;
}
