/* SPDX-License-Identifier: BSD-3-Clause */
/* SquashFS zstd: one frame, as ZSTD_compressCCtx() makes it. */
#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_getCParams, ZSTD_estimateCCtxSize_usingCParams */
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "codec/codec.h"
#include "codec/codec_faults.h"

enum {
	LEVEL_MAX = 22,
	ROOM_MIN = 8 << 10, /* for a block of metadata, however short it is; libzstd refuses some that would just fit */
};

static const char *const value_names[] = { "level", NULL };

static bool are_valid(const uint32_t *values)
{
	return values[ZSTD_LEVEL] >= 1 && values[ZSTD_LEVEL] <= LEVEL_MAX;
}

struct context {
	ZSTD_CCtx *compressor;
	ZSTD_DCtx *decompressor;
};

static void *context_new(const struct codec_env *env)
{
	(void)env;
	return calloc(1, sizeof(struct context));
}

static void context_free(void *memory)
{
	struct context *context = memory;
	ZSTD_freeCCtx(context->compressor);
	ZSTD_freeDCtx(context->decompressor);
	free(context);
}

static uint64_t encoder_memory(const uint32_t *values, uint32_t plain_len)
{
	ZSTD_compressionParameters params = ZSTD_getCParams((int)values[ZSTD_LEVEL], plain_len, 0);
	return 3 * (uint64_t)plain_len + ZSTD_estimateCCtxSize_usingCParams(params);
}

static enum blockz_status encode_block(void *memory, const uint32_t *values, const uint8_t *plain, size_t plain_len,
				       struct buffer *out, size_t *len_ret, struct blockz_fault *fault)
{
	struct context *context = memory;
	if (context->compressor == NULL)
		context->compressor = ZSTD_createCCtx();
	size_t room = plain_len < ROOM_MIN ? ROOM_MIN : plain_len;
	if (context->compressor == NULL || !buffer_reserve(out, room))
		return fault_nomem(fault);
	size_t result = ZSTD_compressCCtx(context->compressor, out->bytes, room, plain, plain_len,
					  (int)values[ZSTD_LEVEL]);
	if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation)
		return fault_nomem(fault);
	*len_ret = ZSTD_isError(result) || result > plain_len ? 0 : result;
	return BLOCKZ_OK;
}

static enum blockz_status decode_block(void *memory, const uint8_t *bytes, size_t len, uint8_t *out, size_t out_len,
				       struct blockz_fault *fault)
{
	struct context *context = memory;
	if (context->decompressor == NULL)
		context->decompressor = ZSTD_createDCtx();
	if (context->decompressor == NULL)
		return fault_nomem(fault);
	size_t result = ZSTD_decompressDCtx(context->decompressor, out, out_len, bytes, len);
	if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation)
		return fault_nomem(fault);
	return result == out_len ? BLOCKZ_OK : block_damaged(codec_zstd.name, fault);
}

const struct codec codec_zstd = {
	.name = "zstd",
	.value_names = value_names,
	.max_values = { [ZSTD_LEVEL] = LEVEL_MAX },
	/* One for each of libzstd's tables of parameters: up to 16, 128 and 256 KiB, and larger. */
	.probe_lens = { 8 << 10, 128 << 10, 192 << 10, 384 << 10 },
	.are_valid = are_valid,
	.encoder_memory = encoder_memory,
	.context_new = context_new,
	.context_free = context_free,
	.encode = encode_block,
	.decode = decode_block,
};
