/* SPDX-License-Identifier: BSD-3-Clause */
/* Samples of all streams are coded in all ways at once, and each stream then in the way that did best. */
#include "delta/file/stream_write.h"

#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/checked.h"
#include "base/fault.h"
#include "delta/file/layout.h"
#include "parallel/pool.h"

/* Ways to code a stream, the one that wins a draw first. */
struct way {
	uint8_t method;
	uint8_t lc, lp, pb; /* LZMA2: of how many bits of the last byte, and of the position, its model takes note */
	int level;          /* zstd */
};

static const struct way ways[] = {
	{ STREAM_LZMA2, 3, 0, 2, 0 }, { STREAM_LZMA2, 3, 0, 0, 0 }, { STREAM_LZMA2, 0, 0, 0, 0 },
	{ STREAM_LZMA2, 0, 0, 2, 0 }, { STREAM_LZMA2, 1, 3, 3, 0 }, { STREAM_LZMA2, 4, 0, 0, 0 },
	{ STREAM_ZSTD, 0, 0, 0, 19 }, { STREAM_ZSTD, 0, 0, 0, 22 },
};

enum {
	WAYS = sizeof(ways) / sizeof(ways[0]),
	/* The way for a longer stream is chosen by parts of it, which are as long as this together. */
	SAMPLE_LEN = 256 << 10,
	SAMPLE_PARTS = 8,
	TABLE_LOG_MAX = 22, /* keeps libzstd within the memory that liblzma takes */
};

size_t stream_dictionary(uint64_t plain_len, size_t dictionary_max)
{
	size_t dictionary = STREAM_DICTIONARY_MIN;
	while (dictionary < plain_len && dictionary < dictionary_max)
		dictionary *= 2;
	return dictionary;
}

/* ---- One stream in one way ---- */

struct attempt {
	struct stream *stream;
	const uint8_t *plain; /* of the stream, or of a sample of it */
	size_t plain_len;
	const struct way *way;
	uint8_t *coded;
	size_t len; /* of coded; 0: it came out no shorter */
};

static lzma_options_lzma lzma2_options(const struct way *way, size_t dictionary)
{
	return (lzma_options_lzma){
		.dict_size = (uint32_t)dictionary, .lc = way->lc, .lp = way->lp, .pb = way->pb,
		.mode = LZMA_MODE_NORMAL, .nice_len = 273, .mf = LZMA_MF_BT4, .depth = 64,
	};
}

uint64_t streams_coder_memory(uint64_t plain_len)
{
	lzma_options_lzma options = lzma2_options(&ways[0], stream_dictionary(plain_len, DELTA_DICTIONARY_MAX));
	const lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	return lzma_raw_encoder_memusage(filters) + plain_len / 2;
}

/* Both encoders write to attempt->coded, which has room for as much as is encoded, and set attempt->len. */

static enum blockz_status encode_lzma2(struct attempt *attempt, size_t dictionary, struct blockz_fault *fault)
{
	lzma_options_lzma options = lzma2_options(attempt->way, dictionary);
	const lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	size_t len = 0;
	lzma_ret ret = lzma_raw_buffer_encode(filters, NULL, attempt->plain, attempt->plain_len, attempt->coded, &len,
					      attempt->plain_len);
	if (ret != LZMA_OK && ret != LZMA_BUF_ERROR)
		return fault_nomem(fault);
	attempt->len = ret == LZMA_OK ? len : 0;
	return BLOCKZ_OK;
}

static enum blockz_status encode_zstd(struct attempt *attempt, size_t dictionary, struct blockz_fault *fault)
{
	int window_log = 0;
	while ((size_t)1 << window_log < dictionary)
		window_log++;
	ZSTD_CCtx *context = ZSTD_createCCtx();
	if (context == NULL)
		return fault_nomem(fault);
	ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, attempt->way->level);
	ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
	ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
	if (window_log > TABLE_LOG_MAX)
		ZSTD_CCtx_setParameter(context, ZSTD_c_hashLog, TABLE_LOG_MAX);
	size_t len = ZSTD_compress2(context, attempt->coded, attempt->plain_len, attempt->plain, attempt->plain_len);
	ZSTD_freeCCtx(context);
	if (ZSTD_getErrorCode(len) == ZSTD_error_memory_allocation)
		return fault_nomem(fault);
	attempt->len = ZSTD_isError(len) ? 0 : len;
	return BLOCKZ_OK;
}

/* ---- Attempts, which the pool works on ---- */

struct attempts {
	struct attempt *items;
	size_t count;
	bool keep; /* the bytes, and not only how many */
};

static enum blockz_status drop_coded(struct attempt *attempt, enum blockz_status status)
{
	free(attempt->coded);
	attempt->coded = NULL;
	return status;
}

