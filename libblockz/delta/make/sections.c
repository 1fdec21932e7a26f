/* SPDX-License-Identifier: BSD-3-Clause */
#include "delta/make/sections.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/checked.h"
#include "base/fault.h"
#include "codec/prove.h"
#include "parallel/pool.h"

enum { PAYS_BELOW = 90 }; /* of 100 of a block's encoded bytes */

struct pass {
	const struct items *items;
	const struct blockz_work *work;
	struct items_walk walk;
	uint64_t done;
	/* Measuring. */
	struct selection *selection;
	uint64_t *prices;
	/* Writing; no writer: measuring. */
	const struct delta_names *names;
	struct delta_writer *writer;
	struct section sections[DELTA_SECTIONS_AT_ONCE];
	size_t rooms[DELTA_SECTIONS_AT_ONCE][OP_COUNT]; /* of the sections' bytes */
	size_t at, at_once; /* the section that is being filled, of so many */
	size_t cost;
	uint64_t verbatim; /* bytes of the stream since the last block */
};

struct pass_job {
	struct item item;
	struct script script;
	uint64_t price;
};

static void job_release(void *memory)
{
	struct pass_job *job = memory;
	script_free(&job->script);
}

static void *thread_new(void *ctx)
{
	const struct pass *pass = ctx;
	return scripter_new(pass->items);
}

static enum blockz_status take_item(const struct pool_call *call, bool *done_ret)
{
	struct pass *pass = call->ctx;
	struct pass_job *job = call->job;
	*done_ret = !items_next(pass->items, &pass->walk, &job->item);
	return BLOCKZ_OK;
}

static bool is_open_block(const struct item *item)
{
	return item->fate == FATE_OPEN && item->block != TEXT_NO_BLOCK;
}

static enum blockz_status script_item(const struct pool_call *call)
{
	const struct pass *pass = call->ctx;
	struct pass_job *job = call->job;
	if (pass->writer == NULL && !is_open_block(&job->item))
		return BLOCKZ_OK;
	enum blockz_status status = script_make(call->thread, &job->item, &job->script, call->fault);
	if (status == BLOCKZ_OK && pass->writer == NULL)
		status = script_price(call->thread, &job->script, &job->price, call->fault);
	return status;
}

static void measure(struct pass *pass, const struct pass_job *job)
{
	if (!is_open_block(&job->item))
		return;
	const struct block *block = &pass->items->new->blocks.items[job->item.block];
	pass->prices[job->item.block] = job->price;
	bool pays = job->price * 100 < (uint64_t)block->file_len * PAYS_BELOW || block->codec == CODEC_STORED;
	if (!pays || job->script.cost > DELTA_SECTION_COST_MAX)
		selection_demote(pass->selection, job->item.block);
}

/* All sections that have something in them. */
static enum blockz_status flush(struct pass *pass, struct blockz_fault *fault)
{
	size_t count = pass->at + (pass->sections[pass->at].op_count > 0);
	enum blockz_status status = delta_write_sections(pass->writer, pass->sections, count, fault);
	for (size_t i = 0; i < count; i++) {
		struct section *section = &pass->sections[i];
		section->op_count = section->block_count = 0;
		section->stream_len = 0;
		section->diff_len = section->extra_len = section->packed_len = 0;
	}
	pass->at = 0;
	return status;
}

/* The section is full. */
static enum blockz_status next_section(struct pass *pass, struct blockz_fault *fault)
{
	pass->cost = 0;
	pass->verbatim = 0;
	if (pass->at + 1 == pass->at_once)
		return flush(pass, fault);
	pass->at++;
	return BLOCKZ_OK;
}

static bool append_bytes(uint8_t **bytes, size_t *len, size_t *room, const uint8_t *more, size_t more_len)
{
	if (more_len > *room - *len) {
		size_t wanted = 2 * *room > *len + more_len ? 2 * *room : *len + more_len;
		uint8_t *grown = realloc(*bytes, wanted);
		if (grown == NULL)
			return false;
		*bytes = grown;
		*room = wanted;
	}
	if (more_len > 0)
		memcpy(*bytes + *len, more, more_len);
	*len += more_len;
	return true;
}

/* Of a place in the space that lists all wanted blocks, the one in that of the delta. */
static uint64_t final_place(const struct pass *pass, uint64_t old_off)
{
	const struct items *items = pass->items;
	if (old_off < items->old->blocks.size)
		return old_off;
	size_t block = items_old_block_at(items, old_off);
	return pass->names->places[block] + (old_off - items->places[block]);
}

