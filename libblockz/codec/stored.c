/* SPDX-License-Identifier: BSD-3-Clause */
/* The bytes themselves. */
#include <string.h>

#include "codec/codec.h"
#include "codec/codec_faults.h"

static const char *const value_names[] = { NULL };

static bool are_valid(const uint32_t *values)
{
	(void)values;
	return true;
}

/* Nothing is kept; NULL would say that memory is short. */
static char no_context;

static void *context_new(const struct codec_env *env)
{
	(void)env;
	return &no_context;
}

static void context_free(void *context)
{
	(void)context;
}

static enum blockz_status encode_block(void *context, const uint32_t *values, const uint8_t *plain, size_t plain_len,
				       struct buffer *out, size_t *len_ret, struct blockz_fault *fault)
{
	(void)context, (void)values;
	if (!buffer_reserve(out, plain_len))
		return fault_nomem(fault);
	memcpy(out->bytes, plain, plain_len);
	*len_ret = plain_len;
	return BLOCKZ_OK;
}

static enum blockz_status decode_block(void *context, const uint8_t *bytes, size_t len, uint8_t *out, size_t out_len,
				       struct blockz_fault *fault)
{
	(void)context;
	if (len != out_len)
		return block_damaged(codec_stored.name, fault);
	memcpy(out, bytes, len);
	return BLOCKZ_OK;
}

const struct codec codec_stored = {
	.name = "stored",
	.value_names = value_names,
	.probe_lens = { 8 << 10 },
	.are_valid = are_valid,
	.context_new = context_new,
	.context_free = context_free,
	.encode = encode_block,
	.decode = decode_block,
};
