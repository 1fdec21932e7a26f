/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pieces of mapped files, encoded and decoded by the rows of their formats: as blockz writes them, and as other programs
 * do that use the same library in the same way.  Only compressed ones; raw ones are plain bytes already.
 */
#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_getCParams, ZSTD_getFrameHeader */
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "delta/codec/codec.h"
#include "delta/codec/failures.h"
#include "format/format.h"
#include "format/xz/block.h"

enum { PIECE_SIZE_MIN = 64 << 10, PIECE_SIZE_MAX = 64 << 20, WINDOW_MAX = 128 << 20 };

struct context {
	const struct format *format;
	void *encoder, *decoder;
	uint32_t values[CODEC_VALUES_MAX]; /* of the encoder */
};

static void context_free(void *memory)
{
	struct context *context = memory;
	if (context->encoder != NULL)
		context->format->encoder_free(context->encoder);
	if (context->decoder != NULL)
		context->format->decoder_free(context->decoder);
	free(context);
}

static void *context_of(const struct format *format)
{
	struct context *context = calloc(1, sizeof(*context));
	if (context != NULL)
		context->format = format;
	return context;
}

/* The encoder of these parameters, which values stand for; NULL: no memory. */
static void *get_encoder(struct context *context, const uint32_t *values, const struct pack_params *params)
{
	if (context->encoder != NULL && memcmp(context->values, values, sizeof(context->values)) == 0)
		return context->encoder;
	if (context->encoder != NULL)
		context->format->encoder_free(context->encoder);
	memcpy(context->values, values, sizeof(context->values));
	context->encoder = context->format->encoder_new(params);
	return context->encoder;
}

static enum blockz_status encode(struct context *context, const uint32_t *values, const struct pack_params *params,
				 const uint8_t *plain, size_t plain_len, struct buffer *out, size_t *len_ret,
				 struct blockz_fault *fault)
{
	void *encoder = get_encoder(context, values, params);
	uint64_t tag = 0;
	if (encoder == NULL)
		return fault_nomem(fault);
	return context->format->encode(encoder, plain, plain_len, 0, false, out, len_ret, &tag, fault);
}

static enum blockz_status decode_unit(struct context *context, const struct unit *unit, uint8_t *out, size_t out_len,
				      struct blockz_fault *fault)
{
	if (context->decoder == NULL)
		context->decoder = context->format->decoder_new(WINDOW_MAX);
	if (context->decoder == NULL)
		return fault_nomem(fault);
	enum blockz_status status = context->format->decode(context->decoder, unit, out, out_len, fault);
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
	return context_of(&format_gzip);
}

static enum blockz_status gzip_encode(void *context, const uint32_t *values, const uint8_t *plain, size_t plain_len,
				      struct buffer *out, size_t *len_ret, struct blockz_fault *fault)
{
	const struct pack_params params = { .level = (int)values[GZIP_PIECE_LEVEL], .check = CHECK_CRC32 };
	return encode(context, values, &params, plain, plain_len, out, len_ret, fault);
}

static enum blockz_status gzip_decode(void *context, uint8_t *bytes, size_t len, uint8_t *out, size_t out_len,
				      struct blockz_fault *fault)
{
	const struct unit unit = { .bytes = bytes, .len = len, .method = CHECK_CRC32 };
	return decode_unit(context, &unit, out, out_len, fault);
}

const struct codec codec_gzip_piece = {
	.name = "gzip-piece",
	.value_names = gzip_value_names,
	.max_values = { [GZIP_PIECE_LEVEL] = 12 },
	.probe_lens = { 8 << 10, 384 << 10 },
	.are_valid = gzip_are_valid,
	.context_new = gzip_context_new,
	.context_free = context_free,
	.encode = gzip_encode,
	.decode = gzip_decode,
};

/* ---- xz ---- */

static const char *const xz_value_names[] = { "level", "extreme", "check", "size", NULL };

static bool xz_are_valid(const uint32_t *values)
{
	return values[XZ_PIECE_LEVEL] <= 9 && values[XZ_PIECE_EXTREME] <= 1 && values[XZ_PIECE_CHECK] <= CHECK_SHA256 &&
	       values[XZ_PIECE_SIZE] >= PIECE_SIZE_MIN && values[XZ_PIECE_SIZE] <= PIECE_SIZE_MAX;
}

static void *xz_context_new(const struct codec_env *env)
{
	(void)env;
	return context_of(&format_xz);
}

