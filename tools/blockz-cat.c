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

enum { KEY_OFFSET = CLI_FIRST_KEY, KEY_LENGTH, KEY_PARTITION };

static const struct cli_option option_rows[] = {
	{ "offset", KEY_OFFSET, "OFF", "start at this image offset (default: 0)" },
	{ "length", KEY_LENGTH, "N", "write so many bytes (default: up to the end)" },
	{ "partition", KEY_PARTITION, "NAME", "write this partition: its number, name, label or UUID" },
	CLI_SECTOR_SIZE,
	CLI_SCAN,
	CLI_WINDOW_MAX,
	{ "threads", 'T', "N", "threads (default: all)" },
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

struct job {
	struct cli cli;
	const char *path, *partition;
	uint64_t offset, length; /* BLOCKZ_UNKNOWN: not given */
	unsigned threads;
	bool appended;
	struct compressed file;
	struct blockz_map *map;
	struct blockz_fault fault;
};

static void read_options(struct job *job, int argc, char **argv)
{
	int key;
	cli_start(&job->cli, &tool, argc, argv);
	while ((key = cli_next(&job->cli)) != CLI_END) {
		switch (key) {
		case KEY_OFFSET:
			job->offset = cli_size(&job->cli, "--offset", job->cli.argument);
			break;
		case KEY_LENGTH:
			job->length = cli_size(&job->cli, "--length", job->cli.argument);
			break;
		case KEY_PARTITION:
			job->partition = job->cli.argument;
			break;
		case 'T':
			job->threads = cli_threads(&job->cli, job->cli.argument);
			break;
		}
	}
	if (job->cli.operand_count != 1)
		cli_usage(&job->cli, "expected one FILE, found %d", job->cli.operand_count);
	if (job->partition != NULL && (job->offset != BLOCKZ_UNKNOWN || job->length != BLOCKZ_UNKNOWN))
		cli_usage(&job->cli, "--partition stands without --offset and --length");
	if (job->cli.sector_size != 0 && job->partition == NULL)
		cli_usage(&job->cli, "--sector-size needs --partition");
	job->path = job->cli.operands[0];
}

static enum blockz_status partition_range(struct job *job, struct blockz_range *range_ret)
{
	struct partitions partitions = { 0 };
	const struct partition *partition = NULL;
	enum blockz_status status =
		partitions_of_file(&job->file.source, job->map, job->cli.sector_size, &partitions, &job->fault);
	if (status == BLOCKZ_OK)
		status = partition_find(&partitions, job->partition, &partition, &job->fault);
	if (status == BLOCKZ_OK)
		*range_ret = partition->range;
	partitions_free(&partitions);
	return status;
}

static enum blockz_status choose_range(struct job *job, struct blockz_range *range_ret)
{
	uint64_t size = blockz_map_info(job->map).image_size;
	if (job->partition != NULL)
		return partition_range(job, range_ret);
	uint64_t start = job->offset == BLOCKZ_UNKNOWN ? 0 : job->offset;
	if (start > size || (job->length != BLOCKZ_UNKNOWN && job->length > size - start))
		return tool_fault(&job->fault, BLOCKZ_USAGE,
				  "the range from %" PRIu64 " on does not lie in the image of %" PRIu64 " byte%s", start, size,
				  plural(size));
	*range_ret = (struct blockz_range){ start, job->length == BLOCKZ_UNKNOWN ? size : start + job->length };
	return BLOCKZ_OK;
}

static enum blockz_status read_map(struct job *job)
{
	enum blockz_status status = blockz_map_read(&job->file.source, &job->cli.map, &job->map, &job->fault);
	if (status != BLOCKZ_OK)
		return status;
	const struct blockz_map_info info = blockz_map_info(job->map);
	job->appended = reading_warn(&job->cli, job->path, &info);
	return BLOCKZ_OK;
}

static enum blockz_status run(struct job *job)
{
	struct blockz_range range = { 0 };
	struct blockz_fd_sink memory;
	struct blockz_sink sink = blockz_sink_fd(&memory, STDOUT_FILENO);
	const struct blockz_work work = { .threads = job->threads };
	enum blockz_status status = compressed_open(&job->file, job->path, BLOCKZ_STORE_READ, &job->fault);
	if (status == BLOCKZ_OK)
		cli_note(&job->cli, job->path, &job->file.store);
	if (status == BLOCKZ_OK)
		status = read_map(job);
	if (status == BLOCKZ_OK)
		status = choose_range(job, &range);
	if (status == BLOCKZ_OK)
		status = blockz_extract(&job->file.source, job->map, range, &sink, &work, &job->fault);
	return status;
}

int main(int argc, char **argv)
{
	struct job job = { .offset = BLOCKZ_UNKNOWN, .length = BLOCKZ_UNKNOWN };
	read_options(&job, argc, argv);
	enum blockz_status status = run(&job);
	if (status != BLOCKZ_OK)
		cli_fail(&job.cli, job.path, &job.fault);
	blockz_map_free(job.map);
	compressed_close(&job.file);
	return reading_finish(&job.cli, status, job.appended);
}
