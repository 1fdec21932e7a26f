/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where matches lie, NEW is OLD, or nearly so: what is equal over some length is copied, the rest becomes differences.  Where
 * none lies, the content is new.
 */
#include "delta/make/script.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/checked.h"
#include "base/fault.h"
#include "delta/differ/match.h"
#include "delta/make/unpack.h"
#include "io/access.h"

enum {
	/*
	 * A run of equal bytes within a match becomes an op of its own from this length on; a shorter one costs less as zeros
	 * among differences.
	 */
	COPY_MIN = 256,
	/* So that a section that keeps to its cost keeps to its blocks. */
	BLOCK_COST = DELTA_SECTION_COST_MAX / DELTA_SECTION_BLOCKS_MAX,
	OP_COST = 4,
};

/* ---- Ops and their bytes ---- */

bool ops_append(struct op **ops, size_t *count, struct op op, uint64_t edge)
{
	if (*count > 0) {
		struct op *last = &(*ops)[*count - 1];
		bool has_old = op.kind == OP_COPY || op.kind == OP_ADD;
		bool goes_on = !has_old || (last->old_off + last->len == op.old_off && op.old_off != edge);
		if (last->kind == op.kind && goes_on) {
			last->len += op.len;
			return true;
		}
	}
	struct op *grown = array_room(*ops, *count, sizeof(*grown));
	if (grown == NULL)
		return false;
	*ops = grown;
	grown[(*count)++] = op;
	return true;
}

static bool add_op(struct script *script, uint8_t kind, uint64_t len, uint64_t old_off)
{
	const struct op op = { .len = len, .old_off = old_off, .kind = kind };
	script->stream_len += len;
	return ops_append(&script->ops, &script->op_count, op, script->edge);
}

/* Room for them was reserved. */
static bool add_bytes(struct script *script, uint8_t kind, const uint8_t *bytes, size_t len)
{
	memcpy(script->bytes[kind].bytes + script->lens[kind], bytes, len);
	script->lens[kind] += len;
	return add_op(script, kind, len, 0);
}

static bool add_difference(struct script *script, const uint8_t *new, const uint8_t *old, size_t len, uint64_t old_off)
{
	uint8_t *out = script->bytes[OP_ADD].bytes + script->lens[OP_ADD];
	size_t different = 0;
	for (size_t i = 0; i < len; i++) {
		out[i] = (uint8_t)(new[i] - old[i]);
		different += out[i] != 0;
	}
	script->lens[OP_ADD] += len;
	script->cost += different;
	return len == 0 || add_op(script, OP_ADD, len, old_off);
}

/* Splits what is about the same into what is the same and the rest. */
static bool add_match(struct script *script, const uint8_t *new, const uint8_t *old, size_t len, uint64_t old_off)
{
	size_t done = 0;
	for (size_t i = 0, run; i < len; i += run + (run == 0)) {
		run = equal_ahead(new + i, old + i, len - i);
		if (run < COPY_MIN && run < len)
			continue;
		if (!add_difference(script, new + done, old + done, i - done, old_off + done) ||
		    !add_op(script, OP_COPY, run, old_off + i))
			return false;
		done = i + run;
	}
	return add_difference(script, new + done, old + done, len - done, old_off + done);
}

/* ---- One thread's ---- */

struct scripter {
	const struct findings *findings;
	struct unpacker *unpacker; /* of NEW */
	struct old_reader old_reader;
	struct buffer plain, old;
};

struct scripter *scripter_new(const struct findings *findings)
{
	struct scripter *scripter = calloc(1, sizeof(*scripter));
	if (scripter == NULL)
		return NULL;
	scripter->findings = findings;
	scripter->old_reader.contexts.env = findings->env;
	scripter->unpacker = unpacker_new(findings->new, findings->env);
	if (scripter->unpacker == NULL) {
		scripter_free(scripter);
		return NULL;
	}
	return scripter;
}

void scripter_free(void *memory)
{
	struct scripter *scripter = memory;
	if (scripter == NULL)
		return;
	unpacker_free(scripter->unpacker);
	old_reader_free(&scripter->old_reader);
	buffer_free(&scripter->plain);
	buffer_free(&scripter->old);
	free(scripter);
}

/* Beside the unpacker what is compared with it, and the block of OLD that is in use: in the file, decoded, and in a decoder. */
uint64_t scripter_memory(uint64_t old_longest, uint64_t new_longest)
{
	return unpacker_memory(new_longest) + new_longest + 3 * old_longest;
}

void script_free(struct script *script)
{
	free(script->ops);
	for (size_t i = 0; i < OP_COUNT; i++)
		buffer_free(&script->bytes[i]);
	*script = (struct script){ 0 };
}

/* Differences and new content: either may be all of the item. */
uint64_t script_memory(uint64_t new_len)
{
	return 2 * new_len;
}

/* ---- Items ---- */