static bool append_op(struct pass *pass, struct op op)
{
	if (op.kind == OP_COPY || op.kind == OP_ADD)
		op.old_off = final_place(pass, op.old_off);
	struct section *section = &pass->sections[pass->at];
	return ops_append(&section->ops, &section->op_count, op, pass->items->old->blocks.size);
}

/* A block for the client to encode. */
static bool append_block(struct pass *pass, const struct item *item)
{
	struct section *section = &pass->sections[pass->at];
	const struct block *block = &pass->items->new->blocks.items[item->block];
	uint8_t candidate = pass->items->selection->blocks[item->block].candidate;
	struct delta_new_block *blocks = array_room(section->blocks, section->block_count, sizeof(*blocks));
	if (blocks == NULL)
		return false;
	section->blocks = blocks;
	blocks[section->block_count++] = (struct delta_new_block){
		.before = pass->verbatim, .plain_len = block->plain_len, .file_len = block->file_len,
		.encoder = pass->names->encoders[candidate],
	};
	pass->verbatim = 0;
	return true;
}

static enum blockz_status append(struct pass *pass, const struct pass_job *job, struct blockz_fault *fault)
{
	const struct script *script = &job->script;
	const struct item *item = &job->item;
	if (pass->sections[pass->at].op_count > 0 &&
	    (pass->cost + script->cost > DELTA_SECTION_COST_MAX ||
	     pass->sections[pass->at].diff_len + script->lens[OP_ADD] > DELTA_SECTION_DIFF_MAX)) {
		enum blockz_status status = next_section(pass, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	struct section *section = &pass->sections[pass->at];
	size_t *room = pass->rooms[pass->at];
	bool ok = true;
	for (size_t i = 0; i < script->op_count && ok; i++)
		ok = append_op(pass, script->ops[i]);
	ok = ok &&
	     append_bytes(&section->diff, &section->diff_len, &room[OP_ADD], script->bytes[OP_ADD].bytes,
			  script->lens[OP_ADD]) &&
	     append_bytes(&section->extra, &section->extra_len, &room[OP_EXTRA], script->bytes[OP_EXTRA].bytes,
			  script->lens[OP_EXTRA]) &&
	     append_bytes(&section->packed, &section->packed_len, &room[OP_PACKED],
			  script->bytes[OP_PACKED].bytes, script->lens[OP_PACKED]);
	if (is_open_block(item) && pass->items->selection->blocks[item->block].candidate != PROVE_NONE)
		ok = ok && append_block(pass, item);
	else
		pass->verbatim += script->stream_len;
	section->stream_len += script->stream_len;
	pass->cost += script->cost;
	return ok ? BLOCKZ_OK : fault_nomem(fault);
}

static enum blockz_status use_script(const struct pool_call *call)
{
	struct pass *pass = call->ctx;
	const struct pass_job *job = call->job;
	enum blockz_status status = BLOCKZ_OK;
	if (pass->writer == NULL)
		measure(pass, job);
	else
		status = append(pass, job, call->fault);
	pass->done += job->item.file_len;
	return status == BLOCKZ_OK ? pool_progress(pass->work, pass->done, 0, call->fault) : status;
}

static enum blockz_status run_pass(struct pass *pass, struct blockz_fault *fault)
{
	const struct pool_jobs jobs = {
		.ctx = pass, .job_size = sizeof(struct pass_job), .job_release = job_release,
		.thread_new = thread_new, .thread_free = scripter_free,
		.take = take_item, .work = script_item, .give = use_script,
	};
	return pool_run(&jobs, pass->work->threads, fault);
}

enum blockz_status pass_measure(const struct items *items, struct selection *selection, uint64_t *prices,
				const struct blockz_work *work, struct blockz_fault *fault)
{
	struct pass pass = { .items = items, .work = work, .selection = selection, .prices = prices };
	return run_pass(&pass, fault);
}

enum blockz_status pass_write(const struct items *items, const struct delta_names *names, struct delta_writer *writer,
			      size_t sections, const struct blockz_work *work, struct blockz_fault *fault)
{
	struct pass pass = { .items = items, .work = work, .names = names, .writer = writer, .at_once = sections };
	enum blockz_status status = run_pass(&pass, fault);
	if (status == BLOCKZ_OK)
		status = flush(&pass, fault);
	for (size_t i = 0; i < DELTA_SECTIONS_AT_ONCE; i++)
		section_free(&pass.sections[i]);
	return status;
}
