/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes that nearly touch are one part.  Where it is too long for a literal, its bytes go to the side file, which gets its name
 * before the composition does.
 */
#include "patch/composition_make.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fault.h"
#include "cli/json.h"
#include "cli/signals.h"
#include "files/output.h"
#include "patch/base_pass.h"

/* Writes of the plan that follow each other closely, with what stands between them. */
struct stretch {
	size_t first, end;           /* of the writes */
	uint64_t file_off, file_end; /* of what they replace */
	uint64_t new_length;
};

struct run {
	struct making *making;
	struct composition *composition;
	struct base_pass base;
	struct digest_sink result; /* of which only the digest is of use */
	struct blockz_sink result_sink;
	struct output side; /* closed as long as no part needs it */
	struct blockz_fd_sink side_memory;
	struct blockz_sink side_sink;
	struct digest side_digest; /* of the part that is being written */
	struct blockz_fault *fault;
};

static enum blockz_status blame(struct run *run, enum blockz_status status, const char *culprit)
{
	if (status != BLOCKZ_OK)
		run->making->culprit = culprit;
	return status;
}

/* ---- New bytes */

/* Fewer bytes of the base between two writes take less room among new bytes than as a part. */
enum { GAP_MIN = 48 };

static bool next_stretch(const struct blockz_plan *plan, size_t first, struct stretch *stretch)
{
	struct blockz_planned_write write;
	if (!blockz_plan_write_at(plan, first, &write))
		return false;
	*stretch = (struct stretch){ .first = first, .end = first, .file_off = write.file_off, .file_end = write.file_off };
	do {
		stretch->new_length += write.file_off - stretch->file_end + write.new_length;
		stretch->file_end = write.file_off + write.length;
		stretch->end++;
	} while (blockz_plan_write_at(plan, stretch->end, &write) && write.file_off - stretch->file_end < GAP_MIN);
	return true;
}

/* Has all bytes of a stretch written to a sink, and the pass over the base come to its end. */
static enum blockz_status copy_stretch(struct run *run, const struct stretch *stretch, const struct blockz_sink *sink)
{
	const struct blockz_plan *plan = run->making->plan;
	struct blockz_planned_write write;
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = stretch->first; i < stretch->end && status == BLOCKZ_OK && blockz_plan_write_at(plan, i, &write); i++) {
		status = base_pass_to(&run->base, write.file_off, sink, run->fault);
		if (status == BLOCKZ_OK)
			status = base_pass_to(&run->base, write.file_off + write.length, NULL, run->fault);
		if (status == BLOCKZ_OK)
			status = blockz_plan_copy_new(plan, i, sink, run->fault);
	}
	return status;
}

static int write_literal(void *ctx, const void *buf, size_t len)
{
	struct run *run = ctx;
	int error = run->result_sink.ops->write(run->result_sink.ctx, buf, len);
	if (error != 0)
		return error;
	return composition_add_literal(run->composition, buf, len, NULL) == BLOCKZ_OK ? 0 : ENOMEM;
}

static enum blockz_status add_literal(struct run *run, const struct stretch *stretch)
{
	static const struct blockz_sink_ops ops = { .write = write_literal };
	const struct blockz_sink sink = { &ops, run };
	const struct composition_part part = {
		.from = COMPOSITION_LITERAL, .off = run->composition->literals_len, .len = stretch->new_length,
	};
	enum blockz_status status = copy_stretch(run, stretch, &sink);
	return status == BLOCKZ_OK ? composition_add(run->composition, &part, run->fault) : status;
}

static enum blockz_status open_side(struct run *run)
{
	const struct making *making = run->making;
	const struct newfile_options options = { .replace = making->replace, .audience = making->audience };
	if (run->composition->has_side)
		return BLOCKZ_OK;
	run->composition->has_side = true;
	enum blockz_status status = output_open_file(&run->side, making->side_path, &options, run->fault);
	run->side_sink = blockz_sink_fd(&run->side_memory, run->side.fd);
	return blame(run, status, making->side_path);
}

static int write_side(void *ctx, const void *buf, size_t len)
{
	struct run *run = ctx;
	int error = run->result_sink.ops->write(run->result_sink.ctx, buf, len);
	digest_update(&run->side_digest, buf, len);
	return error != 0 ? error : run->side_sink.ops->write(run->side_sink.ctx, buf, len);
}

static enum blockz_status write_side_part(struct run *run, const struct stretch *stretch, struct composition_part *part)
{
	static const struct blockz_sink_ops ops = { .write = write_side };
	const struct blockz_sink sink = { &ops, run };
	enum blockz_status status = digest_start(&run->side_digest, run->fault);
	if (status == BLOCKZ_OK)
		status = copy_stretch(run, stretch, &sink);
	if (status != BLOCKZ_OK && run->fault->subject == BLOCKZ_ABOUT_OUTPUT)
		blame(run, status, run->making->side_path);
	if (status == BLOCKZ_OK)
		status = digest_finish(&run->side_digest, part->sha256, run->fault);
	digest_free(&run->side_digest);
	return status;
}

