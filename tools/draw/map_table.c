/* SPDX-License-Identifier: BSD-3-Clause */
/* Small ranges side by side become one line, so that a map of any length is read at a glance. */
#include "draw/map_table.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/fault.h"
#include "cli/size.h"
#include "draw/bar.h"
#include "draw/edit_text.h"

enum { ROWS_MAX = 60, CLASSES = 63 };

/* The least k with len < 2^k. */
static unsigned size_class(uint64_t len)
{
	unsigned class = 0;
	while (class < CLASSES && len >> class != 0)
		class++;
	return class;
}

/*
 * Rows shorter than a limit that stand side by side in one partition are folded into one line.  This finds the least
 * limit, as a power of two, that leaves ROWS_MAX lines, in one pass whatever the number of rows.  With 2^k a row
 * shares the line of the row before it if the classes of both are at most k; so it starts a line for all k below the
 * larger class, or for every k at the edge of a partition.  Returns 0 where nothing needs to be folded.
 */
static unsigned fold_class(struct map_rows rows)
{
	uint64_t starts[CLASSES + 2] = { 0 }; /* how many rows start a line for all k below the index */
	uint64_t total = 0;
	struct map_row row, before = { 0 };
	unsigned class_before = 0;
	while (map_rows_next(&rows, &row)) {
		unsigned class = size_class(row.range.end - row.range.start);
		bool edge = total == 0 || row.partition != before.partition;
		starts[edge ? CLASSES + 1 : class > class_before ? class : class_before]++;
		total++;
		before = row;
		class_before = class;
	}
	if (total <= ROWS_MAX)
		return 0;
	unsigned k = CLASSES;
	uint64_t lines = starts[CLASSES + 1];
	while (k > 1 && lines + starts[k] <= ROWS_MAX)
		lines += starts[k--];
	return k;
}

/* One line of the table: a row, or several. */
struct line {
	struct blockz_map_range range;
	const struct partition *partition;
	uint64_t rows, raw_bytes;
};

static const char *kind_text(const struct line *line)
{
	if (line->rows > 1)
		return "mixed";
	switch (line->range.kind) {
	case BLOCKZ_COMPRESSED:
		return "compressed";
	case BLOCKZ_ZERO:
		return "zero";
	case BLOCKZ_RAW:
		return line->range.patchable ? "raw" : "raw (fixed)";
	}
	return "";
}

static const char *partition_name(const struct partition *partition)
{
	return partition->label[0] != '\0' ? partition->label : partition->fs_label;
}

static void print_line(const struct blockz_map *map, const struct line *line)
{
	char size[32], file_off[32] = "-", file_size[32] = "-", edit[64];
	const struct blockz_map_range *range = &line->range;
	const struct blockz_edit_cost cost = blockz_map_edit_cost(map, (struct blockz_range){ range->start, range->end });
	edit_text(edit, sizeof(edit), &cost);
	size_human(size, sizeof(size), range->end - range->start);
	if (range->file_off != BLOCKZ_UNKNOWN)
		snprintf(file_off, sizeof(file_off), "%" PRIu64, range->file_off);
	if (range->file_off != BLOCKZ_UNKNOWN && range->file_end != BLOCKZ_UNKNOWN)
		size_human(file_size, sizeof(file_size), range->file_end - range->file_off);
	printf("%-11s %14" PRIu64 " %14" PRIu64 " %9s %14s %9s %12s", kind_text(line), range->start, range->end, size,
	       file_off, file_size, edit);
	if (line->partition != NULL) {
		printf("  %u ", line->partition->number);
		put_escaped(stdout, partition_name(line->partition));
	}
	if (line->rows > 1) {
		size_human(size, sizeof(size), line->raw_bytes);
		printf("  (%" PRIu64 " ranges, %s raw)", line->rows, size);
	}
	putchar('\n');
}

static void print_extents(const struct blockz_map *map, const struct map_row *row)
{
	struct blockz_extent extent;
	for (uint64_t off = row->range.start; map_row_extent(map, row, off, &extent); off += extent.length) {
		char size[32];
		size_human(size, sizeof(size), extent.length);
		printf("  extent    %14" PRIu64 " %14" PRIu64 " %9s %14" PRIu64 "\n", off, off + extent.length, size,
		       extent.file_off);
	}
}

