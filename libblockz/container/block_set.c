/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks are sorted, and equal ones united, whenever there are twice as many as after the time before. */
#include "container/block_set.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/fault.h"

enum { UNITE_MIN = 1 << 16 };

void block_set_free(struct block_set *set)
{
	free(set->items);
	*set = (struct block_set){ 0 };
}

static int compare_blocks(const void *a, const void *b)
{
	const struct block *ba = a, *bb = b;
	if (ba->file_off != bb->file_off)
		return ba->file_off < bb->file_off ? -1 : 1;
	return (ba->file_len > bb->file_len) - (ba->file_len < bb->file_len);
}

static bool are_equal(const struct block *a, const struct block *b)
{
	return a->file_off == b->file_off && a->file_len == b->file_len && a->plain_len == b->plain_len &&
	       a->codec == b->codec && a->is_metadata == b->is_metadata;
}

static enum blockz_status unite(struct block_set *set, struct blockz_fault *fault)
{
	size_t kept = 0;
	if (set->count > 1)
		qsort(set->items, set->count, sizeof(*set->items), compare_blocks);
	for (size_t i = 0; i < set->count; i++) {
		const struct block *block = &set->items[i], *last = kept > 0 ? &set->items[kept - 1] : NULL;
		if (last != NULL && are_equal(last, block))
			continue;
		if (last != NULL && block->file_off < last->file_off + last->file_len)
			return fault_set(fault, BLOCKZ_DAMAGED, block->file_off,
					 "a block of %" PRIu32 " bytes overlaps another, or differs from it in kind or size",
					 block->file_len);
		set->items[kept++] = *block;
	}
	set->count = set->united = kept;
	return BLOCKZ_OK;
}

enum blockz_status block_set_add(struct block_set *set, const struct block *block, struct blockz_fault *fault)
{
	if (set->count >= UNITE_MIN && set->count >= 2 * set->united) {
		enum blockz_status status = unite(set, fault);
		if (status != BLOCKZ_OK)
			return status;
		if (set->count > BLOCK_SET_MAX)
			return fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN, "more than %d blocks", BLOCK_SET_MAX);
	}
	struct block *room = array_room(set->items, set->count, sizeof(*room));
	if (room == NULL)
		return fault_nomem(fault);
	set->items = room;
	set->items[set->count++] = *block;
	return BLOCKZ_OK;
}

enum blockz_status block_set_list(struct block_set *set, struct blocks *blocks, struct blockz_fault *fault)
{
	enum blockz_status status = unite(set, fault);
	if (status == BLOCKZ_OK && set->count > BLOCK_SET_MAX)
		return fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN, "more than %d blocks", BLOCK_SET_MAX);
	for (size_t i = 0; i < set->count && status == BLOCKZ_OK; i++)
		if (!blocks_append(blocks, &set->items[i]))
			status = fault_nomem(fault);
	return status;
}
