/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compressed files by their pieces, as blockz maps them.  Raw pieces and zeros stay plain bytes: the former are content
 * already, but for a header every 32 KiB or more, and the latter repeat each other; neither is worth encoding again.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/fault.h"
#include "codec/codec.h"
#include "container/container.h"
#include "format/formats.h"
#include "mapped/groups.h"

static bool matches(const uint8_t *head, size_t len)
{
	return format_by_magic(head, len) != NULL;
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

static enum blockz_status list_pieces(const struct blockz_map *map, unsigned codec, struct blocks *blocks,
				      struct blockz_fault *fault)
{
	for (size_t i = 0; i < map->piece_count; i++) {
		const struct piece *piece = &map->pieces[i];
		const struct block block = {
			.file_off = piece->file_off,
			.file_len = (uint32_t)piece->file_len,
			.plain_len = (uint32_t)(map_piece_end(map, i) - piece->start),
			.codec = (uint8_t)codec,
		};
		if (is_compressed(piece) && fits(map, i) && !blocks_append(blocks, &block))
			return fault_nomem(fault);
	}
	return BLOCKZ_OK;
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
	const struct format *format = map->format;
	if (compressed == 1 && format->is_one_stream)
		snprintf(blocks->note, sizeof(blocks->note), "one %s of %s, no pieces", format->piece_noun, size);
	else if (compressed == 1)
		snprintf(blocks->note, sizeof(blocks->note), "one %s of %s; those of more than %d MiB stay packed",
			 format->piece_noun, size, CODEC_BLOCK_MAX >> 20);
	else
		snprintf(blocks->note, sizeof(blocks->note), "%zu of %zu pieces are longer than %d MiB%s",
			 compressed - blocks->count, compressed, CODEC_BLOCK_MAX >> 20, format->is_one_stream ? ", or end a stream" : "");
}

/* Replaces a map by one of all pieces, or frees it. */
static enum blockz_status open_groups(const struct blockz_source *file, struct blockz_map **map, struct blockz_fault *fault)
{
	const struct blockz_range image = { 0, (*map)->image_size };
	struct blockz_map *groups = *map;
	*map = NULL;
	enum blockz_status status = groups_open(file, groups, &image, 1, map, fault);
	blockz_map_free(groups);
	return status;
}

static enum blockz_status read_pieces(const struct blockz_source *file, const struct codec_env *env,
				      struct blocks *blocks, struct blockz_fault *fault)
{
	struct blockz_map *map = NULL;
	(void)env;
	enum blockz_status status = blockz_map_read(file, NULL, &map, fault);
	if (status == BLOCKZ_OK)
		status = open_groups(file, &map, fault);
	if (status != BLOCKZ_OK)
		return status;
	unsigned codec = codec_of_format(map->format);
	blocks->size = file->size;
	snprintf(blocks->container, sizeof(blocks->container), "%s", map->format->public.name);
	if (codec == CODEC_COUNT)
		status = fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN, "no codec makes such pieces");
	if (status == BLOCKZ_OK)
		status = list_pieces(map, codec, blocks, fault);
	if (status == BLOCKZ_OK && blocks->count > 0)
		status = codec_at(codec)->suggest(file, map, blocks, fault);
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
