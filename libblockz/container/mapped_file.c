/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compressed files by their pieces, as blockz maps them.  Raw pieces and zeros stay plain bytes: the former are content
 * already, but for a header every 32 KiB or more, and the latter repeat each other; neither is worth encoding again.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/checked.h"
#include "base/fault.h"
#include "codec/xz_piece.h"
#include "container/container.h"
#include "format/format.h"
#include "format/gzip/head.h"
#include "io/access.h"

enum {
	GZIP_LEVELS = 12,
	XZ_LEVELS = 10,
	ZSTD_LEVELS = 22,
	XZ_HEADERS_MAX = 4,
};

static bool matches(const uint8_t *head, size_t len)
{
	return format_by_magic(head, len) != NULL;
}

static enum codec_id codec_of(const struct format *format)
{
	return format == &format_gzip ? CODEC_GZIP_PIECE : format == &format_xz ? CODEC_XZ_PIECE : CODEC_ZSTD_PIECE;
}

/* Whether a piece can be a block, but for its length: not the last of a gzip stream by somebody else, which ends it. */
static bool is_compressed(const struct piece *piece)
{
	return piece->kind == BLOCKZ_COMPRESSED && !piece->ends_stream;
}

static bool fits(const struct blockz_map *map, size_t index)
{
	const struct piece *piece = &map->pieces[index];
	return piece->file_len <= CODEC_BLOCK_MAX && map_piece_end(map, index) - piece->start <= CODEC_BLOCK_MAX;
}

static enum blockz_status list_pieces(const struct blockz_map *map, struct blocks *blocks, struct blockz_fault *fault)
{
	for (size_t i = 0; i < map->piece_count; i++) {
		const struct piece *piece = &map->pieces[i];
		const struct block block = {
			.file_off = piece->file_off,
			.file_len = (uint32_t)piece->file_len,
			.plain_len = (uint32_t)(map_piece_end(map, i) - piece->start),
			.codec = (uint8_t)codec_of(map->format),
		};
		if (is_compressed(piece) && fits(map, i) && !blocks_append(blocks, &block))
			return fault_nomem(fault);
	}
	return BLOCKZ_OK;
}

/* ---- What they may have been written with ---- */

