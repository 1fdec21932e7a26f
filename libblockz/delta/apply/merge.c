/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Merge: NEW is made part by part.  One thread at a time reads the delta, a part being a block or some bytes between blocks;
 * all threads fetch what parts take of OLD, and encode blocks; parts are written in order.  A thread has several parts at
 * once, so that a block of OLD is decoded once for all of them.
 *
 * A part is made in place: the delta's own bytes (differences and new content) are decoded to where they belong, and then
 * OLD's bytes are copied beside them, or added to them.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/checked.h"
#include "base/export.h"
#include "base/fault.h"
#include "blockz_delta.h"
#include "delta/apply/check_client.h"
#include "delta/apply/fetch.h"
#include "delta/file/read.h"
#include "format/format.h"
#include "io/access.h"
#include "parallel/pool.h"

enum {
	PART_MAX = 256 << 10,  /* bytes between blocks that are one part */
	FETCHES_MIN = 4096,    /* what parts take of OLD waits for the other parts of the job: so many fetches, */
	FETCH_BYTES = 256,     /* or one for so many bytes of a long part; then they are done */
	FLIGHT_MIN = 16 << 20,  /* memory of parts under way; more, */
	FLIGHT_MAX = 24 << 20, /* up to this, if that is not one part for each thread; */
	LONG_AT_ONCE = 2,      /* but however long parts of NEW and blocks of OLD are, so many threads have one */
	KEEP = 8 << 20,        /* and of parts that are not: memory of longer ones than all can have is given back; */
	KEEP_ROOM = 2 * KEEP,  /* with the room for blocks to be encoded, which is as long as what is in them */
};

struct merge {
	const struct blockz_merge_options *options;
	struct codec_env env;
	const struct delta_head *head;
	struct delta_reader *reader;
	const struct blockz_sink *sink; /* NULL: nowhere */
	struct old *old;
	unsigned threads;
	/* Of who takes. */
	bool in_section, at_end;
	struct delta_step ahead; /* if is_ahead: the next one, which is in no job yet */
	bool is_ahead;
	uint64_t taken_len; /* bytes of NEW */
	struct blockz_fault late; /* of what comes behind the job that was taken last */
	/* Of who gives. */
	struct sha256 digest;
	uint64_t given_len;
	/* Memory of parts under way, and whether one has failed: no more are given then. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t in_flight;
	bool failed;
};

struct part {
	struct delta_step step;
	uint64_t new_off, delta_off; /* where it stands in NEW, and what is behind it in the delta */
	struct buffer plain, encoded;
	const uint8_t *out;
	size_t out_len;
};

struct job {
	struct part parts[CLIENT_PARTS];
	size_t count;
	uint64_t len, cost; /* of the parts, as they are made, and in memory */
	struct fetch *fetches;
	size_t fetch_count, good_fetches; /* that are to be done: all, and those of parts that are whole */
};

static void free_buffers(struct job *job)
{
	for (size_t i = 0; i < CLIENT_PARTS; i++) {
		buffer_free(&job->parts[i].plain);
		buffer_free(&job->parts[i].encoded);
	}
}

