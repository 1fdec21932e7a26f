/* SPDX-License-Identifier: BSD-3-Clause */
/* A list that grows at its end; what a container promises of it is asserted here. */
#include "codec/blocks.h"

#include <assert.h>
#include <stdlib.h>

#include "base/array.h"

void blocks_free(struct blocks *blocks)
{
	free(blocks->items);
	free(blocks->candidates);
	blocks->items = NULL;
	blocks->candidates = NULL;
	blocks->count = blocks->candidate_count = 0;
}

bool blocks_append(struct blocks *blocks, const struct block *block)
{
	const struct block *last = blocks->count > 0 ? &blocks->items[blocks->count - 1] : NULL;
	assert(block->file_len > 0 && block->file_len <= CODEC_BLOCK_MAX);
	assert(block->plain_len > 0 && block->plain_len <= CODEC_BLOCK_MAX);
	assert(block->codec < CODEC_COUNT);
	assert(block->file_off >= (last != NULL ? last->file_off + last->file_len : 0));
	assert(block->file_off <= blocks->size && block->file_len <= blocks->size - block->file_off);
	struct block *items = array_room(blocks->items, blocks->count, sizeof(*items));
	if (items == NULL)
		return false;
	blocks->items = items;
	items[blocks->count++] = *block;
	return true;
}

bool blocks_suggest(struct blocks *blocks, const struct codec_params *params)
{
	assert(codec_params_are_valid(params));
	struct codec_params *candidates = array_room(blocks->candidates, blocks->candidate_count, sizeof(*candidates));
	if (candidates == NULL)
		return false;
	blocks->candidates = candidates;
	candidates[blocks->candidate_count++] = *params;
	return true;
}
