/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading of parts from a delta, and what they take of OLD. */
#include "delta/apply/parts.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/checked.h"
#include "base/fault.h"
#include "format/format.h"
#include "parallel/pool.h"

enum {
	PART_MAX = 256 << 10,  /* bytes between blocks that are one part */
	FETCHES_MIN = 4096,    /* what parts take of OLD waits for the other parts of the batch: so many fetches, */
	FETCH_BYTES = 256,     /* or one for so many bytes of a long part; then they are done */
	KEEP = 8 << 20,        /* memory of parts that are not under way: that of longer ones than all can have is given back; */
	KEEP_ROOM = 2 * KEEP,  /* with the room for blocks to be encoded, which is as long as what is in them */
};

static void free_buffers(struct batch *batch)
{
	for (size_t i = 0; i < CLIENT_PARTS; i++) {
		buffer_free(&batch->parts[i].plain);
		buffer_free(&batch->parts[i].encoded);
	}
}

void batch_free(struct batch *batch)
{
	free_buffers(batch);
	free(batch->fetches);
}

/* ---- Memory ---- */

static uint64_t cost_of(const struct delta_step *step)
{
	return step->is_block ? step->len + step->block.file_len : step->len;
}

/* What is ahead enters the batch; the first part of one waits until there is room. */
static bool enter_flight(struct parts_reader *reader, struct batch *batch)
{
	uint64_t cost = cost_of(&reader->ahead);
	if (!flight_enter(reader->flight, cost, batch->count == 0))
		return false;
	batch->cost += cost;
	return true;
}

/* The room of all buffers: each is as long as the longest part that was there before, of whichever batch that was. */
static uint64_t room_of(const struct batch *batch)
{
	uint64_t room = 0;
	for (size_t i = 0; i < CLIENT_PARTS; i++)
		room += batch->parts[i].plain.room + batch->parts[i].encoded.room;
	return room;
}

static bool is_long(const struct batch *batch, const struct flight *flight)
{
	size_t batches = pool_jobs_max(flight->threads);
	return batch->cost > KEEP / batches || room_of(batch) > KEEP_ROOM / batches;
}

void batch_wait(struct batch *batch, struct flight *flight)
{
	uint64_t spare = 0;
	if (!is_long(batch, flight))
		return;
	for (size_t i = 0; i < batch->count; i++) {
		if (!batch->parts[i].step.is_block)
			continue;
		buffer_free(&batch->parts[i].plain);
		spare += batch->parts[i].step.len;
	}
	batch->cost -= spare;
	batch->made = batch->cost;
	flight_wait(flight, spare, batch->made);
}

void batch_leave(struct batch *batch, struct flight *flight, bool failed)
{
	if (is_long(batch, flight))
		free_buffers(batch);
	flight_leave(flight, batch->cost, batch->made, failed);
}

/* ---- What parts take of OLD ---- */

enum blockz_status batch_fetch(struct batch *batch, struct old *old, struct old_reader *old_reader,
			       struct blockz_fault *fault)
{
	enum blockz_status status = fetch_all(batch->fetches, batch->fetch_count, old, old_reader, fault);
	batch->fetch_count = batch->good_fetches = 0;
	return status;
}

/* Adds what an op takes of OLD to what waits. */
static bool add_fetch(struct batch *batch, const struct op *op, uint8_t *out)
{
	struct fetch *fetches = array_room(batch->fetches, batch->fetch_count, sizeof(*fetches));
	if (fetches == NULL)
		return false;
	batch->fetches = fetches;
	fetches[batch->fetch_count++] = (struct fetch){
		.old_off = op->old_off, .out = out, .len = (uint32_t)op->len, .adds = op->kind == OP_ADD,
	};
	return true;
}

static bool may_wait(const struct batch *batch)
{
	return batch->fetch_count < FETCHES_MIN || batch->fetch_count < batch->len / FETCH_BYTES;
}

