/* SPDX-License-Identifier: BSD-3-Clause */
/* A plan with an edit for each run of pages that are held, and what becomes of the image by it. */
#include "disk/bring_in.h"

#include <stdlib.h>

#include "base/checked.h"
#include "base/fault.h"
#include "edit/estimate.h"
#include "edit/planned.h"
#include "parallel/pool.h"

enum { QUICK_NS = 1000000000 };

/* ---- Whether it is quick ---- */

/* Pieces that were added, ascending. */
struct sum {
	const struct blockz_map *map;
	struct estimate estimate;
	uint64_t end; /* image offset behind the piece, or the copy of one, that was encoded again last */
};

/* Adds what [pos, end), which lies in one piece, takes; false: it is not quick, whatever its length. */
static bool add_run(struct sum *sum, size_t index, uint64_t pos, uint64_t end)
{
	const struct blockz_map *map = sum->map;
	const struct piece *piece = &map->pieces[index];
	const uint64_t pieces = map_pieces_of(map, index);
	uint64_t image_len = piece_image_len(map, index) / pieces, file_len = piece->file_len / pieces;
	if (piece->kind == BLOCKZ_RAW || map_is_patchable(map, pos, end)) {
		sum->estimate.file_bytes += end - pos;
		return true;
	}
	if (end <= sum->end)
		return true;
	if (estimate_how(map->format, piece->kind, image_len, file_len) != BLOCKZ_EDIT_PIECE)
		return false;
	uint64_t first = ((pos > sum->end ? pos : sum->end) - piece->start) / image_len;
	uint64_t last = (end - 1 - piece->start) / image_len, copies = last - first + 1;
	estimate_add(&sum->estimate, map->format, false, copies * image_len, copies * file_len);
	sum->end = piece->start + (last + 1) * image_len;
	return true;
}

/* Those are read by what one pass over them has left, which would have to be made anew. */
static bool has_long_pieces(const struct blockz_map *map)
{
	for (size_t i = 0; i < map->piece_count; i++)
		if (piece_is_long(map, i) && !map_is_group(map, i))
			return true;
	return false;
}

bool bring_in_is_quick(const struct blockz_overlay *overlay, const struct blockz_map *map)
{
	struct sum sum = { .map = map };
	struct blockz_range run;
	uint64_t pos = 0;
	/* Without an index, all of the file is read to find out what has become of it. */
	if (map->index == BLOCKZ_INDEX_NONE)
		sum.estimate.file_bytes = map->file_size;
	while (blockz_overlay_range_at(overlay, pos, &run)) {
		size_t index = map_find_piece(map, run.start);
		pos = min(run.end, map_piece_end(map, index));
		if (!add_run(&sum, index, run.start, pos))
			return false;
	}
	estimate_ways(&sum.estimate, map, pool_threads(0));
	return pos > 0 && sum.estimate.in_place_ns <= QUICK_NS && !has_long_pieces(map);
}

/* ---- The plan ---- */

static enum blockz_status plan_edits(struct bring_in *self, const struct blockz_overlay *overlay, const struct disk_image *image,
				     const struct blockz_store *scratch, struct blockz_fault *fault)
{
	const struct blockz_anywhere how = { .way = BLOCKZ_WAY_IN_PLACE, .scratch = scratch };
	size_t count = 0;
	struct blockz_edit *edits = NULL;
	enum blockz_status status = blockz_overlay_edits(overlay, &edits, &count, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = blockz_plan_anywhere(image->file, image->map, edits, count, &how, &self->plan, fault);
	free(edits);
	return status;
}

/* Maps the file that the plan makes. */
static enum blockz_status map_planned(struct bring_in *self, const struct disk_image *image, struct blockz_fault *fault)
{
	struct planned_file planned;
	struct blockz_map *map = NULL;
	enum blockz_status status = planned_init(&planned, self->plan, image->file, fault);
	if (status != BLOCKZ_OK)
		return status;
	const struct blockz_source source = planned_source(&planned);
	status = blockz_map_read(&source, NULL, &map, fault);
	planned_free(&planned);
	if (status != BLOCKZ_OK)
		return status;
	status = disk_image_init(&self->image, image->file, map, image->cache_limit, NULL, fault);
	if (status == BLOCKZ_OK && map->image_size != image->map->image_size)
		return fault_set(fault, BLOCKZ_FAILED, BLOCKZ_UNKNOWN, "a plan in place would change the length of the image");
	return status;
}

static uint64_t patchable_bytes(const struct blockz_map *map)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < map->span_count; i++)
		if (map->spans[i].patchable)
			bytes += map->spans[i].end - map->spans[i].start;
	return bytes;
}

/* Without an index, raw bytes may be in a piece with others, and be encoded with it: not when nobody is there to be told. */
static enum blockz_status keep_raw(const struct bring_in *self, const struct disk_image *image, struct blockz_fault *fault)
{
	if (patchable_bytes(self->image.map) >= patchable_bytes(image->map))
		return BLOCKZ_OK;
	return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN, "raw ranges would be encoded");
}

enum blockz_status bring_in_plan(struct bring_in *self, struct blockz_overlay *overlay, const struct disk_image *image,
				 const struct blockz_store *scratch, struct blockz_fault *fault)
{
	*self = (struct bring_in){ 0 };
	enum blockz_status status = plan_edits(self, overlay, image, scratch, fault);
	if (status == BLOCKZ_OK)
		status = map_planned(self, image, fault);
	if (status == BLOCKZ_OK)
		status = keep_raw(self, image, fault);
	return status == BLOCKZ_OK ? blockz_overlay_announce(overlay, self->plan, image->file, fault) : status;
}

void bring_in_free(struct bring_in *self)
{
	disk_image_free(&self->image);
	blockz_plan_free(self->plan);
}
