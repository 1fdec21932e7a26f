/* SPDX-License-Identifier: BSD-3-Clause */
/* blockz-merge: make an image of an older one and a delta by blockz-delta. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blockz_delta.h"
#include "cli/cli.h"
#include "cli/fault.h"
#include "cli/json.h"
#include "cli/malloc_tuning.h"
#include "cli/size.h"
#include "deltas/encoders.h"
#include "deltas/lzo.h"
#include "deltas/squashdelta.h"
#include "files/digest.h"
#include "files/input.h"
#include "files/output.h"
#include "files/scratch.h"

enum { KEY_CHECK = CLI_FIRST_KEY, KEY_CAPABILITIES, KEY_SQUASH, KEY_MAX_SIZE };

static const struct cli_option option_rows[] = {
	{ "check", KEY_CHECK, NULL, "only find out whether DELTA can be applied to OLD here;\nreads the first 4 KiB of DELTA" },
	{ "capabilities", KEY_CAPABILITIES, NULL, "print the encoders there are here as JSON, for blockz-delta --client" },
	{ "squash", KEY_SQUASH, NULL, "make the image of its expanded file, by blockz-delta --expand or SquashDelta" },
	{ "max-size", KEY_MAX_SIZE, "N", "refuse to make an image of more than N bytes" },
	{ "force", 'f', NULL, "replace NEW if it exists" },
	{ "threads", 'T', "N", "threads (default: all)" },
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

struct job {
	struct cli cli;
	bool check, capabilities, squash, force;
	unsigned threads;
	uint64_t max_size; /* BLOCKZ_UNKNOWN: no limit */
	const char *file; /* that the fault speaks of */
	const char *old_path, *new_path;
	char **delta_paths;
	size_t delta_count;
	struct lzo_helpers *helpers;
	const struct blockz_lzo *lzo; /* theirs; NULL: there are none */
	struct input old;
	struct input *deltas;
	struct squashdelta_delta *heads; /* of each */
	struct audience audience; /* of OLD and the deltas */
	struct output output;
	uint64_t new_size;
	struct blockz_fault fault;
};

static bool is_stream(const char *path)
{
	return strcmp(path, "-") == 0;
}

/* ---- Options */

static void check_paths(const struct job *job)
{
	const struct cli *cli = &job->cli;
	size_t streams = 0;
	if (is_stream(job->old_path))
		cli_usage(cli, "%s is read at many offsets, and cannot be standard input", job->squash ? "EXPANDED" : "OLD");
	for (size_t i = 0; i < job->delta_count; i++) {
		streams += is_stream(job->delta_paths[i]);
		if (!job->check && input_is_same(job->delta_paths[i], job->new_path))
			cli_usage(cli, "NEW is a DELTA");
	}
	if (streams > 1)
		cli_usage(cli, "one DELTA can be standard input, not %zu", streams);
	if (!job->check && is_stream(job->new_path) && isatty(STDOUT_FILENO))
		cli_usage(cli, "an image is not written to a terminal");
}

static void take_operands(struct job *job)
{
	int count = job->cli.operand_count;
	char **operands = job->cli.operands;
	if (job->check + job->capabilities + job->squash > 1)
		cli_usage(&job->cli, "--check, --capabilities and --squash exclude each other");
	if (job->capabilities && count != 0)
		cli_usage(&job->cli, "--capabilities: expected no operands, found %d", count);
	if (job->check && count != 2)
		cli_usage(&job->cli, "--check: expected DELTA and OLD, found %d operand%s", count, plural((uint64_t)count));
	if (job->squash && count != 2)
		cli_usage(&job->cli, "--squash: expected EXPANDED and IMAGE, found %d operand%s", count, plural((uint64_t)count));
	if (!job->capabilities && !job->check && !job->squash && count < 3)
		cli_usage(&job->cli, "expected OLD, DELTA and NEW, found %d operand%s", count, plural((uint64_t)count));
	if (job->capabilities)
		return;
	job->old_path = operands[job->check ? 1 : 0];
	job->delta_paths = operands + (job->check ? 0 : 1);
	job->delta_count = job->check ? 1 : (size_t)count - 2;
	job->new_path = output_name(operands[count - 1]);
	check_paths(job);
	if (!job->check && is_stream(job->new_path))
		job->cli.json_out = stderr;
}

