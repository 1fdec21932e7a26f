/* SPDX-License-Identifier: BSD-3-Clause */
/* blockz-delta: write a small delta that makes an image of an older one. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blockz_delta.h"
#include "cli/cli.h"
#include "cli/malloc_tuning.h"
#include "cli/size.h"
#include "cli/stream.h"
#include "deltas/delta_create.h"
#include "deltas/delta_report.h"
#include "deltas/encoders.h"
#include "deltas/lzo.h"
#include "deltas/squashdelta.h"
#include "files/input.h"
#include "files/output.h"

enum { KEY_PORTABLE = CLI_FIRST_KEY, KEY_CLIENT, KEY_APPLY_BUDGET, KEY_MEMORY, KEY_INFO, KEY_FORMAT, KEY_EXPAND };

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
	CLI_THREADS,
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

/* One call of the program. */
struct call {
	struct cli cli;
	const char *old_path, *new_path, *delta_path;
	const char *file; /* that the fault speaks of */
	bool info, force;
	bool is_squashdelta, expand; /* --format, --expand */
	struct input old, new;
	struct audience audience; /* of both */
	struct output delta;
	struct delta_creation creation;
	struct squashdelta_result squashdelta;
	struct blockz_fault fault;
};

/* ---- Options */

static void add_client(struct call *call, const char *path)
{
	enum blockz_status status = encoders_read(path, &call->creation.shared, &call->fault);
	if (status == BLOCKZ_OK)
		return;
	cli_fail(&call->cli, path, &call->fault);
	exit((int)status);
}

static uint64_t budget_argument(const struct call *call, const char *text)
{
	enum { SECONDS_MAX = 1000000000 };
	char *end = NULL;
	double seconds = isdigit((unsigned char)text[0]) || text[0] == '.' ? strtod(text, &end) : -1;
	if (end == NULL || end == text || *end != '\0' || strspn(text, "0123456789.") != strlen(text) ||
	    seconds > SECONDS_MAX)
		cli_usage(&call->cli, "--apply-budget: '%s' is no number of seconds", text);
	if (seconds < 0.001)
		cli_usage(&call->cli, "--apply-budget: less than a millisecond; --portable has the client compress nothing");
	return (uint64_t)(seconds * 1000 + 0.5);
}

static bool is_squashdelta(const struct call *call, const char *format)
{
	if (strcmp(format, "squashdelta") != 0 && strcmp(format, "blockz") != 0)
		cli_usage(&call->cli, "--format: '%s' is neither blockz nor squashdelta", format);
	return format[0] == 's';
}

static void take_option(struct call *call, int key, const char *argument)
{
	switch (key) {
	case KEY_PORTABLE:
		call->creation.options.portable = true;
		break;
	case KEY_CLIENT:
		add_client(call, argument);
		break;
	case KEY_APPLY_BUDGET:
		call->creation.options.apply_budget_ms = budget_argument(call, argument);
		break;
	case KEY_MEMORY:
		call->creation.options.memory = cli_size(&call->cli, "--memory", argument);
		if (call->creation.options.memory == 0)
			cli_usage(&call->cli, "--memory: 0 bytes are no limit that anything fits in");
		break;
	case KEY_INFO:
		call->info = true;
		break;
	case KEY_FORMAT:
		call->is_squashdelta = is_squashdelta(call, argument);
		break;
	case KEY_EXPAND:
		call->expand = true;
		break;
	case 'f':
		call->force = true;
		break;
	}
}

static void check_paths(const struct call *call)
{
	const struct cli *cli = &call->cli;
	if (is_stream(call->old_path) || is_stream(call->new_path))
		cli_usage(cli, "images are read at many offsets, and cannot be standard input");
	if (input_is_same(call->old_path, call->delta_path) || input_is_same(call->new_path, call->delta_path))
		cli_usage(cli, "%s is one of the images", call->expand ? "EXPANDED" : "DELTA");
	if (is_stream(call->delta_path) && isatty(STDOUT_FILENO))
		cli_usage(cli, "nothing of this kind is written to a terminal");
}

/* What only the native format obeys. */
static void check_options(const struct call *call)
{
	const struct blockz_delta_options *options = &call->creation.options;
	if (call->info && call->expand)
		cli_usage(&call->cli, "--info and --expand exclude each other");
	if ((call->is_squashdelta || call->expand) &&
	    (options->portable || call->creation.shared != NULL || options->apply_budget_ms != 0 || options->memory != 0))
		cli_usage(&call->cli, "--portable, --client, --apply-budget and --memory are for the format blockz");
}

