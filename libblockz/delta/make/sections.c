/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scripts are joined to sections in the order of NEW.  A section is full when the next script would take it beyond its cost or
 * its differences; when as many are full as are coded at once, they are written.
 */
#include "delta/make/sections.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/checked.h"
#include "base/fault.h"
#include "delta/file/stream_write.h"
#include "delta/make/script.h"
#include "parallel/pool.h"

struct filling {
	struct section section;
	size_t rooms[OP_COUNT]; /* of the section's bytes */
};

struct writing {
	const struct findings *findings;
	const struct names *names;
	struct delta_writer *writer;
	const struct blockz_work *work;
	struct walk walk;
	uint64_t done;
	struct filling fillings[DELTA_SECTIONS_AT_ONCE];
	size_t at, at_once; /* the one that is being filled, of so many */
	size_t cost;        /* of it */
	uint64_t verbatim;  /* bytes of the stream in it since the last block */
};

struct job {
	struct item item;
	struct script script;
};

/* A section has two long streams; no stream is longer than NEW, and no section much. */
uint64_t sections_memory(uint64_t new_len, unsigned threads, unsigned at_once)
{
	static const uint64_t bytes_max = DELTA_SECTION_DIFF_MAX + DELTA_SECTION_COST_MAX;
	static const uint64_t lists_max = 4 << 20; /* ops, and columns of numbers */
	uint64_t section = min(bytes_max, new_len + new_len / 4) + min(lists_max, new_len);
	uint64_t coder = streams_coder_memory(min(DELTA_SECTION_DIFF_MAX, new_len));
	return at_once * section + min(threads, 2 * at_once) * coder;
}

/* ---- Sections ---- */

static struct section *current(struct writing *writing)
{
	return &writing->fillings[writing->at].section;
}

/* Leaves the memory that the section has for another one. */
static void empty(struct section *section)
{
	section->op_count = section->block_count = 0;
	section->stream_len = 0;
	section->diff_len = section->extra_len = section->packed_len = 0;
}

/* Writes all sections that have something in them. */
static enum blockz_status write_filled(struct writing *writing, struct blockz_fault *fault)
{
	struct section sections[DELTA_SECTIONS_AT_ONCE];
	size_t count = writing->at + (current(writing)->op_count > 0);
	for (size_t i = 0; i < count; i++) {
		sections[i] = writing->fillings[i].section;
		empty(&writing->fillings[i].section);
	}
	writing->at = 0;
	return delta_write_sections(writing->writer, sections, count, fault);
}

static enum blockz_status next_section(struct writing *writing, struct blockz_fault *fault)
{
	writing->cost = 0;
	writing->verbatim = 0;
	if (writing->at + 1 == writing->at_once)
		return write_filled(writing, fault);
	writing->at++;
	return BLOCKZ_OK;
}

static bool is_full_for(struct writing *writing, const struct script *script)
{
	const struct section *section = current(writing);
	return section->op_count > 0 && (writing->cost + script->cost > DELTA_SECTION_COST_MAX ||
					 section->diff_len + script->lens[OP_ADD] > DELTA_SECTION_DIFF_MAX);
}

/* ---- Scripts ---- */

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

static bool append_all_bytes(struct filling *filling, const struct script *script)
{
	struct section *section = &filling->section;
	size_t *rooms = filling->rooms;
	return append_bytes(&section->diff, &section->diff_len, &rooms[OP_ADD], script->bytes[OP_ADD].bytes,
			    script->lens[OP_ADD]) &&
	       append_bytes(&section->extra, &section->extra_len, &rooms[OP_EXTRA], script->bytes[OP_EXTRA].bytes,
			    script->lens[OP_EXTRA]) &&
	       append_bytes(&section->packed, &section->packed_len, &rooms[OP_PACKED], script->bytes[OP_PACKED].bytes,
			    script->lens[OP_PACKED]);
}

/* Of a place in the space that lists all wanted blocks, the one in that of the delta. */
static uint64_t final_place(const struct writing *writing, uint64_t place)
{
	const struct listing *wanted = &writing->findings->wanted;
	if (place < writing->findings->old->blocks.size)
		return place;
	size_t block = listing_block_at(wanted, place);
	return writing->names->listed.places[block] + (place - wanted->places[block]);
}

