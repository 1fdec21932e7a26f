/* SPDX-License-Identifier: BSD-3-Clause */
/* A row ends where its range does, or where a partition begins or ends. */
#include "draw/map_rows.h"

struct map_rows map_rows_open(const struct blockz_map *map, const struct partitions *partitions)
{
	return (struct map_rows){ .map = map, .partitions = partitions };
}

/* Where partitions overlap, as logical ones and the extended one around them do, the shortest has the byte. */
static void find_region(struct map_rows *rows, uint64_t off)
{
	struct blockz_range region = { off, UINT64_MAX };
	const struct partition *found = NULL;
	for (size_t i = 0; i < rows->partitions->count; i++) {
		const struct partition *partition = &rows->partitions->items[i];
		struct blockz_range range = partition->range;
		if (range.start > off && range.start < region.end)
			region.end = range.start;
		if (range.end > off && range.end < region.end)
			region.end = range.end;
		if (range.start <= off && off < range.end &&
		    (found == NULL || range.end - range.start < found->range.end - found->range.start))
			found = partition;
	}
	rows->region = region;
	rows->partition = found;
}

/* Where byte off of a range stands in the file: only raw bytes stand anywhere. */
static uint64_t file_off_of(const struct map_rows *rows, uint64_t off)
{
	struct blockz_extent extent;
	if (rows->range.kind != BLOCKZ_RAW || !blockz_map_extent_at(rows->map, off, &extent))
		return BLOCKZ_UNKNOWN;
	return extent.file_off;
}

bool map_rows_next(struct map_rows *rows, struct map_row *row_ret)
{
	if (rows->off >= rows->range.end && !blockz_map_range_at(rows->map, rows->off, &rows->range))
		return false;
	if (rows->off >= rows->region.end)
		find_region(rows, rows->off);
	struct map_row row = { .range = rows->range, .partition = rows->partition };
	if (rows->off > row.range.start) {
		row.range.start = rows->off;
		row.range.file_off = file_off_of(rows, rows->off);
	}
	if (rows->region.end < row.range.end) {
		uint64_t last = file_off_of(rows, rows->region.end - 1);
		row.range.end = rows->region.end;
		row.range.file_end = last == BLOCKZ_UNKNOWN ? last : last + 1;
	}
	rows->off = row.range.end;
	*row_ret = row;
	return true;
}

bool map_row_extent(const struct blockz_map *map, const struct map_row *row, uint64_t off, struct blockz_extent *extent_ret)
{
	struct blockz_extent extent;
	if (off >= row->range.end || !blockz_map_extent_at(map, off, &extent))
		return false;
	if (extent.length > row->range.end - off)
		extent.length = row->range.end - off;
	*extent_ret = extent;
	return true;
}
