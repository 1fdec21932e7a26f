/* SPDX-License-Identifier: BSD-3-Clause */
#include "pagestore/regions.h"

#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "pagestore/bits.h"

void regions_init(struct regions *regions, struct memory *memory)
{
	*regions = (struct regions){ .memory = memory, .unit_len = (uint32_t)memory_os_page() };
	regions->units = REGION_LEN / regions->unit_len;
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
	while (regions->cold < regions->count && regions->list[regions->cold].backed == regions->units)
		regions->cold++;
	if (regions->cold == regions->count && !add_region(regions))
		return NOWHERE;
	if (!memory_count(regions->memory, regions->unit_len))
		return NOWHERE;
	struct region *region = &regions->list[regions->cold];
	uint32_t unit = bits_find(region->bits->backed, 0, regions->units, 0), granules = regions->unit_len / GRANULE;
	bits_set(region->bits->backed, unit, 1);
	bits_set(region->bits->free, unit * granules, granules);
	region->backed++;
	region->free += granules;
	regions->free += granules;
	regions->backed += granules;
	return regions->cold * GRANULES + unit * granules;
}

/* ---- Trimming ---- */

static bool is_free(const struct region *region, uint32_t unit, uint32_t granules)
{
	return bits_find(region->bits->free, unit * granules, (unit + 1) * granules, 0) == (unit + 1) * granules;
}

static void drop_units(struct regions *regions, struct region *region, uint32_t unit, uint32_t count)
{
	uint32_t granules = count * (regions->unit_len / GRANULE);
	bits_clear(region->bits->backed, unit, count);
	bits_clear(region->bits->free, unit * (regions->unit_len / GRANULE), granules);
	region->backed -= count;
	region->free -= granules;
	regions->free -= granules;
	regions->backed -= granules;
	memory_drop(region->bytes + (size_t)unit * regions->unit_len, (uint64_t)count * regions->unit_len);
	memory_uncount(regions->memory, (uint64_t)count * regions->unit_len);
}

static void trim_region(struct regions *regions, struct region *region)
{
	uint32_t granules = regions->unit_len / GRANULE, unit = 0;
	while (unit < regions->units) {
		uint32_t end = unit;
		while (end < regions->units && is_free(region, end, granules))
			end++;
		if (end > unit)
			drop_units(regions, region, unit, end - unit);
		unit = end + 1;
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
