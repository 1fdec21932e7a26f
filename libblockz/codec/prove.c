/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * First a sample, spread evenly over the blocks of content and over those of metadata, is tried with all candidates;
 * then the others with the candidates that made some block of the sample of their kind, or could be tried on none of it
 * because headers showed that they had not made it.  So what a block is tried with depends on the blocks alone.
 */
#include "codec/prove.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/clock.h"
#include "base/fault.h"
#include "format/format.h"
#include "io/access.h"
#include "parallel/pool.h"

enum {
	SAMPLE_MAX = 16, /* of each kind, and at least: */
	SAMPLE_MIN = 2,
	SAMPLE_COST = 64 << 20, /* plain bytes times candidates: a minute for the slowest encoders */
	KINDS = 2,   /* content, metadata */
	CANDIDATES_MAX = PROVE_NONE,
};

/* What the sample says of the candidates, for blocks of one kind. */
struct verdict {
	bool made[CANDIDATES_MAX], tried[CANDIDATES_MAX];
};

struct prover {
	const struct proofs *proofs;
	size_t candidates;
	const struct blockz_work *work;
	bool *sampled; /* of the wanted */
	bool in_sample; /* the first of two runs */
	size_t next;
	uint64_t in_done, out_done;
	struct verdict verdicts[KINDS];
};

struct job {
	size_t index; /* in wanted */
	bool tried[CANDIDATES_MAX];
	uint8_t proof;
	uint64_t cost_ns;
	struct proof_digest digest;
};

struct thread {
	struct codec_contexts contexts;
	struct buffer in, plain, out;
};

struct proof_digest proof_digest(const struct codec_params *params, const uint8_t *plain, size_t plain_len)
{
	uint64_t seed = XXH3_64bits_withSeed(params->values, sizeof(params->values), params->codec);
	XXH128_hash_t hash = XXH3_128bits_withSeed(plain, plain_len, seed);
	return (struct proof_digest){ hash.low64, hash.high64 };
}

static const struct block *block_at(const struct prover *prover, size_t index)
{
	return &prover->proofs->blocks->items[prover->proofs->wanted[index]];
}

/* ---- The sample ---- */

/* How many blocks of a kind, which has count of them with plain_len bytes in all. */
static size_t sample_size(const struct prover *prover, size_t count, uint64_t plain_len)
{
	uint64_t cost = count > 0 ? plain_len / count * prover->candidates : 0;
	uint64_t size = cost > 0 ? SAMPLE_COST / cost : SAMPLE_MAX;
	return size < SAMPLE_MIN ? SAMPLE_MIN : size > SAMPLE_MAX ? SAMPLE_MAX : (size_t)size;
}

static void choose_sample(struct prover *prover)
{
	size_t counts[KINDS] = { 0 }, seen[KINDS] = { 0 }, sizes[KINDS];
	uint64_t plain_lens[KINDS] = { 0 };
	for (size_t i = 0; i < prover->proofs->count; i++) {
		const struct block *block = block_at(prover, i);
		counts[block->is_metadata]++;
		plain_lens[block->is_metadata] += block->plain_len;
	}
	for (size_t kind = 0; kind < KINDS; kind++)
		sizes[kind] = sample_size(prover, counts[kind], plain_lens[kind]);
	for (size_t i = 0; i < prover->proofs->count; i++) {
		unsigned kind = block_at(prover, i)->is_metadata;
		size_t step = counts[kind] / sizes[kind];
		/* In the middle of each of so many equal parts. */
		prover->sampled[i] = step == 0 || (seen[kind] % step == step / 2 && seen[kind] / step < sizes[kind]);
		seen[kind]++;
	}
}

/* ---- Jobs ---- */

static void *thread_new(void *ctx)
{
	const struct prover *prover = ctx;
	struct thread *thread = calloc(1, sizeof(*thread));
	if (thread != NULL)
		thread->contexts.env = prover->proofs->env;
	return thread;
}

static void thread_free(void *memory)
{
	struct thread *thread = memory;
	codec_contexts_free(&thread->contexts);
	buffer_free(&thread->in);
	buffer_free(&thread->plain);
	buffer_free(&thread->out);
	free(thread);
}

/* An encoder and its block, and that block as it stands in the file and in a decoder. */
uint64_t prove_memory(const struct blocks *blocks, uint64_t longest)
{
	return blocks_encoder_memory(blocks, longest) + 2 * longest + CODEC_CONTEXTS_MEMORY;
}

static enum blockz_status take_block(const struct pool_call *call, bool *done_ret)
{
	struct prover *prover = call->ctx;
	struct job *job = call->job;
	while (prover->next < prover->proofs->count && prover->sampled[prover->next] != prover->in_sample)
		prover->next++;
	*done_ret = prover->next == prover->proofs->count;
	*job = (struct job){ .index = prover->next, .proof = PROVE_NONE };
	if (!*done_ret)
		prover->next++;
	return BLOCKZ_OK;
}

/* By what is known before it is read. */
static bool is_candidate(const struct prover *prover, const struct block *block, size_t candidate)
{
	const struct verdict *verdict = &prover->verdicts[block->is_metadata];
	return prover->proofs->blocks->candidates[candidate].codec == block->codec &&
	       (prover->in_sample || verdict->made[candidate] || !verdict->tried[candidate]);
}

static enum blockz_status read_block(const struct prover *prover, const struct block *block, struct thread *thread,
				     struct blockz_fault *fault)
{
	if (!buffer_reserve(&thread->in, (size_t)block->file_len) ||
	    !buffer_reserve(&thread->plain, (size_t)block->plain_len + DECODE_SLACK))
		return fault_nomem(fault);
	return read_data(prover->proofs->file, thread->in.bytes, block->file_len, block->file_off, BLOCKZ_ABOUT_NEW, fault);
}