/* Reads the ops of a part, and with them the delta's own bytes. */
static enum blockz_status read_ops(struct parts_reader *reader, struct batch *batch, struct part *part,
				   struct old_reader *old_reader, struct blockz_fault *fault)
{
	struct op op;
	for (uint64_t off = 0; off < part->step.len; off += op.len) {
		uint8_t *out = part->plain.bytes + off;
		enum blockz_status status = delta_read_op(reader->delta, part->step.len - off, &op, out, fault);
		if (status != BLOCKZ_OK)
			return status;
		if (op.kind != OP_COPY && op.kind != OP_ADD)
			continue;
		if (!add_fetch(batch, &op, out))
			return fault_nomem(fault);
		if (!may_wait(batch))
			status = batch_fetch(batch, reader->old, old_reader, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	return BLOCKZ_OK;
}

/* ---- Parts ---- */

/* Reads the next step of whatever section it is in, if none is ahead; there is none at the end. */
static enum blockz_status look_ahead(struct parts_reader *reader, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	while (status == BLOCKZ_OK && !reader->at_end && !reader->is_ahead) {
		bool done = false;
		if (!reader->in_section) {
			status = delta_read_section(reader->delta, &reader->at_end, fault);
			reader->in_section = true;
			continue;
		}
		status = delta_read_step(reader->delta, PART_MAX, &reader->ahead, &done, fault);
		reader->in_section = !done;
		reader->is_ahead = status == BLOCKZ_OK && !done;
	}
	return status;
}

/* Reads the part that is ahead. */
static enum blockz_status read_part(struct parts_reader *reader, struct batch *batch, struct old_reader *old_reader,
				    struct blockz_fault *fault)
{
	struct part *part = &batch->parts[batch->count++];
	part->step = reader->ahead;
	reader->is_ahead = false;
	batch->len += part->step.len;
	if (!buffer_reserve(&part->plain, (size_t)part->step.len + DECODE_SLACK))
		return fault_nomem(fault);
	enum blockz_status status = read_ops(reader, batch, part, old_reader, fault);
	part->new_off = reader->new_len;
	part->delta_off = delta_reader_len(reader->delta);
	reader->new_len += part->step.is_block ? part->step.block.file_len : part->step.len;
	return status;
}

/* What is ahead may join the batch, if there is room for it in flight. */
static bool may_join(const struct parts_reader *reader, const struct batch *batch)
{
	return reader->is_ahead && batch->count < CLIENT_PARTS &&
	       (batch->count == 0 || batch->len + reader->ahead.len <= CLIENT_PARTS_LEN);
}

/* Reads parts while there are more that may join; *good_ret: those that are whole. */
static enum blockz_status read_parts(struct parts_reader *reader, struct batch *batch, struct old_reader *old_reader,
				     size_t *good_ret, struct blockz_fault *fault)
{
	enum blockz_status status = look_ahead(reader, fault);
	while (status == BLOCKZ_OK && may_join(reader, batch) && enter_flight(reader, batch)) {
		status = read_part(reader, batch, old_reader, fault);
		if (status != BLOCKZ_OK)
			return status;
		*good_ret = batch->count;
		batch->good_fetches = batch->fetch_count;
		status = look_ahead(reader, fault);
	}
	return status;
}

/* What fails behind good parts has its turn after them: which failure is told does not depend on how parts join. */
enum blockz_status batch_read(struct parts_reader *reader, struct batch *batch, struct old_reader *old_reader,
			      bool *done_ret, struct blockz_fault *fault)
{
	struct blockz_fault *late = &reader->late;
	size_t good = 0;
	batch->count = batch->fetch_count = batch->good_fetches = 0;
	batch->len = batch->cost = batch->made = 0;
	if (late->status == BLOCKZ_OK)
		late->status = read_parts(reader, batch, old_reader, &good, late);
	*done_ret = late->status == BLOCKZ_OK && good == 0;
	if (late->status != BLOCKZ_OK && good == 0) {
		*fault = *late;
		return late->status;
	}
	batch->count = good;
	batch->fetch_count = batch->good_fetches;
	return BLOCKZ_OK;
}