static enum blockz_status add_from_old(struct scripter *scripter, struct script *script, const uint8_t *new, size_t len,
				       uint64_t old_text_off, struct blockz_fault *fault)
{
	const struct findings *findings = scripter->findings;
	for (size_t slice; len > 0; len -= slice, new += slice, old_text_off += slice) {
		uint64_t together;
		uint64_t place = findings_place(findings, old_text_off, &together);
		slice = (size_t)min(len, together);
		if (!buffer_reserve(&scripter->old, slice))
			return fault_nomem(fault);
		uint8_t *old = scripter->old.bytes;
		enum blockz_status status = old_copy(findings->space, &scripter->old_reader, place, old, slice, fault);
		if (status != BLOCKZ_OK)
			return status;
		if (!add_match(script, new, old, slice, place))
			return fault_nomem(fault);
	}
	return BLOCKZ_OK;
}

/* Plain content, which is this part of NEW's text: by matches, and between them as what is new. */
static enum blockz_status script_content(struct scripter *scripter, const uint8_t *plain, const struct text_part *part,
					 struct script *script, struct blockz_fault *fault)
{
	const struct matches *matches = &scripter->findings->matches;
	uint64_t pos = part->text_off, end = pos + part->len;
	if (!buffer_reserve(&script->bytes[OP_ADD], (size_t)part->len) ||
	    !buffer_reserve(&script->bytes[OP_EXTRA], (size_t)part->len))
		return fault_nomem(fault);
	for (size_t i = matches_first_behind(matches, pos); pos < end; i++) {
		const struct match *match = i < matches->count ? &matches->items[i] : NULL;
		const uint8_t *new = plain + (pos - part->text_off);
		uint64_t start = match == NULL ? end : min(end, match->new_off);
		if (pos < start) {
			if (!add_bytes(script, OP_EXTRA, new, (size_t)(start - pos)))
				return fault_nomem(fault);
			new += start - pos;
			pos = start;
		}
		if (pos == end)
			break;
		uint64_t len = min(end, match->new_off + match->len) - pos;
		enum blockz_status status = add_from_old(scripter, script, new, (size_t)len,
							 match->old_off + (pos - match->new_off), fault);
		if (status != BLOCKZ_OK)
			return status;
		pos += len;
	}
	return BLOCKZ_OK;
}

/* Bytes of the file as they are: those between blocks, and blocks that come packed. */
static enum blockz_status read_bytes(struct scripter *scripter, const struct item *item, struct buffer *buffer,
				     struct blockz_fault *fault)
{
	if (!buffer_reserve(buffer, (size_t)item->file_len))
		return fault_nomem(fault);
	const struct image *new = scripter->findings->new;
	return read_data(&new->file, buffer->bytes, (size_t)item->file_len, item->file_off, new->subject, fault);
}

static enum blockz_status script_equal(struct scripter *scripter, const struct item *item, struct script *script,
				       struct blockz_fault *fault)
{
	const struct findings *findings = scripter->findings;
	uint32_t old_block = findings->selection->blocks[item->block].old_block;
	uint64_t old_off = findings->old->blocks.items[old_block].file_off;
	return add_op(script, OP_COPY, item->file_len, old_off) ? BLOCKZ_OK : fault_nomem(fault);
}

static enum blockz_status script_packed(struct scripter *scripter, const struct item *item, struct script *script,
					struct blockz_fault *fault)
{
	enum blockz_status status = read_bytes(scripter, item, &script->bytes[OP_PACKED], fault);
	if (status != BLOCKZ_OK)
		return status;
	script->lens[OP_PACKED] = (size_t)item->file_len;
	return add_op(script, OP_PACKED, item->file_len, 0) ? BLOCKZ_OK : fault_nomem(fault);
}

static enum blockz_status script_open(struct scripter *scripter, const struct item *item, struct script *script,
				      struct blockz_fault *fault)
{
	const struct findings *findings = scripter->findings;
	const uint8_t *plain = NULL;
	enum blockz_status status = BLOCKZ_OK;
	if (item->block == TEXT_NO_BLOCK) {
		status = read_bytes(scripter, item, &scripter->plain, fault);
		plain = scripter->plain.bytes;
	} else {
		status = unpack(scripter->unpacker, &findings->new->blocks.items[item->block], &plain, fault);
	}
	if (status != BLOCKZ_OK)
		return status;
	return script_content(scripter, plain, &findings->new_text.parts[item->part], script, fault);
}

static enum blockz_status script_item(struct scripter *scripter, const struct item *item, struct script *script,
				      struct blockz_fault *fault)
{
	if (item->fate == FATE_EQUAL)
		return script_equal(scripter, item, script, fault);
	if (item->fate == FATE_PACKED)
		return script_packed(scripter, item, script, fault);
	return script_open(scripter, item, script, fault);
}

enum blockz_status script_make(struct scripter *scripter, const struct item *item, struct script *script,
			       struct blockz_fault *fault)
{
	script->edge = scripter->findings->old->blocks.size;
	script->op_count = 0;
	script->stream_len = 0;
	script->cost = 0;
	memset(script->lens, 0, sizeof(script->lens));
	enum blockz_status status = script_item(scripter, item, script, fault);
	script->cost += script->lens[OP_EXTRA] + script->lens[OP_PACKED] + OP_COST * script->op_count;
	if (item_is_open_block(item))
		script->cost += BLOCK_COST;
	return status;
}