static void read_options(struct job *job, int argc, char **argv)
{
	int key;
	cli_start(&job->cli, &tool, argc, argv);
	while ((key = cli_next(&job->cli)) != CLI_END) {
		switch (key) {
		case KEY_CHECK:
			job->check = true;
			break;
		case KEY_CAPABILITIES:
			job->capabilities = true;
			break;
		case KEY_SQUASH:
			job->squash = true;
			break;
		case KEY_MAX_SIZE:
			job->max_size = cli_size(&job->cli, "--max-size", job->cli.argument);
			break;
		case 'f':
			job->force = true;
			break;
		case 'T':
			job->threads = cli_threads(&job->cli, job->cli.argument);
			break;
		}
	}
	take_operands(job);
}

/* What lies between deltas has no name. */
static enum blockz_status blame(struct job *job, enum blockz_status status, size_t index)
{
	if (status != BLOCKZ_OK && index == 0 && job->fault.subject == BLOCKZ_ABOUT_OLD)
		job->file = job->old_path;
	return status;
}

/* ---- --capabilities */

struct collected {
	json_t *encoders;
	bool failed;
};

static bool collect(void *ctx, const struct blockz_encoder *encoder)
{
	struct collected *collected = ctx;
	collected->failed = !encoders_add(collected->encoders, encoder);
	return !collected->failed;
}

static enum blockz_status print_capabilities(struct job *job)
{
	struct collected collected = { .encoders = json_object() };
	const struct blockz_work work = { .threads = job->threads };
	job->file = NULL;
	enum blockz_status status = blockz_encoders(job->lzo, collect, &collected, &work, &job->fault);
	if (status == BLOCKZ_OK && collected.failed)
		status = tool_fault_errno(&job->fault, ENOMEM, "encoders");
	if (status == BLOCKZ_OK)
		status = cli_print_json(&job->cli, json_pack("{s:s,s:O}", "version", BLOCKZ_VERSION, "encoders",
							     collected.encoders), &job->fault);
	json_decref(collected.encoders);
	return status;
}

/* ---- --max-size */

static enum blockz_status check_size(struct job *job, uint64_t new_size)
{
	if (job->max_size == BLOCKZ_UNKNOWN || new_size <= job->max_size)
		return BLOCKZ_OK;
	return tool_fault(&job->fault, BLOCKZ_LIMIT, "makes an image of %" PRIu64 " bytes, more than --max-size %" PRIu64,
			  new_size, job->max_size);
}

/* What deltas say that they make, those that are streams too.  SquashDelta's do not say it. */
static enum blockz_status check_sizes(struct job *job)
{
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < job->delta_count && job->max_size != BLOCKZ_UNKNOWN && status == BLOCKZ_OK; i++) {
		struct blockz_memory memory = { job->heads[i].head, job->heads[i].head_len };
		const struct blockz_source head = blockz_source_memory(&memory);
		struct blockz_delta_info info;
		job->file = job->delta_paths[i];
		if (job->heads[i].yes)
			continue;
		status = blockz_delta_info(&head, &info, &job->fault);
		if (status == BLOCKZ_OK)
			status = check_size(job, info.new_size);
	}
	return status;
}

/* ---- --check */

/* As much of a delta as tells whether it can be applied: of a stream no more needs to come. */
static enum blockz_status read_head(struct job *job, uint8_t head[DELTA_HEAD_LEN], size_t *len_ret)
{
	struct input delta;
	enum blockz_status status = input_open(&delta, job->file, &job->fault);
	if (status != BLOCKZ_OK)
		return status;
	int error = delta.source.ops->read(delta.source.ctx, head, DELTA_HEAD_LEN, 0, len_ret);
	input_close(&delta);
	return error == 0 ? BLOCKZ_OK : tool_fault_errno(&job->fault, error, "read");
}

static enum blockz_status say_applicable(const struct job *job, uint64_t new_size, struct blockz_fault *fault)
{
	char size[32];
	const char *delta = job->delta_paths[0];
	if (job->cli.json)
		return cli_print_json(&job->cli, json_pack("{s:o,s:o,s:o}", "path",
							   is_stream(delta) ? json_null() : json_name(delta), "old",
							   json_name(job->old_path), "new_size", json_bytes(new_size)),
				      fault);
	size_human(size, sizeof(size), new_size);
	cli_say(&job->cli, stdout, delta, "can be applied to %s here, and makes an image of %s", job->old_path, size);
	return BLOCKZ_OK;
}

