/* SPDX-License-Identifier: BSD-3-Clause */
/* Content of listed blocks follows the file, in the order of the blocks. */
#include "delta/make/listing.h"

#include <stdlib.h>

#include "base/bisect.h"
#include "base/fault.h"

enum blockz_status listing_make(const struct image *old, const bool *chosen, struct listing *listing_ret,
				struct blockz_fault *fault)
{
	const struct blocks *blocks = &old->blocks;
	struct listing listing = {
		.blocks.items = calloc(blocks->count + 1, sizeof(*listing.blocks.items)),
		.places = calloc(blocks->count + 1, sizeof(*listing.places)), .count = blocks->count,
	};
	if (listing.blocks.items == NULL || listing.places == NULL) {
		listing_free(&listing);
		return fault_nomem(fault);
	}
	uint64_t place = blocks->size;
	for (size_t i = 0; i < blocks->count; i++) {
		const struct block *block = &blocks->items[i];
		listing.places[i] = place;
		if (!chosen[i] || block->is_plain)
			continue;
		listing.blocks.items[listing.blocks.count++] = (struct delta_old_block){
			.file_off = block->file_off, .plain_len = block->plain_len,
			.file_len = block->file_len & 0x3ffffff, .codec = block->codec & 0x3f,
		};
		place += block->plain_len;
	}
	*listing_ret = listing;
	return BLOCKZ_OK;
}

void listing_free(struct listing *listing)
{
	free(listing->blocks.items);
	free(listing->places);
	*listing = (struct listing){ 0 };
}

static bool is_at_or_before(const void *listing, uint64_t i, uint64_t place)
{
	return ((const struct listing *)listing)->places[i] <= place;
}

size_t listing_block_at(const struct listing *listing, uint64_t place)
{
	return (size_t)bisect_last(listing->count, is_at_or_before, listing, place);
}
