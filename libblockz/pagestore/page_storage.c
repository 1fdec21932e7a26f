/* SPDX-License-Identifier: BSD-3-Clause */
#include "pagestore/page_storage.h"

#include <string.h>

#include "pagestore/heap.h"

/* One of both is NULL. */
struct place {
	struct memory *memory;
	struct heap *heap;
	struct direct *direct; /* of all shards */
};

static struct place *place_new(struct memory *memory, struct heap *heap, struct direct *direct)
{
	struct place *place = memory_new(memory, sizeof(*place));
	if (place != NULL)
		*place = (struct place){ memory, heap, direct };
	return place;
}

struct place *place_new_heap(struct memory *memory)
{
	struct heap *heap = heap_new(memory);
	struct place *place = heap != NULL ? place_new(memory, heap, NULL) : NULL;
	if (place == NULL)
		heap_free(heap);
	return place;
}

struct place *place_new_direct(struct memory *memory, struct direct *whole)
{
	return place_new(memory, NULL, whole);
}

void place_free(struct place *place)
{
	if (place == NULL)
		return;
	heap_free(place->heap);
	memory_free(place->memory, place, sizeof(*place));
}

enum blockz_status place_take(struct place *place, uint64_t page, size_t len, uint32_t *first_ret,
			      struct blockz_fault *fault)
{
	if (place->heap != NULL)
		return heap_take(place->heap, len, first_ret, fault);
	enum blockz_status status = direct_take(place->direct, page, fault);
	if (status == BLOCKZ_OK)
		*first_ret = 0;
	return status;
}

void place_give(struct place *place, uint64_t page, uint32_t first)
{
	if (place->heap != NULL)
		heap_give(place->heap, first);
	else
		direct_give(place->direct, page);
}

void place_put(struct place *place, uint64_t page, uint32_t first, size_t off, const void *bytes, size_t len)
{
	if (place->heap != NULL)
		heap_put(place->heap, first, off, bytes, len);
	else if (bytes != NULL)
		memcpy(direct_page(place->direct, page) + off, bytes, len);
	else
		memset(direct_page(place->direct, page) + off, 0, len);
}

void place_get(const struct place *place, uint64_t page, uint32_t first, size_t off, void *buf, size_t len)
{
	if (place->heap != NULL)
		heap_get(place->heap, first, off, buf, len);
	else
		memcpy(buf, direct_page(place->direct, page) + off, len);
}

const uint8_t *place_look(const struct place *place, uint64_t page, uint32_t first, size_t len)
{
	return place->heap != NULL ? heap_look(place->heap, first, len) : direct_page(place->direct, page);
}

void place_trim(struct place *place)
{
	if (place->heap != NULL)
		heap_trim(place->heap);
}
