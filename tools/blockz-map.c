/* SPDX-License-Identifier: BSD-3-Clause */
/* blockz-map: show where a disk image lies in its compressed file. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bmap/bmap.h"
#include "bmap/bmap_make.h"
#include "cli/cli.h"
#include "cli/fault.h"
#include "cli/json.h"
#include "cli/reading.h"
#include "cli/size.h"
#include "cli/stream.h"
#include "disks/partition.h"
#include "draw/bar.h"
#include "draw/svg.h"
#include "files/compressed.h"
#include "files/input.h"
#include "files/output.h"

enum { KEY_EXTENTS = CLI_FIRST_KEY, KEY_SVG, KEY_BMAP };

static const struct cli_option option_rows[] = {
	CLI_JSON,
	{ "extents", KEY_EXTENTS, NULL, "list the contiguous runs of bytes of each raw range too" },
	{ "svg", KEY_SVG, "OUT", "write a picture to OUT instead (-: standard output)" },
	{ "bmap", KEY_BMAP, "OUT", "write a block map for bmaptool to OUT instead (-: standard output)" },
	{ "force", 'f', NULL, "replace an existing OUT" },
	CLI_SECTOR_SIZE,
	CLI_SCAN,
	CLI_WINDOW_MAX,
	CLI_HELP,
	CLI_VERSION,
	{ 0 },
};

static const struct cli_tool tool = {
	"blockz-map",
	"[OPTION]... FILE",
	"Show where a disk image lies in its compressed FILE: what is compressed, raw or zero,\n"
	"at which offsets of image and file, and in which partition.",
	option_rows,
	NULL,
};

struct view {
	struct cli cli;
	const char *path, *svg, *bmap;
	bool extents, force, appended;
	const char *culprit; /* what the fault speaks of; NULL: FILE */
	struct compressed file;
	struct audience audience; /* of FILE */
	struct blockz_map *map;
	struct partitions partitions;
};

/* ---- Rows: the ranges of the map, cut at the edges of partitions */

struct row {
	struct blockz_map_range range;     /* a file offset that only its piece knows is BLOCKZ_UNKNOWN */
	const struct partition *partition; /* NULL: belongs to none */
};

struct rows {
	const struct blockz_map *map;
	const struct partitions *partitions;
	struct blockz_map_range range; /* that the last row is part of */
	uint64_t off;                  /* the next row starts here */
	/* Between these offsets no partition starts or ends. */
	struct blockz_range region;
	const struct partition *partition;
};

static struct rows rows_open(const struct blockz_map *map, const struct partitions *partitions)
{
	return (struct rows){ .map = map, .partitions = partitions };
}

/* Where partitions overlap, as logical ones and the extended one around them do, the shortest has the byte. */
static void find_region(struct rows *rows, uint64_t off)
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
static uint64_t file_off_of(const struct rows *rows, uint64_t off)
{
	struct blockz_extent extent;
	if (rows->range.kind != BLOCKZ_RAW || !blockz_map_extent_at(rows->map, off, &extent))
		return BLOCKZ_UNKNOWN;
	return extent.file_off;
}

