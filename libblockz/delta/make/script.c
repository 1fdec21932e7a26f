/* SPDX-License-Identifier: BSD-3-Clause */
#include "delta/make/script.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/array.h"
#include "base/checked.h"
#include "base/fault.h"
#include "delta/make/unpack.h"
#include "format/format.h"
#include "io/access.h"

/*
 * A run of equal bytes within a match becomes an op of its own from this length on; a shorter one costs less as zeros
 * among differences.
 */
enum { COPY_MIN = 256, PRICE_LEVEL = 3, PRICE_OF_OP = 2, PACKED_ITEM_MAX = 1 << 20 };

/* So that a section that keeps to its cost keeps to its blocks. */
enum { BLOCK_COST = DELTA_SECTION_COST_MAX / DELTA_SECTION_BLOCKS_MAX };

/* A block that was demoted after the text was laid out still has its part there. */
static void leave_block(const struct items *items, struct items_walk *walk)
{
	const struct plain_text *text = items->new_text;
	if (walk->part < text->count && text->parts[walk->part].block == walk->block)
		walk->part++;
	walk->block++;
}

bool items_next(const struct items *items, struct items_walk *walk, struct item *item_ret)
{
	const struct blocks *blocks = &items->new->blocks;
	const struct block *block = walk->block < blocks->count ? &blocks->items[walk->block] : NULL;
	uint64_t plain_end = block != NULL ? block->file_off : blocks->size;
	if (walk->pos < plain_end) {
		const struct text_part *part = &items->new_text->parts[walk->part];
		*item_ret = (struct item){ FATE_OPEN, TEXT_NO_BLOCK, walk->part++, part->file_off, part->len };
	} else if (block != NULL) {
		uint8_t fate = items->selection->blocks[walk->block].fate;
		uint64_t left = block->file_off + block->file_len - walk->pos;
		uint64_t len = fate == FATE_PACKED ? min(left, PACKED_ITEM_MAX) : left;
		*item_ret = (struct item){ fate, (uint32_t)walk->block, walk->part, walk->pos, len };
		if (len == left)
			leave_block(items, walk);
	} else {
		return false;
	}
	walk->pos = item_ret->file_off + item_ret->file_len;
	return true;
}

size_t items_old_block_at(const struct items *items, uint64_t place)
{
	size_t low = 0, high = items->old->blocks.count;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (items->places[middle] <= place)
			low = middle;
		else
			high = middle;
	}
	return low;
}

struct scripter {
	const struct items *items;
	struct unpacker *unpacker; /* of NEW */
	struct old_reader old_reader;
	struct buffer plain, old, priced;
	ZSTD_CCtx *zstd;
};