static enum blockz_status add_side(struct run *run, const struct stretch *stretch)
{
	struct composition_part part = { .from = COMPOSITION_SIDE, .off = run->side_memory.len, .len = stretch->new_length };
	enum blockz_status status = open_side(run);
	if (status == BLOCKZ_OK)
		status = write_side_part(run, stretch, &part);
	return status == BLOCKZ_OK ? composition_add(run->composition, &part, run->fault) : status;
}

static enum blockz_status add_new(struct run *run, const struct stretch *stretch)
{
	if (stretch->new_length == 0)
		return base_pass_to(&run->base, stretch->file_end, NULL, run->fault);
	bool is_literal = stretch->new_length <= COMPOSITION_LITERAL_MAX &&
			  run->composition->literals_len + stretch->new_length <= COMPOSITION_LITERALS_MAX;
	return is_literal ? add_literal(run, stretch) : add_side(run, stretch);
}

/* ---- The rest */

static enum blockz_status add_verbatim(struct run *run, uint64_t end)
{
	const struct composition_part part = { .from = COMPOSITION_VERBATIM, .off = run->base.pos, .len = end - run->base.pos };
	if (part.len == 0)
		return BLOCKZ_OK;
	enum blockz_status status = base_pass_to(&run->base, end, &run->result_sink, run->fault);
	return status == BLOCKZ_OK ? composition_add(run->composition, &part, run->fault) : status;
}

static enum blockz_status add_all(struct run *run)
{
	struct stretch stretch = { 0 };
	const struct making *making = run->making;
	while (next_stretch(making->plan, stretch.end, &stretch)) {
		enum blockz_status status = add_verbatim(run, stretch.file_off);
		if (status == BLOCKZ_OK)
			status = add_new(run, &stretch);
		if (status != BLOCKZ_OK)
			return status;
	}
	return add_verbatim(run, making->file->size);
}

static enum blockz_status compose(struct run *run, const struct blockz_work *work)
{
	struct making *making = run->making;
	struct composition *composition = run->composition;
	enum blockz_status status = digest_sink_start(&run->result, NULL, &run->result_sink, run->fault);
	if (status == BLOCKZ_OK)
		status = base_pass_start(&run->base, making->file, work, run->fault);
	if (status == BLOCKZ_OK)
		status = add_all(run);
	if (status == BLOCKZ_OK)
		status = base_pass_finish(&run->base, composition->base.sha256, run->fault);
	if (status == BLOCKZ_OK)
		status = digest_finish(&run->result.digest, composition->result.sha256, run->fault);
	composition->base.size = making->file->size;
	composition->result.size = blockz_plan_info(making->plan).file_size;
	digest_free(&run->result.digest);
	base_pass_free(&run->base);
	return status;
}

static enum blockz_status write_text(struct run *run, int fd)
{
	char *copy = strdup(run->making->side_path);
	if (copy == NULL)
		return tool_fault_errno(run->fault, ENOMEM, "composition");
	enum blockz_status status = composition_write(run->composition, basename(copy), fd, run->fault);
	free(copy);
	return status;
}

/* The side file first: what is named in a composition is there. */
static enum blockz_status commit(struct run *run, struct output *text)
{
	const struct making *making = run->making;
	enum blockz_status status = blame(run, write_text(run, text->fd), making->path);
	if (status == BLOCKZ_OK)
		status = blame(run, output_sync(text, run->fault), making->path);
	if (status == BLOCKZ_OK && run->composition->has_side)
		status = blame(run, output_commit(&run->side, run->fault), making->side_path);
	if (status == BLOCKZ_OK)
		status = blame(run, output_commit(text, run->fault), making->path);
	/* That one of them has its name is not the image's state. */
	if (status != BLOCKZ_OK)
		run->fault->state = making->cli->state;
	return status;
}

enum blockz_status making_run(struct making *self, struct blockz_fault *fault)
{
	struct run run = { .making = self, .composition = &self->composition, .side = OUTPUT_INIT, .fault = fault };
	struct output text = OUTPUT_INIT;
	const struct newfile_options options = { .replace = self->replace, .audience = self->audience };
	enum blockz_status status = blame(&run, output_open_file(&text, self->path, &options, fault), self->path);
	if (status == BLOCKZ_OK) {
		const struct blockz_work work = cli_work_on_file(self->cli, "composition", self->file->size);
		status = compose(&run, &work);
		cli_work_end(self->cli);
	}
	if (status == BLOCKZ_OK)
		status = commit(&run, &text);
	output_close(&run.side);
	output_close(&text);
	if (status == BLOCKZ_OK)
		signals_release(); /* the edit is still to come */
	return status;
}

json_t *making_json(const struct making *self)
{
	const struct composition *composition = &self->composition;
	return json_pack("{s:o, s:o, s:o, s:o}", "path", json_name(self->path), "side",
			 composition->has_side ? json_name(self->side_path) : json_null(), "parts", json_bytes(composition->count),
			 "new_bytes", json_bytes(composition->new_bytes));
}

void making_free(struct making *self)
{
	composition_free(&self->composition);
}
