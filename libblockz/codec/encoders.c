/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All encoders that there are, with all values that choose between algorithms.  Of those that are the same by their values,
 * such as levels that differ in the size of a dictionary, the first one is probed for all.
 */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/export.h"
#include "base/fault.h"
#include "blockz_delta.h"
#include "codec/codec.h"
#include "parallel/pool.h"

_Static_assert((int)BLOCKZ_FINGERPRINT_LEN == (int)CODEC_FINGERPRINT_LEN, "both are one thing");

/* Whose fingerprint is known, if the library has such an encoder. */
struct probed {
	struct codec_params params;
	uint8_t fingerprint[CODEC_FINGERPRINT_LEN];
	bool exists;
};

struct listing {
	struct codec_env env;
	const struct blockz_work *work;
	bool (*each)(void *ctx, const struct blockz_encoder *);
	void *ctx;
	struct codec_params next; /* codec CODEC_COUNT: there are no more */
	bool stopped; /* by each() */
	struct probed *probed; /* all but those that are the same as one of them */
	size_t probed_count;
	uint64_t done;
};

struct job {
	struct codec_params params, first; /* the first that is the same; or itself */
	struct blockz_encoder encoder;
	bool exists;
};

/* Counts up the values that are not free, the last first; false: they are back at zero. */
static bool count_up(struct codec_params *params)
{
	const struct codec *codec = codec_at(params->codec);
	for (size_t i = CODEC_VALUES_MAX; i-- > 0;) {
		if ((codec->free_values >> i & 1) != 0)
			continue;
		if (params->values[i]++ < codec->max_values[i])
			return true;
		params->values[i] = 0;
	}
	return false;
}

static void start_codec(struct codec_params *params, unsigned id)
{
	*params = (struct codec_params){ .codec = (uint8_t)id };
	if (id == CODEC_COUNT)
		return;
	const struct codec *codec = codec_at(id);
	for (size_t i = 0; i < CODEC_VALUES_MAX; i++)
		if ((codec->free_values >> i & 1) != 0)
			params->values[i] = codec->probe_values[i];
}

static void advance(struct codec_params *params)
{
	if (!count_up(params))
		start_codec(params, params->codec + 1u);
}

static bool are_same(const struct codec_params *a, const struct codec_params *b)
{
	const struct codec *codec = codec_at(a->codec);
	return codec->are_same != NULL ? codec->are_same(a->values, b->values) : codec_params_are_equal(a, b);
}

static struct codec_params find_first(const struct codec_params *params)
{
	struct codec_params first;
	start_codec(&first, params->codec);
	while (!codec_params_are_valid(&first) || !are_same(&first, params))
		advance(&first);
	return first;
}

static enum blockz_status take_params(const struct pool_call *call, bool *done_ret)
{
	struct listing *listing = call->ctx;
	struct job *job = call->job;
	while (listing->next.codec < CODEC_COUNT && !codec_params_are_valid(&listing->next))
		advance(&listing->next);
	*done_ret = listing->next.codec == CODEC_COUNT;
	job->params = listing->next;
	if (*done_ret)
		return BLOCKZ_OK;
	job->first = find_first(&job->params);
	advance(&listing->next);
	return BLOCKZ_OK;
}

static enum blockz_status fingerprint_encoder(const struct pool_call *call)
{
	const struct listing *listing = call->ctx;
	struct job *job = call->job;
	codec_encoder_name(&job->params, job->encoder.name);
	if (!codec_params_are_equal(&job->params, &job->first))
		return BLOCKZ_OK;
	enum blockz_status status = codec_fingerprint(&listing->env, &job->params, job->encoder.fingerprint, call->fault);
	job->exists = status == BLOCKZ_OK;
	return status == BLOCKZ_UNSUPPORTED ? BLOCKZ_OK : status;
}

/* All before have had their turn, and so has the first that is the same. */
static enum blockz_status remember_or_copy(struct listing *listing, struct job *job, struct blockz_fault *fault)
{
	size_t i = 0;
	while (i < listing->probed_count && !codec_params_are_equal(&listing->probed[i].params, &job->first))
		i++;
	if (i < listing->probed_count) {
		job->exists = listing->probed[i].exists;
		memcpy(job->encoder.fingerprint, listing->probed[i].fingerprint, CODEC_FINGERPRINT_LEN);
		return BLOCKZ_OK;
	}
	struct probed *probed = array_room(listing->probed, listing->probed_count, sizeof(*probed));
	if (probed == NULL)
		return fault_nomem(fault);
	listing->probed = probed;
	probed[i] = (struct probed){ .params = job->params, .exists = job->exists };
	memcpy(probed[i].fingerprint, job->encoder.fingerprint, CODEC_FINGERPRINT_LEN);
	listing->probed_count++;
	return BLOCKZ_OK;
}

static enum blockz_status list_encoder(const struct pool_call *call)
{
	struct listing *listing = call->ctx;
	struct job *job = call->job;
	enum blockz_status status = remember_or_copy(listing, job, call->fault);
	if (status != BLOCKZ_OK)
		return status;
	listing->done++;
	listing->stopped = job->exists && !listing->each(listing->ctx, &job->encoder);
	return listing->stopped ? BLOCKZ_FAILED : pool_progress(listing->work, listing->done, listing->done, call->fault);
}

EXPORT enum blockz_status blockz_encoders(const struct blockz_lzo *lzo,
					  bool (*each)(void *ctx, const struct blockz_encoder *), void *ctx,
					  const struct blockz_work *work_params, struct blockz_fault *fault)
{
	struct listing listing = { .env = { lzo }, .work = work_params, .each = each, .ctx = ctx };
	const struct pool_jobs jobs = {
		.ctx = &listing, .job_size = sizeof(struct job),
		.take = take_params, .work = fingerprint_encoder, .give = list_encoder,
	};
	start_codec(&listing.next, CODEC_STORED);
	enum blockz_status status = pool_run(&jobs, work_params->threads, fault);
	free(listing.probed);
	return listing.stopped ? BLOCKZ_OK : status;
}
