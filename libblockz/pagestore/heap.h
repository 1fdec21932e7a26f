/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Room for byte strings of any length, in which nothing is lost between them: each lies in a chain of runs wherever there
 * is some.  A heap knows no pages and no locks: one thread at a time may call its functions, but any number may call
 * heap_get() and heap_look() at once while no other runs.
 */
#ifndef PAGESTORE_HEAP_H
#define PAGESTORE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blockz_pages.h"
#include "pagestore/memory.h"

struct heap;

enum { HEAP_LEN_MAX = BLOCKZ_PAGE_SIZE_MAX };

/* An empty heap, whose memory is counted in memory, which has to outlive it.  NULL: no memory. */
struct heap *heap_new(struct memory *memory);
void heap_free(struct heap *heap); /* with all that is in it; NULL is fine */

/*
 * Takes room for len bytes, 1 to HEAP_LEN_MAX, whose content is undefined.  Errors, with nothing changed: BLOCKZ_LIMIT,
 * BLOCKZ_FAILED (no memory).
 */
enum blockz_status heap_take(struct heap *heap, size_t len, uint32_t *first_ret, struct blockz_fault *fault);
/* Gives back what heap_take() said is at first. */
void heap_give(struct heap *heap, uint32_t first);

/* Copies len bytes, of those taken, from off on; put: bytes NULL writes zeros. */
void heap_put(struct heap *heap, uint32_t first, size_t off, const void *bytes, size_t len);
void heap_get(const struct heap *heap, uint32_t first, size_t off, void *buf, size_t len);

/* The first len bytes, which stay the heap's, where they lie in one run; else NULL. */
const uint8_t *heap_look(const struct heap *heap, uint32_t first, size_t len);

/* Gives whole OS pages back where much is free; costs next to nothing where it is not. */
void heap_trim(struct heap *heap);

#endif
