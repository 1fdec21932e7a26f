/* SPDX-License-Identifier: BSD-3-Clause */
/* blockz-merge: make an image of an older one and a delta by blockz-delta. */
#include <stdio.h>
#include <unistd.h>

#include "blockz_delta.h"
#include "cli/cli.h"
#include "cli/fault.h"
#include "cli/malloc_tuning.h"
#include "cli/size.h"
#include "cli/stream.h"
#include "deltas/delta_chain.h"
#include "deltas/delta_head.h"
#include "deltas/encoders.h"
#include "deltas/lzo.h"
#include "deltas/merge_report.h"
#include "files/input.h"
#include "files/output.h"

enum { KEY_CHECK = CLI_FIRST_KEY, KEY_CAPABILITIES, KEY_SQUASH, KEY_MAX_SIZE };

static const struct cli_option option_rows[] = {
	{ "check", KEY_CHECK, NULL, "only find out whether DELTA can be applied to OLD here;\nreads the first 4 KiB of DELTA" },
	{ "capabilities", KEY_CAPABILITIES, NULL, "print the encoders there are here as JSON, for blockz-delta --client" },
	{ "squash", KEY_SQUASH, NULL, "make the image of its expanded file, by blockz-delta --expand or SquashDelta" },
	{ "max-size", KEY_MAX_SIZE, "N", "refuse to make an image of more than N bytes" },
	{ "force", 'f', NULL, "replace NEW if it exists" },
	CLI_THREADS,
	CLI_JSON,
	CLI_QUIET,
	CLI_PROGRESS,
	CLI_HELP,
	CLI_VERSION,
	{ 0 },
};

static const struct cli_tool tool = {
	"blockz-merge",
	"[OPTION]... OLD DELTA... NEW\n--check [OPTION]... DELTA OLD\n--capabilities [OPTION]...\n--squash [OPTION]... EXPANDED IMAGE",
	"Make the image NEW of the image OLD, a file or a device, and a DELTA by blockz-delta or SquashDelta, or several,\n"
	"one after the other.  NEW gets its name when its SHA-256 agrees.  A DELTA and NEW may be -.",
	option_rows,
	NULL,
};

/* One call of the program. */
struct call {
	struct cli cli;
	bool check, capabilities, squash, force;
	uint64_t max_size; /* BLOCKZ_UNKNOWN: no limit */
	const char *file; /* that the fault speaks of; NULL: none */
	const char *old_path, *new_path;
	char **delta_paths;
	size_t delta_count;
	struct input old;
	struct delta_chain chain;
	struct audience audience; /* of OLD and the deltas */
	struct output output;
	struct blockz_fault fault;
};

/* ---- Options */

static void check_paths(const struct call *call)
{
	const struct cli *cli = &call->cli;
	size_t streams = 0;
	if (is_stream(call->old_path))
		cli_usage(cli, "%s is read at many offsets, and cannot be standard input", call->squash ? "EXPANDED" : "OLD");
	for (size_t i = 0; i < call->delta_count; i++) {
		streams += is_stream(call->delta_paths[i]);
		if (!call->check && input_is_same(call->delta_paths[i], call->new_path))
			cli_usage(cli, "NEW is a DELTA");
	}
	if (streams > 1)
		cli_usage(cli, "one DELTA can be standard input, not %zu", streams);
	if (!call->check && is_stream(call->new_path) && isatty(STDOUT_FILENO))
		cli_usage(cli, "an image is not written to a terminal");
}

