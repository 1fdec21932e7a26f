/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Merge: NEW is made batch by batch of its parts (parts.h).  One thread at a time reads the delta; all threads fetch what
 * parts take of OLD, and encode blocks; parts are written in order, and NEW's digest says whether they are right.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/export.h"
#include "base/fault.h"
#include "blockz_delta.h"
#include "check/sha256.h"
#include "delta/apply/check_client.h"
#include "delta/apply/parts.h"
#include "delta/file/proved_blocks.h"
#include "io/access.h"
#include "parallel/pool.h"

struct merge {
	const struct blockz_work *work;
	struct codec_env env;
	const struct delta_head *head;
	const struct blockz_sink *sink; /* NULL: nowhere */
	const struct blockz_proved_blocks *proved; /* NULL: none */
	struct old *old;
	struct flight flight;
	struct parts_reader reader; /* of the thread that takes a batch */
	struct sha256 digest;       /* of NEW: of the thread that writes one, as is the next */
	uint64_t written;
};

static void batch_release(void *batch)
{
	batch_free(batch);
}

static void *thread_new(void *ctx)
{
	struct merge *merge = ctx;
	struct old_reader *reader = calloc(1, sizeof(*reader));
	if (reader != NULL)
		reader->contexts.env = &merge->env;
	return reader;
}

static void thread_free(void *thread)
{
	old_reader_free(thread);
	free(thread);
}

static enum blockz_status take_batch(const struct pool_call *call, bool *done_ret)
{
	struct merge *merge = call->ctx;
	return batch_read(&merge->reader, call->job, call->thread, done_ret, call->fault);
}

/* The same encoder was seen to make the same content into a block that stands there; NULL: it was not. */
static const struct proved_block *find_proved(const struct merge *merge, const struct part *part)
{
	const struct delta_new_block *block = &part->step.block;
	const struct proved_block *proved = proved_blocks_find(merge->proved, part->new_off);
	if (proved == NULL || proved->file_len != block->file_len)
		return NULL;
	struct proof_digest digest = proof_digest(&merge->head->encoders[block->encoder].params, part->plain.bytes, block->plain_len);
	return digest.low == proved->digest.low && digest.high == proved->digest.high ? proved : NULL;
}

/* A block has to come out with the length it has in NEW; whether the bytes are right shows in NEW's digest. */
static enum blockz_status encode_block(const struct merge *merge, struct part *part, struct codec_contexts *contexts,
				       struct blockz_fault *fault)
{
	const struct delta_new_block *block = &part->step.block;
	const struct codec_params *params = &merge->head->encoders[block->encoder].params;
	const struct proved_block *proved = find_proved(merge, part);
	char name[CODEC_NAME_MAX];
	size_t len = 0;
	if (proved != NULL)
		return proved_blocks_read(merge->proved, proved, &part->encoded, fault);
	enum blockz_status status = codec_encode(contexts, params, part->plain.bytes, block->plain_len, &part->encoded,
						 &len, fault);
	if (status != BLOCKZ_OK || len == block->file_len)
		return status;
	codec_encoder_name(params, name);
	fault_set(fault, BLOCKZ_DAMAGED, part->new_off,
		  "the encoder \"%s\" makes another block than NEW has at byte %" PRIu64 ": bytes expected %" PRIu32
		  ", found %zu", name, part->new_off, block->file_len, len);
	return fault_about(fault, BLOCKZ_DAMAGED, BLOCKZ_ABOUT_NEW);
}

static enum blockz_status make_batch(const struct pool_call *call)
{
	struct merge *merge = call->ctx;
	struct batch *batch = call->job;
	struct old_reader *reader = call->thread;
	enum blockz_status status = batch_fetch(batch, merge->old, reader, call->fault);
	for (size_t i = 0; i < batch->count && status == BLOCKZ_OK; i++)
		if (batch->parts[i].step.is_block)
			status = encode_block(merge, &batch->parts[i], &reader->contexts, call->fault);
	if (status == BLOCKZ_OK)
		batch_wait(batch, &merge->flight);
	else
		batch_leave(batch, &merge->flight, true);
	return status;
}