static enum blockz_status check_delta(struct job *job)
{
	uint8_t head[DELTA_HEAD_LEN];
	struct blockz_memory memory = { .bytes = head };
	struct blockz_delta_info info;
	job->file = job->delta_paths[0];
	enum blockz_status status = read_head(job, head, &memory.len);
	struct blockz_source delta = blockz_source_memory(&memory);
	struct squashdelta_delta theirs = { 0 };
	if (status == BLOCKZ_OK)
		status = squashdelta_recognise(&theirs, &delta, &job->fault);
	if (theirs.yes)
		return tool_fault(&job->fault, BLOCKZ_UNSUPPORTED,
				  "a delta of SquashDelta does not say what it is for: only applying it shows");
	if (status == BLOCKZ_OK)
		status = blockz_delta_info(&delta, &info, &job->fault);
	if (status == BLOCKZ_OK)
		status = check_size(job, info.new_size);
	if (status != BLOCKZ_OK)
		return status;
	job->file = job->old_path;
	status = input_open_image(&job->old, job->old_path, false, &job->fault);
	if (status != BLOCKZ_OK)
		return status;
	cli_note(&job->cli, job->old_path, &job->old.file.store);
	struct blockz_merge_options options = {
		.lzo = job->lzo, .work = cli_work(&job->cli, "check", info.old_size, job->threads),
	};
	job->file = job->delta_paths[0];
	status = blockz_merge_check(&job->old.source, &delta, &options, &job->fault);
	cli_work_end(&job->cli);
	return status == BLOCKZ_OK ? say_applicable(job, info.new_size, &job->fault) : blame(job, status, 0);
}

/* ---- Deltas in a row */

/*
 * What before makes cannot be what this is for.  It may be longer than that, as of OLD only what its container says counts;
 * then its digest tells nothing.
 */
static bool is_for_another(const struct blockz_delta_info *this, const struct blockz_delta_info *before)
{
	return before->new_size < this->old_size ||
	       (before->new_size == this->old_size &&
		memcmp(before->new_sha256, this->old_sha256, sizeof(this->old_sha256)) != 0);
}

/* Each has to be for what the one before it makes.  Of streams that shows in their turn, of SquashDelta never. */
static enum blockz_status check_chain(struct job *job)
{
	struct blockz_delta_info info[2];
	bool known = false;
	for (size_t i = 0; i < job->delta_count; i++) {
		const struct blockz_source *delta = &job->deltas[i].source;
		struct blockz_delta_info *this = &info[i % 2], *before = &info[(i + 1) % 2];
		if (delta->size == BLOCKZ_UNKNOWN || job->heads[i].yes) {
			known = false;
			continue;
		}
		job->file = job->delta_paths[i];
		enum blockz_status status = blockz_delta_info(delta, this, &job->fault);
		if (status != BLOCKZ_OK)
			return status;
		if (known && is_for_another(this, before))
			return tool_fault(&job->fault, BLOCKZ_DAMAGED, "is not for the image that %s makes",
					  job->delta_paths[i - 1]);
		known = true;
	}
	return BLOCKZ_OK;
}

static enum blockz_status open_inputs(struct job *job)
{
	job->file = job->old_path;
	enum blockz_status status = input_open_image(&job->old, job->old_path, input_is_same(job->old_path, job->new_path),
						     &job->fault);
	if (status == BLOCKZ_OK) {
		cli_note(&job->cli, job->old_path, &job->old.file.store);
		input_add_to(&job->old, &job->audience);
	}
	job->deltas = calloc(job->delta_count + 1, sizeof(*job->deltas));
	job->heads = calloc(job->delta_count + 1, sizeof(*job->heads));
	if (status == BLOCKZ_OK && (job->deltas == NULL || job->heads == NULL))
		return tool_fault_errno(&job->fault, ENOMEM, "deltas");
	for (size_t i = 0; i < job->delta_count && status == BLOCKZ_OK; i++) {
		job->file = job->delta_paths[i];
		status = input_open(&job->deltas[i], job->file, &job->fault);
		if (status == BLOCKZ_OK)
			input_add_to(&job->deltas[i], &job->audience);
		if (status == BLOCKZ_OK)
			status = squashdelta_recognise(&job->heads[i], &job->deltas[i].source, &job->fault);
	}
	if (status == BLOCKZ_OK)
		status = check_chain(job);
	return status == BLOCKZ_OK ? check_sizes(job) : status;
}

