/* SPDX-License-Identifier: BSD-3-Clause */
/* blockz-delta: write a small delta that makes an image of an older one. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blockz_delta.h"
#include "cli/allowance.h"
#include "cli/cli.h"
#include "cli/fault.h"
#include "cli/json.h"
#include "cli/malloc_tuning.h"
#include "cli/size.h"
#include "deltas/delta_report.h"
#include "deltas/encoders.h"
#include "deltas/lzo.h"
#include "deltas/squashdelta.h"
#include "files/comparison.h"
#include "files/digest.h"
#include "files/input.h"
#include "files/output.h"

enum { KEY_PORTABLE = CLI_FIRST_KEY, KEY_CLIENT, KEY_APPLY_BUDGET, KEY_MEMORY, KEY_INFO, KEY_FORMAT, KEY_EXPAND };

enum { MEMORY_SHARE = 2 }; /* of what may be taken, one part is by default */

static const struct cli_option option_rows[] = {
	{ "portable", KEY_PORTABLE, NULL, "have the client compress nothing: the delta is larger, and needs no encoder" },
	{ "client", KEY_CLIENT, "FILE", "use only encoders that stand in FILE, printed on the client by\n"
					"blockz-merge --capabilities; may be repeated: what all of them share" },
	{ "apply-budget", KEY_APPLY_BUDGET, "SECONDS", "have the client compress for so many CPU seconds, as measured here" },
	{ "memory", KEY_MEMORY, "N", "take at most N bytes, and search OLD in windows if need be\n"
			       "(default: half of what the machine, limits and control groups allow)" },
	{ "format", KEY_FORMAT, "FORMAT", "blockz, the default, or squashdelta, for clients of that program" },
	{ "expand", KEY_EXPAND, NULL, "write the expanded file of IMAGE, as of SquashDelta" },
	{ "info", KEY_INFO, NULL, "print what DELTA is for and what it needs" },
	{ "force", 'f', NULL, "replace DELTA if it exists" },
	{ "threads", 'T', "N", "threads (default: all)" },
	CLI_JSON,
	CLI_QUIET,
	CLI_PROGRESS,
	CLI_HELP,
	CLI_VERSION,
	{ 0 },
};

static const struct cli_tool tool = {
	"blockz-delta",
	"[OPTION]... OLD NEW DELTA\n--info [--json] DELTA\n--expand [OPTION]... IMAGE EXPANDED",
	"Write a DELTA by which blockz-merge makes the image NEW of the image OLD.  What is compressed in them (SquashFS,\n"
	".gz, .xz, .zst) is compared decompressed, and compressed again, byte for byte, where the delta is applied.\n"
	"DELTA is applied and compared before it gets its name.  It may be -.",
	option_rows,
	NULL,
};

struct job {
	struct cli cli;
	const char *old_path, *new_path, *delta_path;
	const char *file; /* that the fault speaks of */
	bool info, force;
	bool is_squashdelta, expand; /* --format, --expand */
	unsigned threads;
	json_t *shared; /* encoders that all clients have; NULL: no client was named */
	struct blockz_encoder *encoders;
	struct lzo_helpers *lzo;
	struct blockz_delta_options options;
	struct input old, new;
	struct audience audience; /* of both */
	struct output delta;
	struct blockz_delta_result result;
	struct squashdelta_result squashdelta;
	struct blockz_delta_info head;
	struct blockz_fault fault;
};

static bool is_stream(const char *path)
{
	return strcmp(path, "-") == 0;
}

/* ---- Options */

static void add_client(struct job *job, const char *path)
{
	enum blockz_status status = encoders_read(path, &job->shared, &job->fault);
	if (status == BLOCKZ_OK)
		return;
	cli_fail(&job->cli, path, &job->fault);
	exit((int)status);
}

static uint64_t budget_argument(const struct job *job, const char *text)
{
	enum { SECONDS_MAX = 1000000000 };
	char *end = NULL;
	double seconds = isdigit((unsigned char)text[0]) || text[0] == '.' ? strtod(text, &end) : -1;
	if (end == NULL || end == text || *end != '\0' || strspn(text, "0123456789.") != strlen(text) ||
	    seconds > SECONDS_MAX)
		cli_usage(&job->cli, "--apply-budget: '%s' is no number of seconds", text);
	if (seconds < 0.001)
		cli_usage(&job->cli, "--apply-budget: less than a millisecond; --portable has the client compress nothing");
	return (uint64_t)(seconds * 1000 + 0.5);
}

