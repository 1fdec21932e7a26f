/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocks are walked up to the limit; what stands in them is not decoded.  Files with an index of ours have pieces that are short,
 * and of which that tells.
 */
#include "format/deflate/edge.h"

#include "format/deflate/walk.h"

enum blockz_status deflate_find_edge(const struct blockz_source *file, const struct blockz_map *map, size_t index, uint64_t limit,
				     struct piece_edge *edge_ret, struct blockz_fault *fault)
{
	const struct piece *piece = &map->pieces[index];
	struct piece_edge edge = { .off = piece->start, .file_off = piece->file_off };
	struct walk_block block = { 0 };
	struct walker *walker = NULL;
	*edge_ret = edge;
	if (map->index != BLOCKZ_INDEX_NONE)
		return BLOCKZ_OK;
	enum blockz_status status = walker_new(&walker, fault);
	if (status != BLOCKZ_OK)
		return status;
	walker_reset_source(walker, file, piece->file_off, piece->file_off + piece->file_len);
	while (status == BLOCKZ_OK && !block.final && block.out_end <= limit - piece->start) {
		edge.off = piece->start + block.out_end;
		edge.file_off = piece->file_off + block.end_bit / 8;
		edge.bits = block.end_bit % 8;
		status = walker_next(walker, &block, NULL, fault);
	}
	walker_free(walker);
	if (status == BLOCKZ_OK)
		*edge_ret = edge;
	return status;
}
