/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rows of what is shown of a map: its ranges, cut at the edges of partitions, one by one since there can be a million of
 * them.
 *
 * This folder shows a map: as a table, a bar, a picture and JSON.  It calls disks/ for partitions, and cli/; it prints to what
 * it is given, and reads no file.
 */
#ifndef DRAW_MAP_ROWS_H
#define DRAW_MAP_ROWS_H

#include "blockz.h"
#include "disks/partition.h"

struct map_row {
	struct blockz_map_range range;     /* a file offset that only its piece knows is BLOCKZ_UNKNOWN */
	const struct partition *partition; /* NULL: belongs to none */
};

/* Private.  A copy goes on from where it was made. */
struct map_rows {
	const struct blockz_map *map;
	const struct partitions *partitions;
	struct blockz_map_range range; /* that the last row is part of */
	uint64_t off;                  /* the next row starts here */
	/* Between these offsets no partition starts or ends. */
	struct blockz_range region;
	const struct partition *partition;
};

/* Starts at the first row; both must live as long. */
struct map_rows map_rows_open(const struct blockz_map *map, const struct partitions *partitions);

/* The next row; false behind the last. */
bool map_rows_next(struct map_rows *rows, struct map_row *row_ret);

/* A map as it is shown. */
struct map_view {
	const char *path; /* of its file */
	const struct blockz_map *map;
	const struct partitions *partitions;
	bool extents; /* with the contiguous runs of bytes of each raw range */
};

/* The contiguous run at off, cut off at the end of the row; false: there is none, so these were all. */
bool map_row_extent(const struct blockz_map *map, const struct map_row *row, uint64_t off, struct blockz_extent *extent_ret);

#endif
