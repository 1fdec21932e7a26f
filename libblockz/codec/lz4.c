/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SquashFS lz4: one LZ4 block, fast, or by LZ4 HC at its highest level (-Xhc).  gensquashfs keeps metadata blocks that
 * became longer, so there is room for them.
 */
#include <lz4.h>
#include <lz4hc.h>
#include <stdlib.h>

#include "codec/codec.h"
#include "codec/codec_faults.h"

static const char *const value_names[] = { "level", NULL };

static bool are_valid(const uint32_t *values)
{
	return values[LZ4_LEVEL] <= LZ4HC_CLEVEL_MAX;
}

struct context {
	void *fast, *hc; /* states; made when first needed */
};

static void *context_new(const struct codec_env *env)
{
	(void)env;
	return calloc(1, sizeof(struct context));
}

static void context_free(void *memory)
{
	struct context *context = memory;
	free(context->fast);
	free(context->hc);
	free(context);
}

static void *get_state(void **state, int size)
{
	if (*state == NULL)
		*state = malloc((size_t)size);
	return *state;
}

static enum blockz_status encode_block(void *memory, const uint32_t *values, const uint8_t *plain, size_t plain_len,
				       struct buffer *out, size_t *len_ret, struct blockz_fault *fault)
{
	struct context *context = memory;
	bool hc = values[LZ4_LEVEL] > 0;
	void *state = hc ? get_state(&context->hc, LZ4_sizeofStateHC()) : get_state(&context->fast, LZ4_sizeofState());
	int room = LZ4_compressBound((int)plain_len);
	if (state == NULL || !buffer_reserve(out, (size_t)room))
		return fault_nomem(fault);
	const char *from = (const char *)plain;
	char *to = (char *)out->bytes;
	int len = hc ? LZ4_compress_HC_extStateHC(state, from, to, (int)plain_len, room, (int)values[LZ4_LEVEL])
		     : LZ4_compress_fast_extState(state, from, to, (int)plain_len, room, 1);
	*len_ret = len > 0 ? (size_t)len : 0;
	return BLOCKZ_OK;
}

static enum blockz_status decode_block(void *context, const uint8_t *bytes, size_t len, uint8_t *out, size_t out_len,
				       struct blockz_fault *fault)
{
	(void)context;
	int result = LZ4_decompress_safe((const char *)bytes, (char *)out, (int)len, (int)out_len);
	return result == (int)out_len ? BLOCKZ_OK : block_damaged(codec_lz4.name, fault);
}

const struct codec codec_lz4 = {
	.name = "lz4",
	.value_names = value_names,
	.max_values = { [LZ4_LEVEL] = LZ4HC_CLEVEL_MAX },
	.probe_lens = { 8 << 10, 128 << 10, 512 << 10 },
	.are_valid = are_valid,
	.context_new = context_new,
	.context_free = context_free,
	.encode = encode_block,
	.decode = decode_block,
};