/* The likeliest level first, then the others. */
static bool suggest_levels(struct blocks *blocks, struct codec_params params, size_t value, uint32_t first,
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

/* How the headers of Blocks were laid out, as far as they are blocks. */
struct xz_headers {
	uint32_t layouts[XZ_HEADERS_MAX];
	size_t count;
	uint32_t len;  /* of the first */
	bool are_long; /* all are as long as that */
};

static void add_layout(struct xz_headers *headers, uint32_t layout)
{
	size_t i = 0;
	while (i < headers->count && headers->layouts[i] != layout)
		i++;
	if (i == headers->count && i < XZ_HEADERS_MAX)
		headers->layouts[headers->count++] = layout;
}

/* Of headers of one length, that length says it all, whatever length those of blockz would have had. */
static void unite_layouts(struct xz_headers *headers)
{
	bool is_own = headers->count == 1 && headers->layouts[0] == XZ_HEADER_OWN;
	for (size_t i = 0; i < headers->count; i++)
		is_own = is_own || headers->layouts[i] == XZ_HEADER_BARE;
	if (is_own || !headers->are_long)
		return;
	headers->count = 1;
	headers->layouts[0] = headers->len;
}

static enum blockz_status read_headers(const struct blockz_source *file, const struct blocks *blocks,
				       struct xz_headers *headers, struct blockz_fault *fault)
{
	uint8_t bytes[BLOCK_HEADER_LEN_MAX];
	enum blockz_status status = BLOCKZ_OK;
	*headers = (struct xz_headers){ .are_long = true };
	for (size_t i = 0; i < blocks->count && status == BLOCKZ_OK; i++) {
		struct xz_block block;
		size_t len = (size_t)min(sizeof(bytes), blocks->items[i].file_len);
		status = read_file(file, bytes, len, blocks->items[i].file_off, fault);
		if (status == BLOCKZ_OK)
			status = xz_block_parse(bytes, len, CHECK_NONE, blocks->items[i].file_off, &block, fault);
		if (status != BLOCKZ_OK)
			break;
		headers->len = i == 0 ? block.block.header_size : headers->len;
		headers->are_long = headers->are_long && block.block.header_size == headers->len;
		add_layout(headers, xz_piece_header(&block));
		xz_block_free(&block);
	}
	unite_layouts(headers);
	return status;
}

/* The size of pieces bounds the dictionary: that of the longest is it, unless another program did not care. */
static bool suggest_xz_sizes(struct blocks *blocks, struct codec_params params, uint64_t longest)
{
	params.values[XZ_PIECE_SIZE] = (uint32_t)min(longest, XZ_PIECE_SIZE_MAX);
	if (!suggest_levels(blocks, params, XZ_PIECE_LEVEL, 6, 0, XZ_LEVELS - 1))
		return false;
	params.values[XZ_PIECE_SIZE] = XZ_PIECE_SIZE_MAX;
	return longest >= XZ_PIECE_SIZE_MAX || suggest_levels(blocks, params, XZ_PIECE_LEVEL, 6, 0, XZ_LEVELS - 1);
}

static enum blockz_status suggest_xz(const struct blockz_source *file, const struct blockz_map *map,
				     struct blocks *blocks, struct blockz_fault *fault)
{
	struct codec_params params = { .codec = CODEC_XZ_PIECE };
	struct xz_headers headers;
	uint64_t longest = XZ_PIECE_SIZE_MIN;
	enum blockz_status status = read_headers(file, blocks, &headers, fault);
	for (size_t i = 0; i < map->piece_count; i++)
		if (map->pieces[i].kind == BLOCKZ_COMPRESSED && map_piece_end(map, i) - map->pieces[i].start > longest)
			longest = map_piece_end(map, i) - map->pieces[i].start;
	params.values[XZ_PIECE_CHECK] = map->piece_count > 0 ? map->pieces[0].method : CHECK_NONE;
	for (size_t i = 0; i < 2 * headers.count && status == BLOCKZ_OK; i++) {
		params.values[XZ_PIECE_EXTREME] = i >= headers.count;
		params.values[XZ_PIECE_HEADER] = headers.layouts[i % headers.count];
		if (!suggest_xz_sizes(blocks, params, longest))
			status = fault_nomem(fault);
	}
	return status;
}

/*
 * Pieces by others come of zlib and end wherever a scan found that they may: no encoder of blockz makes them again, and to
 * try would cost much.  What blockz writes without an index has a header that few others do.
 */
static enum blockz_status suggest_gzip(const struct blockz_source *file, struct blocks *blocks, uint32_t level_default,
				       struct blockz_fault *fault)
{
	const struct codec_params params = { .codec = CODEC_GZIP_PIECE };
	bool is_own = false;
	enum blockz_status status = gzip_head_is_own(file, &is_own, fault);
	if (status != BLOCKZ_OK || !is_own)
		return status;
	return suggest_levels(blocks, params, GZIP_PIECE_LEVEL, level_default, 1, GZIP_LEVELS) ? BLOCKZ_OK
											       : fault_nomem(fault);
}

/* Files without a seek table come of zstd(1) rather than of blockz. */
static bool suggest_zstd(const struct blockz_map *map, struct blocks *blocks, uint32_t level_default)
{
	struct codec_params params = { .codec = CODEC_ZSTD_PIECE };
	uint32_t first = map->index == BLOCKZ_INDEX_NONE ? ZSTD_STREAM_WORKERS : ZSTD_STREAM_NONE;
	bool ok = true;
	params.values[ZSTD_PIECE_CHECKSUM] = map->piece_count > 0 && map->pieces[0].method != CHECK_NONE;
	for (uint32_t i = 0; i < ZSTD_STREAM_COUNT && ok; i++) {
		params.values[ZSTD_PIECE_STREAM] = (first + i) % ZSTD_STREAM_COUNT;
		ok = suggest_levels(blocks, params, ZSTD_PIECE_LEVEL, level_default, 1, ZSTD_LEVELS);
	}
	return ok;
}

static enum blockz_status suggest(const struct blockz_source *file, const struct blockz_map *map, struct blocks *blocks,
				  struct blockz_fault *fault)
{
	uint32_t level = (uint32_t)map->format->public.level_default;
	switch (codec_of(map->format)) {
	case CODEC_GZIP_PIECE:
		return suggest_gzip(file, blocks, level, fault);
	case CODEC_XZ_PIECE:
		return suggest_xz(file, map, blocks, fault);
	default:
		return suggest_zstd(map, blocks, level) ? BLOCKZ_OK : fault_nomem(fault);
	}
}

/* ---- For people ---- */

static void format_size(uint64_t size, char text[16])
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	size_t unit = 0;
	for (; size >= 10 * 1024 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
		size /= 1024;
	snprintf(text, 16, "%" PRIu64 " %s", size > 99999 ? 99999 : size, units[unit]);
}

/* Why there are fewer blocks than one would expect. */
static void note_missing(const struct blockz_map *map, struct blocks *blocks)
{
	size_t compressed = 0;
	char size[16];
	for (size_t i = 0; i < map->piece_count; i++)
		compressed += map->pieces[i].kind == BLOCKZ_COMPRESSED;
	if (blocks->count == compressed)
		return;
	format_size(map->image_size, size);
	bool is_gzip = map->format == &format_gzip;
	if (compressed == 1 && is_gzip)
		snprintf(blocks->note, sizeof(blocks->note), "one gzip stream of %s, no pieces", size);
	else if (compressed == 1)
		snprintf(blocks->note, sizeof(blocks->note), "one %s of %s; those of more than %d MiB stay packed",
			 map->format == &format_xz ? "xz Block" : "zstd frame", size, CODEC_BLOCK_MAX >> 20);
	else
		snprintf(blocks->note, sizeof(blocks->note), "%zu of %zu pieces are longer than %d MiB%s",
			 compressed - blocks->count, compressed, CODEC_BLOCK_MAX >> 20, is_gzip ? ", or end a stream" : "");
}

static enum blockz_status read_pieces(const struct blockz_source *file, const struct codec_env *env,
				      struct blocks *blocks, struct blockz_fault *fault)
{
	struct blockz_map *map = NULL;
	(void)env;
	enum blockz_status status = blockz_map_read(file, NULL, &map, fault);
	if (status != BLOCKZ_OK)
		return status;
	blocks->size = file->size;
	snprintf(blocks->container, sizeof(blocks->container), "%s", map->format->public.name);
	status = list_pieces(map, blocks, fault);
	if (status == BLOCKZ_OK && blocks->count > 0)
		status = suggest(file, map, blocks, fault);
	if (status == BLOCKZ_OK)
		note_missing(map, blocks);
	blockz_map_free(map);
	return status;
}

const struct container container_mapped_file = {
	.name = "pieces",
	.matches = matches,
	.read = read_pieces,
};