static bool is_squashdelta(const struct job *job, const char *format)
{
	if (strcmp(format, "squashdelta") != 0 && strcmp(format, "blockz") != 0)
		cli_usage(&job->cli, "--format: '%s' is neither blockz nor squashdelta", format);
	return format[0] == 's';
}

static void take_option(struct job *job, int key, const char *argument)
{
	switch (key) {
	case KEY_PORTABLE:
		job->options.portable = true;
		break;
	case KEY_CLIENT:
		add_client(job, argument);
		break;
	case KEY_APPLY_BUDGET:
		job->options.apply_budget_ms = budget_argument(job, argument);
		break;
	case KEY_MEMORY:
		job->options.memory = cli_size(&job->cli, "--memory", argument);
		if (job->options.memory == 0)
			cli_usage(&job->cli, "--memory: 0 bytes are no limit that anything fits in");
		break;
	case KEY_INFO:
		job->info = true;
		break;
	case KEY_FORMAT:
		job->is_squashdelta = is_squashdelta(job, argument);
		break;
	case KEY_EXPAND:
		job->expand = true;
		break;
	case 'f':
		job->force = true;
		break;
	case 'T':
		job->threads = cli_threads(&job->cli, argument);
		break;
	}
}

static void check_paths(const struct job *job)
{
	const struct cli *cli = &job->cli;
	if (is_stream(job->old_path) || is_stream(job->new_path))
		cli_usage(cli, "images are read at many offsets, and cannot be standard input");
	if (input_is_same(job->old_path, job->delta_path) || input_is_same(job->new_path, job->delta_path))
		cli_usage(cli, "%s is one of the images", job->expand ? "EXPANDED" : "DELTA");
	if (is_stream(job->delta_path) && isatty(STDOUT_FILENO))
		cli_usage(cli, "nothing of this kind is written to a terminal");
}

/* What only the native format obeys. */
static void check_options(const struct job *job)
{
	const struct blockz_delta_options *options = &job->options;
	if (job->info && job->expand)
		cli_usage(&job->cli, "--info and --expand exclude each other");
	if ((job->is_squashdelta || job->expand) &&
	    (options->portable || job->shared != NULL || options->apply_budget_ms != 0 || options->memory != 0))
		cli_usage(&job->cli, "--portable, --client, --apply-budget and --memory are for the format blockz");
}

static void read_options(struct job *job, int argc, char **argv)
{
	int key;
	cli_start(&job->cli, &tool, argc, argv);
	while ((key = cli_next(&job->cli)) != CLI_END)
		take_option(job, key, job->cli.argument);
	int count = job->cli.operand_count;
	char **operands = job->cli.operands;
	check_options(job);
	if (job->info && count != 1)
		cli_usage(&job->cli, "--info: expected one DELTA, found %d operand%s", count, plural((uint64_t)count));
	if (job->expand && count != 2)
		cli_usage(&job->cli, "--expand: expected IMAGE and EXPANDED, found %d operand%s", count, plural((uint64_t)count));
	if (!job->info && !job->expand && count != 3)
		cli_usage(&job->cli, "expected OLD, NEW and DELTA, found %d operand%s", count, plural((uint64_t)count));
	job->delta_path = job->file = output_name(operands[count - 1]);
	if (job->info)
		return;
	job->old_path = operands[0]; /* with --expand it is both */
	job->new_path = operands[count - 2];
	check_paths(job);
	if (is_stream(job->delta_path))
		job->cli.json_out = stderr;
}

/* ---- The delta */

static enum blockz_status open_image(struct job *job, struct input *input, const char *path)
{
	job->file = path;
	enum blockz_status status = input_open_image(input, path, false, &job->fault);
	if (status != BLOCKZ_OK)
		return status;
	cli_note(&job->cli, path, &input->file.store);
	input_add_to(input, &job->audience);
	return BLOCKZ_OK;
}

static enum blockz_status open_images(struct job *job)
{
	enum blockz_status status = job->expand ? BLOCKZ_OK : open_image(job, &job->old, job->old_path);
	return status == BLOCKZ_OK ? open_image(job, &job->new, job->new_path) : status;
}

static enum blockz_status blame(struct job *job, enum blockz_status status)
{
	if (status != BLOCKZ_OK && job->fault.subject == BLOCKZ_ABOUT_OLD)
		job->file = job->old_path;
	else if (status != BLOCKZ_OK && job->fault.subject == BLOCKZ_ABOUT_NEW)
		job->file = job->new_path;
	else if (status == BLOCKZ_LIMIT && job->fault.subject == BLOCKZ_ABOUT_MEMORY)
		job->file = "--memory";
	return status;
}

