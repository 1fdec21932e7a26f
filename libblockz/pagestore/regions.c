/* SPDX-License-Identifier: BSD-3-Clause */
/* Regions come as memory is needed and stay; their OS pages come and go. */
#include "pagestore/regions.h"

#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "pagestore/bits.h"

void regions_init(struct regions *regions, struct memory *memory)
{
	*regions = (struct regions){ .memory = memory, .os_page = (uint32_t)memory_os_page() };
	regions->os_pages = REGION_LEN / regions->os_page;
}

void regions_free(struct regions *regions)
{
	for (uint32_t i = 0; i < regions->count; i++) {
		memory_unmap(regions->list[i].bytes, REGION_LEN);
		memory_free(regions->memory, regions->list[i].bits, sizeof(struct region_bits));
	}
	memory_uncount(regions->memory, regions->backed * GRANULE);
	memory_free(regions->memory, regions->list, regions->room * sizeof(*regions->list));
}

/* ---- Growing ---- */

static bool make_room(struct regions *regions)
{
	if (regions->count < regions->room)
		return true;
	uint32_t room = regions->room == 0 ? REGIONS_MIN : regions->room * 2;
	struct region *list = memory_new(regions->memory, room * sizeof(*list));
	if (list == NULL)
		return false;
	if (regions->count > 0)
		memcpy(list, regions->list, regions->count * sizeof(*list));
	memory_free(regions->memory, regions->list, regions->room * sizeof(*list));
	regions->list = list;
	regions->room = room;
	return true;
}

static bool add_region(struct regions *regions)
{
	if (regions->count == REGIONS_MAX) {
		errno = ENOMEM;
		return false;
	}
	if (!make_room(regions))
		return false;
	struct region_bits *bits = memory_new(regions->memory, sizeof(*bits));
	if (bits == NULL)
		return false;
	uint8_t *bytes = memory_map(REGION_LEN);
	if (bytes == NULL) {
		memory_free(regions->memory, bits, sizeof(*bits));
		return false;
	}
	regions->list[regions->count++] = (struct region){ .bytes = bytes, .bits = bits };
	return true;
}

uint32_t regions_grow(struct regions *regions)
{
	while (regions->cold < regions->count && regions->list[regions->cold].backed == regions->os_pages)
		regions->cold++;
	if (regions->cold == regions->count && !add_region(regions))
		return NOWHERE;
	if (!memory_count(regions->memory, regions->os_page))
		return NOWHERE;
	struct region *region = &regions->list[regions->cold];
	uint32_t page = bits_find(region->bits->backed, 0, regions->os_pages, 0), granules = regions->os_page / GRANULE;
	bits_set(region->bits->backed, page, 1);
	bits_set(region->bits->free, page * granules, granules);
	region->backed++;
	region->free += granules;
	regions->free += granules;
	regions->backed += granules;
	return regions->cold * GRANULES + page * granules;
}

/* ---- Trimming ---- */

static bool is_free(const struct region *region, uint32_t page, uint32_t granules)
{
	return bits_find(region->bits->free, page * granules, (page + 1) * granules, 0) == (page + 1) * granules;
}

static void drop_os_pages(struct regions *regions, struct region *region, uint32_t page, uint32_t count)
{
	uint32_t granules = count * (regions->os_page / GRANULE);
	bits_clear(region->bits->backed, page, count);
	bits_clear(region->bits->free, page * (regions->os_page / GRANULE), granules);
	region->backed -= count;
	region->free -= granules;
	regions->free -= granules;
	regions->backed -= granules;
	memory_drop(region->bytes + (size_t)page * regions->os_page, (uint64_t)count * regions->os_page);
	memory_uncount(regions->memory, (uint64_t)count * regions->os_page);
}

static void trim_region(struct regions *regions, struct region *region)
{
	uint32_t granules = regions->os_page / GRANULE, page = 0;
	while (page < regions->os_pages) {
		uint32_t end = page;
		while (end < regions->os_pages && is_free(region, end, granules))
			end++;
		if (end > page)
			drop_os_pages(regions, region, page, end - page);
		page = end + 1;
	}
}

/*
 * A sweep looks at all regions with room in them, so there has to be much that could come of it: an eighth of the heap is
 * free, and a sixteenth more than the last sweep had to leave.
 */
void regions_trim(struct regions *regions)
{
	regions->swept = min(regions->swept, regions->free);
	if (regions->free <= regions->backed / 8 || regions->free - regions->swept <= regions->backed / 16)
		return;
	for (uint32_t i = 0; i < regions->count; i++)
		if (regions->list[i].free > 0)
			trim_region(regions, &regions->list[i]);
	regions->cold = 0;
	regions->swept = regions->free;
}
