/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames of .zst files.  Blockz makes each in one call; zstd(1) makes a stream of a file whose size it knows, with one
 * worker or more, which make the same of it, or without any (--single-thread).
 */
#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_getCParams, ZSTD_getFrameHeader */
#include <zstd.h>
#include <zstd_errors.h>

#include "base/fault.h"
#include "codec/codec_faults.h"
#include "codec/format_piece.h"
#include "format/formats.h"

enum {
	CHECKSUM_ROOM = 4,
	LEVELS = 22,
};

static const char *const value_names[] = { "level", "checksum", "stream", NULL };

static bool are_valid(const uint32_t *values)
{
	return values[ZSTD_PIECE_LEVEL] >= 1 && values[ZSTD_PIECE_LEVEL] <= LEVELS && values[ZSTD_PIECE_CHECKSUM] <= 1 &&
	       values[ZSTD_PIECE_STREAM] < ZSTD_STREAM_COUNT;
}

/* The frame's header says whether there is a checksum, and how large the window is, which levels choose. */
static bool may_make(const uint32_t *values, const uint8_t *bytes, size_t len)
{
	ZSTD_frameHeader header;
	if (ZSTD_getFrameHeader(&header, bytes, len) != 0 || header.frameContentSize == ZSTD_CONTENTSIZE_UNKNOWN ||
	    header.checksumFlag != values[ZSTD_PIECE_CHECKSUM])
		return false;
	uint64_t size = header.frameContentSize;
	uint64_t window = UINT64_C(1) << ZSTD_getCParams((int)values[ZSTD_PIECE_LEVEL], size, 0).windowLog;
	return header.windowSize == window || header.windowSize == (window < size ? window : size);
}

static bool has_thread(const uint32_t *values)
{
	return values[ZSTD_PIECE_STREAM] == ZSTD_STREAM_WORKERS;
}

static struct pack_params pack_params(const uint32_t *values)
{
	return (struct pack_params){
		.level = (int)values[ZSTD_PIECE_LEVEL],
		.check = values[ZSTD_PIECE_CHECKSUM] != 0 ? CHECK_XXH64_LOW32 : CHECK_NONE,
	};
}

/* A stream's buffers, and what a worker has of it, are no longer than it is. */
static uint64_t encoder_memory(const uint32_t *values, uint32_t plain_len)
{
	struct pack_params params = pack_params(values);
	params.piece_size = plain_len;
	uint64_t buffers = values[ZSTD_PIECE_STREAM] != ZSTD_STREAM_NONE ? 2 * (uint64_t)plain_len : 0;
	return format_zstd.encoder_memory(&params) + buffers;
}

static void *context_new(const struct codec_env *env)
{
	(void)env;
	return format_piece_new(&format_zstd);
}

static bool set_up(ZSTD_CCtx *context, const uint32_t *values, size_t plain_len)
{
	return !ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, (int)values[ZSTD_PIECE_LEVEL])) &&
	       !ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, (int)values[ZSTD_PIECE_CHECKSUM])) &&
	       !ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_nbWorkers, has_thread(values))) &&
	       !ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(context, plain_len));
}