static struct squashdelta squashdelta(struct job *job)
{
	return (struct squashdelta){ &job->cli, job->threads, job->options.lzo, job->delta.file.dirfd };
}

static enum blockz_status make_squashdelta(struct job *job)
{
	const struct squashdelta self = squashdelta(job);
	enum blockz_status status;
	if (job->expand)
		status = squashdelta_expand(&self, &job->new.source, job->delta.fd, &job->squashdelta, &job->fault);
	else
		status = squashdelta_make(&self, &job->old.source, &job->new.source, job->delta.fd, &job->squashdelta,
					  &job->fault);
	return blame(job, status);
}

static enum blockz_status make_delta(struct job *job)
{
	struct blockz_fd_sink memory;
	struct blockz_sink sink = blockz_sink_fd(&memory, job->delta.fd);
	job->options.work = cli_work(&job->cli, "compare", job->new.source.size, job->threads);
	enum blockz_status status = blockz_delta(&job->old.source, &job->new.source, &sink, &job->options, &job->result,
						 &job->fault);
	cli_work_end(&job->cli);
	return blame(job, status);
}

/* A delta counts when it makes NEW, here and now, of what was written. */
static enum blockz_status prove_delta(struct job *job)
{
	struct comparison comparison;
	const struct blockz_sink sink = comparison_start(&comparison, &job->new.source);
	struct blockz_source delta;
	struct blockz_merge_options options = {
		.lzo = job->options.lzo, .work = cli_work(&job->cli, "apply", job->result.new_size, job->result.merge_threads),
	};
	enum blockz_status status = blockz_source_fd(job->delta.fd, &delta, &job->fault);
	if (status == BLOCKZ_OK)
		status = blockz_delta_info(&delta, &job->head, &job->fault);
	if (status == BLOCKZ_OK)
		status = blockz_merge(&job->old.source, &delta, &sink, &options, &job->fault);
	cli_work_end(&job->cli);
	if (comparison.differs || (status == BLOCKZ_OK && !comparison_is_equal(&comparison)))
		return tool_fault(&job->fault, BLOCKZ_FAILED, "it was applied and does not make NEW: not the same bytes up to %"
				  PRIu64 " of %" PRIu64, comparison.off, job->new.source.size);
	if (status == BLOCKZ_OK || status == BLOCKZ_FAILED)
		return blame(job, status);
	struct blockz_fault why = job->fault;
	return tool_fault(&job->fault, BLOCKZ_FAILED, "it was applied and does not make NEW: %s", why.text);
}

/* ---- What is said at the end */

static enum blockz_status print_report(const struct job *job, const char *sha256, struct blockz_fault *fault)
{
	const struct blockz_delta_result *result = &job->result;
	json_t *object = delta_report_json(job->delta_path, result->delta_size, &job->head);
	json_object_set_new(object, "sha256", json_string(sha256));
	json_object_set_new(object, "blocks",
			    json_pack("{s:o,s:o,s:o,s:o,s:o,s:o}", "all", json_bytes(result->blocks), "equal",
				      json_bytes(result->blocks_equal), "encoded", json_bytes(result->blocks_encoded),
				      "stored", json_bytes(result->blocks_stored), "packed",
				      json_bytes(result->blocks_packed), "unproved",
				      json_bytes(result->blocks_unproved)));
	json_object_set_new(object, "encode_ms", json_bytes(result->encode_ms));
	json_object_set_new(object, "windows", json_integer(result->windows));
	json_object_set_new(object, "window_size", json_bytes(result->window_size));
	json_object_set_new(object, "memory", json_bytes(result->memory));
	json_object_set_new(object, "memory_wanted", json_bytes(result->memory_wanted));
	return cli_print_json(&job->cli, object, fault);
}

static void describe_blocks(const struct blockz_delta_result *result, char *text, size_t room)
{
	char stored[64] = "";
	if (result->blocks == 0) {
		snprintf(text, room, "compared as plain bytes");
		return;
	}
	if (result->blocks_stored > 0)
		snprintf(stored, sizeof(stored), "%" PRIu64 " not compressed, ", result->blocks_stored);
	snprintf(text, room, "%" PRIu64 " block%s equal, %" PRIu64 " encoded again (%.1f CPU seconds at the client), %s%" PRIu64
		 " packed", result->blocks_equal, plural(result->blocks_equal), result->blocks_encoded,
		 (double)result->encode_ms / 1000, stored,
		 result->blocks_packed);
}

