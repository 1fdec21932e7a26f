/* SPDX-License-Identifier: BSD-3-Clause */
#include "container/block_set.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/fault.h"

enum { UNITE_MIN = 1 << 16 };

void found_free(struct found *found)
{
	free(found->items);
	*found = (struct found){ 0 };
}

static int compare(const void *a, const void *b)
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

static enum blockz_status unite(struct found *found, struct blockz_fault *fault)
{
	size_t kept = 0;
	if (found->count > 1)
		qsort(found->items, found->count, sizeof(*found->items), compare);
	for (size_t i = 0; i < found->count; i++) {
		const struct block *block = &found->items[i], *last = kept > 0 ? &found->items[kept - 1] : NULL;
		if (last != NULL && are_equal(last, block))
			continue;
		if (last != NULL && block->file_off < last->file_off + last->file_len)
			return fault_set(fault, BLOCKZ_DAMAGED, block->file_off,
					 "a block of %" PRIu32 " bytes overlaps another, or differs from it in kind or size",
					 block->file_len);
		found->items[kept++] = *block;
	}
	found->count = found->united = kept;
	return BLOCKZ_OK;
}

enum blockz_status found_add(struct found *found, const struct block *block, struct blockz_fault *fault)
{
	if (found->count >= UNITE_MIN && found->count >= 2 * found->united) {
		enum blockz_status status = unite(found, fault);
		if (status != BLOCKZ_OK)
			return status;
		if (found->count > FOUND_MAX)
			return fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN, "more than %d blocks", FOUND_MAX);
	}
	struct block *room = array_room(found->items, found->count, sizeof(*room));
	if (room == NULL)
		return fault_nomem(fault);
	found->items = room;
	found->items[found->count++] = *block;
	return BLOCKZ_OK;
}

enum blockz_status found_list(struct found *found, struct blocks *blocks, struct blockz_fault *fault)
{
	enum blockz_status status = unite(found, fault);
	if (status == BLOCKZ_OK && found->count > FOUND_MAX)
		return fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN, "more than %d blocks", FOUND_MAX);
	for (size_t i = 0; i < found->count && status == BLOCKZ_OK; i++)
		if (!blocks_append(blocks, &found->items[i]))
			status = fault_nomem(fault);
	return status;
}
