/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pieces of mapped files, encoded and decoded by the rows of their formats: as blockz writes them, and as other programs
 * do that use the same library in the same way.  Only compressed ones; raw ones are plain bytes already.  Those of xz and
 * zstd are in files of their own.
 */
#include <stdlib.h>
#include <string.h>

#include "codec/format_piece.h"
#include "codec/codec_faults.h"

enum { WINDOW_MAX = 128 << 20 };

struct format_piece {
	const struct format *format;
	void *encoder, *decoder;
	uint32_t values[CODEC_VALUES_MAX]; /* of the encoder */
};

void format_piece_free(void *memory)
{
	struct format_piece *context = memory;
	if (context->encoder != NULL)
		context->format->encoder_free(context->encoder);
	if (context->decoder != NULL)
		context->format->decoder_free(context->decoder);
	free(context);
}

void *format_piece_new(const struct format *format)
{
	struct format_piece *context = calloc(1, sizeof(*context));
	if (context != NULL)
		context->format = format;
	return context;
}

/* The encoder of these parameters, which values stand for; NULL: no memory. */
static void *get_encoder(struct format_piece *context, const uint32_t *values, const struct pack_params *params)
{
	if (context->encoder != NULL && memcmp(context->values, values, sizeof(context->values)) == 0)
		return context->encoder;
	if (context->encoder != NULL)
		context->format->encoder_free(context->encoder);
	memcpy(context->values, values, sizeof(context->values));
	context->encoder = context->format->encoder_new(params);
	return context->encoder;
}

enum blockz_status format_piece_encode(struct format_piece *context, const uint32_t *values,
				       const struct pack_params *params, const struct plain_piece *plain,
				       struct buffer *out, size_t *len_ret, struct blockz_fault *fault)
{
	void *encoder = get_encoder(context, values, params);
	struct encoding encoding = { .out = *out };
	if (encoder == NULL)
		return fault_nomem(fault);
	enum blockz_status status = context->format->encode(encoder, plain, &encoding, fault);
	*out = encoding.out;
	*len_ret = encoding.len;
	return status;
}

enum blockz_status format_piece_decode(struct format_piece *context, const struct encoded_piece *encoded,
				       uint8_t *out, size_t out_len, struct blockz_fault *fault)
{
	if (context->decoder == NULL)
		context->decoder = context->format->decoder_new(WINDOW_MAX);
	if (context->decoder == NULL)
		return fault_nomem(fault);
	enum blockz_status status = context->format->decode(context->decoder, encoded, out, out_len, fault);
	if (status == BLOCKZ_UNSUPPORTED)
		return fault_set(fault, BLOCKZ_DAMAGED, BLOCKZ_UNKNOWN, "a piece of a kind that is not supported");
	return status;
}

/* ---- gzip ---- */

static const char *const gzip_value_names[] = { "level", NULL };

static bool gzip_are_valid(const uint32_t *values)
{
	return values[GZIP_PIECE_LEVEL] >= 1 && values[GZIP_PIECE_LEVEL] <= 12;
}

static void *gzip_context_new(const struct codec_env *env)
{
	(void)env;
	return format_piece_new(&format_gzip);
}

static struct pack_params gzip_params(const uint32_t *values)
{
	return (struct pack_params){ .level = (int)values[GZIP_PIECE_LEVEL], .check = CHECK_CRC32 };
}

static enum blockz_status gzip_encode(void *context, const uint32_t *values, const uint8_t *plain, size_t plain_len,
				      struct buffer *out, size_t *len_ret, struct blockz_fault *fault)
{
	const struct pack_params params = gzip_params(values);
	const struct plain_piece piece = { .bytes = plain, .len = plain_len };
	return format_piece_encode(context, values, &params, &piece, out, len_ret, fault);
}

static uint64_t gzip_encoder_memory(const uint32_t *values, uint32_t plain_len)
{
	struct pack_params params = gzip_params(values);
	params.piece_size = plain_len;
	return format_gzip.encoder_memory(&params);
}

static enum blockz_status gzip_decode(void *context, uint8_t *bytes, size_t len, uint8_t *out, size_t out_len,
				      struct blockz_fault *fault)
{
	const struct encoded_piece encoded = { .bytes = bytes, .len = len, .method = CHECK_CRC32 };
	return format_piece_decode(context, &encoded, out, out_len, fault);
}

const struct codec codec_gzip_piece = {
	.name = "gzip-piece",
	.value_names = gzip_value_names,
	.max_values = { [GZIP_PIECE_LEVEL] = 12 },
	.probe_lens = { 8 << 10, 384 << 10 },
	.are_valid = gzip_are_valid,
	.encoder_memory = gzip_encoder_memory,
	.context_new = gzip_context_new,
	.context_free = format_piece_free,
	.encode = gzip_encode,
	.decode = gzip_decode,
};