static void job_release(void *memory)
{
	struct job *job = memory;
	free_buffers(job);
	free(job->fetches);
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

static uint64_t cost_of(const struct delta_step *step)
{
	return step->is_block ? step->len + step->block.file_len : step->len;
}

static uint64_t flight_limit(const struct merge *merge, uint64_t cost)
{
	uint64_t limit = min(merge->threads * cost, FLIGHT_MAX), least = min(merge->threads, LONG_AT_ONCE) * cost;
	limit = limit < FLIGHT_MIN ? FLIGHT_MIN : limit;
	return limit < least ? least : limit;
}

/* The first part of a job waits until there is room.  false: there is none; or one has failed, and what follows is no use. */
static bool enter_flight(struct merge *merge, struct job *job)
{
	uint64_t cost = cost_of(&merge->ahead), limit = flight_limit(merge, cost);
	pthread_mutex_lock(&merge->lock);
	while (job->count == 0 && !merge->failed && merge->in_flight > 0 && merge->in_flight + cost > limit)
		pthread_cond_wait(&merge->changed, &merge->lock);
	bool enters = !merge->failed && (job->count == 0 || merge->in_flight + cost <= limit);
	if (enters)
		merge->in_flight += cost;
	pthread_mutex_unlock(&merge->lock);
	job->cost += enters ? cost : 0;
	return enters;
}

/* Of all buffers: each part's are as long as the longest that was there before, whichever of the jobs that was. */
static uint64_t room_of(const struct job *job)
{
	uint64_t room = 0;
	for (size_t i = 0; i < CLIENT_PARTS; i++)
		room += job->parts[i].plain.room + job->parts[i].encoded.room;
	return room;
}

static void leave_flight(struct merge *merge, struct job *job, bool good)
{
	size_t jobs = pool_jobs_max(merge->threads);
	if (job->cost > KEEP / jobs || room_of(job) > KEEP_ROOM / jobs)
		free_buffers(job);
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
	enum blockz_status status = fetch_all(job->fetches, job->fetch_count, merge->old, reader, fault);
	job->fetch_count = job->good_fetches = 0;
	return status;
}

static enum blockz_status add_fetch(struct merge *merge, struct job *job, const struct op *op, uint8_t *out,
				    struct old_reader *reader, struct blockz_fault *fault)
{
	struct fetch *fetches = array_room(job->fetches, job->fetch_count, sizeof(*fetches));
	if (fetches == NULL)
		return fault_nomem(fault);
	job->fetches = fetches;
	fetches[job->fetch_count++] = (struct fetch){
		.old_off = op->old_off, .out = out, .len = (uint32_t)op->len, .adds = op->kind == OP_ADD,
	};
	bool waits = job->fetch_count < FETCHES_MIN || job->fetch_count < job->len / FETCH_BYTES;
	return waits ? BLOCKZ_OK : run_fetches(merge, job, reader, fault);
}

/* Reads the ops of a part, and with them the delta's own bytes. */
static enum blockz_status read_ops(struct merge *merge, struct job *job, struct part *part, struct old_reader *reader,
				   struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	for (uint64_t off = 0; off < part->step.len && status == BLOCKZ_OK;) {
		struct op op = { 0 };
		uint8_t *out = part->plain.bytes + off;
		status = delta_read_op(merge->reader, part->step.len - off, &op, out, fault);
		if (status == BLOCKZ_OK && (op.kind == OP_COPY || op.kind == OP_ADD))
			status = add_fetch(merge, job, &op, out, reader, fault);
		off += op.len;
	}
	return status;
}

/* ---- Parts ---- */

/* Reads the next step of whatever section it is in, if none is ahead; there is none at the end. */
static enum blockz_status look_ahead(struct merge *merge, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	while (status == BLOCKZ_OK && !merge->at_end && !merge->is_ahead) {
		bool done = false;
		if (!merge->in_section) {
			status = delta_read_section(merge->reader, &merge->at_end, fault);
			merge->in_section = true;
			continue;
		}
		status = delta_read_step(merge->reader, PART_MAX, &merge->ahead, &done, fault);
		merge->in_section = !done;
		merge->is_ahead = status == BLOCKZ_OK && !done;
	}
	return status;
}

static enum blockz_status take_part(struct merge *merge, struct job *job, struct old_reader *reader,
				    struct blockz_fault *fault)
{
	struct part *part = &job->parts[job->count++];
	part->step = merge->ahead;
	merge->is_ahead = false;
	job->len += part->step.len;
	if (!buffer_reserve(&part->plain, (size_t)part->step.len + DECODE_SLACK))
		return fault_nomem(fault);
	enum blockz_status status = read_ops(merge, job, part, reader, fault);
	part->new_off = merge->taken_len;
	part->delta_off = delta_reader_len(merge->reader);
	merge->taken_len += part->step.is_block ? part->step.block.file_len : part->step.len;
	return status;
}

/* What is ahead may join the job, if there is room for it in flight. */
static bool may_join(const struct merge *merge, const struct job *job)
{
	return merge->is_ahead && job->count < CLIENT_PARTS && (job->count == 0 || job->len + merge->ahead.len <= CLIENT_PARTS_LEN);
}

/* Takes parts while there are more that may join; *good_ret: those that are whole. */
static enum blockz_status take_parts(struct merge *merge, struct job *job, struct old_reader *reader, size_t *good_ret,
				     struct blockz_fault *fault)
{
	enum blockz_status status = look_ahead(merge, fault);
	while (status == BLOCKZ_OK && may_join(merge, job) && enter_flight(merge, job)) {
		status = take_part(merge, job, reader, fault);
		if (status != BLOCKZ_OK)
			return status;
		*good_ret = job->count;
		job->good_fetches = job->fetch_count;
		status = look_ahead(merge, fault);
	}
	return status;
}

/* What fails behind good parts has its turn after them: which failure is told does not depend on how parts join. */
static enum blockz_status take_good_parts(const struct pool_call *call, bool *done_ret)
{
	struct merge *merge = call->ctx;
	struct job *job = call->job;
	size_t good = 0;
	job->count = job->fetch_count = job->good_fetches = 0;
	job->len = job->cost = 0;
	if (merge->late.status == BLOCKZ_OK)
		merge->late.status = take_parts(merge, job, call->thread, &good, &merge->late);
	*done_ret = merge->late.status == BLOCKZ_OK && good == 0;
	if (merge->late.status != BLOCKZ_OK && good == 0) {
		*call->fault = merge->late;
		return merge->late.status;
	}
	job->count = good;
	job->fetch_count = job->good_fetches;
	return BLOCKZ_OK;
}

/* A block has to come out with the length it has in NEW; whether the bytes are right shows in NEW's digest. */
static enum blockz_status encode_block(struct merge *merge, struct part *part, struct old_reader *reader,
				       struct blockz_fault *fault)
{
	const struct delta_new_block *block = &part->step.block;
	const struct codec_params *params = &merge->head->encoders[block->encoder].params;
	char name[CODEC_NAME_MAX];
	enum blockz_status status = codec_encode(&reader->contexts, params, part->plain.bytes, block->plain_len,
						 &part->encoded, &part->out_len, fault);
	part->out = part->encoded.bytes;
	if (status != BLOCKZ_OK || part->out_len == block->file_len)
		return status;
	codec_encoder_name(params, name);
	fault_set(fault, BLOCKZ_DAMAGED, part->new_off,
			 "the encoder \"%s\" makes another block than NEW has at byte %" PRIu64 ": bytes expected %" PRIu32
			 ", found %zu", name, part->new_off, block->file_len, part->out_len);
	return fault_about(fault, BLOCKZ_DAMAGED, BLOCKZ_ABOUT_NEW);
}

static enum blockz_status make_parts(const struct pool_call *call)
{
	struct merge *merge = call->ctx;
	struct job *job = call->job;
	enum blockz_status status = run_fetches(merge, job, call->thread, call->fault);
	for (size_t i = 0; i < job->count && status == BLOCKZ_OK; i++) {
		struct part *part = &job->parts[i];
		part->out = part->plain.bytes;
		part->out_len = (size_t)part->step.len;
		if (part->step.is_block)
			status = encode_block(merge, part, call->thread, call->fault);
	}
	if (status != BLOCKZ_OK)
		leave_flight(merge, job, false);
	return status;
}

static enum blockz_status write_part(struct merge *merge, const struct part *part, struct blockz_fault *fault)
{
	sha256_update(&merge->digest, part->out, part->out_len);
	enum blockz_status status = merge->sink == NULL ? BLOCKZ_OK
							: write_out(merge->sink, part->out, part->out_len, fault);
	merge->given_len += part->out_len;
	if (status != BLOCKZ_OK)
		return status;
	return pool_progress(&merge->options->work, merge->given_len, part->delta_off, fault);
}

static enum blockz_status write_parts(const struct pool_call *call)
{
	struct job *job = call->job;
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < job->count && status == BLOCKZ_OK; i++)
		status = write_part(call->ctx, &job->parts[i], call->fault);
	leave_flight(call->ctx, job, status == BLOCKZ_OK);
	return status;
}

