/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a long frame can end early, and what becomes of its header then. */
#ifndef FORMAT_ZSTD_EDGE_H
#define FORMAT_ZSTD_EDGE_H

#include "format/format.h"

/* `find_edge` of struct format. */
enum blockz_status zstd_find_edge(const struct blockz_source *file, const struct blockz_map *map, size_t piece, uint64_t limit,
				  struct piece_edge *edge_ret, struct blockz_fault *fault);

/* Has a frame end at the edge: its last block is the last, and its header says how much it holds.  Errors: BLOCKZ_FAILED. */
enum blockz_status zstd_end_early(const struct renewal *renewal, struct blockz_fault *fault);

#endif