static enum blockz_status write_part(struct merge *merge, const struct part *part, struct blockz_fault *fault)
{
	const struct delta_step *step = &part->step;
	const uint8_t *bytes = step->is_block ? part->encoded.bytes : part->plain.bytes;
	size_t len = step->is_block ? step->block.file_len : (size_t)step->len;
	sha256_update(&merge->digest, bytes, len);
	enum blockz_status status = merge->sink == NULL ? BLOCKZ_OK : write_out(merge->sink, bytes, len, fault);
	if (status != BLOCKZ_OK)
		return status;
	merge->written += len;
	return pool_progress(merge->work, merge->written, part->delta_off, fault);
}

static enum blockz_status write_batch(const struct pool_call *call)
{
	struct merge *merge = call->ctx;
	struct batch *batch = call->job;
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < batch->count && status == BLOCKZ_OK; i++)
		status = write_part(merge, &batch->parts[i], call->fault);
	batch_leave(batch, &merge->flight, status != BLOCKZ_OK);
	return status;
}

static enum blockz_status make_new(struct merge *merge, struct blockz_fault *fault)
{
	const struct pool_jobs jobs = {
		.ctx = merge, .job_size = sizeof(struct batch), .job_release = batch_release,
		.thread_new = thread_new, .thread_free = thread_free,
		.take = take_batch, .work = make_batch, .give = write_batch,
	};
	if (!sha256_start(&merge->digest))
		return fault_nomem(fault);
	enum blockz_status status = pool_run(&jobs, merge->flight.threads, fault);
	if (status == BLOCKZ_OK)
		status = fault_about(fault, sha256_expect(&merge->digest, merge->head->new_sha256,
							  "NEW did not come out right", fault),
				     BLOCKZ_ABOUT_NEW);
	sha256_free(&merge->digest);
	return status;
}

static enum blockz_status merge_checked(struct delta_reader *delta, const struct blockz_source *old,
					const struct blockz_sink *sink, const struct blockz_merge_options *options,
					struct blockz_fault *fault)
{
	struct merge merge = {
		.work = &options->work, .env = { .lzo = options->lzo }, .head = delta_reader_head(delta), .sink = sink,
		.proved = options->proved,
	};
	unsigned threads = pool_threads(options->work.threads);
	struct delta_old_blocks blocks = { 0 };
	enum blockz_status status = delta_read_old_blocks(delta, &blocks, fault);
	if (status != BLOCKZ_OK)
		return status;
	merge.old = old_new(old, merge.head->old_size, &blocks, CLIENT_CACHE + CLIENT_LISTS,
			    (unsigned)min(threads, FLIGHT_LONG_AT_ONCE));
	if (merge.old == NULL)
		return fault_nomem(fault);
	flight_init(&merge.flight, threads);
	merge.reader = (struct parts_reader){ .delta = delta, .old = merge.old, .flight = &merge.flight };
	status = make_new(&merge, fault);
	flight_destroy(&merge.flight);
	old_free(merge.old);
	return status;
}

EXPORT enum blockz_status blockz_merge(const struct blockz_source *old, const struct blockz_source *delta,
				       const struct blockz_sink *sink, const struct blockz_merge_options *options,
				       struct blockz_fault *fault)
{
	const struct codec_env env = { .lzo = options->lzo };
	struct delta_reader *reader = NULL;
	enum blockz_status status = delta_reader_new(delta, &reader, fault);
	if (status == BLOCKZ_OK)
		status = check_client(delta_reader_head(reader), old, &env, &options->work, fault);
	if (status == BLOCKZ_OK)
		status = merge_checked(reader, old, sink, options, fault);
	delta_reader_free(reader);
	return status;
}

EXPORT enum blockz_status blockz_merge_check(const struct blockz_source *old, const struct blockz_source *delta,
					     const struct blockz_merge_options *options, struct blockz_fault *fault)
{
	const struct codec_env env = { .lzo = options->lzo };
	struct delta_reader *reader = NULL;
	enum blockz_status status = delta_reader_new(delta, &reader, fault);
	if (status == BLOCKZ_OK)
		status = check_client(delta_reader_head(reader), old, &env, &options->work, fault);
	delta_reader_free(reader);
	return status;
}
