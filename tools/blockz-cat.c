/* SPDX-License-Identifier: BSD-3-Clause */
/* blockz-cat: write a part of a compressed disk image to standard output. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/fault.h"
#include "cli/reading.h"
#include "cli/size.h"
#include "disks/partition.h"
#include "files/compressed.h"
#include "files/laid_over.h"

enum { KEY_OFFSET = CLI_FIRST_KEY, KEY_LENGTH, KEY_PARTITION, KEY_OVERLAY };

static const struct cli_option option_rows[] = {
	{ "offset", KEY_OFFSET, "OFF", "start at this image offset (default: 0)" },
	{ "length", KEY_LENGTH, "N", "write so many bytes (default: up to the end)" },
	{ "partition", KEY_PARTITION, "NAME", "write this partition: its number, name, label or UUID" },
	CLI_SECTOR_SIZE,
	{ "overlay", KEY_OVERLAY, NULL, "read what was written to a served disk and is not in FILE yet" },
	CLI_SCAN,
	CLI_WINDOW_MAX,
	CLI_THREADS,
	CLI_HELP,
	CLI_VERSION,
	{ 0 },
};

static const struct cli_tool tool = {
	"blockz-cat",
	"[OPTION]... FILE",
	"Write the disk image in the compressed FILE, or a part of it, to standard output.\n"
	"Only what is needed for that part is decompressed.",
	option_rows,
	NULL,
};

/* One call of the program. */
struct call {
	struct cli cli;
	const char *path, *partition;
	uint64_t offset, length; /* BLOCKZ_UNKNOWN: not given */
	bool overlay;
	struct compressed file;
	struct blockz_map *map;
	struct blockz_fault fault;
};

static void read_options(struct call *call, int argc, char **argv)
{
	int key;
	cli_start(&call->cli, &tool, argc, argv);
	while ((key = cli_next(&call->cli)) != CLI_END) {
		switch (key) {
		case KEY_OFFSET:
			call->offset = cli_size(&call->cli, "--offset", call->cli.argument);
			break;
		case KEY_LENGTH:
			call->length = cli_size(&call->cli, "--length", call->cli.argument);
			break;
		case KEY_PARTITION:
			call->partition = call->cli.argument;
			break;
		case KEY_OVERLAY:
			call->overlay = true;
			break;
		}
	}
	if (call->cli.operand_count != 1)
		cli_usage(&call->cli, "expected one FILE, found %d", call->cli.operand_count);
	if (call->partition != NULL && (call->offset != BLOCKZ_UNKNOWN || call->length != BLOCKZ_UNKNOWN))
		cli_usage(&call->cli, "--partition stands without --offset and --length");
	if (call->cli.sector_size != 0 && call->partition == NULL)
		cli_usage(&call->cli, "--sector-size needs --partition");
	call->path = call->cli.operands[0];
}

static enum blockz_status partition_range(struct call *call, struct blockz_range *range_ret)
{
	struct partitions partitions = { 0 };
	enum blockz_status status =
		partitions_of_file(&call->file.source, call->map, call->file.overlay, call->cli.sector_size, &partitions, &call->fault);
	if (status == BLOCKZ_OK)
		status = partition_find(&partitions, call->partition, range_ret, &call->fault);
	partitions_free(&partitions);
	return status;
}

static enum blockz_status choose_range(struct call *call, struct blockz_range *range_ret)
{
	uint64_t size = blockz_map_info(call->map).image_size;
	if (call->partition != NULL)
		return partition_range(call, range_ret);
	uint64_t start = call->offset == BLOCKZ_UNKNOWN ? 0 : call->offset;
	if (start > size || (call->length != BLOCKZ_UNKNOWN && call->length > size - start))
		return tool_fault(&call->fault, BLOCKZ_USAGE,
				  "the range from %" PRIu64 " on does not lie in the image of %" PRIu64 " byte%s", start, size,
				  plural(size));
	*range_ret = (struct blockz_range){ start, call->length == BLOCKZ_UNKNOWN ? size : start + call->length };
	return BLOCKZ_OK;
}

static enum blockz_status extract(struct call *call, struct blockz_range range, const struct blockz_sink *sink)
{
	const struct blockz_work work = { .threads = call->cli.threads };
	return blockz_extract(&call->file.source, call->map, range, sink, &work, &call->fault);
}

static enum blockz_status extract_overlaid(struct call *call, struct blockz_range range, const struct blockz_sink *sink)
{
	struct laid_over_sink memory = { .overlay = call->file.overlay, .position = range.start, .sink = sink };
	struct blockz_sink overlaid;
	enum blockz_status status = laid_over_sink_start(&memory, &overlaid, &call->fault);
	if (status == BLOCKZ_OK)
		status = extract(call, range, &overlaid);
	laid_over_sink_free(&memory);
	return status;
}

static enum blockz_status open_file(struct call *call)
{
	return call->overlay ? compressed_open_overlaid(&call->file, call->path, &call->fault)
			     : compressed_open(&call->file, call->path, BLOCKZ_STORE_READ, &call->fault);
}

static enum blockz_status write_range(struct call *call)
{
	struct blockz_range range = { 0 };
	struct blockz_fd_sink memory;
	struct blockz_sink sink = blockz_sink_fd(&memory, STDOUT_FILENO);
	enum blockz_status status = open_file(call);
	if (status != BLOCKZ_OK)
		return status;
	cli_note(&call->cli, call->path, &call->file.store);
	status = reading_map(&call->cli, call->path, &call->file.source, &call->map, &call->fault);
	if (status != BLOCKZ_OK)
		return status;
	status = choose_range(call, &range);
	if (status != BLOCKZ_OK)
		return status;
	return call->file.overlay != NULL ? extract_overlaid(call, range, &sink) : extract(call, range, &sink);
}

int main(int argc, char **argv)
{
	struct call call = { .offset = BLOCKZ_UNKNOWN, .length = BLOCKZ_UNKNOWN };
	read_options(&call, argc, argv);
	enum blockz_status status = write_range(&call);
	if (status != BLOCKZ_OK)
		cli_fail(&call.cli, call.path, &call.fault);
	blockz_map_free(call.map);
	compressed_close(&call.file);
	return reading_finish(&call.cli, status);
}
