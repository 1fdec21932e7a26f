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
#include "cli/size.h"
#include "files/compressed.h"
#include "files/report.h"

enum { KEY_QUICK = CLI_FIRST_KEY, KEY_AGAINST, KEY_IMAGE_DIGEST };

static const struct cli_option option_rows[] = {
	{ "quick", KEY_QUICK, NULL, "check structure, index and raw bytes only, decompress nothing" },
	{ "against", KEY_AGAINST, "IMAGE", "compare the image with a plain one" },
	CLI_WINDOW_MAX,
	CLI_THREADS,
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

/* One call of the program. */
struct call {
	struct cli cli;
	const char *path, *against;
	bool quick, image_digest;
	struct compressed file;
	struct blockz_verify_result result;
	struct blockz_fault fault;
};

static void read_options(struct call *call, int argc, char **argv)
{
	int key;
	cli_start(&call->cli, &tool, argc, argv);
	while ((key = cli_next(&call->cli)) != CLI_END) {
		switch (key) {
		case KEY_QUICK:
			call->quick = true;
			break;
		case KEY_AGAINST:
			call->against = call->cli.argument;
			break;
		case KEY_IMAGE_DIGEST:
			call->image_digest = true;
			break;
		}
	}
	if (call->cli.operand_count != 1)
		cli_usage(&call->cli, "expected one FILE, found %d", call->cli.operand_count);
	if (call->quick && call->against != NULL)
		cli_usage(&call->cli, "--quick decompresses nothing that --against could compare");
	if (call->image_digest && !call->cli.json)
		cli_usage(&call->cli, "--image-digest needs --json");
	call->path = call->cli.operands[0];
}

static enum blockz_status verify(struct call *call, const struct blockz_source *against)
{
	struct blockz_verify_options options = {
		.quick = call->quick, .against = against, .window_max = call->cli.map.window_max,
		.work = cli_work_on_file(&call->cli, "verify", call->file.source.size),
	};
	enum blockz_status status = blockz_verify(&call->file.source, &options, &call->result, &call->fault);
	cli_work_end(&call->cli);
	return status;
}

static enum blockz_status verify_against(struct call *call)
{
	struct blockz_source image;
	int fd = open(call->against, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return tool_fault_errno(&call->fault, errno, "open %s", call->against);
	enum blockz_status status = blockz_source_fd(fd, &image, &call->fault);
	if (status == BLOCKZ_OK && image.size == BLOCKZ_UNKNOWN)
		status = tool_fault(&call->fault, BLOCKZ_USAGE, "%s is a stream, which cannot be compared in parallel",
				    call->against);
	if (status == BLOCKZ_OK)
		status = verify(call, &image);
	close(fd);
	return status;
}

static enum blockz_status print_report(struct call *call)
{
	const struct blockz_map_info *info = &call->result.map;
	struct report report = { .path = call->path, .size = info->file_size, .image_size = info->image_size };
	struct blockz_work work = cli_work(&call->cli, "digest", BLOCKZ_UNKNOWN);
	struct blockz_map *map = NULL;
	enum blockz_status status =
		call->image_digest ? blockz_map_read(&call->file.source, &call->cli.map, &map, &call->fault) : BLOCKZ_OK;
	if (status == BLOCKZ_OK)
		status = report_digests(&report, &call->file.source, map, &work, &call->fault);
	cli_work_end(&call->cli);
	blockz_map_free(map);
	if (status != BLOCKZ_OK)
		return status;
	json_t *object = report_json(&report);
	json_object_set_new(object, "format", json_string(info->format));
	json_object_set_new(object, "index", json_index(info->index));
	json_object_set_new(object, "pieces", json_bytes(info->pieces));
	json_object_set_new(object, "raw_bytes", json_bytes(call->result.raw_bytes));
	json_object_set_new(object, "patchable_bytes", json_bytes(call->result.patchable_bytes));
	json_object_set_new(object, "zero_bytes", json_bytes(call->result.zero_bytes));
	json_object_set_new(object, "appended_bytes", json_bytes(info->appended_bytes));
	json_object_set_new(object, "quick", json_boolean(call->quick));
	return cli_print_json(&call->cli, object, &call->fault);
}

static void say_good(const struct call *call)
{
	const struct blockz_map_info *info = &call->result.map;
	char image[32], raw[32];
	size_human(image, sizeof(image), info->image_size);
	size_human(raw, sizeof(raw), call->result.patchable_bytes);
	cli_say(&call->cli, stdout, call->path, "%s: %s, image of %s in %" PRIu64 " piece%s, %s of it patchable, %s",
		call->quick ? "no damage found (quick)" : "good", info->format, image, info->pieces, plural(info->pieces), raw,
		info->index != BLOCKZ_INDEX_NONE ? "index" : "no index");
}

static enum blockz_status verify_file(struct call *call)
{
	enum blockz_status status = compressed_open(&call->file, call->path, BLOCKZ_STORE_READ, &call->fault);
	if (status != BLOCKZ_OK)
		return status;
	cli_note(&call->cli, call->path, &call->file.store);
	status = call->against != NULL ? verify_against(call) : verify(call, NULL);
	if (status != BLOCKZ_OK)
		return status;
	reading_warn(&call->cli, call->path, &call->result.map);
	if (call->cli.json)
		return print_report(call);
	say_good(call);
	return BLOCKZ_OK;
}

int main(int argc, char **argv)
{
	struct call call = { 0 };
	read_options(&call, argc, argv);
	enum blockz_status status = verify_file(&call);
	if (status != BLOCKZ_OK)
		cli_fail(&call.cli, call.path, &call.fault);
	compressed_close(&call.file);
	return reading_finish(&call.cli, status);
}
