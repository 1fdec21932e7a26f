/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A mapping of a whole image, each page of which lies at its place.  Threads: pages are their shards' to guard; for new,
 * free and lock no other thread may be inside.
 */
#ifndef PAGESTORE_FLAT_MAPPING_H
#define PAGESTORE_FLAT_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pagestore/memory.h"

struct direct;

/*
 * Of size bytes in pages of page_size.  Memory is taken for pages as they are.  Errors: BLOCKZ_LIMIT, BLOCKZ_FAILED (no
 * memory, or no room in the address space).
 */
enum blockz_status direct_new(struct memory *memory, uint64_t size, uint32_t page_size, struct direct **direct_ret,
			      struct blockz_fault *fault);
void direct_free(struct direct *direct); /* NULL is fine */

/* Takes memory for all of it and keeps it in RAM from now on.  Errors: BLOCKZ_LIMIT, BLOCKZ_FAILED (mlock). */
enum blockz_status direct_lock(struct direct *direct, struct blockz_fault *fault);

/* A page is taken before it is written, and given when it is of no more use; what it holds is undefined in between. */
enum blockz_status direct_take(struct direct *direct, uint64_t page, struct blockz_fault *fault);
void direct_give(struct direct *direct, uint64_t page);
uint8_t *direct_page(const struct direct *direct, uint64_t page);

#endif
