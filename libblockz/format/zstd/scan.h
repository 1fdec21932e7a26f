/* SPDX-License-Identifier: BSD-3-Clause */
/* The map of a zstd file, by its seek table or by walking every block header: a row of struct format. */
#ifndef FORMAT_ZSTD_SCAN_H
#define FORMAT_ZSTD_SCAN_H

#include "format/format.h"
#include "format/zstd/frame.h"

enum blockz_status zstd_map(const struct blockz_source *file, bool scan, struct blockz_map *map,
			    struct blockz_fault *fault);

/*
 * Shows that a frame of no bytes, whose file_len bytes at off hold this header, is whole: nobody decodes it for its content.
 * *decoder is NULL at first, and the caller's to free.  Errors: BLOCKZ_DAMAGED, BLOCKZ_LIMIT, BLOCKZ_FAILED.
 */
enum blockz_status zstd_check_empty(const struct blockz_source *file, uint64_t off, uint64_t file_len,
				    const struct frame_header *header, uint64_t window_max, void **decoder,
				    struct blockz_fault *fault);

/*
 * Fills an empty map by the seek table at the end of the file.  *found_ret: there is one.  Each frame's header is read, and
 * compared with its entry; no block is.
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
