/* SPDX-License-Identifier: BSD-3-Clause */
/* A group's pieces are kept by where they end in the file, or as an end of 0 where that cannot be told. */
#include "mapped/groups.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fault.h"
#include "mapped/piece.h"
#include "parallel/cache.h"

enum {
	PIECES_MAX = 1 << 16, /* of a group; one of more is read as a long piece */
	KEPT_MAX = 16 << 20,  /* bytes of what is kept, which are 2 million pieces: of 64 KiB, 128 GiB */
	KEPT_EACH = 64,
};

struct groups {
	const struct blockz_source *file;
	const struct blockz_map *map;
	struct cache *ends;
};

struct groups *groups_new(const struct blockz_source *file, const struct blockz_map *map)
{
	const struct cache_limits limits = { .bytes = KEPT_MAX, .each = KEPT_EACH };
	struct groups *groups = malloc(sizeof(*groups));
	struct cache *ends = cache_new(&limits);
	if (groups == NULL || ends == NULL) {
		free(groups);
		cache_free(ends);
		return NULL;
	}
	*groups = (struct groups){ file, map, ends };
	return groups;
}

void groups_free(struct groups *groups)
{
	if (groups == NULL)
		return;
	cache_free(groups->ends);
	free(groups);
}

static bool has_pieces(const struct blockz_map *map, size_t index)
{
	return map_is_group(map, index) && map_pieces_of(map, index) <= PIECES_MAX;
}

static enum blockz_status find_ends(const struct blockz_source *file, const struct blockz_map *map, size_t index, uint64_t *ends,
				    struct blockz_fault *fault)
{
	const struct piece *piece = &map->pieces[index];
	const struct group group = {
		.bytes = { piece->file_off, piece->file_off + piece->file_len },
		.image = { piece->start, map_piece_end(map, index) }, .cut = map->group_cut,
	};
	const size_t count = (size_t)map_pieces_of(map, index);
	bool found = false;
	enum blockz_status status = map->format->find_ends(file, &group, ends, count, &found, fault);
	for (size_t i = 0; i < count && found; i++)
		found = ends[i] - (i > 0 ? ends[i - 1] : piece->file_off) <= PIECE_FILE_MAX;
	if (!found)
		ends[0] = 0;
	return status;
}

static enum blockz_status decode_ends(const struct cache_want *want, uint8_t *bytes, struct blockz_fault *fault)
{
	const struct groups *groups = want->ctx;
	return find_ends(groups->file, groups->map, (size_t)want->key, (uint64_t *)(void *)bytes, fault);
}

/* The image offset at which piece i of a group begins; behind its last one it is where the group ends. */
static uint64_t piece_start(const struct blockz_map *map, size_t index, uint64_t i)
{
	uint64_t start = map->pieces[index].start, end = map_piece_end(map, index);
	return i == 0 ? start : min((start / map->group_cut + i) * map->group_cut, end);
}

static struct group_piece piece_of(const struct blockz_map *map, size_t index, uint64_t i, const uint64_t *ends)
{
	struct group_piece part = {
		.piece = map->pieces[index], .end = piece_start(map, index, i + 1), .is_apart = true,
	};
	part.piece.start = piece_start(map, index, i);
	if (i > 0)
		part.piece.file_off = ends[i - 1];
	part.piece.file_len = ends[i] - part.piece.file_off;
	return part;
}

static struct group_piece whole_item(const struct blockz_map *map, size_t index)
{
	return (struct group_piece){ .piece = map->pieces[index], .end = map_piece_end(map, index) };
}

enum blockz_status groups_piece(struct groups *groups, uint64_t off, struct group_piece *piece_ret, struct blockz_fault *fault)
{
	const struct blockz_map *map = groups->map;
	const size_t index = map_find_piece(map, off);
	struct cached *cached = NULL;
	*piece_ret = whole_item(map, index);
	if (!has_pieces(map, index))
		return BLOCKZ_OK;
	const struct cache_want want = {
		.key = index, .len = (size_t)map_pieces_of(map, index) * sizeof(uint64_t), .decode = decode_ends, .ctx = groups,
	};
	enum blockz_status status = cache_get(groups->ends, &want, &cached, fault);
	if (status != BLOCKZ_OK)
		return status;
	const uint64_t *ends = (const uint64_t *)(const void *)cached->bytes;
	if (ends[0] != 0)
		*piece_ret = piece_of(map, index, off / map->group_cut - map->pieces[index].start / map->group_cut, ends);
	cache_put(groups->ends, cached);
	return BLOCKZ_OK;
}

/* ---- A map of pieces ---- */

/* Adds the pieces of an item, or the item as it is. */
static enum blockz_status add_pieces(const struct blockz_source *file, const struct blockz_map *map, size_t index,
				     struct blockz_map *out, uint64_t *ends, struct blockz_fault *fault)
{
	uint64_t count = map_pieces_of(map, index);
	if (out->piece_count + count + (map->piece_count - index) > MAP_ITEMS_MAX)
		return map_add_piece(out, &map->pieces[index], fault);
	enum blockz_status status = find_ends(file, map, index, ends, fault);
	if (status == BLOCKZ_OK && ends[0] == 0)
		return map_add_piece(out, &map->pieces[index], fault);
	for (uint64_t i = 0; i < count && status == BLOCKZ_OK; i++) {
		const struct group_piece part = piece_of(map, index, i, ends);
		status = map_add_piece(out, &part.piece, fault);
	}
	return status;
}

/* Adds spans and checks as they are. */
static enum blockz_status add_others(const struct blockz_map *map, struct blockz_map *out, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < map->span_count && status == BLOCKZ_OK; i++)
		status = map_add_span(out, &map->spans[i], fault);
	for (size_t i = 0; i < map->check_count && status == BLOCKZ_OK; i++)
		status = map_add_check(out, &map->checks[i], fault);
	return status;
}

static enum blockz_status add_all(const struct blockz_source *file, const struct blockz_map *map,
				  const struct blockz_range *ranges, size_t count, struct blockz_map *out, uint64_t *ends,
				  struct blockz_fault *fault)
{
	enum blockz_status status = add_others(map, out, fault);
	size_t next = 0;
	for (size_t i = 0; i < map->piece_count && status == BLOCKZ_OK; i++) {
		while (next < count && ranges[next].end <= map->pieces[i].start)
			next++;
		bool meets = next < count && ranges[next].start < map_piece_end(map, i);
		status = meets && has_pieces(map, i) ? add_pieces(file, map, i, out, ends, fault)
						     : map_add_piece(out, &map->pieces[i], fault);
	}
	return status;
}

enum blockz_status groups_open(const struct blockz_source *file, const struct blockz_map *map,
			       const struct blockz_range *ranges, size_t count, struct blockz_map **map_ret,
			       struct blockz_fault *fault)
{
	struct blockz_map *out = malloc(sizeof(*out));
	uint64_t *ends = malloc(PIECES_MAX * sizeof(*ends));
	if (out != NULL) {
		*out = *map;
		out->pieces = NULL;
		out->spans = NULL;
		out->checks = NULL;
		out->piece_count = out->span_count = out->check_count = 0;
	}
	enum blockz_status status = out != NULL && ends != NULL ? add_all(file, map, ranges, count, out, ends, fault) : fault_nomem(fault);
	free(ends);
	if (status == BLOCKZ_OK)
		*map_ret = out;
	else
		blockz_map_free(out);
	return status;
}