/* This thread's time; by the clock on the wall where it waits for another, which may show a little too much. */
static uint64_t spent_ns(const struct codec_params *params)
{
	const struct codec *codec = codec_at(params->codec);
	bool waits = codec->has_thread != NULL && codec->has_thread(params->values);
	return waits ? wall_ns() : thread_cpu_ns();
}

/* *made_ret: the decoded block encodes to its bytes. */
static enum blockz_status try_candidate(const struct prover *prover, const struct block *block, size_t candidate,
					struct thread *thread, struct job *job, bool *made_ret, struct blockz_fault *fault)
{
	const struct codec_params *params = &prover->proofs->blocks->candidates[candidate];
	size_t len = 0;
	uint64_t start = spent_ns(params);
	enum blockz_status status = codec_encode(&thread->contexts, params, thread->plain.bytes, block->plain_len,
						 &thread->out, &len, fault);
	uint64_t cost = spent_ns(params) - start;
	*made_ret = false;
	if (status == BLOCKZ_UNSUPPORTED) /* this library has no such encoder */
		return BLOCKZ_OK;
	if (status != BLOCKZ_OK)
		return status;
	*made_ret = len == block->file_len && memcmp(thread->out.bytes, thread->in.bytes, len) == 0;
	if (*made_ret && job->proof == PROVE_NONE) {
		job->proof = (uint8_t)candidate;
		job->cost_ns = cost;
		if (prover->proofs->digest != NULL)
			job->digest = proof_digest(params, thread->plain.bytes, block->plain_len);
	}
	return BLOCKZ_OK;
}

/* Leaves out what the header excludes, and decodes when the first candidate is left. */
static enum blockz_status prove_block(const struct prover *prover, const struct block *block, struct thread *thread,
				  struct job *job, struct blockz_fault *fault)
{
	const struct codec *codec = codec_at(block->codec);
	bool decoded = false, made = false;
	for (size_t i = 0; i < prover->candidates && !made; i++) {
		const uint32_t *values = prover->proofs->blocks->candidates[i].values;
		if (!is_candidate(prover, block, i) ||
		    (codec->may_make != NULL && !codec->may_make(values, thread->in.bytes, block->file_len)))
			continue;
		enum blockz_status status = BLOCKZ_OK;
		if (!decoded)
			status = codec_decode(&thread->contexts, block->codec, thread->in.bytes, block->file_len,
					      thread->plain.bytes, block->plain_len, fault);
		if (status == BLOCKZ_DAMAGED || status == BLOCKZ_LIMIT || status == BLOCKZ_UNSUPPORTED)
			return BLOCKZ_OK; /* not to be proved */
		decoded = true;
		job->tried[i] = true;
		if (status == BLOCKZ_OK)
			status = try_candidate(prover, block, i, thread, job, &made, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	return BLOCKZ_OK;
}

static enum blockz_status read_and_prove_block(const struct pool_call *call)
{
	const struct prover *prover = call->ctx;
	struct job *job = call->job;
	const struct block *block = block_at(prover, job->index);
	enum blockz_status status = read_block(prover, block, call->thread, call->fault);
	return status == BLOCKZ_OK ? prove_block(prover, block, call->thread, job, call->fault) : status;
}

static enum blockz_status note_proof(const struct pool_call *call)
{
	struct prover *prover = call->ctx;
	const struct job *job = call->job;
	const struct block *block = block_at(prover, job->index);
	struct verdict *verdict = &prover->verdicts[block->is_metadata];
	prover->proofs->proof[job->index] = job->proof;
	prover->proofs->cost_ns[job->index] = job->cost_ns;
	if (prover->proofs->digest != NULL)
		prover->proofs->digest[job->index] = job->digest;
	for (size_t i = 0; i < prover->candidates && prover->in_sample; i++)
		verdict->tried[i] = verdict->tried[i] || job->tried[i];
	if (prover->in_sample && job->proof != PROVE_NONE)
		verdict->made[job->proof] = true;
	prover->in_done += block->plain_len;
	prover->out_done += block->file_len;
	return pool_progress(prover->work, prover->in_done, prover->out_done, call->fault);
}

static enum blockz_status prove_all(struct prover *prover, bool in_sample, struct blockz_fault *fault)
{
	const struct pool_jobs jobs = {
		.ctx = prover, .job_size = sizeof(struct job),
		.thread_new = thread_new, .thread_free = thread_free,
		.take = take_block, .work = read_and_prove_block, .give = note_proof,
	};
	prover->in_sample = in_sample;
	prover->next = 0;
	return pool_run(&jobs, prover->work->threads, fault);
}

enum blockz_status prove_blocks(const struct proofs *proofs, const struct blockz_work *work, struct blockz_fault *fault)
{
	size_t candidates = proofs->blocks->candidate_count;
	struct prover *prover = calloc(1, sizeof(*prover));
	bool *sampled = calloc(proofs->count > 0 ? proofs->count : 1, sizeof(*sampled));
	enum blockz_status status = BLOCKZ_OK;
	if (prover == NULL || sampled == NULL) {
		status = fault_nomem(fault);
		goto out;
	}
	*prover = (struct prover){
		.proofs = proofs, .work = work, .sampled = sampled,
		.candidates = candidates < CANDIDATES_MAX ? candidates : CANDIDATES_MAX,
	};
	choose_sample(prover);
	status = prove_all(prover, true, fault);
	if (status == BLOCKZ_OK)
		status = prove_all(prover, false, fault);
out:
	free(sampled);
	free(prover);
	return status;
}
