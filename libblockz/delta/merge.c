/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Merge: NEW is made part by part.  One thread at a time reads the patch, a part being a block or some bytes between blocks;
 * all threads fetch what parts take of OLD, and encode blocks; parts are written in order.
 *
 * A part is made in place: the patch's own bytes (differences and new content) are decoded to where they belong, and then
 * OLD's bytes are copied beside them, or added to them.
 */
#include <inttypes.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/export.h"
#include "base/fault.h"
#include "delta/admit.h"
#include "delta/fetch.h"
#include "delta/patch/read.h"
#include "format/format.h"
#include "io/access.h"
#include "parallel/pool.h"

enum {
	PART_MAX = 256 << 10,  /* bytes between blocks that are one part */
	PART_FETCHES_MAX = 4096, /* a part that takes more of OLD does those at once */
	FLIGHT_MIN = 8 << 20,  /* memory of parts under way; more, */
	FLIGHT_MAX = 24 << 20, /* up to this, if that is not one part for each thread; */
	LONG_AT_ONCE = 2,      /* but however long parts of NEW and blocks of OLD are, so many threads have one */
	KEEP = 8 << 20,        /* and of parts that are not: memory of longer ones than all can have is given back */
};

struct merge {
	const struct blockz_merge_options *options;
	struct codec_env env;
	const struct patch_head *head;
	struct patch_reader *reader;
	const struct blockz_sink *sink; /* NULL: nowhere */
	struct old *old;
	unsigned threads;
	/* Of who takes. */
	bool in_section, at_end;
	uint64_t taken_len; /* bytes of NEW */
	/* Of who gives. */
	EVP_MD_CTX *digest;
	uint64_t given_len;
	/* Memory of parts under way, and whether one has failed: no more are given then. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t in_flight;
	bool failed;
};

/* A part. */
struct job {
	struct patch_step step;
	uint64_t new_off, patch_off; /* where it stands in NEW, and what is behind it in the patch */
	uint64_t cost;               /* in memory */
	struct buffer plain, encoded;
	struct fetch *fetches;
	size_t fetch_count;
	const uint8_t *out;
	size_t out_len;
};

static void *job_new(void *ctx)
{
	(void)ctx;
	struct job *job = calloc(1, sizeof(*job));
	struct fetch *fetches = calloc(PART_FETCHES_MAX, sizeof(*fetches));
	if (job == NULL || fetches == NULL) {
		free(job);
		free(fetches);
		return NULL;
	}
	job->fetches = fetches;
	return job;
}

static void job_free(void *memory)
{
	struct job *job = memory;
	buffer_free(&job->plain);
	buffer_free(&job->encoded);
	free(job->fetches);
	free(job);
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

/* ---- Memory of parts under way ---- */

static uint64_t flight_limit(const struct merge *merge, uint64_t cost)
{
	uint64_t limit = min(merge->threads * cost, FLIGHT_MAX), least = min(merge->threads, LONG_AT_ONCE) * cost;
	limit = limit < FLIGHT_MIN ? FLIGHT_MIN : limit;
	return limit < least ? least : limit;
}

/* Waits until there is room; false: a part has failed, and nothing that follows counts. */
static bool enter_flight(struct merge *merge, struct job *job)
{
	job->cost = job->step.is_block ? job->step.len + job->step.block.file_len : job->step.len;
	uint64_t limit = flight_limit(merge, job->cost);
	pthread_mutex_lock(&merge->lock);
	while (!merge->failed && merge->in_flight > 0 && merge->in_flight + job->cost > limit)
		pthread_cond_wait(&merge->changed, &merge->lock);
	bool good = !merge->failed;
	if (good)
		merge->in_flight += job->cost;
	pthread_mutex_unlock(&merge->lock);
	return good;
}

static void leave_flight(struct merge *merge, struct job *job, bool good)
{
	if (job->cost > KEEP / pool_jobs_max(merge->threads)) {
		buffer_free(&job->plain);
		buffer_free(&job->encoded);
	}
	pthread_mutex_lock(&merge->lock);
	merge->in_flight -= job->cost;
	merge->failed |= !good;
	pthread_cond_broadcast(&merge->changed);
	pthread_mutex_unlock(&merge->lock);
}

/* ---- What parts take of OLD ---- */

static enum blockz_status run_fetches(struct merge *merge, struct job *job, struct old_reader *reader,
				      struct blockz_fault *fault)
{
	enum blockz_status status = fetch_all(job->fetches, job->fetch_count, merge->old, reader, job->plain.bytes, fault);
	job->fetch_count = 0;
	return status;
}

/* Reads the ops of a part, and with them the patch's own bytes. */
static enum blockz_status read_ops(struct merge *merge, struct job *job, struct old_reader *reader,
				   struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	job->fetch_count = 0;
	for (uint64_t off = 0; off < job->step.len && status == BLOCKZ_OK;) {
		struct op op = { 0 };
		status = patch_read_op(merge->reader, job->step.len - off, &op, job->plain.bytes + off, fault);
		if (status == BLOCKZ_OK && (op.kind == OP_COPY || op.kind == OP_ADD))
			job->fetches[job->fetch_count++] = (struct fetch){
				.old_off = op.old_off, .off = (uint32_t)off, .len = (uint32_t)op.len, .adds = op.kind == OP_ADD,
			};
		off += op.len;
		if (status == BLOCKZ_OK && job->fetch_count == PART_FETCHES_MAX)
			status = run_fetches(merge, job, reader, fault);
	}
	return status;
}

/* ---- Parts ---- */

/* The next step of whatever section it is in; at_end is set where there is none. */
static enum blockz_status next_step(struct merge *merge, struct patch_step *step_ret, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	while (status == BLOCKZ_OK && !merge->at_end) {
		bool done = false;
		if (!merge->in_section) {
			status = patch_read_section(merge->reader, &merge->at_end, fault);
			merge->in_section = true;
			continue;
		}
		status = patch_read_step(merge->reader, PART_MAX, step_ret, &done, fault);
		if (!done)
			break;
		merge->in_section = false;
	}
	return status;
}

static enum blockz_status take(void *ctx, void *memory, void *thread, bool *done_ret, struct blockz_fault *fault)
{
	struct merge *merge = ctx;
	struct job *job = memory;
	enum blockz_status status = next_step(merge, &job->step, fault);
	if (status != BLOCKZ_OK)
		return status;
	*done_ret = merge->at_end || !enter_flight(merge, job);
	if (*done_ret)
		return BLOCKZ_OK;
	if (!buffer_reserve(&job->plain, (size_t)job->step.len + DECODE_SLACK))
		return fault_nomem(fault);
	status = read_ops(merge, job, thread, fault);
	job->new_off = merge->taken_len;
	job->patch_off = patch_reader_len(merge->reader);
	merge->taken_len += job->step.is_block ? job->step.block.file_len : job->step.len;
	return status;
}

/* A block has to come out with the length it has in NEW; whether the bytes are right shows in NEW's digest. */
static enum blockz_status encode_block(struct merge *merge, struct job *job, struct old_reader *reader,
				       struct blockz_fault *fault)
{
	const struct patch_new_block *block = &job->step.block;
	const struct codec_params *params = &merge->head->encoders[block->encoder].params;
	char name[CODEC_NAME_MAX];
	enum blockz_status status = codec_encode(&reader->contexts, params, job->plain.bytes, block->plain_len,
						 &job->encoded, &job->out_len, fault);
	job->out = job->encoded.bytes;
	if (status != BLOCKZ_OK || job->out_len == block->file_len)
		return status;
	codec_encoder_name(params, name);
	return fault_set(fault, BLOCKZ_DAMAGED, job->new_off,
			 "the encoder \"%s\" makes another block than NEW has at byte %" PRIu64 ": bytes expected %" PRIu32
			 ", found %zu", name, job->new_off, block->file_len, job->out_len);
}

static enum blockz_status work(void *ctx, void *memory, void *thread, struct blockz_fault *fault)
{
	struct merge *merge = ctx;
	struct job *job = memory;
	enum blockz_status status = run_fetches(merge, job, thread, fault);
	job->out = job->plain.bytes;
	job->out_len = (size_t)job->step.len;
	if (status == BLOCKZ_OK && job->step.is_block)
		status = encode_block(merge, job, thread, fault);
	if (status != BLOCKZ_OK)
		leave_flight(merge, job, false);
	return status;
}

static enum blockz_status write_part(struct merge *merge, const struct job *job, struct blockz_fault *fault)
{
	const struct blockz_work *params = &merge->options->work;
	if (EVP_DigestUpdate(merge->digest, job->out, job->out_len) != 1)
		return fault_nomem(fault);
	enum blockz_status status = merge->sink == NULL ? BLOCKZ_OK
							: write_out(merge->sink, job->out, job->out_len, fault);
	merge->given_len += job->out_len;
	if (status == BLOCKZ_OK && params->progress != NULL &&
	    !params->progress(params->progress_ctx, merge->given_len, job->patch_off))
		return fault_set(fault, BLOCKZ_FAILED, BLOCKZ_UNKNOWN, "interrupted");
	return status;
}

static enum blockz_status give(void *ctx, void *memory, void *thread, struct blockz_fault *fault)
{
	(void)thread;
	enum blockz_status status = write_part(ctx, memory, fault);
	leave_flight(ctx, memory, status == BLOCKZ_OK);
	return status;
}

static enum blockz_status compare_digest(const struct merge *merge, struct blockz_fault *fault)
{
	char expected[HEX_TEXT_MAX], found_text[HEX_TEXT_MAX];
	uint8_t found[DIGEST_LEN];
	if (EVP_DigestFinal_ex(merge->digest, found, NULL) != 1)
		return fault_nomem(fault);
	if (memcmp(found, merge->head->new_sha256, sizeof(found)) == 0)
		return BLOCKZ_OK;
	return fault_set(fault, BLOCKZ_DAMAGED, BLOCKZ_UNKNOWN, "NEW did not come out right: SHA-256 expected %s, found %s",
			 hex_text(merge->head->new_sha256, DIGEST_LEN, expected), hex_text(found, DIGEST_LEN, found_text));
}

static enum blockz_status make_new(struct merge *merge, const struct blockz_source *old, struct blockz_fault *fault)
{
	const struct pool_jobs jobs = {
		.ctx = merge, .job_new = job_new, .job_free = job_free, .thread_new = thread_new,
		.thread_free = thread_free, .take = take, .work = work, .give = give,
	};
	struct patch_old_blocks blocks = { 0 };
	enum blockz_status status = patch_read_old_blocks(merge->reader, &blocks, fault);
	if (status != BLOCKZ_OK)
		return status;
	merge->old = old_new(old, merge->head->old_size, &blocks, CLIENT_CACHE + CLIENT_LISTS,
			     (unsigned)min(merge->threads, LONG_AT_ONCE));
	merge->digest = EVP_MD_CTX_new();
	if (merge->old == NULL || merge->digest == NULL ||
	    EVP_DigestInit_ex(merge->digest, EVP_sha256(), NULL) != 1)
		return fault_nomem(fault);
	status = pool_run(&jobs, merge->threads, fault);
	return status == BLOCKZ_OK ? compare_digest(merge, fault) : status;
}

EXPORT enum blockz_status blockz_merge(const struct blockz_source *old, const struct blockz_source *patch,
				       const struct blockz_sink *sink, const struct blockz_merge_options *options,
				       struct blockz_fault *fault)
{
	struct merge merge = {
		.options = options, .env = { .lzo = options->lzo }, .sink = sink,
		.threads = pool_threads(options->work.threads),
		.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER,
	};
	enum blockz_status status = patch_reader_new(patch, &merge.reader, fault);
	if (status != BLOCKZ_OK)
		return status;
	merge.head = patch_reader_head(merge.reader);
	status = admit_patch(merge.head, old, &merge.env, &options->work, fault);
	if (status == BLOCKZ_OK)
		status = make_new(&merge, old, fault);
	EVP_MD_CTX_free(merge.digest);
	old_free(merge.old);
	patch_reader_free(merge.reader);
	return status;
}

EXPORT enum blockz_status blockz_merge_check(const struct blockz_source *old, const struct blockz_source *patch,
					     const struct blockz_merge_options *options, struct blockz_fault *fault)
{
	const struct codec_env env = { .lzo = options->lzo };
	struct patch_reader *reader = NULL;
	enum blockz_status status = patch_reader_new(patch, &reader, fault);
	if (status == BLOCKZ_OK)
		status = admit_patch(patch_reader_head(reader), old, &env, &options->work, fault);
	patch_reader_free(reader);
	return status;
}
