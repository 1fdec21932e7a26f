/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sectors that wait: what was written in parts of pages, until enough of a page is there to be worth encoding it anew.
 * Pages are those of a shard, counted from 0.
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
#include "pagestore/sectors.h"

struct write_buffer;

/*
 * A buffer in which at most sectors_max sectors wait, counted in memory, which has to outlive it.  Memory for sectors is
 * taken as it is needed, and given back when nothing waits, but for a few that are kept for the next.  NULL: no memory.
 */
struct write_buffer *write_buffer_new(struct memory *memory, unsigned sectors_per_page, size_t sectors_max);
void write_buffer_free(struct write_buffer *buffer); /* NULL is fine */

/* Which sectors of a page wait, the first in the lowest bit; 0: none. */
uint64_t write_buffer_mask(const struct write_buffer *buffer, uint64_t page);

/* Copies what waits of [off, off + len) of a page to where it belongs in buf, and leaves the rest of buf as it is. */
void write_buffer_get(const struct write_buffer *buffer, uint64_t page, size_t off, size_t len, uint8_t *buf);

/* The bytes of a sector that waits; valid until it is dropped. */
uint8_t *write_buffer_sector(const struct write_buffer *buffer, uint64_t page, unsigned sector);

/*
 * The bytes of a sector that waits from now on: what they were if it did already, else anything, so that all of them have
 * to be filled.  NULL, and nothing is changed: sectors_max of them wait, or no memory.
 */
uint8_t *write_buffer_put(struct write_buffer *buffer, uint64_t page, unsigned sector);

/* The page to be written back first: of those with the most sectors that which got or lost one longest ago; false: none. */
bool write_buffer_next(const struct write_buffer *buffer, uint64_t *page_ret);

/* These sectors of a page wait no more; some of them may not have waited. */
void write_buffer_drop(struct write_buffer *buffer, uint64_t page, uint64_t mask);

/* How many sectors wait. */
size_t write_buffer_count(const struct write_buffer *buffer);

#endif
