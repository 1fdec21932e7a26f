/* SPDX-License-Identifier: BSD-3-Clause */
/* A list that grows at its end; what a container promises of it is asserted here. */
#include "codec/blocks.h"

#include <assert.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/checked.h"

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

/* Where no candidate takes more: the block before and after it, and once more in an encoder. */
uint64_t blocks_encoder_memory(const struct blocks *blocks, uint64_t plain_len)
{
	uint64_t most = 3 * plain_len;
	for (size_t i = 0; i < blocks->candidate_count; i++) {
		uint64_t memory = codec_encoder_memory(&blocks->candidates[i], (uint32_t)min(plain_len, CODEC_BLOCK_MAX));
		most = memory > most ? memory : most;
	}
	return most;
}