static void take_operands(struct call *call)
{
	int count = call->cli.operand_count;
	char **operands = call->cli.operands;
	if (call->check + call->capabilities + call->squash > 1)
		cli_usage(&call->cli, "--check, --capabilities and --squash exclude each other");
	if (call->capabilities && count != 0)
		cli_usage(&call->cli, "--capabilities: expected no operands, found %d", count);
	if (call->check && count != 2)
		cli_usage(&call->cli, "--check: expected DELTA and OLD, found %d operand%s", count, plural((uint64_t)count));
	if (call->squash && count != 2)
		cli_usage(&call->cli, "--squash: expected EXPANDED and IMAGE, found %d operand%s", count, plural((uint64_t)count));
	if (!call->capabilities && !call->check && !call->squash && count < 3)
		cli_usage(&call->cli, "expected OLD, DELTA and NEW, found %d operand%s", count, plural((uint64_t)count));
	if (call->capabilities)
		return;
	call->old_path = operands[call->check ? 1 : 0];
	call->delta_paths = operands + (call->check ? 0 : 1);
	call->delta_count = call->check ? 1 : (size_t)count - 2;
	call->new_path = output_name(operands[count - 1]);
	check_paths(call);
	if (!call->check && is_stream(call->new_path))
		call->cli.json_out = stderr;
}

static void read_options(struct call *call, int argc, char **argv)
{
	int key;
	cli_start(&call->cli, &tool, argc, argv);
	while ((key = cli_next(&call->cli)) != CLI_END) {
		switch (key) {
		case KEY_CHECK:
			call->check = true;
			break;
		case KEY_CAPABILITIES:
			call->capabilities = true;
			break;
		case KEY_SQUASH:
			call->squash = true;
			break;
		case KEY_MAX_SIZE:
			call->max_size = cli_size(&call->cli, "--max-size", call->cli.argument);
			break;
		case 'f':
			call->force = true;
			break;
		}
	}
	take_operands(call);
}

/* ---- --capabilities */

static enum blockz_status print_capabilities(struct call *call, const struct delta_env *env)
{
	json_t *encoders = NULL;
	const struct blockz_work work = { .threads = call->cli.threads };
	enum blockz_status status = encoders_collect(env->lzo, &work, &encoders, &call->fault);
	if (status != BLOCKZ_OK)
		return status;
	return cli_print_json(&call->cli, json_pack("{s:s,s:o}", "version", BLOCKZ_VERSION, "encoders", encoders), &call->fault);
}

/* ---- OLD */

/* Opens OLD, or what stands in its place. */
static enum blockz_status open_old(struct call *call, bool replaced)
{
	call->file = call->old_path;
	enum blockz_status status = input_open_image(&call->old, call->old_path, replaced, &call->fault);
	if (status != BLOCKZ_OK)
		return status;
	cli_note(&call->cli, call->old_path, &call->old.file.store);
	input_add_to(&call->old, &call->audience);
	return BLOCKZ_OK;
}

/* Whom a fault of what came of OLD and deltas is about; by_default: who else it may be. */
static enum blockz_status blame(struct call *call, enum blockz_status status, const char *by_default)
{
	const enum blockz_subject subject = call->fault.subject;
	if (status != BLOCKZ_OK)
		call->file = subject == BLOCKZ_ABOUT_OLD ? call->old_path : subject == BLOCKZ_ABOUT_OUTPUT ? call->new_path : by_default;
	return status;
}

/* ---- --check */

/* As much of a delta as tells whether it can be applied: of a stream no more needs to come. */
static enum blockz_status read_head(struct call *call, struct delta_head *head)
{
	struct input delta;
	call->file = call->delta_paths[0];
	enum blockz_status status = input_open(&delta, call->file, &call->fault);
	if (status != BLOCKZ_OK)
		return status;
	status = delta_head_read(head, &delta.source, &call->fault);
	input_close(&delta);
	if (status == BLOCKZ_OK && head->is_squashdelta)
		return tool_fault(&call->fault, BLOCKZ_UNSUPPORTED,
				  "a delta of SquashDelta does not say what it is for: only applying it shows");
	return status;
}

