/* SPDX-License-Identifier: BSD-3-Clause */
/* Contexts are few, since each takes some hundreds of KiB, and go from thread to thread. */
#include "pagestore/page_codec.h"

#include <pthread.h>

#include "base/fault.h"
#include "base/plural.h"

/*
 * A frame is kept if it is so much shorter than the page.  Files in an image that are packed already still give a hundredth or
 * two.  A saved file, in which raw pages can be changed in place, asks for more (mapped/pack.c).
 */
enum { PAYS = 64 };

struct page_codec {
	struct memory *memory;
	uint32_t page_size;
	int level; /* 0: does not encode */
	unsigned made, made_max;
	pthread_mutex_t lock; /* of what changes */
	pthread_cond_t given;
	struct page_context *idle; /* the one used last first: its tables are still in the processor's caches */
};

/* ---- Contexts ---- */

static void context_free(const struct page_codec *codec, struct page_context *context)
{
	if (context == NULL)
		return;
	ZSTD_freeCCtx(context->encoder);
	ZSTD_freeDCtx(context->decoder);
	memory_free(codec->memory, context->page, codec->page_size);
	memory_free(codec->memory, context->frame, codec->page_size);
	memory_free(codec->memory, context, sizeof(*context));
}

/*
 * Encoder and decoder with all their memory, which an encoder takes when it first encodes.  Checksums are for those
 * who read a saved file: to compare them here, in memory that nobody else writes, takes a tenth of the time of
 * decoding.
 */
static bool make_coders(const struct page_codec *codec, struct page_context *context)
{
	context->frame = memory_new(codec->memory, codec->page_size);
	context->encoder = ZSTD_createCCtx_advanced(memory_zstd(codec->memory));
	context->decoder = ZSTD_createDCtx_advanced(memory_zstd(codec->memory));
	return context->frame != NULL && context->encoder != NULL && context->decoder != NULL &&
	       !ZSTD_isError(ZSTD_CCtx_setParameter(context->encoder, ZSTD_c_compressionLevel, codec->level)) &&
	       !ZSTD_isError(ZSTD_CCtx_setParameter(context->encoder, ZSTD_c_checksumFlag, 1)) &&
	       !ZSTD_isError(ZSTD_DCtx_setParameter(context->decoder, ZSTD_d_forceIgnoreChecksum,
						    ZSTD_d_ignoreChecksum)) &&
	       page_codec_encode(codec, context, context->page, codec->page_size) > 0;
}

static struct page_context *context_new(const struct page_codec *codec)
{
	struct page_context *context = memory_new(codec->memory, sizeof(*context));
	if (context == NULL)
		return NULL;
	context->page = memory_new(codec->memory, codec->page_size);
	if (context->page != NULL && (codec->level == 0 || make_coders(codec, context)))
		return context;
	context_free(codec, context);
	return NULL;
}

enum blockz_status page_codec_new(struct memory *memory, uint32_t page_size, int level, unsigned contexts_max,
				  struct page_codec **codec_ret, struct blockz_fault *fault)
{
	struct page_codec *codec = memory_new(memory, sizeof(*codec));
	if (codec == NULL)
		return memory_fault(memory, sizeof(*codec), fault);
	*codec = (struct page_codec){ .memory = memory, .page_size = page_size, .level = level, .made = 1,
				 .made_max = contexts_max };
	pthread_mutex_init(&codec->lock, NULL);
	pthread_cond_init(&codec->given, NULL);
	codec->idle = context_new(codec);
	if (codec->idle == NULL) {
		enum blockz_status status = memory_fault(memory, 0, fault);
		page_codec_free(codec);
		return status;
	}
	*codec_ret = codec;
	return BLOCKZ_OK;
}

void page_codec_free(struct page_codec *codec)
{
	if (codec == NULL)
		return;
	while (codec->idle != NULL) {
		struct page_context *next = codec->idle->next;
		context_free(codec, codec->idle);
		codec->idle = next;
	}
	pthread_mutex_destroy(&codec->lock);
	pthread_cond_destroy(&codec->given);
	memory_free(codec->memory, codec, sizeof(*codec));
}

struct page_context *page_codec_take(struct page_codec *codec)
{
	struct page_context *context = NULL;
	pthread_mutex_lock(&codec->lock);
	if (codec->idle == NULL && codec->made < codec->made_max) {
		codec->made++;
		pthread_mutex_unlock(&codec->lock);
		context = context_new(codec);
		if (context != NULL)
			return context;
		pthread_mutex_lock(&codec->lock);
		codec->made--;
	}
	while (codec->idle == NULL)
		pthread_cond_wait(&codec->given, &codec->lock);
	context = codec->idle;
	codec->idle = context->next;
	pthread_mutex_unlock(&codec->lock);
	return context;
}

void page_codec_give(struct page_codec *codec, struct page_context *context)
{
	pthread_mutex_lock(&codec->lock);
	context->next = codec->idle;
	codec->idle = context;
	pthread_cond_signal(&codec->given);
	pthread_mutex_unlock(&codec->lock);
}

void page_codec_rest(struct page_codec *codec)
{
	pthread_mutex_lock(&codec->lock);
	while (codec->made > 1 && codec->idle != NULL) {
		struct page_context *context = codec->idle;
		codec->idle = context->next;
		codec->made--;
		context_free(codec, context);
	}
	pthread_mutex_unlock(&codec->lock);
}

/* ---- Work ---- */

size_t page_codec_encode(const struct page_codec *codec, struct page_context *context, const uint8_t *bytes,
			 size_t len)
{
	if (codec->level == 0)
		return 0;
	size_t frame_len = ZSTD_compress2(context->encoder, context->frame, len - len / PAYS, bytes, len);
	return ZSTD_isError(frame_len) ? 0 : frame_len;
}

enum blockz_status page_codec_decode(struct page_context *context, const uint8_t *frame, size_t frame_len,
				     uint8_t *bytes, size_t len, uint64_t image_off, struct blockz_fault *fault)
{
	size_t got = ZSTD_decompressDCtx(context->decoder, bytes, len, frame, frame_len);
	if (ZSTD_isError(got))
		return fault_set(fault, BLOCKZ_DAMAGED, image_off, "page in memory: %s", ZSTD_getErrorName(got));
	if (got != len)
		return fault_set(fault, BLOCKZ_DAMAGED, image_off, "page in memory: %zu byte%s, expected %zu", got,
				 plural(got), len);
	return BLOCKZ_OK;
}
