/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts ascend in the base, so that one pass copies what is wanted of it and hashes all of it; and likewise in the side file. */
#include "patch/compose.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fault.h"
#include "cli/json.h"
#include "cli/size.h"
#include "cli/stream.h"
#include "files/input.h"
#include "files/output.h"
#include "patch/base_pass.h"
#include "patch/composition.h"

struct run {
	struct compose *compose;
	struct composition composition;
	struct input side;
	struct audience audience;
	struct output output;
	struct base_pass base;
	struct blockz_fd_sink memory;
	struct blockz_sink inner, sink; /* the output; the same, hashed on the way */
	struct digest_sink result;
	struct blockz_fault *fault;
};

static enum blockz_status blame(struct run *run, enum blockz_status status, const char *culprit)
{
	if (status != BLOCKZ_OK)
		run->compose->culprit = culprit;
	return status;
}

/* ---- What can be refused before the first byte is written */

static enum blockz_status read_composition(struct run *run)
{
	struct input input;
	enum blockz_status status = input_open(&input, run->compose->path, run->fault);
	if (status != BLOCKZ_OK)
		return status;
	input_add_to(&input, &run->audience);
	status = composition_read(&run->composition, &input.source, run->fault);
	input_close(&input);
	return status;
}

static enum blockz_status check_base(struct run *run)
{
	uint64_t found = run->compose->base->source.size, wanted = run->composition.base.size;
	if (found == wanted)
		return BLOCKZ_OK;
	return tool_fault(run->fault, BLOCKZ_DAMAGED, "is not the base: it has %" PRIu64 " bytes, expected %" PRIu64, found, wanted);
}

static enum blockz_status check_side(struct run *run)
{
	uint64_t size = run->side.source.size;
	if (size == BLOCKZ_UNKNOWN)
		return tool_fault(run->fault, BLOCKZ_UNSUPPORTED, "is a stream; a side file is read at many offsets");
	for (size_t i = 0; i < run->composition.count; i++) {
		const struct composition_part *part = &run->composition.parts[i];
		if (part->from == COMPOSITION_SIDE && (part->off > size || part->len > size - part->off))
			return tool_fault(run->fault, BLOCKZ_DAMAGED, "has %" PRIu64 " bytes, and parts[%zu] ends at %" PRIu64, size, i,
					  part->off + part->len);
	}
	return BLOCKZ_OK;
}

static enum blockz_status open_side(struct run *run)
{
	const char *path = run->compose->side;
	if (run->composition.has_side != (path != NULL))
		return blame(run, tool_fault(run->fault, BLOCKZ_USAGE, run->composition.has_side ?
					     "has a side file, which --side has to name" : "has no side file: --side names one"),
			     run->compose->path);
	if (path == NULL)
		return BLOCKZ_OK;
	enum blockz_status status = input_open(&run->side, path, run->fault);
	if (status == BLOCKZ_OK) {
		input_add_to(&run->side, &run->audience);
		status = check_side(run);
	}
	return blame(run, status, path);
}

static enum blockz_status prepare(struct run *run)
{
	const struct compose *compose = run->compose;
	enum blockz_status status = blame(run, read_composition(run), compose->path);
	if (status == BLOCKZ_OK)
		status = check_base(run);
	if (status == BLOCKZ_OK)
		status = open_side(run);
	audience_add_compressed(&run->audience, compose->base);
	return status;
}

/* ---- Parts */

static enum blockz_status write_out(struct run *run, const struct blockz_sink *sink, const void *bytes, size_t len)
{
	int error = sink->ops->write(sink->ctx, bytes, len);
	return error == 0 ? BLOCKZ_OK : blame(run, tool_fault_errno(run->fault, error, "write"), run->compose->output);
}

static enum blockz_status copy_base(struct run *run, const struct composition_part *part)
{
	enum blockz_status status = base_pass_to(&run->base, part->off, NULL, run->fault);
	if (status == BLOCKZ_OK)
		status = base_pass_to(&run->base, part->off + part->len, &run->sink, run->fault);
	return status != BLOCKZ_OK && run->fault->subject == BLOCKZ_ABOUT_OUTPUT ? blame(run, status, run->compose->output) : status;
}

static enum blockz_status read_side(struct run *run, void *buf, size_t len, uint64_t off)
{
	const struct blockz_source *source = &run->side.source;
	size_t got = 0;
	int error = source->ops->read(source->ctx, buf, len, off, &got);
	if (error == 0 && got == len)
		return BLOCKZ_OK;
	if (error == 0)
		tool_fault(run->fault, BLOCKZ_FAILED, "it became shorter while it was read");
	else
		tool_fault_errno(run->fault, error, "read");
	return blame(run, BLOCKZ_FAILED, run->compose->side);
}

static enum blockz_status copy_side_bytes(struct run *run, const struct composition_part *part, struct digest *digest)
{
	enum { CHUNK = 64 << 10 };
	char buf[CHUNK];
	enum blockz_status status = BLOCKZ_OK;
	uint64_t done = 0;
	for (size_t len; done < part->len && status == BLOCKZ_OK; done += len) {
		len = part->len - done < CHUNK ? (size_t)(part->len - done) : CHUNK;
		status = read_side(run, buf, len, part->off + done);
		if (status == BLOCKZ_OK) {
			digest_update(digest, buf, len);
			status = write_out(run, &run->sink, buf, len);
		}
	}
	return status;
}