static enum blockz_status check_delta(struct call *call, const struct delta_env *env)
{
	struct delta_head head;
	struct blockz_delta_info info;
	enum blockz_status status = read_head(call, &head);
	if (status != BLOCKZ_OK)
		return status;
	const struct blockz_memory memory = { head.bytes, head.len };
	const struct blockz_source delta = blockz_source_memory(&memory);
	status = blockz_delta_info(&delta, &info, &call->fault);
	if (status != BLOCKZ_OK)
		return status;
	status = delta_check_size(info.new_size, call->max_size, &call->fault);
	if (status != BLOCKZ_OK)
		return status;
	status = open_old(call, false);
	if (status != BLOCKZ_OK)
		return status;
	const struct blockz_merge_options options = delta_env_start(env, "check", info.old_size);
	status = blockz_merge_check(&call->old.source, &delta, &options, &call->fault);
	cli_work_end(&call->cli);
	if (status != BLOCKZ_OK)
		return blame(call, status, call->delta_paths[0]);
	call->file = call->delta_paths[0];
	return merge_report_applicable(&call->cli, call->delta_paths[0], call->old_path, info.new_size, &call->fault);
}

/* ---- Applying */

static enum blockz_status open_inputs(struct call *call)
{
	enum blockz_status status = open_old(call, input_is_same(call->old_path, call->new_path));
	if (status != BLOCKZ_OK || call->squash)
		return status;
	status = delta_chain_open(&call->chain, call->delta_paths, call->delta_count, &call->audience, &call->fault);
	if (status == BLOCKZ_OK)
		status = delta_chain_check_sizes(&call->chain, call->max_size, &call->fault);
	call->file = call->delta_paths[call->chain.at];
	return status;
}

static enum blockz_status make_image(struct call *call, struct delta_env *env, struct merge_report *report)
{
	const struct blockz_source *old = &call->old.source;
	struct delta_output out = { .fd = call->output.fd, .max = call->max_size };
	enum blockz_status status;
	env->dirfd = call->output.file.dirfd;
	if (call->squash) {
		status = delta_squash(env, old, &out, &call->fault);
		report->size = out.size;
		return blame(call, status, call->old_path);
	}
	status = delta_chain_apply(&call->chain, env, old, &out, &call->fault);
	report->size = out.size;
	report->deltas = call->delta_count;
	report->unproved = delta_chain_is_unproved(&call->chain);
	return blame(call, status, call->delta_paths[call->chain.at]);
}

static enum blockz_status merge(struct call *call, struct delta_env *env)
{
	struct merge_report report = { .path = call->new_path };
	enum blockz_status status = open_inputs(call);
	if (status != BLOCKZ_OK)
		return status;
	call->file = call->new_path;
	status = output_open_whole(&call->output, call->new_path, call->force, &call->audience, &call->fault);
	if (status != BLOCKZ_OK)
		return status;
	status = make_image(call, env, &report);
	if (status != BLOCKZ_OK)
		return status;
	call->file = call->new_path;
	status = output_commit(&call->output, &call->fault);
	if (status != BLOCKZ_OK)
		return status;
	call->cli.state = BLOCKZ_IMAGE_UPDATED;
	report.fd = call->output.fd;
	status = merge_report_print(&report, env, &call->fault);
	if (status != BLOCKZ_OK)
		call->fault.state = call->cli.state;
	return status;
}

int main(int argc, char **argv)
{
	struct call call = { .output = OUTPUT_INIT, .max_size = BLOCKZ_UNKNOWN };
	malloc_tuning_apply();
	read_options(&call, argc, argv);
	struct lzo_helpers *helpers = lzo_helpers_new(NULL);
	struct delta_env env = { &call.cli, lzo_helpers_ops(helpers), -1 };
	enum blockz_status status = call.capabilities ? print_capabilities(&call, &env)
				    : call.check      ? check_delta(&call, &env)
						      : merge(&call, &env);
	if (status != BLOCKZ_OK)
		cli_fail(&call.cli, call.file, &call.fault);
	output_close(&call.output);
	delta_chain_close(&call.chain);
	lzo_helpers_free(helpers);
	input_close(&call.old);
	return cli_finish(&call.cli, status);
}
