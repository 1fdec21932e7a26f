/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libzstd has no call that goes on in the middle of a frame, but its own threads do: each encodes a part of a frame while
 * the part before, whose tables and offsets it can therefore not use, is not finished.  So the window is fed as one such part,
 * by a level that costs nothing, since its encoding is thrown away; and behind a flush the run is fed as the next one.
 *
 * A window of more than 8 MiB is too much for the tables of the levels.  Matches that are far away are found by libzstd's
 * long distance matching instead, of which the strongest levels make little; but it makes these cheap, since they see no
 * more than the last 512 KiB then.
 */
#include "format/zstd/block_encoder.h"

#include <string.h>
#include <zstd_errors.h>

#include "base/checked.h"
#include "base/fault.h"
#include "format/zstd/frame.h"

enum {
	LEVEL_OF_WINDOW = -50,
	NEAR_WITH_LONG = 512 << 10,
	LONG_WINDOW_NS = 3,
	SPENT_CONTEXT = 4, /* times the run, where no time is left */
};

static const uint64_t SPENT_MAX_NS = 5000000000; /* a frame, by each way; the weakest then looks at less, but is not refused */

static const struct way {
	int level;
	bool long_distance;
	unsigned window_log_max;
	size_t window_more; /* brings nothing where there is no more of a window than this */
	unsigned ns; /* a byte of run and window, or of what a level sees of this */
} ways[ENCODE_WAYS] = {
	{ 4, false, 23, 0, 5 },
	{ 12, false, 23, 0, 17 },
	{ 12, true, 27, 8 << 20, 60 },
	{ 19, true, 27, 2 * NEAR_WITH_LONG, 250 },
	{ 19, false, 23, 0, 370 },
};

bool block_encoder_begin(struct block_encoder *encoder)
{
	*encoder = (struct block_encoder){ .context = NULL };
	encoder->context = ZSTD_createCCtx();
	return encoder->context != NULL;
}

void block_encoder_end(struct block_encoder *encoder)
{
	ZSTD_freeCCtx(encoder->context);
}

static unsigned log2_floor(uint64_t value)
{
	unsigned log = 0;
	while (value >>= 1)
		log++;
	return log;
}

static unsigned window_log(const struct plain_run *run, const struct way *way)
{
	unsigned log = log2_floor(run->reach), enough = log2_floor(run->window->len + run->len) + 1;
	log = log < way->window_log_max ? log : way->window_log_max;
	log = log < enough ? log : enough;
	return log > WINDOW_LOG_MIN ? log : WINDOW_LOG_MIN;
}

static uint64_t cost_ns(const struct plain_run *run, const struct way *way)
{
	uint64_t context = min(run->window->len, (uint64_t)1 << window_log(run, way));
	if (!way->long_distance)
		return (context + run->len) * way->ns;
	return (min(context, NEAR_WITH_LONG) + run->len) * way->ns + context * LONG_WINDOW_NS;
}

bool block_encoder_can(const struct block_encoder *encoder, const struct plain_run *run, unsigned way)
{
	const struct way *row = &ways[way];
	if (row->window_more > 0 && run->window->len <= row->window_more)
		return false;
	return way == 0 || encoder->spent_ns[way] + cost_ns(run, row) <= SPENT_MAX_NS;
}

static enum blockz_status refuse(size_t result, struct blockz_fault *fault)
{
	ZSTD_ErrorCode code = ZSTD_getErrorCode(result);
	if (code == ZSTD_error_memory_allocation)
		return fault_nomem(fault);
	return fault_set(fault, BLOCKZ_FAILED, BLOCKZ_UNKNOWN, "libzstd: %s", ZSTD_getErrorName(result));
}

static enum blockz_status set_up(ZSTD_CCtx *context, unsigned log, bool long_distance, struct blockz_fault *fault)
{
	const struct {
		ZSTD_cParameter parameter;
		int value;
	} settings[] = {
		{ ZSTD_c_overlapLog, 9 }, /* a part sees all of the window */
		{ ZSTD_c_jobSize, NEAR_WITH_LONG }, /* or the window, which is libzstd's minimum; it takes memory */
		{ ZSTD_c_compressionLevel, LEVEL_OF_WINDOW },
		{ ZSTD_c_windowLog, (int)log },
		{ ZSTD_c_enableLongDistanceMatching, long_distance },
	};
	ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters);
	if (ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_nbWorkers, 1)))
		return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN,
				 "the inside of a zstd frame cannot be edited by a libzstd that has no threads");
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		size_t result = ZSTD_CCtx_setParameter(context, settings[i].parameter, settings[i].value);
		if (ZSTD_isError(result))
			return refuse(result, fault);
	}
	return BLOCKZ_OK;
}