static bool append_ops(struct writing *writing, const struct script *script)
{
	struct section *section = current(writing);
	for (size_t i = 0; i < script->op_count; i++) {
		struct op op = script->ops[i];
		if (op.kind == OP_COPY || op.kind == OP_ADD)
			op.old_off = final_place(writing, op.old_off);
		if (!ops_append(&section->ops, &section->op_count, op, script->edge))
			return false;
	}
	return true;
}

static bool is_encoded(const struct writing *writing, const struct item *item)
{
	return item_is_open_block(item) && writing->findings->selection->blocks[item->block].candidate != PROVE_NONE;
}

/* A block for the client to encode. */
static bool append_block(struct writing *writing, const struct item *item)
{
	struct section *section = current(writing);
	const struct block *block = &writing->findings->new->blocks.items[item->block];
	uint8_t candidate = writing->findings->selection->blocks[item->block].candidate;
	struct delta_new_block *blocks = array_room(section->blocks, section->block_count, sizeof(*blocks));
	if (blocks == NULL)
		return false;
	section->blocks = blocks;
	blocks[section->block_count++] = (struct delta_new_block){
		.before = writing->verbatim, .plain_len = block->plain_len, .file_len = block->file_len,
		.encoder = writing->names->encoders[candidate],
	};
	writing->verbatim = 0;
	return true;
}

static enum blockz_status append_script(struct writing *writing, const struct job *job, struct blockz_fault *fault)
{
	const struct script *script = &job->script;
	if (is_full_for(writing, script)) {
		enum blockz_status status = next_section(writing, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	if (!append_ops(writing, script) || !append_all_bytes(&writing->fillings[writing->at], script))
		return fault_nomem(fault);
	if (!is_encoded(writing, &job->item))
		writing->verbatim += script->stream_len;
	else if (!append_block(writing, &job->item))
		return fault_nomem(fault);
	current(writing)->stream_len += script->stream_len;
	writing->cost += script->cost;
	return BLOCKZ_OK;
}

/* ---- Jobs ---- */

static void job_release(void *memory)
{
	struct job *job = memory;
	script_free(&job->script);
}

static void *thread_new(void *ctx)
{
	const struct writing *writing = ctx;
	return scripter_new(writing->findings);
}

static enum blockz_status take_item(const struct pool_call *call, bool *done_ret)
{
	struct writing *writing = call->ctx;
	struct job *job = call->job;
	*done_ret = !walk_next(writing->findings, &writing->walk, &job->item);
	return BLOCKZ_OK;
}

static enum blockz_status make_script(const struct pool_call *call)
{
	struct job *job = call->job;
	return script_make(call->thread, &job->item, &job->script, call->fault);
}

static enum blockz_status add_script(const struct pool_call *call)
{
	struct writing *writing = call->ctx;
	const struct job *job = call->job;
	enum blockz_status status = append_script(writing, job, call->fault);
	if (status != BLOCKZ_OK)
		return status;
	writing->done += job->item.file_len;
	return pool_progress(writing->work, writing->done, 0, call->fault);
}

enum blockz_status sections_write(const struct findings *findings, const struct names *names, struct delta_writer *writer,
				  size_t at_once, const struct blockz_work *work, struct blockz_fault *fault)
{
	struct writing writing = {
		.findings = findings, .names = names, .writer = writer, .work = work, .at_once = at_once,
	};
	const struct pool_jobs jobs = {
		.ctx = &writing, .job_size = sizeof(struct job), .job_release = job_release,
		.thread_new = thread_new, .thread_free = scripter_free,
		.take = take_item, .work = make_script, .give = add_script,
	};
	enum blockz_status status = pool_run(&jobs, work->threads, fault);
	if (status == BLOCKZ_OK)
		status = write_filled(&writing, fault);
	for (size_t i = 0; i < DELTA_SECTIONS_AT_ONCE; i++)
		section_free(&writing.fillings[i].section);
	return status;
}
