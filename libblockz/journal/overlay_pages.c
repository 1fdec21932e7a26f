/* SPDX-License-Identifier: BSD-3-Clause */
/* Words are set and read one by one: who has seen a bit sees the page behind it. */
#include "journal/overlay_pages.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/checked.h"

enum { WORD_PAGES = 64, WORD_LEN = 8, BLOCK_WORDS = OVERLAY_BLOCK_LEN / WORD_LEN };

static uint64_t count_pages(uint64_t image_size)
{
	return (image_size + BLOCKZ_OVERLAY_PAGE - 1) / BLOCKZ_OVERLAY_PAGE;
}

uint64_t overlay_pages_blocks(uint64_t image_size)
{
	return (count_pages(image_size) + OVERLAY_BLOCK_PAGES - 1) / OVERLAY_BLOCK_PAGES;
}

bool overlay_pages_init(struct overlay_pages *pages, uint64_t image_size)
{
	*pages = (struct overlay_pages){ .count = count_pages(image_size), .block_count = overlay_pages_blocks(image_size) };
	pages->words = calloc((size_t)pages->block_count, OVERLAY_BLOCK_LEN);
	pages->changed = calloc((size_t)pages->block_count, sizeof(*pages->changed));
	pages->has_room = calloc((size_t)pages->block_count, sizeof(*pages->has_room));
	if (pages->words != NULL && pages->changed != NULL && pages->has_room != NULL)
		return true;
	overlay_pages_free(pages);
	return false;
}

void overlay_pages_free(struct overlay_pages *pages)
{
	free(pages->words);
	free(pages->changed);
	free(pages->has_room);
	*pages = (struct overlay_pages){ 0 };
}

static uint64_t word_at(const struct overlay_pages *pages, uint64_t index)
{
	return atomic_load_explicit(&pages->words[index], memory_order_acquire);
}

bool overlay_pages_has(const struct overlay_pages *pages, uint64_t page)
{
	return page < pages->count && (word_at(pages, page / WORD_PAGES) >> page % WORD_PAGES & 1) != 0;
}

void overlay_pages_add(struct overlay_pages *pages, uint64_t page)
{
	uint64_t bit = UINT64_C(1) << page % WORD_PAGES;
	if ((atomic_fetch_or(&pages->words[page / WORD_PAGES], bit) & bit) != 0)
		return;
	pages->held++;
	pages->changed[page / OVERLAY_BLOCK_PAGES] = true;
}

uint64_t overlay_pages_find(const struct overlay_pages *pages, uint64_t page, uint64_t end, bool held)
{
	while (page < end && page < pages->count) {
		uint64_t word = word_at(pages, page / WORD_PAGES);
		uint64_t left = (held ? word : ~word) >> page % WORD_PAGES;
		if (left != 0)
			return min(page + (uint64_t)__builtin_ctzll(left), end);
		page += WORD_PAGES - page % WORD_PAGES;
	}
	return held ? end : min(page, end);
}

bool overlay_pages_take(struct overlay_pages *pages, uint64_t block, uint8_t *bytes)
{
	if (!atomic_exchange(&pages->changed[block], false))
		return false;
	for (uint64_t i = 0; i < BLOCK_WORDS; i++)
		store_le64(bytes + i * WORD_LEN, word_at(pages, block * BLOCK_WORDS + i));
	return true;
}

void overlay_pages_give_back(struct overlay_pages *pages, uint64_t block)
{
	pages->changed[block] = true;
}

/* Those of a word that the image has. */
static uint64_t real_bits(const struct overlay_pages *pages, uint64_t index)
{
	uint64_t left = pages->count > index * WORD_PAGES ? pages->count - index * WORD_PAGES : 0;
	return left >= WORD_PAGES ? UINT64_MAX : (UINT64_C(1) << left) - 1;
}

bool overlay_pages_load(struct overlay_pages *pages, uint64_t block, const uint8_t *bytes)
{
	for (uint64_t i = 0; i < BLOCK_WORDS; i++) {
		uint64_t index = block * BLOCK_WORDS + i, word = load_le64(bytes + i * WORD_LEN);
		if ((word & ~real_bits(pages, index)) != 0)
			return false;
		if (word == 0)
			continue; /* its memory is not touched */
		pages->has_room[block] = true;
		uint64_t before = atomic_fetch_or(&pages->words[index], word);
		pages->held += (uint64_t)__builtin_popcountll(word & ~before);
	}
	return true;
}
