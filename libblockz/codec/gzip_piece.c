/* SPDX-License-Identifier: BSD-3-Clause */
/* Pieces of .gz files: runs of deflate blocks that end on a byte, by libdeflate or ISA-L as blockz uses them. */
#include "base/fault.h"
#include "codec/format_piece.h"
#include "format/formats.h"
#include "format/gzip/head.h"

enum { LEVELS = 12 };

static const char *const value_names[] = { "level", NULL };

static bool are_valid(const uint32_t *values)
{
	return values[GZIP_PIECE_LEVEL] >= 1 && values[GZIP_PIECE_LEVEL] <= LEVELS;
}

static void *context_new(const struct codec_env *env)
{
	(void)env;
	return format_piece_new(&format_gzip);
}

static struct pack_params params_of(const uint32_t *values)
{
	return (struct pack_params){ .level = (int)values[GZIP_PIECE_LEVEL], .check = CHECK_CRC32 };
}

static enum blockz_status encode_piece(void *context, const uint32_t *values, const uint8_t *plain, size_t plain_len,
				       struct buffer *out, size_t *len_ret, struct blockz_fault *fault)
{
	const struct pack_params params = params_of(values);
	const struct plain_piece piece = { .bytes = plain, .len = plain_len };
	return format_piece_encode(context, values, &params, &piece, out, len_ret, fault);
}

static uint64_t encoder_memory(const uint32_t *values, uint32_t plain_len)
{
	struct pack_params params = params_of(values);
	params.piece_size = plain_len;
	return format_gzip.encoder_memory(&params);
}

static enum blockz_status decode_piece(void *context, const uint8_t *bytes, size_t len, uint8_t *out, size_t out_len,
				       struct blockz_fault *fault)
{
	const struct encoded_piece encoded = { .bytes = bytes, .len = len, .method = CHECK_CRC32 };
	return format_piece_decode(context, &encoded, out, out_len, fault);
}

/*
 * Pieces by others come of zlib and end wherever a scan found that they may: no encoder of blockz makes them again, and to
 * try would cost much.  What blockz writes without an index has a header that few others do.
 */
static enum blockz_status suggest_levels(const struct blockz_source *file, const struct blockz_map *map, struct blocks *blocks,
					 struct blockz_fault *fault)
{
	const struct codec_params params = { .codec = CODEC_GZIP_PIECE };
	bool is_own = false;
	enum blockz_status status = gzip_head_is_own(file, &is_own, fault);
	if (status != BLOCKZ_OK || !is_own)
		return status;
	uint32_t level = (uint32_t)map->format->public.level_default;
	return format_piece_suggest_levels(blocks, params, GZIP_PIECE_LEVEL, level, 1, LEVELS) ? BLOCKZ_OK : fault_nomem(fault);
}

const struct codec codec_gzip_piece = {
	.name = "gzip-piece",
	.value_names = value_names,
	.max_values = { [GZIP_PIECE_LEVEL] = LEVELS },
	.probe_lens = { 8 << 10, 384 << 10 },
	.are_valid = are_valid,
	.encoder_memory = encoder_memory,
	.format = &format_gzip,
	.suggest = suggest_levels,
	.context_new = context_new,
	.context_free = format_piece_free,
	.encode = encode_piece,
	.decode = decode_piece,
};