static void read_options(struct call *call, int argc, char **argv)
{
	int key;
	cli_start(&call->cli, &tool, argc, argv);
	while ((key = cli_next(&call->cli)) != CLI_END)
		take_option(call, key, call->cli.argument);
	int count = call->cli.operand_count;
	char **operands = call->cli.operands;
	check_options(call);
	if (call->info && count != 1)
		cli_usage(&call->cli, "--info: expected one DELTA, found %d operand%s", count, plural((uint64_t)count));
	if (call->expand && count != 2)
		cli_usage(&call->cli, "--expand: expected IMAGE and EXPANDED, found %d operand%s", count, plural((uint64_t)count));
	if (!call->info && !call->expand && count != 3)
		cli_usage(&call->cli, "expected OLD, NEW and DELTA, found %d operand%s", count, plural((uint64_t)count));
	call->delta_path = call->file = output_name(operands[count - 1]);
	if (call->info)
		return;
	call->old_path = operands[0]; /* with --expand it is both */
	call->new_path = operands[count - 2];
	check_paths(call);
	if (is_stream(call->delta_path))
		call->cli.json_out = stderr;
}

/* ---- The delta */

static enum blockz_status open_image(struct call *call, struct input *input, const char *path)
{
	call->file = path;
	enum blockz_status status = input_open_image(input, path, false, &call->fault);
	if (status != BLOCKZ_OK)
		return status;
	cli_note(&call->cli, path, &input->file.store);
	input_add_to(input, &call->audience);
	return BLOCKZ_OK;
}

static enum blockz_status open_images(struct call *call)
{
	enum blockz_status status = call->expand ? BLOCKZ_OK : open_image(call, &call->old, call->old_path);
	return status == BLOCKZ_OK ? open_image(call, &call->new, call->new_path) : status;
}

/* What was to be written is to blame, but where a failure says otherwise. */
static enum blockz_status blame(struct call *call, enum blockz_status status)
{
	const enum blockz_subject subject = call->fault.subject;
	if (status != BLOCKZ_OK && subject == BLOCKZ_ABOUT_OLD)
		call->file = call->old_path;
	else if (status != BLOCKZ_OK && subject == BLOCKZ_ABOUT_NEW)
		call->file = call->new_path;
	else if (status == BLOCKZ_LIMIT && subject == BLOCKZ_ABOUT_MEMORY)
		call->file = "--memory";
	return status;
}

/* What is wanted, complete and proved. */
static enum blockz_status make(struct call *call, const struct delta_env *env)
{
	const struct blockz_source *old = &call->old.source, *new = &call->new.source;
	int out = call->delta.fd;
	enum blockz_status status;
	if (call->expand)
		status = squashdelta_expand(env, new, out, &call->squashdelta, &call->fault);
	else if (call->is_squashdelta)
		status = squashdelta_make(env, old, new, out, &call->squashdelta, &call->fault);
	else
		status = delta_create(&call->creation, env, old, new, out, &call->fault);
	return blame(call, status);
}

static enum blockz_status report(struct call *call, const struct delta_env *env)
{
	if (call->is_squashdelta || call->expand)
		return squashdelta_report(env, call->delta_path, call->delta.fd, &call->squashdelta, &call->fault);
	return delta_create_report(&call->creation, env, call->delta_path, call->delta.fd, &call->fault);
}

static enum blockz_status create(struct call *call, const struct blockz_lzo *lzo)
{
	enum blockz_status status = open_images(call);
	if (status != BLOCKZ_OK)
		return status;
	call->file = call->delta_path;
	status = output_open_whole(&call->delta, call->delta_path, call->force, &call->audience, &call->fault);
	if (status != BLOCKZ_OK)
		return status;
	const struct delta_env env = { &call->cli, lzo, call->delta.file.dirfd };
	status = make(call, &env);
	if (status != BLOCKZ_OK)
		return status;
	status = output_commit(&call->delta, &call->fault);
	if (status != BLOCKZ_OK)
		return status;
	call->cli.state = BLOCKZ_IMAGE_UPDATED;
	status = report(call, &env);
	if (status != BLOCKZ_OK)
		call->fault.state = call->cli.state;
	return status;
}

static enum blockz_status create_with_helpers(struct call *call)
{
	struct lzo_helpers *helpers = lzo_helpers_new(NULL);
	enum blockz_status status = create(call, lzo_helpers_ops(helpers));
	lzo_helpers_free(helpers);
	return status;
}

int main(int argc, char **argv)
{
	struct call call = { .delta = OUTPUT_INIT };
	malloc_tuning_apply();
	read_options(&call, argc, argv);
	enum blockz_status status = call.info ? delta_report_print(&call.cli, call.delta_path, &call.fault)
					      : create_with_helpers(&call);
	if (status != BLOCKZ_OK)
		cli_fail(&call.cli, call.file, &call.fault);
	output_close(&call.delta);
	input_close(&call.old);
	input_close(&call.new);
	json_decref(call.creation.shared);
	return cli_finish(&call.cli, status);
}
