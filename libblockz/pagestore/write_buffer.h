/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sectors that wait: what was written in parts of pages, until enough of a page is there to be worth encoding it anew.
 *
 * The functions that take a const pointer may be called by several threads at once; any other by one, while none of these
 * is under way.
 */
#ifndef PAGESTORE_WRITE_BUFFER_H
#define PAGESTORE_WRITE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pagestore/memory.h"

enum {
	WAITING_SECTOR_SIZE = 4096,
	WAITING_SECTORS_MAX = 64, /* a page, since a mask has so many bits */
};

struct waiting;

/*
 * At most sectors_max sectors wait.  Their memory is taken as it is needed, and given back when nothing waits, but for a
 * few sectors' that are kept for the next.  NULL: no memory.
 */
struct waiting *waiting_new(struct memory *memory, unsigned sectors_per_page, size_t sectors_max);
void waiting_free(struct waiting *waiting); /* NULL is fine */

/* Which sectors of a page wait, the first in the lowest bit; 0: none. */
uint64_t waiting_mask(const struct waiting *waiting, uint64_t page);

/* The bytes of a sector that waits; valid until it is dropped. */
uint8_t *waiting_sector(const struct waiting *waiting, uint64_t page, unsigned sector);

/*
 * The bytes of a sector that waits from now on: what they were if it did already, else anything, so that all of them have
 * to be filled.  NULL, and nothing is changed: sectors_max of them wait, or no memory.
 */
uint8_t *waiting_put(struct waiting *waiting, uint64_t page, unsigned sector);

/* The page to be written back first: of those with the most sectors that which got or lost one longest ago; false: none. */
bool waiting_next(const struct waiting *waiting, uint64_t *page_ret);

/* These sectors of a page wait no more; some of them may not have waited. */
void waiting_drop(struct waiting *waiting, uint64_t page, uint64_t mask);

size_t waiting_count(const struct waiting *waiting);

#endif
