/* SPDX-License-Identifier: BSD-3-Clause */
/* partial-deflate: compress a disk image so that chosen parts can be changed inside the compressed file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/fault.h"
#include "cli/json.h"
#include "cli/size.h"
#include "cli/stream.h"
#include "files/digest.h"
#include "files/input.h"
#include "files/output.h"
#include "files/report.h"
#include "pack/pack_options.h"

/* One call of the program. */
struct call {
	struct cli cli;
	struct pack_options options;
	bool of_input; /* a fault speaks of INPUT, though OUTPUT is open */
	struct input image;
	struct audience audience; /* of INPUT */
	struct output output;
	struct blockz_pack_result result;
	struct report report;
	struct blockz_fault fault;
};

/* ---- What is to be raw */

static enum blockz_status add_list(struct call *call)
{
	FILE *in = is_stream(call->options.list) ? stdin : fopen(call->options.list, "re");
	if (in == NULL)
		return tool_fault_errno(&call->fault, errno, "open %s", call->options.list);
	struct blockz_fault why;
	enum blockz_status status = rawlist_read(&call->options.raw, in, &why);
	if (status != BLOCKZ_OK)
		tool_fault(&call->fault, status, "--raw-list %s: %s", call->options.list, why.text);
	if (in != stdin)
		fclose(in);
	return status;
}

static enum blockz_status collect_raw(struct call *call)
{
	bool looks = rawchoice_looks(&call->options.choice);
	enum blockz_status status = BLOCKZ_OK;
	if (looks && call->image.source.size == BLOCKZ_UNKNOWN)
		return tool_fault(&call->fault, BLOCKZ_USAGE,
				  "is a stream, where partitions cannot be looked up before it is compressed; name offsets");
	if (call->options.list != NULL)
		status = add_list(call);
	if (status == BLOCKZ_OK && looks)
		status = rawchoice_find(&call->options.choice, &call->image.source, &call->options.raw, &call->fault);
	call->options.pack.raw = call->options.raw.items;
	call->options.pack.raw_count = call->options.raw.count;
	return status;
}

/* ---- The work */

static enum blockz_status pack_image(struct call *call, const struct blockz_source *image)
{
	struct blockz_fd_sink memory;
	struct blockz_sink sink = blockz_sink_fd(&memory, call->output.fd);
	call->options.pack.work = cli_work(&call->cli, "compress", call->image.source.size);
	enum blockz_status status = blockz_pack(image, &sink, &call->options.pack, &call->result, &call->fault);
	cli_work_end(&call->cli);
	/* Wrong arguments, as a range beyond the image, speak of it too. */
	call->of_input = status == BLOCKZ_USAGE || (status != BLOCKZ_OK && call->fault.subject == BLOCKZ_ABOUT_IMAGE);
	return status;
}

static enum blockz_status pack_hashed(struct call *call)
{
	struct digest_tap tap = { 0 };
	struct blockz_source image;
	enum blockz_status status = digest_tap_start(&tap, &call->image.source, &image, &call->fault);
	if (status == BLOCKZ_OK)
		status = pack_image(call, &image);
	if (status == BLOCKZ_OK)
		status = digest_tap_finish(&tap, call->result.image_size, call->report.image_sha256, &call->fault);
	digest_free(&tap.digest);
	return status;
}

/* From the disk, not from memory: what was synced is dropped from the page cache, so that it has to be read. */
static enum blockz_status verify_output(struct call *call)
{
	struct blockz_source file;
	struct blockz_verify_result result;
	struct blockz_verify_options options = {
		.against = call->image.source.size != BLOCKZ_UNKNOWN ? &call->image.source : NULL,
		.work = cli_work(&call->cli, "verify", call->result.image_size),
	};
	enum blockz_status status = output_sync(&call->output, &call->fault);
	if (status == BLOCKZ_OK)
		status = blockz_source_fd(call->output.fd, &file, &call->fault);
	if (status == BLOCKZ_OK) {
		posix_fadvise(call->output.fd, 0, 0, POSIX_FADV_DONTNEED);
		status = blockz_verify(&file, &options, &result, &call->fault);
	}
	cli_work_end(&call->cli);
	return status;
}

static enum blockz_status write_output(struct call *call)
{
	enum blockz_status status = call->options.image_digest ? pack_hashed(call) : pack_image(call, &call->image.source);
	if (status == BLOCKZ_OK && call->options.verify)
		status = verify_output(call);
	return status == BLOCKZ_OK ? output_commit(&call->output, &call->fault) : status;
}

