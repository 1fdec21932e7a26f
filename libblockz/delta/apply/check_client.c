/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Encoders are proved by what they make of a probe, and OLD by its digest: jobs of one pool, so that threads that have no
 * fingerprint to make read ahead for the one that hashes.
 */
#include "delta/apply/check_client.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fault.h"
#include "io/access.h"
#include "parallel/pool.h"

enum { PART_LEN = 256 << 10 };

struct client_check {
	const struct delta_head *head;
	const struct blockz_source *old;
	const struct codec_env *env;
	const struct blockz_work *work;
	struct sha256 digest;
	size_t next_encoder;
	uint64_t next_off;
};

/* A fingerprint, or a part of OLD. */
struct job {
	const struct delta_encoder *encoder; /* NULL: a part */
	uint8_t fingerprint[CODEC_FINGERPRINT_LEN];
	uint64_t off;
	size_t len;
	uint8_t bytes[PART_LEN];
};

static enum blockz_status take_encoder_or_part(const struct pool_call *call, bool *done_ret)
{
	struct client_check *check = call->ctx;
	struct job *job = call->job;
	const struct delta_head *head = check->head;
	job->encoder = NULL;
	if (check->next_encoder < head->encoder_count) {
		job->encoder = &head->encoders[check->next_encoder++];
		return BLOCKZ_OK;
	}
	*done_ret = check->next_off == head->old_size;
	job->off = check->next_off;
	job->len = (size_t)min(PART_LEN, head->old_size - job->off);
	check->next_off += job->len;
	return BLOCKZ_OK;
}

/* Zeros of a hole need not be read. */
static enum blockz_status read_part(const struct blockz_source *old, struct job *job, struct blockz_fault *fault)
{
	uint64_t start, end;
	int error = find_data(old, job->off, &start, &end);
	if (error != 0)
		return fault_about(fault, fault_errno(fault, error, job->off, "finding holes in OLD"), BLOCKZ_ABOUT_OLD);
	if (start - job->off < job->len)
		return read_data(old, job->bytes, job->len, job->off, BLOCKZ_ABOUT_OLD, fault);
	memset(job->bytes, 0, job->len);
	return BLOCKZ_OK;
}

static enum blockz_status fingerprint_or_read(const struct pool_call *call)
{
	const struct client_check *check = call->ctx;
	struct job *job = call->job;
	if (job->encoder == NULL)
		return read_part(check->old, job, call->fault);
	return codec_fingerprint(check->env, &job->encoder->params, job->fingerprint, call->fault);
}

static enum blockz_status compare_fingerprint(const struct job *job, struct blockz_fault *fault)
{
	char name[CODEC_NAME_MAX], expected[SHA256_TEXT_LEN], found[SHA256_TEXT_LEN];
	if (memcmp(job->fingerprint, job->encoder->fingerprint, CODEC_FINGERPRINT_LEN) == 0)
		return BLOCKZ_OK;
	codec_encoder_name(&job->encoder->params, name);
	fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN,
		  "the encoder here is not of the version that DELTA needs: fingerprint of \"%s\", expected %s, found %s", name,
		  sha256_text(job->encoder->fingerprint, CODEC_FINGERPRINT_LEN, expected),
		  sha256_text(job->fingerprint, CODEC_FINGERPRINT_LEN, found));
	return fault_about(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_ABOUT_DELTA);
}

static enum blockz_status compare_or_hash(const struct pool_call *call)
{
	struct client_check *check = call->ctx;
	const struct job *job = call->job;
	enum blockz_status status = pool_progress(check->work, 0, 0, call->fault);
	if (status != BLOCKZ_OK)
		return status;
	if (job->encoder != NULL)
		return compare_fingerprint(job, call->fault);
	sha256_update(&check->digest, job->bytes, job->len);
	return BLOCKZ_OK;
}

static enum blockz_status check_old_size(const struct delta_head *head, const struct blockz_source *old,
					 struct blockz_fault *fault)
{
	if (old->size == BLOCKZ_UNKNOWN)
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "OLD is read at many offsets, and is a stream");
	if (old->size < head->old_size)
		return fault_set(fault, BLOCKZ_DAMAGED, BLOCKZ_UNKNOWN,
				 "OLD is not the file that this delta is for: size expected %" PRIu64 " or more, found %"
				 PRIu64, head->old_size, old->size);
	return BLOCKZ_OK;
}

static enum blockz_status check_encoders(const struct delta_head *head, const struct codec_env *env,
					 struct blockz_fault *fault)
{
	for (size_t i = 0; i < head->encoder_count; i++)
		if (head->encoders[i].params.codec == CODEC_LZO && env->lzo == NULL)
			return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN,
					 "DELTA needs LZO, and the program blockz-lzo is missing: install it, as part of blockz "
					 "built with liblzo2, or make DELTA with blockz-delta --portable");
	for (size_t i = 0; i < head->encoder_count; i++)
		if (!codec_params_are_valid(&head->encoders[i].params))
			return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN,
					 "DELTA needs an encoder of codec \"%s\" with parameters that this program does not know",
					 codec_at(head->encoders[i].params.codec)->name);
	return BLOCKZ_OK;
}

/* Before anything that takes long. */
static enum blockz_status check_head(const struct delta_head *head, const struct blockz_source *old,
				     const struct codec_env *env, struct blockz_fault *fault)
{
	enum blockz_status status = fault_about(fault, check_old_size(head, old, fault), BLOCKZ_ABOUT_OLD);
	return status == BLOCKZ_OK ? fault_about(fault, check_encoders(head, env, fault), BLOCKZ_ABOUT_DELTA) : status;
}

enum blockz_status check_client(const struct delta_head *head, const struct blockz_source *old,
				const struct codec_env *env, const struct blockz_work *work_params,
				struct blockz_fault *fault)
{
	struct client_check check = { .head = head, .old = old, .env = env, .work = work_params };
	const struct pool_jobs jobs = {
		.ctx = &check, .job_size = sizeof(struct job),
		.take = take_encoder_or_part, .work = fingerprint_or_read, .give = compare_or_hash,
	};
	enum blockz_status status = check_head(head, old, env, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (!sha256_start(&check.digest))
		return fault_nomem(fault);
	status = pool_run(&jobs, work_params->threads, fault);
	if (status == BLOCKZ_OK)
		status = fault_about(fault, sha256_expect(&check.digest, head->old_sha256,
							  "OLD is not the file that this delta is for", fault),
				     BLOCKZ_ABOUT_OLD);
	sha256_free(&check.digest);
	return status;
}