/* ---- A sink that makes holes of zeros, and knows whether it was what failed */

struct holes {
	const struct blockz_sink *inner;
	uint64_t len; /* appended so far, */
	uint64_t max; /* and at most */
	bool is_full; /* the error is that there would be more */
	int error;
};

static bool has_room(struct holes *self, uint64_t len)
{
	self->is_full = len > self->max - self->len;
	if (self->is_full)
		self->error = EFBIG;
	return !self->is_full;
}

/* The length of the run at the start of buf that is all zeros, or has none, counted in pages of the output. */
static size_t run_of(const uint8_t *buf, size_t len, uint64_t off, bool *zeros_ret)
{
	enum { PAGE = 4096 };
	size_t done = 0;
	while (done < len) {
		size_t page = PAGE - (size_t)((off + done) % PAGE);
		page = page < len - done ? page : len - done;
		bool zeros = page == PAGE && buf[done] == 0 && memcmp(buf + done, buf + done + 1, PAGE - 1) == 0;
		if (done > 0 && zeros != *zeros_ret)
			break;
		*zeros_ret = zeros;
		done += page;
	}
	return done;
}

static int append(void *ctx, const void *buf, size_t len)
{
	struct holes *self = ctx;
	const struct blockz_sink *inner = self->inner;
	const uint8_t *bytes = buf;
	while (len > 0 && self->error == 0 && has_room(self, len)) {
		bool zeros = false;
		size_t run = run_of(bytes, len, self->len, &zeros);
		self->error = zeros ? inner->ops->zeros(inner->ctx, run) : inner->ops->write(inner->ctx, bytes, run);
		self->len += run;
		bytes += run;
		len -= run;
	}
	return self->error;
}

static int append_zeros(void *ctx, uint64_t len)
{
	struct holes *self = ctx;
	if (has_room(self, len))
		self->error = self->inner->ops->zeros(self->inner->ctx, len);
	self->len += len;
	return self->error;
}

/* ---- The work */

static enum blockz_status apply_native(struct job *job, const struct blockz_source *old,
				       const struct blockz_source *delta, const struct blockz_sink *sink)
{
	struct blockz_delta_info info = { .new_size = BLOCKZ_UNKNOWN };
	enum blockz_status status = BLOCKZ_OK;
	if (delta->size != BLOCKZ_UNKNOWN)
		status = blockz_delta_info(delta, &info, &job->fault);
	if (status != BLOCKZ_OK)
		return status;
	struct blockz_merge_options options = {
		.lzo = job->lzo, .work = cli_work(&job->cli, "merge", info.new_size, job->threads),
	};
	status = blockz_merge(old, delta, sink, &options, &job->fault);
	cli_work_end(&job->cli);
	return status;
}

/* Makes an image of old by the index-th delta, or by --squash. */
static enum blockz_status make(struct job *job, const struct blockz_source *old, size_t index,
			       const struct blockz_sink *sink)
{
	const struct squashdelta squashdelta = { &job->cli, job->threads, job->lzo, job->output.file.dirfd };
	job->file = job->squash ? job->old_path : job->delta_paths[index];
	if (job->squash)
		return squashdelta_squash(&squashdelta, old, sink, &job->fault);
	const struct blockz_source *delta = &job->deltas[index].source;
	if (job->heads[index].yes)
		return squashdelta_apply(&squashdelta, old, delta, sink, &job->fault);
	return apply_native(job, old, delta, sink);
}

/* The same, to fd, a regular file. */
static enum blockz_status apply(struct job *job, const struct blockz_source *old, size_t index, int fd)
{
	static const struct blockz_sink_ops ops = { .write = append, .zeros = append_zeros };
	struct blockz_fd_sink memory;
	struct blockz_sink inner = blockz_sink_fd(&memory, fd);
	struct holes holes = { .inner = &inner, .max = job->max_size };
	const struct blockz_sink sink = { &ops, &holes };
	enum blockz_status status = make(job, old, index, &sink);
	job->new_size = holes.len;
	if (status == BLOCKZ_FAILED && holes.is_full)
		return tool_fault(&job->fault, BLOCKZ_LIMIT, "makes an image of more than --max-size %" PRIu64 " bytes",
				  job->max_size);
	if (status == BLOCKZ_FAILED && holes.error != 0) {
		job->file = job->new_path;
		return tool_fault_errno(&job->fault, holes.error, "write");
	}
	return blame(job, status, index);
}