static enum blockz_status xz_encode(void *context, const uint32_t *values, const uint8_t *plain, size_t plain_len,
				    struct buffer *out, size_t *len_ret, struct blockz_fault *fault)
{
	const struct pack_params params = {
		.level = (int)values[XZ_PIECE_LEVEL], .extreme = values[XZ_PIECE_EXTREME] != 0,
		.check = values[XZ_PIECE_CHECK], .piece_size = values[XZ_PIECE_SIZE],
	};
	return encode(context, values, &params, plain, plain_len, out, len_ret, fault);
}

/* A Block does not say of which kind its Check is, but its length does, where the Block Header has the sizes. */
static bool find_check(const uint8_t *bytes, size_t len, struct unit *unit)
{
	struct xz_block block;
	if (xz_block_parse(bytes, len, CHECK_NONE, 0, &block, NULL) != BLOCKZ_OK)
		return false;
	uint64_t packed = block.block.compressed_size, header = block.block.header_size;
	xz_block_free(&block);
	if (packed > len - header || packed + (unit->padding = -packed & 3) > len - header)
		return false;
	size_t field = (size_t)(len - header - packed - unit->padding);
	for (unit->method = CHECK_NONE; unit->method <= CHECK_SHA256; unit->method++)
		if (check_methods[unit->method].len == field)
			return true;
	return false;
}

static enum blockz_status xz_decode(void *context, uint8_t *bytes, size_t len, uint8_t *out, size_t out_len,
				    struct blockz_fault *fault)
{
	struct unit unit = { .bytes = bytes, .len = len };
	if (!find_check(bytes, len, &unit))
		return block_damaged(codec_xz_piece.name, fault);
	return decode_unit(context, &unit, out, out_len, fault);
}

/* The Block Header has the size of the dictionary, which levels choose, up to a piece's; it rounds it up a little. */
static bool xz_may_make(const uint32_t *values, const uint8_t *bytes, size_t len)
{
	struct xz_block block;
	lzma_options_lzma expected;
	if (lzma_lzma_preset(&expected, values[XZ_PIECE_LEVEL]) ||
	    xz_block_parse(bytes, len, CHECK_NONE, 0, &block, NULL) != BLOCKZ_OK)
		return false;
	uint32_t wanted = expected.dict_size < values[XZ_PIECE_SIZE] ? expected.dict_size : values[XZ_PIECE_SIZE];
	const lzma_options_lzma *options = block.filters[0].options;
	bool may = block.lzma2_only && options->dict_size >= wanted && options->dict_size / 2 < wanted;
	xz_block_free(&block);
	return may;
}

const struct codec codec_xz_piece = {
	.name = "xz-piece",
	.value_names = xz_value_names,
	.free_values = 1u << XZ_PIECE_CHECK | 1u << XZ_PIECE_SIZE,
	.probe_values = { [XZ_PIECE_CHECK] = CHECK_CRC64, [XZ_PIECE_SIZE] = 1 << 20 },
	.max_values = { [XZ_PIECE_LEVEL] = 9, [XZ_PIECE_EXTREME] = 1 },
	.probe_lens = { 8 << 10, 128 << 10 },
	.are_valid = xz_are_valid,
	.may_make = xz_may_make,
	.context_new = xz_context_new,
	.context_free = context_free,
	.encode = xz_encode,
	.decode = xz_decode,
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
	return context_of(&format_zstd);
}

static enum blockz_status zstd_encode(void *context, const uint32_t *values, const uint8_t *plain, size_t plain_len,
				      struct buffer *out, size_t *len_ret, struct blockz_fault *fault)
{
	const struct pack_params params = {
		.level = (int)values[ZSTD_PIECE_LEVEL],
		.check = values[ZSTD_PIECE_CHECKSUM] != 0 ? CHECK_XXH64_LOW32 : CHECK_NONE,
	};
	return encode(context, values, &params, plain, plain_len, out, len_ret, fault);
}

static enum blockz_status zstd_decode(void *context, uint8_t *bytes, size_t len, uint8_t *out, size_t out_len,
				      struct blockz_fault *fault)
{
	const struct unit unit = { .bytes = bytes, .len = len };
	return decode_unit(context, &unit, out, out_len, fault);
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
	.context_new = zstd_context_new,
	.context_free = context_free,
	.encode = zstd_encode,
	.decode = zstd_decode,
};
