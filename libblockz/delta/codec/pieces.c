/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pieces of mapped files, encoded and decoded by the rows of their formats: as blockz writes them, and as other programs
 * do that use the same library in the same way.  Only compressed ones; raw ones are plain bytes already.  Those of xz are in
 * xz_piece.c.
 */
#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_getCParams, ZSTD_getFrameHeader */
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "delta/codec/failures.h"
#include "delta/codec/pieces.h"

enum { WINDOW_MAX = 128 << 20 };

struct pieces {
	const struct format *format;
	void *encoder, *decoder;
	uint32_t values[CODEC_VALUES_MAX]; /* of the encoder */
};

void pieces_free(void *memory)
{
	struct pieces *pieces = memory;
	if (pieces->encoder != NULL)
		pieces->format->encoder_free(pieces->encoder);
	if (pieces->decoder != NULL)
		pieces->format->decoder_free(pieces->decoder);
	free(pieces);
}

void *pieces_new(const struct format *format)
{
	struct pieces *pieces = calloc(1, sizeof(*pieces));
	if (pieces != NULL)
		pieces->format = format;
	return pieces;
}

/* The encoder of these parameters, which values stand for; NULL: no memory. */
static void *get_encoder(struct pieces *pieces, const uint32_t *values, const struct pack_params *params)
{
	if (pieces->encoder != NULL && memcmp(pieces->values, values, sizeof(pieces->values)) == 0)
		return pieces->encoder;
	if (pieces->encoder != NULL)
		pieces->format->encoder_free(pieces->encoder);
	memcpy(pieces->values, values, sizeof(pieces->values));
	pieces->encoder = pieces->format->encoder_new(params);
	return pieces->encoder;
}

enum blockz_status pieces_encode(struct pieces *pieces, const uint32_t *values, const struct pack_params *params,
				 const uint8_t *plain, size_t plain_len, struct buffer *out, size_t *len_ret,
				 struct blockz_fault *fault)
{
	void *encoder = get_encoder(pieces, values, params);
	uint64_t tag = 0;
	if (encoder == NULL)
		return fault_nomem(fault);
	return pieces->format->encode(encoder, plain, plain_len, 0, false, out, len_ret, &tag, fault);
}

enum blockz_status pieces_decode(struct pieces *pieces, const struct unit *unit, uint8_t *out, size_t out_len,
				 struct blockz_fault *fault)
{
	if (pieces->decoder == NULL)
		pieces->decoder = pieces->format->decoder_new(WINDOW_MAX);
	if (pieces->decoder == NULL)
		return fault_nomem(fault);
	enum blockz_status status = pieces->format->decode(pieces->decoder, unit, out, out_len, fault);
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
	return pieces_new(&format_gzip);
}

static struct pack_params gzip_params(const uint32_t *values)
{
	return (struct pack_params){ .level = (int)values[GZIP_PIECE_LEVEL], .check = CHECK_CRC32 };
}

static enum blockz_status gzip_encode(void *context, const uint32_t *values, const uint8_t *plain, size_t plain_len,
				      struct buffer *out, size_t *len_ret, struct blockz_fault *fault)
{
	const struct pack_params params = gzip_params(values);
	return pieces_encode(context, values, &params, plain, plain_len, out, len_ret, fault);
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
	const struct unit unit = { .bytes = bytes, .len = len, .method = CHECK_CRC32 };
	return pieces_decode(context, &unit, out, out_len, fault);
}

const struct codec codec_gzip_piece = {
	.name = "gzip-piece",
	.value_names = gzip_value_names,
	.max_values = { [GZIP_PIECE_LEVEL] = 12 },
	.probe_lens = { 8 << 10, 384 << 10 },
	.are_valid = gzip_are_valid,
	.encoder_memory = gzip_encoder_memory,
	.context_new = gzip_context_new,
	.context_free = pieces_free,
	.encode = gzip_encode,
	.decode = gzip_decode,
};

/* ---- zstd ---- */

static const char *const zstd_value_names[] = { "level", "checksum", NULL };

static bool zstd_are_valid(const uint32_t *values)
{
	return values[ZSTD_PIECE_LEVEL] >= 1 && values[ZSTD_PIECE_LEVEL] <= 22 && values[ZSTD_PIECE_CHECKSUM] <= 1;
}

/* The frame's header says whether there is a checksum, and how large the window is, which levels choose. */
static bool zstd_may_make(const uint32_t *values, const uint8_t *bytes, size_t len)
{
	ZSTD_frameHeader header;
	if (ZSTD_getFrameHeader(&header, bytes, len) != 0 || header.frameContentSize == ZSTD_CONTENTSIZE_UNKNOWN ||
	    header.checksumFlag != values[ZSTD_PIECE_CHECKSUM])
		return false;
	uint64_t size = header.frameContentSize;
	uint64_t window = UINT64_C(1) << ZSTD_getCParams((int)values[ZSTD_PIECE_LEVEL], size, 0).windowLog;
	return header.windowSize == window || header.windowSize == (window < size ? window : size);
}

static void *zstd_context_new(const struct codec_env *env)
{
	(void)env;
	return pieces_new(&format_zstd);
}

static struct pack_params zstd_params(const uint32_t *values)
{
	return (struct pack_params){
		.level = (int)values[ZSTD_PIECE_LEVEL],
		.check = values[ZSTD_PIECE_CHECKSUM] != 0 ? CHECK_XXH64_LOW32 : CHECK_NONE,
	};
}

static enum blockz_status zstd_encode(void *context, const uint32_t *values, const uint8_t *plain, size_t plain_len,
				      struct buffer *out, size_t *len_ret, struct blockz_fault *fault)
{
	const struct pack_params params = zstd_params(values);
	return pieces_encode(context, values, &params, plain, plain_len, out, len_ret, fault);
}

static uint64_t zstd_encoder_memory(const uint32_t *values, uint32_t plain_len)
{
	struct pack_params params = zstd_params(values);
	params.piece_size = plain_len;
	return format_zstd.encoder_memory(&params);
}

static enum blockz_status zstd_decode(void *context, uint8_t *bytes, size_t len, uint8_t *out, size_t out_len,
				      struct blockz_fault *fault)
{
	const struct unit unit = { .bytes = bytes, .len = len };
	return pieces_decode(context, &unit, out, out_len, fault);
}

const struct codec codec_zstd_piece = {
	.name = "zstd-piece",
	.value_names = zstd_value_names,
	.free_values = 1u << ZSTD_PIECE_CHECKSUM,
	.probe_values = { [ZSTD_PIECE_CHECKSUM] = 1 },
	.max_values = { [ZSTD_PIECE_LEVEL] = 22 },
	.probe_lens = { 8 << 10, 128 << 10, 192 << 10, 384 << 10 },
	.are_valid = zstd_are_valid,
	.may_make = zstd_may_make,
	.encoder_memory = zstd_encoder_memory,
	.context_new = zstd_context_new,
	.context_free = pieces_free,
	.encode = zstd_encode,
	.decode = zstd_decode,
};
