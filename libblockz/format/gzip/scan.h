/* SPDX-License-Identifier: BSD-3-Clause */
/* The map of a gzip file, by its index or by walking the whole stream: a row of struct format. */
#ifndef FORMAT_GZIP_SCAN_H
#define FORMAT_GZIP_SCAN_H

#include "format/format.h"
#include "format/gzip/head.h"

enum blockz_status gzip_map(const struct blockz_source *file, bool scan, struct blockz_map *map,
			    struct blockz_fault *fault);

/*
 * Reads the first header, and fills an empty map by its index if there is a good one: map->index says so, and else
 * map->index_fault why an index was not used.  head_ret has no index that is none of ours.  Errors: BLOCKZ_DAMAGED,
 * BLOCKZ_UNSUPPORTED (of the header), BLOCKZ_LIMIT, BLOCKZ_FAILED.
 */
enum blockz_status gzip_map_by_index(const struct blockz_source *file, struct gzip_head *head_ret, struct blockz_map *map,
				     struct blockz_fault *fault);

#endif
