/* SPDX-License-Identifier: BSD-3-Clause */
/* SquashFS lzo: LZO1X, by whoever the caller of the library knows for it. */
#include <errno.h>
#include <stdlib.h>

#include "blockz_delta.h"
#include "codec/codec.h"
#include "codec/codec_faults.h"

enum { ALGORITHM_999 = 4 };

static const char *const value_names[] = { "algorithm", "level", "optimise", NULL };

static bool are_valid(const uint32_t *values)
{
	bool level = values[LZO_ALGORITHM] == ALGORITHM_999 ? values[LZO_LEVEL] >= 1 && values[LZO_LEVEL] <= 9
							    : values[LZO_LEVEL] == 0;
	return values[LZO_ALGORITHM] <= ALGORITHM_999 && level && values[LZO_OPTIMISE] <= 1;
}

struct context {
	const struct blockz_lzo *lzo;
};

static void *context_new(const struct codec_env *env)
{
	struct context *context = malloc(sizeof(*context));
	if (context != NULL)
		context->lzo = env->lzo;
	return context;
}

static enum blockz_status encode_block(void *memory, const uint32_t *values, const uint8_t *plain, size_t plain_len,
				       struct buffer *out, size_t *len_ret, struct blockz_fault *fault)
{
	const struct blockz_lzo *lzo = ((const struct context *)memory)->lzo;
	size_t len = 0;
	if (!buffer_reserve(out, plain_len))
		return fault_nomem(fault);
	const struct blockz_lzo_method method = {
		.algorithm = values[LZO_ALGORITHM], .level = values[LZO_LEVEL], .optimise = values[LZO_OPTIMISE] != 0,
	};
	int error = lzo->ops->compress(lzo->ctx, &method, plain, plain_len, out->bytes, plain_len, &len);
	if (error != 0)
		return fault_errno(fault, error, BLOCKZ_UNKNOWN, "LZO");
	*len_ret = len <= plain_len ? len : 0;
	return BLOCKZ_OK;
}

static enum blockz_status decode_block(void *memory, const uint8_t *bytes, size_t len, uint8_t *out, size_t out_len,
				       struct blockz_fault *fault)
{
	const struct blockz_lzo *lzo = ((const struct context *)memory)->lzo;
	int error = lzo->ops->decompress(lzo->ctx, bytes, len, out, out_len);
	if (error == EILSEQ)
		return block_damaged(codec_lzo.name, fault);
	return error == 0 ? BLOCKZ_OK : fault_errno(fault, error, BLOCKZ_UNKNOWN, "LZO");
}

const struct codec codec_lzo = {
	.name = "lzo",
	.value_names = value_names,
	.max_values = { [LZO_ALGORITHM] = ALGORITHM_999, [LZO_LEVEL] = 9, [LZO_OPTIMISE] = 1 },
	.probe_lens = { 8 << 10, 128 << 10 },
	.are_valid = are_valid,
	.context_new = context_new,
	.context_free = free,
	.encode = encode_block,
	.decode = decode_block,
};
