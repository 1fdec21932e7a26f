/* SPDX-License-Identifier: BSD-3-Clause */
/* Asks the map of the file alone, and the counts of the pages. */
#include "over.h"

#include <string.h>

static bool is_raw(const struct blockz_map *map, struct blockz_range range)
{
	struct blockz_map_range part;
	for (uint64_t off = range.start; off < range.end; off = part.end)
		if (!blockz_map_range_at(map, off, &part) || part.kind != BLOCKZ_RAW || !part.patchable)
			return false;
	return true;
}

bool over_is_possible(const struct base *base, const struct settings *settings, const struct rawlist *raw)
{
	const struct blockz_map *map = base_map(base);
	if (map == NULL || base->format != settings->format || base->source.size != settings->pages.size)
		return false;
	for (size_t i = 0; i < raw->count; i++)
		if (!is_raw(map, raw->items[i]))
			return false;
	return true;
}

/* What is not zeros in whole pieces. */
static uint64_t data_bytes(const struct blockz_map *map)
{
	struct blockz_map_range part;
	uint64_t sum = 0;
	for (uint64_t off = 0; blockz_map_range_at(map, off, &part); off = part.end)
		if (part.kind != BLOCKZ_ZERO)
			sum += part.end - part.start;
	return sum;
}

bool over_is_faster(const struct base *base, const struct settings *settings, struct blockz_pages *pages)
{
	const struct blockz_pages_info info = blockz_pages_info(pages);
	bool is_copied = base->source.ops == NULL; /* to the pages, and it is not known which of them were written to */
	if (is_copied || strcmp(settings->format->name, BLOCKZ_PAGES_FORMAT) != 0)
		return true;
	return (info.compressed_pages + info.raw_pages) * info.page_size <= data_bytes(base_map(base)) / 2;
}