void *scripter_new(const struct items *items)
{
	struct scripter *scripter = calloc(1, sizeof(*scripter));
	if (scripter == NULL)
		return NULL;
	scripter->items = items;
	scripter->old_reader.contexts.env = items->env;
	scripter->unpacker = unpacker_new(items->new, items->env);
	scripter->zstd = ZSTD_createCCtx();
	if (scripter->unpacker == NULL || scripter->zstd == NULL) {
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
	buffer_free(&scripter->priced);
	ZSTD_freeCCtx(scripter->zstd);
	free(scripter);
}

void script_free(struct script *script)
{
	free(script->ops);
	for (size_t i = 0; i < OP_COUNT; i++)
		buffer_free(&script->bytes[i]);
	*script = (struct script){ 0 };
}

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

static size_t equal_run(const uint8_t *a, const uint8_t *b, size_t len)
{
	size_t i = 0;
	for (uint64_t wa, wb; len - i >= sizeof(wa); i += sizeof(wa)) {
		memcpy(&wa, a + i, sizeof(wa));
		memcpy(&wb, b + i, sizeof(wb));
		if (wa != wb)
			break;
	}
	while (i < len && a[i] == b[i])
		i++;
	return i;
}

/* Splits what is about the same into what is the same and the rest. */
static bool add_match(struct script *script, const uint8_t *new, const uint8_t *old, size_t len, uint64_t old_off)
{
	size_t done = 0;
	bool ok = true;
	for (size_t i = 0, run; i < len && ok; i += run + (run == 0)) {
		run = equal_run(new + i, old + i, len - i);
		if (run < COPY_MIN && run < len)
			continue;
		ok = add_difference(script, new + done, old + done, i - done, old_off + done) &&
		     add_op(script, OP_COPY, run, old_off + i);
		done = i + run;
	}
	return ok && add_difference(script, new + done, old + done, len - done, old_off + done);
}

/* Where an offset in OLD's text is in OLD's space, and how far on from there both go together. */
static uint64_t place_of(const struct items *items, uint64_t text_off, uint64_t *together_ret)
{
	const struct text_part *part = &items->old_text->parts[plain_text_find(items->old_text, text_off)];
	uint64_t within = text_off - part->text_off;
	*together_ret = part->len - within;
	bool is_plain = part->block == TEXT_NO_BLOCK || items->old->blocks.items[part->block].is_plain;
	return (is_plain ? part->file_off : items->places[part->block]) + within;
}

/* The first match that ends behind a text offset. */
static size_t first_match(const struct matches *matches, uint64_t new_off)
{
	size_t low = 0, high = matches->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (matches->items[middle].new_off + matches->items[middle].len <= new_off)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static enum blockz_status add_from_old(struct scripter *scripter, struct script *script, const uint8_t *new, size_t len,
				       uint64_t old_text_off, struct blockz_fault *fault)
{
	for (size_t part; len > 0; len -= part, new += part, old_text_off += part) {
		uint64_t together;
		uint64_t place = place_of(scripter->items, old_text_off, &together);
		part = (size_t)min(len, together);
		if (!buffer_reserve(&scripter->old, part))
			return fault_nomem(fault);
		enum blockz_status status = old_copy(scripter->items->space, &scripter->old_reader, place,
						     scripter->old.bytes, part, fault);
		if (status != BLOCKZ_OK)
			return status;
		if (!add_match(script, new, scripter->old.bytes, part, place))
			return fault_nomem(fault);
	}
	return BLOCKZ_OK;
}

static enum blockz_status script_open(struct scripter *scripter, const uint8_t *plain, const struct text_part *part,
				      struct script *script, struct blockz_fault *fault)
{
	const struct matches *matches = scripter->items->matches;
	uint64_t pos = part->text_off, end = pos + part->len;
	enum blockz_status status = BLOCKZ_OK;
	if (!buffer_reserve(&script->bytes[OP_ADD], (size_t)part->len) ||
	    !buffer_reserve(&script->bytes[OP_EXTRA], (size_t)part->len))
		return fault_nomem(fault);
	for (size_t i = first_match(matches, pos); pos < end && status == BLOCKZ_OK;) {
		const struct match *match = i < matches->count ? &matches->items[i] : NULL;
		uint64_t next = match == NULL ? end : min(end, match->new_off);
		const uint8_t *new = plain + (pos - part->text_off);
		if (pos < next) {
			if (!add_bytes(script, OP_EXTRA, new, (size_t)(next - pos)))
				status = fault_nomem(fault);
			pos = next;
		} else {
			next = min(end, match->new_off + match->len);
			status = add_from_old(scripter, script, new, (size_t)(next - pos),
					      match->old_off + (pos - match->new_off), fault);
			pos = next;
			i++;
		}
	}
	return status;
}

/* Bytes of the file as they are: those between blocks, and blocks that come packed. */
static enum blockz_status read_plain(struct scripter *scripter, const struct item *item, struct buffer *buffer,
				     struct blockz_fault *fault)
{
	if (!buffer_reserve(buffer, (size_t)item->file_len))
		return fault_nomem(fault);
	const struct image *new = scripter->items->new;
	return read_data(&new->file, buffer->bytes, (size_t)item->file_len, item->file_off, new->subject, fault);
}

enum blockz_status script_make(struct scripter *scripter, const struct item *item, struct script *script,
			       struct blockz_fault *fault)
{
	const struct items *items = scripter->items;
	script->edge = items->old->blocks.size;
	script->op_count = 0;
	script->stream_len = 0;
	script->cost = 0;
	memset(script->lens, 0, sizeof(script->lens));
	enum blockz_status status = BLOCKZ_OK;
	bool ok = true;
	if (item->fate == FATE_EQUAL) {
		uint32_t old_block = items->selection->blocks[item->block].old_block;
		ok = add_op(script, OP_COPY, item->file_len, items->old->blocks.items[old_block].file_off);
	} else if (item->fate == FATE_PACKED) {
		status = read_plain(scripter, item, &script->bytes[OP_PACKED], fault);
		script->lens[OP_PACKED] = (size_t)item->file_len;
		ok = add_op(script, OP_PACKED, item->file_len, 0);
	} else {
		const uint8_t *plain = NULL;
		if (item->block != TEXT_NO_BLOCK) {
			status = unpack(scripter->unpacker, &items->new->blocks.items[item->block], &plain, fault);
		} else {
			status = read_plain(scripter, item, &scripter->plain, fault);
			plain = scripter->plain.bytes;
		}
		if (status == BLOCKZ_OK)
			status = script_open(scripter, plain, &items->new_text->parts[item->part], script, fault);
	}
	script->cost += script->lens[OP_EXTRA] + script->lens[OP_PACKED] + 4 * script->op_count;
	if (item->fate == FATE_OPEN && item->block != TEXT_NO_BLOCK)
		script->cost += BLOCK_COST;
	return status == BLOCKZ_OK && !ok ? fault_nomem(fault) : status;
}

static enum blockz_status price(struct scripter *scripter, const uint8_t *bytes, size_t len, uint64_t *price,
				struct blockz_fault *fault)
{
	size_t bound = ZSTD_compressBound(len);
	if (len == 0)
		return BLOCKZ_OK;
	if (!buffer_reserve(&scripter->priced, bound))
		return fault_nomem(fault);
	size_t packed = ZSTD_compressCCtx(scripter->zstd, scripter->priced.bytes, bound, bytes, len, PRICE_LEVEL);
	if (ZSTD_isError(packed))
		return fault_nomem(fault);
	*price += packed;
	return BLOCKZ_OK;
}

enum blockz_status script_price(struct scripter *scripter, const struct script *script, uint64_t *price_ret,
				struct blockz_fault *fault)
{
	uint64_t sum = PRICE_OF_OP * script->op_count + script->lens[OP_PACKED];
	enum blockz_status status =
		price(scripter, script->bytes[OP_ADD].bytes, script->lens[OP_ADD], &sum, fault);
	if (status == BLOCKZ_OK)
		status = price(scripter, script->bytes[OP_EXTRA].bytes, script->lens[OP_EXTRA], &sum, fault);
	if (status == BLOCKZ_OK)
		*price_ret = sum;
	return status;
}
