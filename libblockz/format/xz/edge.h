/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a long Block can end early, and what becomes of its header then. */
#ifndef FORMAT_XZ_EDGE_H
#define FORMAT_XZ_EDGE_H

#include "format/format.h"

/* `find_edge` of struct format. */
enum blockz_status xz_find_edge(const struct blockz_source *file, const struct blockz_map *map, size_t piece, uint64_t limit,
				struct piece_edge *edge_ret, struct blockz_fault *fault);

/* What stands behind the last chunk: a mark, padding and the Check.  *unpadded_len_ret: what the Index says of the Block. */
void xz_end_block(const struct blockz_map *map, const struct piece_edge *edge, struct file_cut *cut, uint64_t *unpadded_len_ret);

/* Has the Block's header say how long it is, if it did.  Errors: BLOCKZ_DAMAGED, BLOCKZ_FAILED. */
enum blockz_status xz_end_early(const struct renewal *renewal, struct blockz_fault *fault);

#endif