/* All but the last delta make images that nobody sees, at most two at a time. */
static enum blockz_status apply_all(struct job *job)
{
	struct blockz_source old = job->old.source;
	int held = -1;
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i + 1 < job->delta_count && status == BLOCKZ_OK; i++) {
		int fd = -1;
		job->file = job->new_path;
		status = scratch_open(job->output.file.dirfd, &fd, &job->fault);
		if (status == BLOCKZ_OK)
			status = apply(job, &old, i, fd);
		if (status == BLOCKZ_OK)
			status = blockz_source_fd(fd, &old, &job->fault);
		if (held >= 0)
			close(held);
		held = fd;
	}
	if (status == BLOCKZ_OK)
		status = apply(job, &old, job->squash ? 0 : job->delta_count - 1, job->output.fd);
	if (held >= 0)
		close(held);
	return status;
}

static enum blockz_status print_report(struct job *job)
{
	char sha256[DIGEST_HEX];
	struct blockz_source new;
	struct blockz_work work = cli_work(&job->cli, "digest", job->new_size, job->threads);
	enum blockz_status status = blockz_source_fd(job->output.fd, &new, &job->fault);
	if (status == BLOCKZ_OK)
		status = digest_source(&new, &work, sha256, &job->fault);
	cli_work_end(&job->cli);
	if (status == BLOCKZ_OK)
		status = cli_print_json(&job->cli, json_pack("{s:o,s:o,s:s,s:o}", "path",
							     is_stream(job->new_path) ? json_null() : json_name(job->new_path),
							     "size", json_bytes(job->new_size), "sha256", sha256,
							     "patches", json_bytes(job->delta_count)), &job->fault);
	if (status != BLOCKZ_OK)
		job->fault.state = BLOCKZ_IMAGE_UPDATED;
	return status;
}

static void say_done(const struct job *job)
{
	char size[32];
	FILE *out = is_stream(job->new_path) ? stderr : stdout;
	size_human(size, sizeof(size), job->new_size);
	if (job->squash)
		cli_say(&job->cli, out, job->new_path, "image of %s", size);
	else
		cli_say(&job->cli, out, job->new_path, "image of %s by %zu delta%s, %s", size, job->delta_count,
			job->delta_count == 1 ? "" : "s", job->heads[job->delta_count - 1].yes
								   ? "SquashDelta's, which has no digest to compare it with"
								   : "its SHA-256 agrees");
}

static enum blockz_status merge(struct job *job)
{
	enum blockz_status status = open_inputs(job);
	if (status != BLOCKZ_OK)
		return status;
	job->file = job->new_path;
	status = output_open_whole(&job->output, job->new_path, job->force, &job->audience, &job->fault);
	if (status == BLOCKZ_OK)
		status = apply_all(job);
	if (status != BLOCKZ_OK)
		return status;
	job->file = job->new_path;
	status = output_commit(&job->output, &job->fault);
	if (status != BLOCKZ_OK)
		return status;
	job->cli.state = BLOCKZ_IMAGE_UPDATED;
	if (job->cli.json)
		return print_report(job);
	say_done(job);
	return BLOCKZ_OK;
}

int main(int argc, char **argv)
{
	struct job job = { .output = OUTPUT_INIT, .max_size = BLOCKZ_UNKNOWN };
	malloc_tuning_apply();
	read_options(&job, argc, argv);
	job.helpers = lzo_helpers_new(NULL);
	job.lzo = lzo_helpers_ops(job.helpers);
	enum blockz_status status = job.capabilities ? print_capabilities(&job) : job.check ? check_delta(&job) : merge(&job);
	if (status != BLOCKZ_OK)
		cli_fail(&job.cli, job.file, &job.fault);
	output_close(&job.output);
	for (size_t i = 0; job.deltas != NULL && i < job.delta_count; i++)
		input_close(&job.deltas[i]);
	lzo_helpers_free(job.helpers);
	free(job.deltas);
	free(job.heads);
	input_close(&job.old);
	return cli_finish(&job.cli, status);
}