/* In how many windows OLD was searched, and why: what it cost cannot be known, but what it would take not to. */
static void describe_windows(const struct blockz_delta_result *result, char *text, size_t room)
{
	char size[32], memory[32];
	size_human(size, sizeof(size), result->window_size);
	size_human(memory, sizeof(memory), result->memory);
	if (result->windows <= 1)
		snprintf(text, room, "one window");
	else if (result->memory_wanted > result->memory)
		snprintf(text, room, "%u windows of %s because memory is limited to %s; --memory %" PRIu64 "M would spare them",
			 result->windows, size, memory, (result->memory_wanted >> 20) + 1);
	else
		snprintf(text, room, "%u windows of %s", result->windows, size);
}

static void say_done(const struct job *job)
{
	const struct blockz_delta_result *result = &job->result;
	char delta[32], new[32], blocks[256], windows[192];
	FILE *out = is_stream(job->delta_path) ? stderr : stdout;
	size_human(delta, sizeof(delta), result->delta_size);
	size_human(new, sizeof(new), result->new_size);
	describe_blocks(result, blocks, sizeof(blocks));
	describe_windows(result, windows, sizeof(windows));
	cli_say(&job->cli, out, job->delta_path, "%s for NEW of %s (%.1f %%): %s; searched OLD in %s", delta, new,
		result->new_size > 0 ? 100.0 * (double)result->delta_size / (double)result->new_size : 100.0, blocks, windows);
	if (job->head.note[0] != '\0')
		cli_warn(&job->cli, job->delta_path, "%s", job->head.note);
}

static enum blockz_status report(struct job *job)
{
	char sha256[DIGEST_HEX];
	struct blockz_source delta;
	const struct blockz_work work = { 0 };
	if (!job->cli.json) {
		say_done(job);
		return BLOCKZ_OK;
	}
	enum blockz_status status = blockz_source_fd(job->delta.fd, &delta, &job->fault);
	if (status == BLOCKZ_OK)
		status = digest_source(&delta, &work, sha256, &job->fault);
	if (status == BLOCKZ_OK)
		status = print_report(job, sha256, &job->fault);
	if (status != BLOCKZ_OK)
		job->fault.state = BLOCKZ_IMAGE_UPDATED;
	return status;
}

/* What is wanted, complete and proved. */
static enum blockz_status make(struct job *job)
{
	job->lzo = lzo_helpers_new(NULL);
	job->options.lzo = lzo_helpers_ops(job->lzo);
	if (job->is_squashdelta || job->expand)
		return make_squashdelta(job);
	enum blockz_status status = encoders_list(job->shared, &job->encoders, &job->options.encoder_count, &job->fault);
	job->options.restricted = job->shared != NULL;
	job->options.encoders = job->encoders;
	if (job->options.memory == 0)
		job->options.memory = allowance_memory("") / MEMORY_SHARE;
	if (status == BLOCKZ_OK)
		status = make_delta(job);
	return status == BLOCKZ_OK ? prove_delta(job) : status;
}

static enum blockz_status report_any(struct job *job)
{
	const struct squashdelta self = squashdelta(job);
	job->cli.state = BLOCKZ_IMAGE_UPDATED;
	if (job->is_squashdelta || job->expand)
		return squashdelta_report(&self, job->delta_path, job->delta.fd, &job->squashdelta, &job->fault);
	return report(job);
}

static enum blockz_status create(struct job *job)
{
	enum blockz_status status = open_images(job);
	if (status != BLOCKZ_OK)
		return status;
	job->file = job->delta_path;
	status = output_open_whole(&job->delta, job->delta_path, job->force, &job->audience, &job->fault);
	if (status == BLOCKZ_OK)
		status = make(job);
	if (status == BLOCKZ_OK)
		status = output_commit(&job->delta, &job->fault);
	return status == BLOCKZ_OK ? report_any(job) : status;
}

int main(int argc, char **argv)
{
	struct job job = { .delta = OUTPUT_INIT };
	malloc_tuning_apply();
	read_options(&job, argc, argv);
	enum blockz_status status = job.info ? delta_report_print(&job.cli, job.delta_path, &job.fault) : create(&job);
	if (status != BLOCKZ_OK)
		cli_fail(&job.cli, job.file, &job.fault);
	output_close(&job.delta);
	input_close(&job.old);
	input_close(&job.new);
	lzo_helpers_free(job.lzo);
	free(job.encoders);
	json_decref(job.shared);
	return cli_finish(&job.cli, status);
}
