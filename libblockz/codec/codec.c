/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of codecs, and what is done the same way for each of them. */
#include "codec/codec.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fault.h"

static const struct codec *const codecs[CODEC_COUNT] = {
	[CODEC_STORED] = &codec_stored,
	[CODEC_ZLIB] = &codec_zlib,
	[CODEC_LZMA] = &codec_lzma,
	[CODEC_XZ] = &codec_xz,
	[CODEC_ZSTD] = &codec_zstd,
	[CODEC_LZO] = &codec_lzo,
	[CODEC_LZ4] = &codec_lz4,
	[CODEC_GZIP_PIECE] = &codec_gzip_piece,
	[CODEC_XZ_PIECE] = &codec_xz_piece,
	[CODEC_ZSTD_PIECE] = &codec_zstd_piece,
};

const struct codec *codec_at(unsigned id)
{
	return id < CODEC_COUNT ? codecs[id] : NULL;
}

unsigned codec_of_format(const struct format *format)
{
	unsigned id = 0;
	while (id < CODEC_COUNT && codecs[id]->format != format)
		id++;
	return id;
}

static size_t count_values(const struct codec *codec)
{
	size_t count = 0;
	while (codec->value_names[count] != NULL)
		count++;
	return count;
}

bool codec_params_are_equal(const struct codec_params *a, const struct codec_params *b)
{
	return a->codec == b->codec && memcmp(a->values, b->values, sizeof(a->values)) == 0;
}

bool codec_params_are_valid(const struct codec_params *params)
{
	const struct codec *codec = codec_at(params->codec);
	if (codec == NULL)
		return false;
	for (size_t i = count_values(codec); i < CODEC_VALUES_MAX; i++)
		if (params->values[i] != 0)
			return false;
	return codec->are_valid(params->values);
}

void codec_encoder_name(const struct codec_params *params, char name_ret[CODEC_NAME_MAX])
{
	const struct codec *codec = codec_at(params->codec);
	size_t len = (size_t)snprintf(name_ret, CODEC_NAME_MAX, "%s", codec->name);
	for (size_t i = 0; codec->value_names[i] != NULL && len < CODEC_NAME_MAX; i++)
		if ((codec->free_values >> i & 1) == 0)
			len += (size_t)snprintf(name_ret + len, CODEC_NAME_MAX - len, " %s=%" PRIu32,
						codec->value_names[i], params->values[i]);
}

uint64_t codec_encoder_memory(const struct codec_params *params, uint32_t plain_len)
{
	enum { SMALL = 1 << 20 };
	const struct codec *codec = codec_at(params->codec);
	return codec->encoder_memory != NULL ? codec->encoder_memory(params->values, plain_len)
					     : 3 * (uint64_t)plain_len + SMALL;
}

/* ---- Contexts ---- */

static enum blockz_status get_context(struct codec_contexts *contexts, unsigned id, void **context_ret,
				      struct blockz_fault *fault)
{
	const struct codec *codec = codec_at(id);
	if (codec == NULL)
		return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN, "codec %u is not known", id);
	if (id == CODEC_LZO && (contexts->env == NULL || contexts->env->lzo == NULL))
		return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN,
				 "LZO needs the program blockz-lzo, which is missing: it is part of blockz built with liblzo2");
	if (contexts->contexts[id] == NULL)
		contexts->contexts[id] = codec->context_new(contexts->env);
	if (contexts->contexts[id] == NULL)
		return fault_nomem(fault);
	*context_ret = contexts->contexts[id];
	return BLOCKZ_OK;
}

void codec_contexts_free(struct codec_contexts *contexts)
{
	for (unsigned id = 0; id < CODEC_COUNT; id++) {
		if (contexts->contexts[id] != NULL)
			codecs[id]->context_free(contexts->contexts[id]);
		contexts->contexts[id] = NULL;
	}
}

enum blockz_status codec_encode(struct codec_contexts *contexts, const struct codec_params *params,
				const uint8_t *plain, size_t plain_len, struct buffer *out, size_t *len_ret,
				struct blockz_fault *fault)
{
	void *context = NULL;
	enum blockz_status status = get_context(contexts, params->codec, &context, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (plain_len == 0 || plain_len > CODEC_BLOCK_MAX || !codec_params_are_valid(params))
		return fault_set(fault, BLOCKZ_DAMAGED, BLOCKZ_UNKNOWN, "%s: values or a length that no encoder has",
				 codecs[params->codec]->name);
	return codecs[params->codec]->encode(context, params->values, plain, plain_len, out, len_ret, fault);
}

enum blockz_status codec_decode(struct codec_contexts *contexts, unsigned id, const uint8_t *bytes, size_t len, uint8_t *out,
				size_t out_len, struct blockz_fault *fault)
{
	void *context = NULL;
	enum blockz_status status = get_context(contexts, id, &context, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (len == 0 || len > CODEC_BLOCK_MAX || out_len == 0 || out_len > CODEC_BLOCK_MAX)
		return fault_set(fault, BLOCKZ_DAMAGED, BLOCKZ_UNKNOWN, "%s: a length that no block has", codecs[id]->name);
	return codecs[id]->decode(context, bytes, len, out, out_len, fault);
}