/* Workers cut by themselves; without them the parts that zstd(1) reads are what counts. */
static size_t compress_parts(ZSTD_CCtx *context, const uint8_t *plain, size_t plain_len, size_t part_max, ZSTD_outBuffer *out)
{
	size_t result = 0;
	for (size_t pos = 0; pos < plain_len;) {
		size_t part = plain_len - pos < part_max ? plain_len - pos : part_max;
		ZSTD_inBuffer in = { plain + pos, part, 0 };
		bool last = pos + part == plain_len;
		do {
			result = ZSTD_compressStream2(context, out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
		} while (!ZSTD_isError(result) && (in.pos < in.size || (last && result > 0)));
		if (ZSTD_isError(result))
			break;
		pos += part;
	}
	return result;
}

static enum blockz_status encode_stream(const uint32_t *values, const uint8_t *plain, size_t plain_len,
					struct buffer *out, size_t *len_ret, struct blockz_fault *fault)
{
	size_t room = ZSTD_compressBound(plain_len) + CHECKSUM_ROOM, result = 0;
	size_t part = has_thread(values) ? plain_len : ZSTD_CStreamInSize();
	ZSTD_CCtx *context = ZSTD_createCCtx();
	enum blockz_status status = BLOCKZ_OK;
	if (context == NULL || !buffer_reserve(out, room)) {
		status = fault_nomem(fault);
	} else if (!set_up(context, values, plain_len)) {
		status = fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN, "this libzstd has no threads");
	} else {
		ZSTD_outBuffer made = { out->bytes, room, 0 };
		result = compress_parts(context, plain, plain_len, part, &made);
		*len_ret = made.pos;
	}
	if (status == BLOCKZ_OK && ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation)
		status = fault_nomem(fault);
	else if (status == BLOCKZ_OK && ZSTD_isError(result))
		status = encoder_failed(codec_zstd_piece.name, (int)ZSTD_getErrorCode(result), fault);
	ZSTD_freeCCtx(context);
	return status;
}

static enum blockz_status encode_frame(void *context, const uint32_t *values, const uint8_t *plain, size_t plain_len,
				       struct buffer *out, size_t *len_ret, struct blockz_fault *fault)
{
	const struct pack_params params = pack_params(values);
	const struct plain_piece piece = { .bytes = plain, .len = plain_len };
	if (values[ZSTD_PIECE_STREAM] != ZSTD_STREAM_NONE)
		return encode_stream(values, plain, plain_len, out, len_ret, fault);
	return format_piece_encode(context, values, &params, &piece, out, len_ret, fault);
}

static enum blockz_status decode_frame(void *context, const uint8_t *bytes, size_t len, uint8_t *out, size_t out_len,
				       struct blockz_fault *fault)
{
	const struct encoded_piece encoded = { .bytes = bytes, .len = len };
	return format_piece_decode(context, &encoded, out, out_len, fault);
}

/* Files without a seek table come of zstd(1) rather than of blockz. */
static enum blockz_status suggest_streams(const struct blockz_source *file, const struct blockz_map *map, struct blocks *blocks,
					  struct blockz_fault *fault)
{
	struct codec_params params = { .codec = CODEC_ZSTD_PIECE };
	uint32_t first = map->index == BLOCKZ_INDEX_NONE ? ZSTD_STREAM_WORKERS : ZSTD_STREAM_NONE;
	uint32_t level = (uint32_t)map->format->public.level_default;
	bool ok = true;
	(void)file;
	params.values[ZSTD_PIECE_CHECKSUM] = map->piece_count > 0 && map->pieces[0].method != CHECK_NONE;
	for (uint32_t i = 0; i < ZSTD_STREAM_COUNT && ok; i++) {
		params.values[ZSTD_PIECE_STREAM] = (first + i) % ZSTD_STREAM_COUNT;
		ok = format_piece_suggest_levels(blocks, params, ZSTD_PIECE_LEVEL, level, 1, LEVELS);
	}
	return ok ? BLOCKZ_OK : fault_nomem(fault);
}

const struct codec codec_zstd_piece = {
	.name = "zstd-piece",
	.value_names = value_names,
	.free_values = 1u << ZSTD_PIECE_CHECKSUM | 1u << ZSTD_PIECE_STREAM,
	.probe_values = { [ZSTD_PIECE_CHECKSUM] = 1 },
	.max_values = { [ZSTD_PIECE_LEVEL] = LEVELS },
	.probe_lens = { 8 << 10, 128 << 10, 192 << 10, 384 << 10 },
	.are_valid = are_valid,
	.may_make = may_make,
	.has_thread = has_thread,
	.encoder_memory = encoder_memory,
	.format = &format_zstd,
	.suggest = suggest_streams,
	.context_new = context_new,
	.context_free = format_piece_free,
	.encode = encode_frame,
	.decode = decode_frame,
};
