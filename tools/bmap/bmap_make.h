/* SPDX-License-Identifier: BSD-3-Clause */
/* The block map of an image in a compressed file. */
#ifndef BMAP_BMAP_MAKE_H
#define BMAP_BMAP_MAKE_H

#include "bmap/bmap.h"

/*
 * Decodes the image once and maps the blocks that hold anything but zeros.  A mapped range is cut where a patchable
 * range starts or ends (rounded to blocks outwards), so that an edit has only patchable bytes to hash again.
 * bmap: zeros; the caller frees it, on failure too.
 * Errors: BLOCKZ_UNSUPPORTED (an empty image), BLOCKZ_LIMIT (BMAP_RANGES_MAX), and those of blockz_extract().
 */
enum blockz_status bmap_make(struct bmap *bmap, const struct blockz_source *file, const struct blockz_map *map,
			     const struct blockz_work *work, struct blockz_fault *fault);

#endif