/* Whether a row goes on with the line of the one before it. */
static bool is_folded(const struct line *line, const struct map_row *row, unsigned class_before, unsigned class, unsigned fold)
{
	return line->rows > 0 && row->partition == line->partition && class <= fold && class_before <= fold;
}

static void add_to_line(struct line *line, const struct map_row *row)
{
	line->range.end = row->range.end;
	line->range.file_end = row->range.file_end;
	line->rows++;
	line->raw_bytes += row->range.kind == BLOCKZ_RAW ? row->range.end - row->range.start : 0;
}

/* Each row is a line, with its extents behind it. */
static void print_all(const struct map_view *view)
{
	struct map_rows rows = map_rows_open(view->map, view->partitions);
	struct map_row row;
	while (map_rows_next(&rows, &row)) {
		struct line line = { .range = row.range, .partition = row.partition };
		add_to_line(&line, &row);
		print_line(view->map, &line);
		if (row.range.kind == BLOCKZ_RAW)
			print_extents(view->map, &row);
	}
}

static void print_folded(const struct map_view *view)
{
	struct map_rows rows = map_rows_open(view->map, view->partitions);
	unsigned fold = fold_class(rows), class_before = 0;
	struct line line = { 0 };
	bool folded = false;
	struct map_row row;
	while (map_rows_next(&rows, &row)) {
		unsigned class = size_class(row.range.end - row.range.start);
		if (is_folded(&line, &row, class_before, class, fold)) {
			folded = true;
		} else {
			if (line.rows > 0)
				print_line(view->map, &line);
			line = (struct line){ .range = row.range, .partition = row.partition };
		}
		add_to_line(&line, &row);
		class_before = class;
	}
	if (line.rows > 0)
		print_line(view->map, &line);
	if (folded)
		puts("Small ranges side by side are folded into mixed ones; --json lists them all.");
}

static void print_partitions(const struct partitions *partitions)
{
	if (partitions->count == 0)
		return;
	printf("\n%-11s %14s %14s %9s  %s\n", "PARTITION", "START", "END", "SIZE", "NAME, FILE SYSTEM, TYPE");
	for (const struct partition *item = partitions->items; item < partitions->items + partitions->count; item++) {
		const char *words[] = { partition_name(item), item->fs_type, item->type };
		char size[32];
		size_human(size, sizeof(size), item->range.end - item->range.start);
		printf("%-11u %14" PRIu64 " %14" PRIu64 " %9s ", item->number, item->range.start, item->range.end,
		       size);
		for (size_t i = 0, printed = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			if (words[i][0] == '\0')
				continue;
			fputs(printed++ > 0 ? ", " : " ", stdout);
			put_escaped(stdout, words[i]);
		}
		puts(item->beyond ? " (goes on beyond the image)" : "");
	}
}

static void print_head(const struct map_view *view)
{
	const struct blockz_map_info info = blockz_map_info(view->map);
	char image[32], file[32];
	size_human(image, sizeof(image), info.image_size);
	size_human(file, sizeof(file), info.file_size);
	put_escaped(stdout, view->path);
	printf(": image of %s in %s of %s", image, file, info.format);
	if (info.image_size > 0)
		printf(" (%.1f %%)", 100.0 * (double)info.file_size / (double)info.image_size);
	printf(", %" PRIu64 " piece%s, %s\n\n", info.pieces, plural(info.pieces),
	       info.index != BLOCKZ_INDEX_NONE ? "map from its index" : "map from a scan");
}

void map_table_print(const struct map_view *view)
{
	unsigned columns = bar_columns(stdout);
	print_head(view);
	if (columns > 0) {
		bar_print(stdout, view->map, view->partitions, columns, bar_colours());
		putchar('\n');
	}
	printf("%-11s %14s %14s %9s %14s %9s %12s  %s\n", "KIND", "START", "END", "SIZE", "FILE OFFSET", "IN FILE", "EDIT",
	       "PARTITION");
	if (view->extents)
		print_all(view);
	else
		print_folded(view);
	print_partitions(view->partitions);
}
