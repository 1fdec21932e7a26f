/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A mapping of a whole image, in which each page lies where it lies in the image.  A page is guarded by the lock of its
 * shard; for new, free and lock no other thread may be inside.
 */
#ifndef PAGESTORE_FLAT_MAPPING_H
#define PAGESTORE_FLAT_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pagestore/memory.h"

struct flat_mapping;

/*
 * Maps size bytes in pages of page_size.  Memory is counted for pages as they are taken.  Errors: BLOCKZ_LIMIT,
 * BLOCKZ_FAILED (no memory, or no room in the address space).
 */
enum blockz_status flat_mapping_new(struct memory *memory, uint64_t size, uint32_t page_size,
				    struct flat_mapping **mapping_ret, struct blockz_fault *fault);
/* Unmaps it, with all pages in it; NULL is fine. */
void flat_mapping_free(struct flat_mapping *mapping);

/* Takes memory for all of it and keeps it in RAM from now on.  Errors: BLOCKZ_LIMIT, BLOCKZ_FAILED (mlock). */
enum blockz_status flat_mapping_lock(struct flat_mapping *mapping, struct blockz_fault *fault);

/*
 * A page is taken before it is written, and given back when it is of no more use; what it holds is undefined in between.
 * Errors of taking, with nothing changed: BLOCKZ_LIMIT.
 */
enum blockz_status flat_mapping_take(struct flat_mapping *mapping, uint64_t page, struct blockz_fault *fault);
void flat_mapping_give(struct flat_mapping *mapping, uint64_t page);

/* The bytes of a page, which are the mapping's. */
uint8_t *flat_mapping_page(const struct flat_mapping *mapping, uint64_t page);

#endif
