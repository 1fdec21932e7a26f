/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pages of which something waits are found by a hash, and stand in lists by the number of their sectors, so that the page
 * whose encoding pays most is at hand.  Sectors and pages are numbered, and live in chunks of as many sectors as pages:
 * where there is room for a sector, there is for the page that it may be the first of.
 */
#include "pagestore/write_buffer.h"

#include <string.h>

enum {
	CHUNK_SECTORS = 8,   /* one page of the default size */
	CHUNKS_ROOM_MIN = 4, /* of the table of chunks, which doubles */
	NONE = UINT32_MAX,
};

struct waiting_page {
	uint64_t page;
	uint64_t mask;
	uint32_t chain;        /* the next in its bucket, or of those that are free */
	uint32_t older, newer; /* in the list of those with as many sectors */
	uint32_t sectors[];    /* the numbers of those in mask */
};

struct list {
	uint32_t oldest, newest;
};

struct waiting {
	struct memory *memory;
	unsigned sectors_per_page;
	size_t page_len; /* bytes of one struct waiting_page */
	size_t sectors_max, count;
	size_t page_count;
	uint8_t **chunks; /* sectors, and then pages */
	uint32_t *buckets; /* CHUNK_SECTORS for each chunk that there is room for: a power of two */
	size_t chunk_count, chunk_room;
	uint32_t free_sector, free_page; /* lists; a free sector begins with the number of the next */
	uint64_t lengths; /* bit n - 1: the list of pages with n sectors is not empty */
	struct list lists[WAITING_SECTORS_MAX];
};

/* ---- Chunks */

static size_t chunk_len(const struct waiting *waiting)
{
	return CHUNK_SECTORS * (WAITING_SECTOR_SIZE + waiting->page_len);
}

static uint8_t *sector_at(const struct waiting *waiting, uint32_t number)
{
	return waiting->chunks[number / CHUNK_SECTORS] + number % CHUNK_SECTORS * (size_t)WAITING_SECTOR_SIZE;
}

static struct waiting_page *page_at(const struct waiting *waiting, uint32_t number)
{
	uint8_t *pages = waiting->chunks[number / CHUNK_SECTORS] + CHUNK_SECTORS * WAITING_SECTOR_SIZE;
	return (struct waiting_page *)(void *)(pages + number % CHUNK_SECTORS * waiting->page_len);
}

static void free_sector(struct waiting *waiting, uint32_t number)
{
	memcpy(sector_at(waiting, number), &waiting->free_sector, sizeof(number));
	waiting->free_sector = number;
}

static void free_page(struct waiting *waiting, uint32_t number)
{
	page_at(waiting, number)->chain = waiting->free_page;
	waiting->free_page = number;
}

/* So that the lowest number is taken first. */
static void free_chunk(struct waiting *waiting, size_t chunk)
{
	for (uint32_t i = CHUNK_SECTORS; i-- > 0;) {
		free_sector(waiting, (uint32_t)chunk * CHUNK_SECTORS + i);
		free_page(waiting, (uint32_t)chunk * CHUNK_SECTORS + i);
	}
}

/* ---- Pages by their number */

static uint32_t *bucket_of(const struct waiting *waiting, uint64_t page)
{
	uint64_t mixed = page * UINT64_C(0x9e3779b97f4a7c15); /* 2^64 divided by the golden ratio */
	return &waiting->buckets[mixed >> 32 & (waiting->chunk_room * CHUNK_SECTORS - 1)];
}

static uint32_t find(const struct waiting *waiting, uint64_t page)
{
	if (waiting->page_count == 0)
		return NONE;
	uint32_t number = *bucket_of(waiting, page);
	while (number != NONE && page_at(waiting, number)->page != page)
		number = page_at(waiting, number)->chain;
	return number;
}

static void chain(struct waiting *waiting, uint32_t number)
{
	struct waiting_page *page = page_at(waiting, number);
	uint32_t *bucket = bucket_of(waiting, page->page);
	page->chain = *bucket;
	*bucket = number;
}

static void unchain(struct waiting *waiting, uint32_t number)
{
	uint32_t *link = bucket_of(waiting, page_at(waiting, number)->page);
	while (*link != number)
		link = &page_at(waiting, *link)->chain;
	*link = page_at(waiting, number)->chain;
}

