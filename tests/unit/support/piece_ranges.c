/* SPDX-License-Identifier: BSD-3-Clause */
/* Each range is cut at the edges of the piece. */
#include "piece_ranges.h"

size_t ranges_in(const struct blockz_map *map, size_t piece, const struct blockz_range *ranges, size_t count,
		 struct blockz_range *within)
{
	uint64_t start = map->pieces[piece].start, end = map_piece_end(map, piece);
	size_t n = 0;
	for (size_t i = 0; i < count; i++) {
		struct blockz_range part = ranges[i];
		part.start = part.start > start ? part.start : start;
		part.end = part.end < end ? part.end : end;
		if (part.start < part.end)
			within[n++] = part;
	}
	return n;
}
