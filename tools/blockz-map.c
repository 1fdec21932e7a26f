/* SPDX-License-Identifier: BSD-3-Clause */
/* blockz-map: show where a disk image lies in its compressed file. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bmap/bmap.h"
#include "bmap/bmap_make.h"
#include "cli/cli.h"
#include "cli/fault.h"
#include "cli/reading.h"
#include "cli/stream.h"
#include "disks/partition.h"
#include "draw/map_json.h"
#include "draw/map_table.h"
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

/* One call of the program. */
struct call {
	struct cli cli;
	const char *path, *svg, *bmap;
	bool extents, force;
	const char *culprit; /* what the fault speaks of; NULL: FILE */
	struct compressed file;
	struct audience audience; /* of FILE */
	struct blockz_map *map;
	struct partitions partitions;
};

/* ---- The picture */

static enum blockz_status draw_picture(const struct call *call, int output, struct blockz_fault *fault)
{
	const char *slash = strrchr(call->path, '/');
	struct svg_picture picture = {
		.title = slash != NULL ? slash + 1 : call->path, .map = call->map, .partitions = &call->partitions,
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

static enum blockz_status write_svg(struct call *call, struct blockz_fault *fault)
{
	struct output output;
	enum blockz_status status = output_open(&output, call->svg, call->force, &call->audience, fault);
	if (status == BLOCKZ_OK)
		status = draw_picture(call, output.fd, fault);
	if (status == BLOCKZ_OK)
		status = output_commit(&output, fault);
	if (status != BLOCKZ_OK)
		call->culprit = call->svg;
	output_close(&output);
	return status;
}

/* ---- The block map */

static enum blockz_status make_bmap(struct call *call, struct bmap *bmap, struct blockz_fault *fault)
{
	struct blockz_work work = cli_work(&call->cli, "map", blockz_map_info(call->map).image_size);
	enum blockz_status status = bmap_make(bmap, &call->file.source, call->map, &work, fault);
	cli_work_end(&call->cli);
	if (status != BLOCKZ_OK)
		call->culprit = call->path;
	return status;
}

static enum blockz_status write_bmap(struct call *call, struct blockz_fault *fault)
{
	struct output output;
	struct bmap bmap = { 0 };
	enum blockz_status status = output_open(&output, call->bmap, call->force, &call->audience, fault);
	if (status == BLOCKZ_OK)
		status = make_bmap(call, &bmap, fault);
	if (status == BLOCKZ_OK)
		status = bmap_write(&bmap, output.fd, fault);
	if (status == BLOCKZ_OK)
		status = output_commit(&output, fault);
	if (status != BLOCKZ_OK && call->culprit == NULL)
		call->culprit = call->bmap;
	output_close(&output);
	bmap_free(&bmap);
	return status;
}

/* ---- The program */

/* --force is not meant for what is still to be read, nor for what was just written. */
static void check_paths(const struct call *call)
{
	const char *const outputs[][2] = { { "--svg", call->svg }, { "--bmap", call->bmap } };
	for (size_t i = 0; i < sizeof(outputs) / sizeof(outputs[0]); i++)
		if (outputs[i][1] != NULL && input_is_same(call->path, outputs[i][1]))
			cli_usage(&call->cli, "%s would replace FILE itself", outputs[i][0]);
	if (call->svg != NULL && call->bmap != NULL &&
	    (strcmp(call->svg, call->bmap) == 0 || input_is_same(call->svg, call->bmap)))
		cli_usage(&call->cli, "--svg and --bmap both write to %s", is_stream(call->svg) ? "standard output" : call->svg);
}

static void read_options(struct call *call, int argc, char **argv)
{
	int key;
	cli_start(&call->cli, &tool, argc, argv);
	while ((key = cli_next(&call->cli)) != CLI_END) {
		switch (key) {
		case KEY_EXTENTS:
			call->extents = true;
			break;
		case KEY_SVG:
			call->svg = output_name(call->cli.argument);
			break;
		case KEY_BMAP:
			call->bmap = output_name(call->cli.argument);
			break;
		case 'f':
			call->force = true;
			break;
		}
	}
	if (call->cli.operand_count != 1)
		cli_usage(&call->cli, "expected one FILE, found %d", call->cli.operand_count);
	bool svg_out = call->svg != NULL && is_stream(call->svg), bmap_out = call->bmap != NULL && is_stream(call->bmap);
	if (call->cli.json + svg_out + bmap_out > 1)
		cli_usage(&call->cli, "%s and %s both write to standard output", call->cli.json ? "--json" : "--svg -",
			  bmap_out ? "--bmap -" : "--svg -");
	call->path = call->cli.operands[0];
	check_paths(call);
}

/* The map of a damaged image is worth seeing too. */
static void read_partitions(struct call *call)
{
	struct blockz_fault why;
	if (partitions_of_file(&call->file.source, call->map, NULL, call->cli.sector_size, &call->partitions, &why) != BLOCKZ_OK)
		cli_warn(&call->cli, call->path, "partitions cannot be read: %s", why.text);
}

static enum blockz_status show_map(struct call *call, struct blockz_fault *fault)
{
	enum blockz_status status = compressed_open(&call->file, call->path, BLOCKZ_STORE_READ, fault);
	if (status != BLOCKZ_OK)
		return status;
	cli_note(&call->cli, call->path, &call->file.store);
	audience_add_compressed(&call->audience, &call->file);
	status = reading_map(&call->cli, call->path, &call->file.source, &call->map, fault);
	if (status != BLOCKZ_OK)
		return status;
	read_partitions(call);
	if (call->svg != NULL)
		status = write_svg(call, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (call->bmap != NULL)
		status = write_bmap(call, fault);
	if (status != BLOCKZ_OK)
		return status;
	const struct map_view view = { call->path, call->map, &call->partitions, call->extents };
	if (call->cli.json)
		return map_json_print(call->cli.json_out, &view, fault);
	if (call->svg == NULL && call->bmap == NULL)
		map_table_print(&view);
	return BLOCKZ_OK;
}

int main(int argc, char **argv)
{
	struct call call = { 0 };
	struct blockz_fault fault = { 0 };
	read_options(&call, argc, argv);
	enum blockz_status status = show_map(&call, &fault);
	if (status != BLOCKZ_OK)
		cli_fail(&call.cli, call.culprit != NULL ? call.culprit : call.path, &fault);
	partitions_free(&call.partitions);
	blockz_map_free(call.map);
	compressed_close(&call.file);
	return reading_finish(&call.cli, status);
}
