/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the bytes of a shard's pages lie, encoded or raw: in a heap of the shard, or each page at its place in a mapping
 * of the whole image, so that no other file has to know which.  It is guarded by the shard's lock: held alone for take,
 * give, put and trim; shared is enough for get and look.
 */
#ifndef PAGESTORE_PAGE_STORAGE_H
#define PAGESTORE_PAGE_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pagestore/flat_mapping.h"
#include "pagestore/memory.h"

struct page_storage;

/* A storage in a heap of its own, or in a mapping, which has to outlive it, as memory has.  NULL: no memory. */
struct page_storage *page_storage_new_heap(struct memory *memory);
struct page_storage *page_storage_new_flat(struct memory *memory, struct flat_mapping *mapping);
/* Gives all memory of a heap back, whatever is in it; pages in a mapping go with the mapping.  NULL is fine. */
void page_storage_free(struct page_storage *storage);

/*
 * Takes room for len bytes (1 to BLOCKZ_PAGE_SIZE_MAX; in a mapping: at most a page) of a page of the image, whose content
 * is undefined then.  *first_ret says where: all calls get both the page, which a heap does not mind, and first, which a
 * mapping does not.  Errors, with nothing changed: BLOCKZ_LIMIT, BLOCKZ_FAILED (no memory).
 */
enum blockz_status page_storage_take(struct page_storage *storage, uint64_t page, size_t len, uint32_t *first_ret,
				     struct blockz_fault *fault);
/* Gives it back. */
void page_storage_give(struct page_storage *storage, uint64_t page, uint32_t first);

/* Copies len bytes to or from byte off on of what was taken; put: bytes NULL writes zeros. */
void page_storage_put(struct page_storage *storage, uint64_t page, uint32_t first, size_t off, const void *bytes,
		      size_t len);
void page_storage_get(const struct page_storage *storage, uint64_t page, uint32_t first, size_t off, void *buf,
		      size_t len);

/* The first len bytes, which stay the storage's, where they lie in a row; else NULL. */
const uint8_t *page_storage_look(const struct page_storage *storage, uint64_t page, uint32_t first, size_t len);

/* After much was given back: gives memory to the OS where much is free, and costs next to nothing where it is not. */
void page_storage_trim(struct page_storage *storage);

#endif
