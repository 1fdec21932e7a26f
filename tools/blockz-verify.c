/* SPDX-License-Identifier: BSD-3-Clause */
/* blockz-verify: show that a compressed disk image is whole. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/fault.h"
#include "cli/json.h"
#include "cli/reading.h"
#include "files/report.h"
#include "cli/size.h"
#include "files/compressed.h"

enum { KEY_QUICK = CLI_FIRST_KEY, KEY_AGAINST, KEY_IMAGE_DIGEST };

static const struct cli_option option_rows[] = {
	{ "quick", KEY_QUICK, NULL, "check structure, index and raw bytes only, decompress nothing" },
	{ "against", KEY_AGAINST, "IMAGE", "compare the image with a plain one" },
	CLI_WINDOW_MAX,
	{ "threads", 'T', "N", "threads (default: all)" },
	CLI_JSON,
	{ "image-digest", KEY_IMAGE_DIGEST, NULL, "with --json: add the SHA-256 of the image" },
	CLI_QUIET,
	CLI_PROGRESS,
	CLI_HELP,
	CLI_VERSION,
	{ 0 },
};

static const struct cli_tool tool = {
	"blockz-verify",
	"[OPTION]... FILE",
	"Verify the compressed FILE: its structure, each piece decompressed on its own, every check,\n"
	"the raw ranges, and the index.",
	option_rows,
	NULL,
};

struct job {
	struct cli cli;
	const char *path, *against;
	unsigned threads;
	bool quick, image_digest, appended;
	struct compressed file;
	struct blockz_verify_result result;
	struct blockz_fault fault;
};

static void read_options(struct job *job, int argc, char **argv)
{
	int key;
	cli_start(&job->cli, &tool, argc, argv);
	while ((key = cli_next(&job->cli)) != CLI_END) {
		switch (key) {
		case KEY_QUICK:
			job->quick = true;
			break;
		case KEY_AGAINST:
			job->against = job->cli.argument;
			break;
		case KEY_IMAGE_DIGEST:
			job->image_digest = true;
			break;
		case 'T':
			job->threads = cli_threads(&job->cli, job->cli.argument);
			break;
		}
	}
	if (job->cli.operand_count != 1)
		cli_usage(&job->cli, "expected one FILE, found %d", job->cli.operand_count);
	if (job->quick && job->against != NULL)
		cli_usage(&job->cli, "--quick decompresses nothing that --against could compare");
	if (job->image_digest && !job->cli.json)
		cli_usage(&job->cli, "--image-digest needs --json");
	job->path = job->cli.operands[0];
}

static enum blockz_status verify(struct job *job, const struct blockz_source *against)
{
	struct blockz_verify_options options = {
		.quick = job->quick, .against = against, .window_max = job->cli.map.window_max,
		.work = cli_work_on_file(&job->cli, "verify", job->file.source.size, job->threads),
	};
	enum blockz_status status = blockz_verify(&job->file.source, &options, &job->result, &job->fault);
	cli_work_end(&job->cli);
	return status;
}

static enum blockz_status verify_against(struct job *job)
{
	struct blockz_source image;
	int fd = open(job->against, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return tool_fault_errno(&job->fault, errno, "open %s", job->against);
	enum blockz_status status = blockz_source_fd(fd, &image, &job->fault);
	if (status == BLOCKZ_OK && image.size == BLOCKZ_UNKNOWN)
		status = tool_fault(&job->fault, BLOCKZ_USAGE, "%s is a stream, which cannot be compared in parallel",
				    job->against);
	if (status == BLOCKZ_OK)
		status = verify(job, &image);
	close(fd);
	return status;
}

static enum blockz_status print_report(struct job *job)
{
	const struct blockz_map_info *info = &job->result.map;
	struct report report = { .path = job->path, .size = info->file_size, .image_size = info->image_size };
	struct blockz_work work = cli_work(&job->cli, "digest", BLOCKZ_UNKNOWN, job->threads);
	struct blockz_map *map = NULL;
	enum blockz_status status =
		job->image_digest ? blockz_map_read(&job->file.source, &job->cli.map, &map, &job->fault) : BLOCKZ_OK;
	if (status == BLOCKZ_OK)
		status = report_digests(&report, &job->file.source, map, &work, &job->fault);
	cli_work_end(&job->cli);
	blockz_map_free(map);
	if (status != BLOCKZ_OK)
		return status;
	json_t *object = report_json(&report);
	json_object_set_new(object, "format", json_string(info->format));
	json_object_set_new(object, "index", json_index(info->index));
	json_object_set_new(object, "pieces", json_bytes(info->pieces));
	json_object_set_new(object, "raw_bytes", json_bytes(job->result.raw_bytes));
	json_object_set_new(object, "patchable_bytes", json_bytes(job->result.patchable_bytes));
	json_object_set_new(object, "zero_bytes", json_bytes(job->result.zero_bytes));
	json_object_set_new(object, "appended_bytes", json_bytes(info->appended_bytes));
	json_object_set_new(object, "quick", json_boolean(job->quick));
	return cli_print_json(&job->cli, object, &job->fault);
}

static void say_good(const struct job *job)
{
	const struct blockz_map_info *info = &job->result.map;
	char image[32], raw[32];
	size_human(image, sizeof(image), info->image_size);
	size_human(raw, sizeof(raw), job->result.patchable_bytes);
	cli_say(&job->cli, stdout, job->path, "%s: %s, image of %s in %" PRIu64 " piece%s, %s of it patchable, %s",
		job->quick ? "no damage found (quick)" : "good", info->format, image, info->pieces, plural(info->pieces), raw,
		info->index != BLOCKZ_INDEX_NONE ? "index" : "no index");
}

static enum blockz_status run(struct job *job)
{
	enum blockz_status status = compressed_open(&job->file, job->path, BLOCKZ_STORE_READ, &job->fault);
	if (status == BLOCKZ_OK)
		cli_note(&job->cli, job->path, &job->file.store);
	if (status == BLOCKZ_OK)
		status = job->against != NULL ? verify_against(job) : verify(job, NULL);
	if (status == BLOCKZ_OK)
		job->appended = reading_warn(&job->cli, job->path, &job->result.map);
	if (status == BLOCKZ_OK && job->cli.json)
		status = print_report(job);
	if (status == BLOCKZ_OK)
		say_good(job);
	return status;
}

int main(int argc, char **argv)
{
	struct job job = { 0 };
	read_options(&job, argc, argv);
	enum blockz_status status = run(&job);
	if (status != BLOCKZ_OK)
		cli_fail(&job.cli, job.path, &job.fault);
	compressed_close(&job.file);
	return reading_finish(&job.cli, status, job.appended);
}