static enum blockz_status make_new(struct merge *merge, const struct blockz_source *old, struct blockz_fault *fault)
{
	const struct pool_jobs jobs = {
		.ctx = merge, .job_size = sizeof(struct job), .job_release = job_release,
		.thread_new = thread_new, .thread_free = thread_free,
		.take = take_good_parts, .work = make_parts, .give = write_parts,
	};
	struct delta_old_blocks blocks = { 0 };
	enum blockz_status status = delta_read_old_blocks(merge->reader, &blocks, fault);
	if (status != BLOCKZ_OK)
		return status;
	merge->old = old_new(old, merge->head->old_size, &blocks, CLIENT_CACHE + CLIENT_LISTS,
			     (unsigned)min(merge->threads, LONG_AT_ONCE));
	if (merge->old == NULL || !sha256_start(&merge->digest))
		return fault_nomem(fault);
	status = pool_run(&jobs, merge->threads, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = sha256_expect(&merge->digest, merge->head->new_sha256, "NEW did not come out right", fault);
	return fault_about(fault, status, BLOCKZ_ABOUT_NEW);
}

EXPORT enum blockz_status blockz_merge(const struct blockz_source *old, const struct blockz_source *delta,
				       const struct blockz_sink *sink, const struct blockz_merge_options *options,
				       struct blockz_fault *fault)
{
	struct merge merge = {
		.options = options, .env = { .lzo = options->lzo }, .sink = sink,
		.threads = pool_threads(options->work.threads),
		.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER,
	};
	enum blockz_status status = delta_reader_new(delta, &merge.reader, fault);
	if (status != BLOCKZ_OK)
		return status;
	merge.head = delta_reader_head(merge.reader);
	status = admit_delta(merge.head, old, &merge.env, &options->work, fault);
	if (status == BLOCKZ_OK)
		status = make_new(&merge, old, fault);
	sha256_free(&merge.digest);
	old_free(merge.old);
	delta_reader_free(merge.reader);
	return status;
}

EXPORT enum blockz_status blockz_merge_check(const struct blockz_source *old, const struct blockz_source *delta,
					     const struct blockz_merge_options *options, struct blockz_fault *fault)
{
	const struct codec_env env = { .lzo = options->lzo };
	struct delta_reader *reader = NULL;
	enum blockz_status status = delta_reader_new(delta, &reader, fault);
	if (status == BLOCKZ_OK)
		status = admit_delta(delta_reader_head(reader), old, &env, &options->work, fault);
	delta_reader_free(reader);
	return status;
}