static enum blockz_status copy_side(struct run *run, const struct composition_part *part)
{
	char sha256[DIGEST_HEX];
	struct digest digest;
	enum blockz_status status = digest_start(&digest, run->fault);
	if (status == BLOCKZ_OK)
		status = copy_side_bytes(run, part, &digest);
	if (status == BLOCKZ_OK)
		status = digest_finish(&digest, sha256, run->fault);
	digest_free(&digest);
	if (status != BLOCKZ_OK || strcmp(sha256, part->sha256) == 0)
		return status;
	return blame(run, tool_fault(run->fault, BLOCKZ_DAMAGED, "the bytes of parts[%zu] do not match: expected SHA-256 %s, found %s",
				     (size_t)(part - run->composition.parts), part->sha256, sha256), run->compose->side);
}

static enum blockz_status copy_part(struct run *run, const struct composition_part *part)
{
	if (part->from == COMPOSITION_SIDE)
		return copy_side(run, part);
	if (part->from == COMPOSITION_VERBATIM)
		return copy_base(run, part);
	return write_out(run, &run->sink, run->composition.literals + part->off, (size_t)part->len);
}

static enum blockz_status check_digests(struct run *run)
{
	char base[DIGEST_HEX], result[DIGEST_HEX];
	const struct composition *composition = &run->composition;
	enum blockz_status status = base_pass_finish(&run->base, base, run->fault);
	if (status == BLOCKZ_OK)
		status = digest_finish(&run->result.digest, result, run->fault);
	if (status != BLOCKZ_OK)
		return status;
	if (strcmp(base, composition->base.sha256) != 0)
		return tool_fault(run->fault, BLOCKZ_DAMAGED, "is not the base: expected SHA-256 %s, found %s", composition->base.sha256,
				  base);
	if (strcmp(result, composition->result.sha256) != 0)
		return blame(run, tool_fault(run->fault, BLOCKZ_DAMAGED, "does not make its result: expected SHA-256 %s, found %s",
					     composition->result.sha256, result), run->compose->path);
	return BLOCKZ_OK;
}

static enum blockz_status copy_all(struct run *run, const struct blockz_work *work)
{
	run->inner = blockz_sink_fd(&run->memory, run->output.fd);
	enum blockz_status status = digest_sink_start(&run->result, &run->inner, &run->sink, run->fault);
	if (status == BLOCKZ_OK)
		status = base_pass_start(&run->base, &run->compose->base->source, work, run->fault);
	for (size_t i = 0; i < run->composition.count && status == BLOCKZ_OK; i++)
		status = copy_part(run, &run->composition.parts[i]);
	if (status == BLOCKZ_OK)
		status = check_digests(run);
	digest_free(&run->result.digest);
	base_pass_free(&run->base);
	return status;
}

/* ---- The output */

static enum blockz_status copy_to_output(struct run *run)
{
	struct compose *compose = run->compose;
	enum blockz_status status = blame(run, output_open(&run->output, compose->output, compose->force, &run->audience, run->fault),
					  compose->output);
	if (status != BLOCKZ_OK)
		return status;
	const struct blockz_work work = cli_work_on_file(compose->cli, "compose", compose->base->source.size);
	status = copy_all(run, &work);
	cli_work_end(compose->cli);
	if (status != BLOCKZ_OK)
		return status;
	status = blame(run, output_commit(&run->output, run->fault), compose->output);
	if (status == BLOCKZ_OK && !run->output.is_stream)
		compose->cli->state = BLOCKZ_IMAGE_UPDATED;
	return status;
}

static json_t *report(const struct run *run)
{
	const struct composition *composition = &run->composition;
	return json_pack("{s:o, s:o, s:s, s:o, s:o}", "path", json_path(run->compose->output), "size",
			 json_bytes(composition->result.size), "sha256", composition->result.sha256, "parts",
			 json_bytes(composition->count), "new_bytes", json_bytes(composition->new_bytes));
}

static enum blockz_status say_composed(struct run *run)
{
	const struct compose *compose = run->compose;
	const struct composition *composition = &run->composition;
	bool to_stdout = is_stream(compose->output);
	cli_say(compose->cli, to_stdout ? stderr : stdout, to_stdout ? compose->base_path : compose->output,
		"composed: %zu part%s, %" PRIu64 " of %" PRIu64 " byte%s new", composition->count, plural(composition->count),
		composition->new_bytes, composition->result.size, plural(composition->result.size));
	enum blockz_status status = compose->cli->json ? cli_print_json(compose->cli, report(run), run->fault) : BLOCKZ_OK;
	if (status != BLOCKZ_OK)
		run->fault->state = compose->cli->state;
	return status;
}

enum blockz_status compose_run(struct compose *compose, struct blockz_fault *fault)
{
	struct run run = { .compose = compose, .output = OUTPUT_INIT, .fault = fault };
	enum blockz_status status = prepare(&run);
	if (status == BLOCKZ_OK)
		status = copy_to_output(&run);
	if (status == BLOCKZ_OK)
		status = say_composed(&run);
	output_close(&run.output);
	input_close(&run.side);
	composition_free(&run.composition);
	return status;
}
