/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a long piece of deflate can end early: `find_edge` of struct format. */
#ifndef FORMAT_DEFLATE_EDGE_H
#define FORMAT_DEFLATE_EDGE_H

#include "format/format.h"

enum blockz_status deflate_find_edge(const struct blockz_source *file, const struct blockz_map *map, size_t piece, uint64_t limit,
				     struct piece_edge *edge_ret, struct blockz_fault *fault);

#endif