/* ---- What is said at the end */

static enum blockz_status print_report(struct call *call)
{
	struct blockz_source file;
	struct blockz_work work = cli_work(&call->cli, "digest", call->result.file_size);
	enum blockz_status status = BLOCKZ_OK;
	call->report.path = call->options.output;
	call->report.size = call->result.file_size;
	call->report.image_size = call->result.image_size;
	if (!call->output.is_stream) {
		status = blockz_source_fd(call->output.fd, &file, &call->fault);
		if (status == BLOCKZ_OK)
			status = report_digests(&call->report, &file, NULL, &work, &call->fault);
	}
	cli_work_end(&call->cli);
	if (status != BLOCKZ_OK)
		return status;
	json_t *object = report_json(&call->report);
	json_object_set_new(object, "format", json_string(call->options.pack.format));
	json_object_set_new(object, "pieces", json_bytes(call->result.pieces));
	json_object_set_new(object, "raw_bytes", json_bytes(call->result.raw_bytes));
	json_object_set_new(object, "zero_bytes", json_bytes(call->result.zero_bytes));
	json_object_set_new(object, "index_piece_size", json_bytes(call->result.index_piece_size));
	return cli_print_json(&call->cli, object, &call->fault);
}

static void say_done(const struct call *call)
{
	const struct blockz_pack_result *result = &call->result;
	char image[32], file[32], raw[32], zero[32];
	size_human(image, sizeof(image), result->image_size);
	size_human(file, sizeof(file), result->file_size);
	size_human(raw, sizeof(raw), result->raw_bytes);
	size_human(zero, sizeof(zero), result->zero_bytes);
	cli_say(&call->cli, is_stream(call->options.output) ? stderr : stdout, call->options.output,
		"image of %s in %s (%.1f %%), %s of it raw, %s of zeros", image, file,
		result->image_size > 0 ? 100.0 * (double)result->file_size / (double)result->image_size : 100.0, raw, zero);
	bool wants_index = !call->options.pack.no_index && call->image.source.size != BLOCKZ_UNKNOWN && !call->output.is_stream;
	if (wants_index && result->index_piece_size == 0)
		cli_warn(&call->cli, call->options.output, "no index: it has more ranges than fit into one");
}

static enum blockz_status report_made(struct call *call)
{
	call->cli.state = BLOCKZ_IMAGE_UPDATED;
	enum blockz_status status = call->cli.json ? print_report(call) : BLOCKZ_OK;
	if (status != BLOCKZ_OK)
		call->fault.state = call->cli.state;
	else
		say_done(call);
	return status;
}

/* ---- The program */

/* Opens INPUT, and finds out what of it is to be raw. */
static enum blockz_status open_image(struct call *call)
{
	enum blockz_status status = input_open(&call->image, call->options.input, &call->fault);
	if (status != BLOCKZ_OK)
		return status;
	input_add_to(&call->image, &call->audience);
	/* The output would replace what is still being read. */
	if (!is_stream(call->options.output) && input_is_at(&call->image, call->options.output))
		return tool_fault(&call->fault, BLOCKZ_USAGE, "INPUT and OUTPUT are the same file");
	return collect_raw(call);
}

static enum blockz_status make_output(struct call *call)
{
	enum blockz_status status =
		output_open(&call->output, call->options.output, call->options.force, &call->audience, &call->fault);
	if (status == BLOCKZ_OK && call->options.verify && call->output.is_stream)
		status = tool_fault(&call->fault, BLOCKZ_UNSUPPORTED, "--verify needs a file to read back");
	if (status == BLOCKZ_OK)
		status = write_output(call);
	if (status == BLOCKZ_OK)
		status = report_made(call);
	output_close(&call->output);
	return status;
}

int main(int argc, char **argv)
{
	struct call call = { .output = OUTPUT_INIT };
	pack_options_read(&call.options, &call.cli, argc, argv);
	const char *file = call.options.input;
	enum blockz_status status = open_image(&call);
	if (status == BLOCKZ_OK) {
		status = make_output(&call);
		if (!call.of_input)
			file = call.options.output;
	}
	if (status != BLOCKZ_OK)
		cli_fail(&call.cli, file, &call.fault);
	input_close(&call.image);
	pack_options_free(&call.options);
	return cli_finish(&call.cli, status);
}
