/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SquashFS gzip: RFC 1950, by zlib's deflate() in one call, memLevel 8.  Where several strategies were asked for,
 * mksquashfs and gensquashfs keep the smallest result: each strategy is a set of parameters of its own.
 */
#include <libdeflate.h>
#include <stdlib.h>
#include <zlib.h>

#include "codec/codec.h"
#include "codec/codec_faults.h"

enum { MEMORY_LEVEL = 8 };

struct context {
	struct libdeflate_decompressor *decompressor;
	z_stream stream;
	bool has_stream;
	uint32_t level, window, strategy; /* of the stream */
};

static const char *const value_names[] = { "level", "window", "strategy", NULL };

static bool are_valid(const uint32_t *values)
{
	return values[ZLIB_LEVEL] >= 1 && values[ZLIB_LEVEL] <= 9 && values[ZLIB_WINDOW] >= 8 && values[ZLIB_WINDOW] <= 15 &&
	       values[ZLIB_STRATEGY] <= Z_FIXED;
}

/* CINFO is the window, and zlib makes 9 of 8; FLEVEL shows a little of level and strategy. */
static bool may_make(const uint32_t *values, const uint8_t *bytes, size_t len)
{
	uint32_t window = values[ZLIB_WINDOW] < 9 ? 9 : values[ZLIB_WINDOW], level = values[ZLIB_LEVEL];
	unsigned flevel = values[ZLIB_STRATEGY] >= Z_HUFFMAN_ONLY || level < 2 ? 0 : level < 6 ? 1 : level == 6 ? 2 : 3;
	return len >= 2 && (bytes[0] & 15u) == Z_DEFLATED && (bytes[0] >> 4) + 8u == window && bytes[1] >> 6 == flevel;
}

static void context_free(void *memory)
{
	struct context *context = memory;
	libdeflate_free_decompressor(context->decompressor);
	if (context->has_stream)
		deflateEnd(&context->stream);
	free(context);
}

static void *context_new(const struct codec_env *env)
{
	(void)env;
	struct context *context = calloc(1, sizeof(*context));
	if (context == NULL)
		return NULL;
	context->decompressor = libdeflate_alloc_decompressor();
	if (context->decompressor == NULL) {
		context_free(context);
		return NULL;
	}
	return context;
}

/* Makes the stream one of these values that has seen nothing. */
static bool begin(struct context *context, const uint32_t *values)
{
	if (context->has_stream && context->level == values[ZLIB_LEVEL] && context->window == values[ZLIB_WINDOW] &&
	    context->strategy == values[ZLIB_STRATEGY])
		return deflateReset(&context->stream) == Z_OK;
	if (context->has_stream)
		deflateEnd(&context->stream);
	context->stream = (z_stream){ 0 };
	context->has_stream = deflateInit2(&context->stream, (int)values[ZLIB_LEVEL], Z_DEFLATED,
					   (int)values[ZLIB_WINDOW], MEMORY_LEVEL, (int)values[ZLIB_STRATEGY]) == Z_OK;
	context->level = values[ZLIB_LEVEL];
	context->window = values[ZLIB_WINDOW];
	context->strategy = values[ZLIB_STRATEGY];
	return context->has_stream;
}

static enum blockz_status encode_block(void *memory, const uint32_t *values, const uint8_t *plain, size_t plain_len,
				       struct buffer *out, size_t *len_ret, struct blockz_fault *fault)
{
	struct context *context = memory;
	if (!buffer_reserve(out, plain_len) || !begin(context, values))
		return fault_nomem(fault);
	z_stream *stream = &context->stream;
	stream->next_in = (Bytef *)(uintptr_t)plain; /* only read; the type lacks const */
	stream->avail_in = (uInt)plain_len;
	stream->next_out = out->bytes;
	stream->avail_out = (uInt)plain_len;
	int result = deflate(stream, Z_FINISH);
	if (result != Z_STREAM_END && result != Z_OK && result != Z_BUF_ERROR)
		return encoder_failed(codec_zlib.name, result, fault);
	*len_ret = result == Z_STREAM_END ? plain_len - stream->avail_out : 0;
	return BLOCKZ_OK;
}

static enum blockz_status decode_block(void *memory, const uint8_t *bytes, size_t len, uint8_t *out, size_t out_len,
				       struct blockz_fault *fault)
{
	const struct context *context = memory;
	size_t used = 0;
	if (libdeflate_zlib_decompress_ex(context->decompressor, bytes, len, out, out_len, &used, NULL) !=
		    LIBDEFLATE_SUCCESS ||
	    used != len)
		return block_damaged(codec_zlib.name, fault);
	return BLOCKZ_OK;
}

const struct codec codec_zlib = {
	.name = "zlib",
	.squashfs_name = "gzip",
	.value_names = value_names,
	.free_values = 1u << ZLIB_WINDOW,
	.probe_values = { [ZLIB_WINDOW] = 15 },
	.max_values = { [ZLIB_LEVEL] = 9, [ZLIB_STRATEGY] = Z_FIXED },
	.probe_lens = { 8 << 10, 128 << 10 },
	.are_valid = are_valid,
	.may_make = may_make,
	.context_new = context_new,
	.context_free = context_free,
	.encode = encode_block,
	.decode = decode_block,
};
