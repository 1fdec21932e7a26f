/* SPDX-License-Identifier: BSD-3-Clause */
/* All encoders that there are, with all values that choose between algorithms. */
#include <string.h>

#include "base/export.h"
#include "blockz_delta.h"
#include "codec/codec.h"
#include "parallel/pool.h"

_Static_assert((int)BLOCKZ_FINGERPRINT_LEN == (int)CODEC_FINGERPRINT_LEN, "both are one thing");

struct listing {
	struct codec_env env;
	const struct blockz_work *work;
	bool (*each)(void *ctx, const struct blockz_encoder *);
	void *ctx;
	struct codec_params next; /* codec CODEC_COUNT: there are no more */
	bool stopped; /* by each() */
	uint64_t done;
};

struct job {
	struct codec_params params;
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

static enum blockz_status take_params(const struct pool_call *call, bool *done_ret)
{
	struct listing *listing = call->ctx;
	struct job *job = call->job;
	while (listing->next.codec < CODEC_COUNT && !codec_params_are_valid(&listing->next))
		advance(&listing->next);
	*done_ret = listing->next.codec == CODEC_COUNT;
	job->params = listing->next;
	if (!*done_ret)
		advance(&listing->next);
	return BLOCKZ_OK;
}

static enum blockz_status fingerprint_encoder(const struct pool_call *call)
{
	const struct listing *listing = call->ctx;
	struct job *job = call->job;
	codec_encoder_name(&job->params, job->encoder.name);
	enum blockz_status status = codec_fingerprint(&listing->env, &job->params, job->encoder.fingerprint, call->fault);
	job->exists = status == BLOCKZ_OK;
	return status == BLOCKZ_UNSUPPORTED ? BLOCKZ_OK : status;
}

static enum blockz_status list_encoder(const struct pool_call *call)
{
	struct listing *listing = call->ctx;
	const struct job *job = call->job;
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
	return listing.stopped ? BLOCKZ_OK : status;
}