static bool rows_next(struct rows *rows, struct row *row_ret)
{
	if (rows->off >= rows->range.end && !blockz_map_range_at(rows->map, rows->off, &rows->range))
		return false;
	if (rows->off >= rows->region.end)
		find_region(rows, rows->off);
	struct row row = { .range = rows->range, .partition = rows->partition };
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

/* ---- The table for people */

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
static unsigned fold_class(struct rows rows)
{
	uint64_t starts[CLASSES + 2] = { 0 }; /* how many rows start a line for all k below the index */
	uint64_t total = 0;
	struct row row, before = { 0 };
	unsigned class_before = 0;
	while (rows_next(&rows, &row)) {
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

static void print_line(const struct line *line)
{
	char size[32], file_off[32] = "-", file_size[32] = "-";
	const struct blockz_map_range *range = &line->range;
	size_human(size, sizeof(size), range->end - range->start);
	if (range->file_off != BLOCKZ_UNKNOWN)
		snprintf(file_off, sizeof(file_off), "%" PRIu64, range->file_off);
	if (range->file_off != BLOCKZ_UNKNOWN && range->file_end != BLOCKZ_UNKNOWN)
		size_human(file_size, sizeof(file_size), range->file_end - range->file_off);
	printf("%-11s %14" PRIu64 " %14" PRIu64 " %9s %14s %9s", kind_text(line), range->start, range->end, size,
	       file_off, file_size);
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

static void print_extents(const struct blockz_map *map, const struct blockz_map_range *range)
{
	struct blockz_extent extent;
	for (uint64_t off = range->start; off < range->end && blockz_map_extent_at(map, off, &extent);) {
		uint64_t left = range->end - off, len = extent.length < left ? extent.length : left;
		char size[32];
		size_human(size, sizeof(size), len);
		printf("  extent    %14" PRIu64 " %14" PRIu64 " %9s %14" PRIu64 "\n", off, off + len, size,
		       extent.file_off);
		off += len;
	}
}

static void print_lines(const struct view *view)
{
	struct rows rows = rows_open(view->map, &view->partitions);
	unsigned fold = view->extents ? 0 : fold_class(rows);
	struct line line = { 0 };
	unsigned class_before = 0;
	bool folded = false;
	struct row row;
	while (rows_next(&rows, &row)) {
		uint64_t len = row.range.end - row.range.start;
		unsigned class = size_class(len);
		if (line.rows > 0 && row.partition == line.partition && class <= fold && class_before <= fold) {
			line.range.end = row.range.end;
			line.range.file_end = row.range.file_end;
			folded = true;
		} else {
			if (line.rows > 0)
				print_line(&line);
			line = (struct line){ .range = row.range, .partition = row.partition };
		}
		line.rows++;
		line.raw_bytes += row.range.kind == BLOCKZ_RAW ? len : 0;
		class_before = class;
		if (view->extents) {
			print_line(&line);
			line.rows = 0;
			if (row.range.kind == BLOCKZ_RAW)
				print_extents(view->map, &row.range);
		}
	}
	if (line.rows > 0)
		print_line(&line);
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

static void print_text(const struct view *view)
{
	struct blockz_map_info info = blockz_map_info(view->map);
	unsigned columns = bar_columns(stdout);
	char image[32], file[32];
	size_human(image, sizeof(image), info.image_size);
	size_human(file, sizeof(file), info.file_size);
	put_escaped(stdout, view->path);
	printf(": image of %s in %s of %s", image, file, info.format);
	if (info.image_size > 0)
		printf(" (%.1f %%)", 100.0 * (double)info.file_size / (double)info.image_size);
	printf(", %" PRIu64 " piece%s, %s\n\n", info.pieces, plural(info.pieces),
	       info.index != BLOCKZ_INDEX_NONE ? "map from its index" : "map from a scan");
	if (columns > 0) {
		bar_print(stdout, view->map, &view->partitions, columns, bar_colours());
		putchar('\n');
	}
	printf("%-11s %14s %14s %9s %14s %9s  %s\n", "KIND", "START", "END", "SIZE", "FILE OFFSET", "IN FILE",
	       "PARTITION");
	print_lines(view);
	print_partitions(&view->partitions);
}

/* ---- JSON: written range by range, since there can be a million of them */

static void print_json_extents(FILE *out, const struct blockz_map *map, const struct blockz_map_range *range)
{
	struct blockz_extent extent;
	const char *comma = "";
	fputs(", \"extents\": [", out);
	for (uint64_t off = range->start; off < range->end && blockz_map_extent_at(map, off, &extent);) {
		uint64_t left = range->end - off, len = extent.length < left ? extent.length : left;
		fprintf(out, "%s{\"start\": %" PRIu64 ", \"length\": %" PRIu64 ", \"file_offset\": %" PRIu64 "}", comma,
			off, len, extent.file_off);
		comma = ", ";
		off += len;
	}
	fputc(']', out);
}

static bool print_json_head(FILE *out, const struct view *view)
{
	struct blockz_map_info info = blockz_map_info(view->map);
	uint64_t sector_size = view->partitions.sector_size != 0 ? view->partitions.sector_size : BLOCKZ_UNKNOWN;
	json_t *head = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "format", info.format, "file_size",
				 json_bytes(info.file_size), "image_size", json_bytes(info.image_size), "index",
				 json_index(info.index), "pieces", json_bytes(info.pieces), "sector_size",
				 json_bytes(sector_size), "appended_bytes", json_bytes(info.appended_bytes));
	bool done = fputc('{', out) != EOF && json_print(out, head, JSON_EMBED);
	json_decref(head);
	return done;
}

static enum blockz_status print_json(const struct view *view, struct blockz_fault *fault)
{
	static const char *const kinds[] = {
		[BLOCKZ_COMPRESSED] = "compressed", [BLOCKZ_RAW] = "raw", [BLOCKZ_ZERO] = "zero",
	};
	FILE *out = view->cli.json_out;
	struct rows rows = rows_open(view->map, &view->partitions);
	const char *comma = "";
	struct row row;
	if (!print_json_head(out, view))
		return tool_fault(fault, BLOCKZ_FAILED, "the map could not be printed");
	fputs(", \"ranges\": [", out);
	while (rows_next(&rows, &row)) {
		json_t *partition = row.partition != NULL ? partition_json(row.partition) : json_null();
		fprintf(out,
			"%s\n{\"start\": %" PRIu64 ", \"end\": %" PRIu64 ", \"kind\": \"%s\", \"patchable\": %s, "
			"\"partition\": ",
			comma, row.range.start, row.range.end, kinds[row.range.kind],
			row.range.patchable ? "true" : "false");
		bool done = json_print(out, partition, JSON_ENCODE_ANY);
		json_decref(partition);
		if (!done)
			return tool_fault(fault, BLOCKZ_FAILED, "the map could not be printed");
		if (view->extents && row.range.kind == BLOCKZ_RAW)
			print_json_extents(out, view->map, &row.range);
		fputc('}', out);
		comma = ",";
	}
	fputs("]}\n", out);
	return BLOCKZ_OK;
}

/* ---- The picture */

static enum blockz_status draw(const struct view *view, int output, struct blockz_fault *fault)
{
	const char *slash = strrchr(view->path, '/');
	struct svg_picture picture = {
		.title = slash != NULL ? slash + 1 : view->path, .map = view->map, .partitions = &view->partitions,
	};
	int fd = dup(output);
	FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
	int error = out != NULL ? svg_write(out, &picture) : errno;
	if (out == NULL && fd >= 0)
		close(fd);
	if (out != NULL && fclose(out) != 0 && error == 0)
		error = errno;
	return error == 0 ? BLOCKZ_OK : tool_fault_errno(fault, error, "write");
}

static enum blockz_status write_svg(struct view *view, struct blockz_fault *fault)
{
	struct output output;
	enum blockz_status status = output_open(&output, view->svg, view->force, &view->audience, fault);
	if (status == BLOCKZ_OK)
		status = draw(view, output.fd, fault);
	if (status == BLOCKZ_OK)
		status = output_commit(&output, fault);
	if (status != BLOCKZ_OK)
		view->culprit = view->svg;
	output_close(&output);
	return status;
}

/* ---- The block map */

static enum blockz_status make_bmap(struct view *view, struct bmap *bmap, struct blockz_fault *fault)
{
	struct blockz_work work = cli_work(&view->cli, "map", blockz_map_info(view->map).image_size, 0);
	enum blockz_status status = bmap_make(bmap, &view->file.source, view->map, &work, fault);
	cli_work_end(&view->cli);
	if (status != BLOCKZ_OK)
		view->culprit = view->path;
	return status;
}

static enum blockz_status write_bmap(struct view *view, struct blockz_fault *fault)
{
	struct output output;
	struct bmap bmap = { 0 };
	enum blockz_status status = output_open(&output, view->bmap, view->force, &view->audience, fault);
	if (status == BLOCKZ_OK)
		status = make_bmap(view, &bmap, fault);
	if (status == BLOCKZ_OK)
		status = bmap_write(&bmap, output.fd, fault);
	if (status == BLOCKZ_OK)
		status = output_commit(&output, fault);
	if (status != BLOCKZ_OK && view->culprit == NULL)
		view->culprit = view->bmap;
	output_close(&output);
	bmap_free(&bmap);
	return status;
}

/* ---- The program */

/* --force is not meant for what is still to be read, nor for what was just written. */
static void check_paths(const struct view *view)
{
	const char *const outputs[][2] = { { "--svg", view->svg }, { "--bmap", view->bmap } };
	for (size_t i = 0; i < sizeof(outputs) / sizeof(outputs[0]); i++)
		if (outputs[i][1] != NULL && input_is_same(view->path, outputs[i][1]))
			cli_usage(&view->cli, "%s would replace FILE itself", outputs[i][0]);
	if (view->svg != NULL && view->bmap != NULL &&
	    (strcmp(view->svg, view->bmap) == 0 || input_is_same(view->svg, view->bmap)))
		cli_usage(&view->cli, "--svg and --bmap both write to %s", is_stream(view->svg) ? "standard output" : view->svg);
}

static void read_options(struct view *view, int argc, char **argv)
{
	int key;
	cli_start(&view->cli, &tool, argc, argv);
	while ((key = cli_next(&view->cli)) != CLI_END) {
		switch (key) {
		case KEY_EXTENTS:
			view->extents = true;
			break;
		case KEY_SVG:
			view->svg = output_name(view->cli.argument);
			break;
		case KEY_BMAP:
			view->bmap = output_name(view->cli.argument);
			break;
		case 'f':
			view->force = true;
			break;
		}
	}
	if (view->cli.operand_count != 1)
		cli_usage(&view->cli, "expected one FILE, found %d", view->cli.operand_count);
	bool svg_out = view->svg != NULL && is_stream(view->svg), bmap_out = view->bmap != NULL && is_stream(view->bmap);
	if (view->cli.json + svg_out + bmap_out > 1)
		cli_usage(&view->cli, "%s and %s both write to standard output", view->cli.json ? "--json" : "--svg -",
			  bmap_out ? "--bmap -" : "--svg -");
	view->path = view->cli.operands[0];
	check_paths(view);
}

/* The map of a damaged image is worth seeing too. */
static void read_partitions(struct view *view)
{
	struct blockz_fault why;
	if (partitions_of_file(&view->file.source, view->map, view->cli.sector_size, &view->partitions, &why) != BLOCKZ_OK)
		cli_warn(&view->cli, view->path, "partitions cannot be read: %s", why.text);
}

static enum blockz_status read_map(struct view *view, struct blockz_fault *fault)
{
	enum blockz_status status = blockz_map_read(&view->file.source, &view->cli.map, &view->map, fault);
	if (status != BLOCKZ_OK)
		return status;
	const struct blockz_map_info info = blockz_map_info(view->map);
	view->appended = reading_warn(&view->cli, view->path, &info);
	read_partitions(view);
	return BLOCKZ_OK;
}

static enum blockz_status run(struct view *view, struct blockz_fault *fault)
{
	enum blockz_status status = compressed_open(&view->file, view->path, BLOCKZ_STORE_READ, fault);
	if (status == BLOCKZ_OK)
		cli_note(&view->cli, view->path, &view->file.store);
	if (status == BLOCKZ_OK)
		status = read_map(view, fault);
	if (status == BLOCKZ_OK)
		audience_add_compressed(&view->audience, &view->file);
	if (status == BLOCKZ_OK && view->svg != NULL)
		status = write_svg(view, fault);
	if (status == BLOCKZ_OK && view->bmap != NULL)
		status = write_bmap(view, fault);
	if (status == BLOCKZ_OK && view->cli.json)
		status = print_json(view, fault);
	else if (status == BLOCKZ_OK && view->svg == NULL && view->bmap == NULL)
		print_text(view);
	return status;
}

int main(int argc, char **argv)
{
	struct view view = { 0 };
	struct blockz_fault fault = { 0 };
	read_options(&view, argc, argv);
	enum blockz_status status = run(&view, &fault);
	if (status != BLOCKZ_OK)
		cli_fail(&view.cli, view.culprit != NULL ? view.culprit : view.path, &fault);
	partitions_free(&view.partitions);
	blockz_map_free(view.map);
	compressed_close(&view.file);
	return reading_finish(&view.cli, status, view.appended);
}
