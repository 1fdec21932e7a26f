/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the codecs of pieces have in common.  They encode and decode pieces of mapped files by the rows of their formats: as
 * blockz writes them, and as other programs do that use the same library in the same way.  Only compressed ones; raw
 * ones are plain bytes already.
 */
#include "codec/format_piece.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

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

bool format_piece_suggest_levels(struct blocks *blocks, struct codec_params params, size_t value, uint32_t first,
				 uint32_t min_level, uint32_t max_level)
{
	params.values[value] = first;
	bool ok = blocks_suggest(blocks, &params);
	for (uint32_t level = min_level; level <= max_level && ok; level++) {
		params.values[value] = level;
		ok = level == first || blocks_suggest(blocks, &params);
	}
	return ok;
}