/*
 * Feeds what is to be thrown away, as a whole: what comes behind sees of it what was not flushed before, and nothing of what
 * libzstd has cut off.
 */
static enum blockz_status feed_window(ZSTD_CCtx *context, const struct text_part parts[2], struct encoding *encoding,
				      struct blockz_fault *fault)
{
	for (int i = 0; i < 2; i++) {
		ZSTD_inBuffer in = { parts[i].bytes, parts[i].len, 0 };
		for (size_t result = 1; in.pos < in.size || (i == 1 && result > 0);) {
			ZSTD_outBuffer out = { encoding->out.bytes, encoding->out.room, 0 };
			result = ZSTD_compressStream2(context, &out, &in, i == 0 ? ZSTD_e_continue : ZSTD_e_flush);
			if (ZSTD_isError(result))
				return refuse(result, fault);
		}
	}
	return BLOCKZ_OK;
}

static enum blockz_status feed_run(ZSTD_CCtx *context, const struct plain_run *run, struct encoding *encoding,
				   struct blockz_fault *fault)
{
	ZSTD_inBuffer in = { run->bytes, run->len, 0 };
	ZSTD_outBuffer out = { encoding->out.bytes, encoding->out.room, 0 };
	for (size_t result = 1; result > 0 || in.pos < in.size;) {
		result = ZSTD_compressStream2(context, &out, &in, ZSTD_e_flush);
		if (ZSTD_isError(result))
			return refuse(result, fault);
		if (result > 0 && out.pos == out.size)
			return fault_set(fault, BLOCKZ_FAILED, BLOCKZ_UNKNOWN, "libzstd makes more of a block than it says");
	}
	encoding->len = out.pos;
	return BLOCKZ_OK;
}

/* Where there was nothing before, the blocks come with a frame's header. */
static enum blockz_status drop_header(struct encoding *encoding, struct blockz_fault *fault)
{
	struct frame_header header;
	enum blockz_status status = frame_header_parse(encoding->out.bytes, encoding->len, BLOCKZ_UNKNOWN, &header, fault);
	if (status != BLOCKZ_OK)
		return status;
	encoding->len -= header.len;
	memmove(encoding->out.bytes, encoding->out.bytes + header.len, encoding->len);
	return BLOCKZ_OK;
}

enum blockz_status block_encoder_run(struct block_encoder *encoder, const struct plain_run *run, unsigned way,
				     struct encoding *encoding, struct blockz_fault *fault)
{
	const struct way *row = &ways[way];
	unsigned log = window_log(run, row);
	uint64_t context = min(run->window->len, (uint64_t)1 << log);
	struct text_part parts[2];
	if (encoder->spent_ns[way] > SPENT_MAX_NS)
		context = min(context, SPENT_CONTEXT * (uint64_t)run->len);
	/* Else the last part that libzstd cuts, which is all that the level sees, would be shorter. */
	if (row->long_distance && context > NEAR_WITH_LONG)
		context -= context % NEAR_WITH_LONG;
	encoder->spent_ns[way] += cost_ns(run, row);
	text_window_last(run->window, (size_t)context, parts);
	if (!buffer_reserve(&encoding->out, ZSTD_compressBound(run->len) + BLOCK_MAX))
		return fault_nomem(fault);
	enum blockz_status status = set_up(encoder->context, log, row->long_distance, fault);
	if (status == BLOCKZ_OK && context > 0)
		status = feed_window(encoder->context, parts, encoding, fault);
	if (status == BLOCKZ_OK && ZSTD_isError(ZSTD_CCtx_setParameter(encoder->context, ZSTD_c_compressionLevel, row->level)))
		status = fault_set(fault, BLOCKZ_FAILED, BLOCKZ_UNKNOWN, "libzstd does not take level %d", row->level);
	if (status == BLOCKZ_OK)
		status = feed_run(encoder->context, run, encoding, fault);
	return status == BLOCKZ_OK && context == 0 ? drop_header(encoding, fault) : status;
}