/* ---- Pages by how many of their sectors wait */

static struct list *list_of(struct waiting *waiting, const struct waiting_page *page)
{
	return &waiting->lists[__builtin_popcountll(page->mask) - 1];
}

static void enlist(struct waiting *waiting, uint32_t number)
{
	struct waiting_page *page = page_at(waiting, number);
	struct list *list = list_of(waiting, page);
	uint64_t bit = UINT64_C(1) << (list - waiting->lists);
	page->newer = NONE;
	page->older = waiting->lengths & bit ? list->newest : NONE;
	if (page->older != NONE)
		page_at(waiting, page->older)->newer = number;
	else
		list->oldest = number;
	list->newest = number;
	waiting->lengths |= bit;
}

static void delist(struct waiting *waiting, uint32_t number)
{
	struct waiting_page *page = page_at(waiting, number);
	struct list *list = list_of(waiting, page);
	if (page->older != NONE)
		page_at(waiting, page->older)->newer = page->newer;
	else
		list->oldest = page->newer;
	if (page->newer != NONE)
		page_at(waiting, page->newer)->older = page->older;
	else
		list->newest = page->older;
	if (list->oldest == NONE)
		waiting->lengths &= ~(UINT64_C(1) << (list - waiting->lists));
}

static void rehash(struct waiting *waiting)
{
	memset(waiting->buckets, 0xff, waiting->chunk_room * CHUNK_SECTORS * sizeof(*waiting->buckets)); /* NONE */
	for (size_t i = 0; i < waiting->sectors_per_page; i++) {
		uint32_t number = waiting->lengths >> i & 1 ? waiting->lists[i].oldest : NONE;
		for (; number != NONE; number = page_at(waiting, number)->newer)
			chain(waiting, number);
	}
}

/* ---- Memory */

static void free_tables(struct waiting *waiting)
{
	memory_free(waiting->memory, waiting->chunks, waiting->chunk_room * sizeof(*waiting->chunks));
	memory_free(waiting->memory, waiting->buckets, waiting->chunk_room * CHUNK_SECTORS * sizeof(*waiting->buckets));
}

static bool grow_tables(struct waiting *waiting)
{
	size_t room = waiting->chunk_room == 0 ? CHUNKS_ROOM_MIN : 2 * waiting->chunk_room;
	size_t chunks_len = room * sizeof(*waiting->chunks);
	uint8_t **chunks = memory_new(waiting->memory, chunks_len);
	uint32_t *buckets = memory_new(waiting->memory, room * CHUNK_SECTORS * sizeof(*buckets));
	if (chunks == NULL || buckets == NULL) {
		memory_free(waiting->memory, chunks, chunks_len);
		memory_free(waiting->memory, buckets, room * CHUNK_SECTORS * sizeof(*buckets));
		return false;
	}
	if (waiting->chunk_count > 0)
		memcpy(chunks, waiting->chunks, waiting->chunk_count * sizeof(*chunks));
	free_tables(waiting);
	waiting->chunks = chunks;
	waiting->buckets = buckets;
	waiting->chunk_room = room;
	rehash(waiting);
	return true;
}

static bool add_chunk(struct waiting *waiting)
{
	if (waiting->chunk_count == waiting->chunk_room && !grow_tables(waiting))
		return false;
	uint8_t *chunk = memory_new(waiting->memory, chunk_len(waiting));
	if (chunk == NULL)
		return false;
	waiting->chunks[waiting->chunk_count] = chunk;
	free_chunk(waiting, waiting->chunk_count++);
	return true;
}

/* Nothing waits: gives back all chunks but the first, lest one comes and goes with each page that is written in parts. */
static void give_back(struct waiting *waiting)
{
	while (waiting->chunk_count > 1)
		memory_free(waiting->memory, waiting->chunks[--waiting->chunk_count], chunk_len(waiting));
	waiting->free_sector = waiting->free_page = NONE;
	free_chunk(waiting, 0);
}

