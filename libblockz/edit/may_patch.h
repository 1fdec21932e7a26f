/* SPDX-License-Identifier: BSD-3-Clause */
/* What has to be true before raw bytes are changed: what patch and disk have in common. */
#ifndef EDIT_MAY_PATCH_H
#define EDIT_MAY_PATCH_H

#include "mapped/piece.h"

/* BLOCKZ_UNSUPPORTED where the file has an index whose checks could not be kept right. */
enum blockz_status may_patch_map(const struct blockz_map *map, struct blockz_fault *fault);

/* BLOCKZ_UNSUPPORTED: why image offset off, which is not patchable, cannot be changed, and the nearest raw range. */
enum blockz_status may_patch_refuse(const struct blockz_map *map, uint64_t off, struct blockz_fault *fault);

/*
 * Shows that what an index says of a span is true of what stands before and behind it: nothing decodes from it.  A scan
 * has shown it already.  scratch gets decoded bytes.  Errors: BLOCKZ_DAMAGED, BLOCKZ_FAILED.
 */
enum blockz_status may_patch_span(struct piece_reader *reader, const struct span *span, struct buffer *scratch,
			      struct blockz_fault *fault);

/* The same of a range of the image between edges of pieces, which begins at file_off. */
enum blockz_status may_patch_around(struct piece_reader *reader, struct blockz_range range, uint64_t file_off,
				    struct buffer *scratch, struct blockz_fault *fault);

#endif
