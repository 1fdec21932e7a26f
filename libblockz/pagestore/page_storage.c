/* SPDX-License-Identifier: BSD-3-Clause */
/* Each call goes to the heap or to the mapping. */
#include "pagestore/page_storage.h"

#include <string.h>

#include "pagestore/heap.h"

/* Of heap and mapping one is NULL. */
struct page_storage {
	struct memory *memory;
	struct heap *heap;
	struct flat_mapping *mapping; /* all shards' */
};

static struct page_storage *page_storage_new(struct memory *memory, struct heap *heap, struct flat_mapping *mapping)
{
	struct page_storage *storage = memory_new(memory, sizeof(*storage));
	if (storage != NULL)
		*storage = (struct page_storage){ memory, heap, mapping };
	return storage;
}

struct page_storage *page_storage_new_heap(struct memory *memory)
{
	struct heap *heap = heap_new(memory);
	struct page_storage *storage = heap != NULL ? page_storage_new(memory, heap, NULL) : NULL;
	if (storage == NULL)
		heap_free(heap);
	return storage;
}

struct page_storage *page_storage_new_flat(struct memory *memory, struct flat_mapping *mapping)
{
	return page_storage_new(memory, NULL, mapping);
}

void page_storage_free(struct page_storage *storage)
{
	if (storage == NULL)
		return;
	heap_free(storage->heap);
	memory_free(storage->memory, storage, sizeof(*storage));
}

enum blockz_status page_storage_take(struct page_storage *storage, uint64_t page, size_t len, uint32_t *first_ret,
				     struct blockz_fault *fault)
{
	if (storage->heap != NULL)
		return heap_take(storage->heap, len, first_ret, fault);
	enum blockz_status status = flat_mapping_take(storage->mapping, page, fault);
	if (status == BLOCKZ_OK)
		*first_ret = 0;
	return status;
}

void page_storage_give(struct page_storage *storage, uint64_t page, uint32_t first)
{
	if (storage->heap != NULL)
		heap_give(storage->heap, first);
	else
		flat_mapping_give(storage->mapping, page);
}

void page_storage_put(struct page_storage *storage, uint64_t page, uint32_t first, size_t off, const void *bytes,
		      size_t len)
{
	if (storage->heap != NULL)
		heap_put(storage->heap, first, off, bytes, len);
	else if (bytes != NULL)
		memcpy(flat_mapping_page(storage->mapping, page) + off, bytes, len);
	else
		memset(flat_mapping_page(storage->mapping, page) + off, 0, len);
}

void page_storage_get(const struct page_storage *storage, uint64_t page, uint32_t first, size_t off, void *buf,
		      size_t len)
{
	if (storage->heap != NULL)
		heap_get(storage->heap, first, off, buf, len);
	else
		memcpy(buf, flat_mapping_page(storage->mapping, page) + off, len);
}

const uint8_t *page_storage_look(const struct page_storage *storage, uint64_t page, uint32_t first, size_t len)
{
	return storage->heap != NULL ? heap_look(storage->heap, first, len) : flat_mapping_page(storage->mapping, page);
}

void page_storage_trim(struct page_storage *storage)
{
	if (storage->heap != NULL)
		heap_trim(storage->heap);
}
