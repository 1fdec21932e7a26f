/* SPDX-License-Identifier: BSD-3-Clause */
/* The seek table behind the frames, as a source of a map, and of the checks that a patch has to keep. */
#ifndef FORMAT_ZSTD_INDEX_H
#define FORMAT_ZSTD_INDEX_H

#include "blockz.h"
#include "range/map.h"

/*
 * Fills an empty map by the seek table at the end of the file.  *found_ret: there is one.  Each frame's header is read, and
 * compared with its entry; no block is.  If map->raw_only, most headers of frames that are not raw are not.
 * Errors: BLOCKZ_DAMAGED: table and frames do not agree; BLOCKZ_UNSUPPORTED (a dictionary); BLOCKZ_LIMIT,
 * BLOCKZ_FAILED.
 */
enum blockz_status seek_table_read(const struct blockz_source *file, struct blockz_map *map, bool *found_ret,
				   struct blockz_fault *fault);

/*
 * The checks that a patch has to keep in a table that a scan does not go by: those over the map's pieces with patchable
 * bytes.  Errors: as above.
 */
enum blockz_status seek_table_add_checks(const struct blockz_source *file, struct blockz_map *map,
					 struct blockz_fault *fault);

#endif