static enum blockz_status make_attempt(void *ctx, size_t i, struct blockz_fault *fault)
{
	const struct attempts *attempts = ctx;
	struct attempt *attempt = &attempts->items[i];
	size_t dictionary = stream_dictionary(attempt->plain_len, attempt->stream->dictionary_max);
	attempt->coded = malloc(attempt->plain_len);
	if (attempt->coded == NULL)
		return fault_nomem(fault);
	enum blockz_status status = attempt->way->method == STREAM_LZMA2 ? encode_lzma2(attempt, dictionary, fault)
									 : encode_zstd(attempt, dictionary, fault);
	if (status != BLOCKZ_OK || !attempts->keep || attempt->len == 0)
		return drop_coded(attempt, status);
	uint8_t *coded = realloc(attempt->coded, attempt->len);
	if (coded == NULL)
		return drop_coded(attempt, fault_nomem(fault));
	attempt->coded = coded;
	return BLOCKZ_OK;
}

/* ---- Choice ---- */

/* What shows how a stream is best coded: all of it, or parts of it at equal distances; the caller's to free. */
static uint8_t *sample_of(const struct stream *stream, size_t *len_ret)
{
	size_t len = (size_t)min(stream->plain_len, SAMPLE_LEN);
	uint8_t *sample = malloc(len);
	if (sample == NULL)
		return NULL;
	*len_ret = len;
	if (len == stream->plain_len)
		return memcpy(sample, stream->plain, len);
	size_t part = SAMPLE_LEN / SAMPLE_PARTS, step = (stream->plain_len - part) / (SAMPLE_PARTS - 1);
	for (size_t i = 0; i < SAMPLE_PARTS; i++)
		memcpy(sample + i * part, stream->plain + i * step, part);
	return sample;
}

/* Which of the attempts at one sample is best; NULL: leave the stream as it is. */
static const struct way *best_way(const struct attempt *attempts)
{
	const struct attempt *best = NULL;
	for (size_t i = 0; i < WAYS; i++)
		if (attempts[i].len > 0 && (best == NULL || attempts[i].len < best->len))
			best = &attempts[i];
	return best == NULL ? NULL : best->way;
}

/* chosen[i]: how to code stream i, or NULL. */
static enum blockz_status choose_ways(struct stream *streams, size_t count, unsigned threads, const struct way **chosen,
				 struct blockz_fault *fault)
{
	uint8_t *samples[STREAMS_AT_ONCE_MAX] = { NULL };
	struct attempt items[STREAMS_AT_ONCE_MAX * WAYS];
	struct attempts attempts = { .items = items };
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < count && status == BLOCKZ_OK; i++) {
		size_t len = 0;
		if (streams[i].plain_len == 0)
			continue;
		samples[i] = sample_of(&streams[i], &len);
		if (samples[i] == NULL)
			status = fault_nomem(fault);
		for (size_t way = 0; way < WAYS; way++)
			items[attempts.count++] = (struct attempt){
				.stream = &streams[i], .plain = samples[i], .plain_len = len, .way = &ways[way],
			};
	}
	if (status == BLOCKZ_OK)
		status = pool_each(attempts.count, make_attempt, &attempts, threads, fault);
	const struct attempt *next = items;
	for (size_t i = 0; i < count && status == BLOCKZ_OK; i++) {
		chosen[i] = NULL;
		if (streams[i].plain_len > 0) {
			chosen[i] = best_way(next);
			next += WAYS;
		}
	}
	for (size_t i = 0; i < count; i++)
		free(samples[i]);
	return status;
}

enum blockz_status streams_encode(struct stream *streams, size_t count, unsigned threads, struct blockz_fault *fault)
{
	const struct way *chosen[STREAMS_AT_ONCE_MAX];
	struct attempt items[STREAMS_AT_ONCE_MAX];
	struct attempts attempts = { .items = items, .keep = true };
	enum blockz_status status = choose_ways(streams, count, threads, chosen, fault);
	if (status != BLOCKZ_OK)
		return status;
	for (size_t i = 0; i < count; i++)
		if (chosen[i] != NULL)
			items[attempts.count++] = (struct attempt){
				.stream = &streams[i], .plain = streams[i].plain, .plain_len = streams[i].plain_len,
				.way = chosen[i],
			};
	status = pool_each(attempts.count, make_attempt, &attempts, threads, fault);
	for (size_t i = 0; i < count; i++) {
		streams[i].method = STREAM_NONE;
		streams[i].coded = NULL;
		streams[i].coded_len = streams[i].plain_len;
	}
	for (size_t i = 0; i < attempts.count; i++) {
		const struct attempt *attempt = &items[i];
		if (status != BLOCKZ_OK || attempt->len == 0) {
			free(attempt->coded);
			continue;
		}
		attempt->stream->method = attempt->way->method;
		attempt->stream->coded = attempt->coded;
		attempt->stream->coded_len = attempt->len;
	}
	return status;
}
