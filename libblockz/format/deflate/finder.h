/* SPDX-License-Identifier: BSD-3-Clause */
/* Finds where in the window bytes have stood before. */
#ifndef FORMAT_DEFLATE_FINDER_H
#define FORMAT_DEFLATE_FINDER_H

#include "format/deflate/walk.h"

struct finder;

/* NULL: no memory. */
struct finder *finder_new(void);
void finder_free(struct finder *finder);

/*
 * Matches for the bytes at `at`, which have text offset out: at most FOUND_MAX of them, each longer than the one before and
 * further back, none longer than max bytes, which are there.  The window is before at, but no more than reach bytes.
 * Offsets ascend from call to call; who goes back has all of the window looked through again.  Returns how many there are.
 */
enum { FOUND_MAX = 256 };
size_t finder_search(struct finder *finder, const uint8_t *at, uint64_t out, size_t reach, size_t max,
		     struct walk_token found[FOUND_MAX]);

#endif