struct waiting *waiting_new(struct memory *memory, unsigned sectors_per_page, size_t sectors_max)
{
	size_t align = _Alignof(struct waiting_page);
	struct waiting *waiting = memory_new(memory, sizeof(*waiting));
	if (waiting == NULL)
		return NULL;
	waiting->memory = memory;
	waiting->sectors_per_page = sectors_per_page;
	waiting->page_len = offsetof(struct waiting_page, sectors) + sectors_per_page * sizeof(uint32_t);
	waiting->page_len = (waiting->page_len + align - 1) / align * align;
	waiting->sectors_max = sectors_max < NONE - CHUNK_SECTORS ? sectors_max : NONE - CHUNK_SECTORS;
	waiting->free_sector = waiting->free_page = NONE;
	return waiting;
}

void waiting_free(struct waiting *waiting)
{
	if (waiting == NULL)
		return;
	while (waiting->chunk_count > 0)
		memory_free(waiting->memory, waiting->chunks[--waiting->chunk_count], chunk_len(waiting));
	free_tables(waiting);
	memory_free(waiting->memory, waiting, sizeof(*waiting));
}

/* ---- Sectors */

uint64_t waiting_mask(const struct waiting *waiting, uint64_t page)
{
	uint32_t number = find(waiting, page);
	return number == NONE ? 0 : page_at(waiting, number)->mask;
}

uint8_t *waiting_sector(const struct waiting *waiting, uint64_t page, unsigned sector)
{
	return sector_at(waiting, page_at(waiting, find(waiting, page))->sectors[sector]);
}

/* A page of which nothing waits, for a sector to be put to it. */
static uint32_t take_page(struct waiting *waiting, uint64_t page)
{
	uint32_t number = waiting->free_page;
	struct waiting_page *taken = page_at(waiting, number);
	waiting->free_page = taken->chain;
	waiting->page_count++;
	taken->page = page;
	taken->mask = 0;
	chain(waiting, number);
	return number;
}

static uint32_t take_sector(struct waiting *waiting)
{
	uint32_t number = waiting->free_sector;
	memcpy(&waiting->free_sector, sector_at(waiting, number), sizeof(number));
	waiting->count++;
	return number;
}

uint8_t *waiting_put(struct waiting *waiting, uint64_t page, unsigned sector)
{
	uint32_t number = find(waiting, page);
	uint64_t bit = UINT64_C(1) << sector;
	bool waits = number != NONE && (page_at(waiting, number)->mask & bit) != 0;
	if (!waits && (waiting->count >= waiting->sectors_max || (waiting->free_sector == NONE && !add_chunk(waiting))))
		return NULL;
	if (number != NONE)
		delist(waiting, number);
	else
		number = take_page(waiting, page);
	struct waiting_page *found = page_at(waiting, number);
	if (!waits)
		found->sectors[sector] = take_sector(waiting);
	found->mask |= bit;
	enlist(waiting, number);
	return sector_at(waiting, found->sectors[sector]);
}

bool waiting_next(const struct waiting *waiting, uint64_t *page_ret)
{
	if (waiting->lengths == 0)
		return false;
	uint32_t number = waiting->lists[63 - __builtin_clzll(waiting->lengths)].oldest;
	*page_ret = page_at(waiting, number)->page;
	return true;
}

static void drop(struct waiting *waiting, uint32_t number, uint64_t mask)
{
	struct waiting_page *page = page_at(waiting, number);
	delist(waiting, number);
	for (uint64_t left = page->mask & mask; left != 0; left &= left - 1) {
		free_sector(waiting, page->sectors[__builtin_ctzll(left)]);
		waiting->count--;
	}
	if ((page->mask & ~mask) != 0) {
		page->mask &= ~mask;
		enlist(waiting, number);
		return;
	}
	unchain(waiting, number);
	free_page(waiting, number);
	waiting->page_count--;
}

void waiting_drop(struct waiting *waiting, uint64_t page, uint64_t mask)
{
	uint32_t number = find(waiting, page);
	if (number == NONE || (page_at(waiting, number)->mask & mask) == 0)
		return;
	drop(waiting, number, mask);
	if (waiting->count == 0)
		give_back(waiting);
}

size_t waiting_count(const struct waiting *waiting)
{
	return waiting->count;
}
