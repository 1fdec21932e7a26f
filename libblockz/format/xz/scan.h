/* SPDX-License-Identifier: BSD-3-Clause */
/* The map of an xz file, by its Index and the first chunk of each Block, or by all chunk headers: rows of struct format. */
#ifndef FORMAT_XZ_SCAN_H
#define FORMAT_XZ_SCAN_H

#include "format/format.h"
#include "format/xz/block.h"
#include "io/peek.h"

enum blockz_status xz_map(const struct blockz_source *file, bool scan, struct blockz_map *map,
			  struct blockz_fault *fault);

/*
 * Adds a span for each run of raw chunks of a Block whose only filter is LZMA2: file bytes [off, end) from its first chunk
 * on hold image bytes [start, image_end).  Errors: BLOCKZ_DAMAGED, BLOCKZ_LIMIT, BLOCKZ_FAILED.
 */
enum blockz_status xz_add_chunks(struct peek *peek, uint64_t off, uint64_t end, uint64_t start, uint64_t image_end,
				 struct blockz_map *map, struct blockz_fault *fault);

enum blockz_status xz_layout(const struct blockz_map *map, size_t piece, const uint8_t *bytes,
			     struct blockz_fault *fault);

#endif
