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

struct buffered_page {
	uint64_t page;
	uint64_t mask;
	uint32_t chain;        /* the next in its bucket, or of those that are free */
	uint32_t older, newer; /* in the list of those with as many sectors */
	uint32_t sectors[];    /* the numbers of those in mask */
};

struct list {
	uint32_t oldest, newest;
};

struct write_buffer {
	struct memory *memory;
	unsigned sectors_per_page;
	size_t page_len; /* bytes of one struct buffered_page */
	size_t sectors_max, count;
	size_t page_count;
	uint8_t **chunks; /* sectors, and then pages */
	uint32_t *buckets; /* CHUNK_SECTORS for each chunk that there is room for: a power of two */
	size_t chunk_count, chunk_room;
	uint32_t free_sector, free_page; /* lists; a free sector begins with the number of the next */
	uint64_t lengths; /* bit n - 1: the list of pages with n sectors is not empty */
	struct list lists[PAGE_SECTORS_MAX];
};

/* ---- Chunks ---- */

static size_t chunk_len(const struct write_buffer *buffer)
{
	return CHUNK_SECTORS * (PAGE_SECTOR_SIZE + buffer->page_len);
}

static uint8_t *sector_at(const struct write_buffer *buffer, uint32_t number)
{
	return buffer->chunks[number / CHUNK_SECTORS] + number % CHUNK_SECTORS * (size_t)PAGE_SECTOR_SIZE;
}

static struct buffered_page *page_at(const struct write_buffer *buffer, uint32_t number)
{
	uint8_t *pages = buffer->chunks[number / CHUNK_SECTORS] + CHUNK_SECTORS * PAGE_SECTOR_SIZE;
	return (struct buffered_page *)(void *)(pages + number % CHUNK_SECTORS * buffer->page_len);
}

static void free_sector(struct write_buffer *buffer, uint32_t number)
{
	memcpy(sector_at(buffer, number), &buffer->free_sector, sizeof(number));
	buffer->free_sector = number;
}

static void free_page(struct write_buffer *buffer, uint32_t number)
{
	page_at(buffer, number)->chain = buffer->free_page;
	buffer->free_page = number;
}

/* So that the lowest number is taken first. */
static void free_chunk(struct write_buffer *buffer, size_t chunk)
{
	for (uint32_t i = CHUNK_SECTORS; i-- > 0;) {
		free_sector(buffer, (uint32_t)chunk * CHUNK_SECTORS + i);
		free_page(buffer, (uint32_t)chunk * CHUNK_SECTORS + i);
	}
}

/* ---- Pages by their number ---- */

static uint32_t *bucket_of(const struct write_buffer *buffer, uint64_t page)
{
	uint64_t mixed = page * UINT64_C(0x9e3779b97f4a7c15); /* 2^64 divided by the golden ratio */
	return &buffer->buckets[mixed >> 32 & (buffer->chunk_room * CHUNK_SECTORS - 1)];
}

static uint32_t find_page(const struct write_buffer *buffer, uint64_t page)
{
	if (buffer->page_count == 0)
		return NONE;
	uint32_t number = *bucket_of(buffer, page);
	while (number != NONE && page_at(buffer, number)->page != page)
		number = page_at(buffer, number)->chain;
	return number;
}

static void chain_page(struct write_buffer *buffer, uint32_t number)
{
	struct buffered_page *page = page_at(buffer, number);
	uint32_t *bucket = bucket_of(buffer, page->page);
	page->chain = *bucket;
	*bucket = number;
}

static void unchain_page(struct write_buffer *buffer, uint32_t number)
{
	uint32_t *link = bucket_of(buffer, page_at(buffer, number)->page);
	while (*link != number)
		link = &page_at(buffer, *link)->chain;
	*link = page_at(buffer, number)->chain;
}

/* ---- Pages by how many of their sectors wait ---- */

static struct list *list_of(struct write_buffer *buffer, const struct buffered_page *page)
{
	return &buffer->lists[__builtin_popcountll(page->mask) - 1];
}

static void enlist_page(struct write_buffer *buffer, uint32_t number)
{
	struct buffered_page *page = page_at(buffer, number);
	struct list *list = list_of(buffer, page);
	uint64_t bit = UINT64_C(1) << (list - buffer->lists);
	page->newer = NONE;
	page->older = buffer->lengths & bit ? list->newest : NONE;
	if (page->older != NONE)
		page_at(buffer, page->older)->newer = number;
	else
		list->oldest = number;
	list->newest = number;
	buffer->lengths |= bit;
}

static void delist_page(struct write_buffer *buffer, uint32_t number)
{
	struct buffered_page *page = page_at(buffer, number);
	struct list *list = list_of(buffer, page);
	if (page->older != NONE)
		page_at(buffer, page->older)->newer = page->newer;
	else
		list->oldest = page->newer;
	if (page->newer != NONE)
		page_at(buffer, page->newer)->older = page->older;
	else
		list->newest = page->older;
	if (list->oldest == NONE)
		buffer->lengths &= ~(UINT64_C(1) << (list - buffer->lists));
}

static void rehash(struct write_buffer *buffer)
{
	memset(buffer->buckets, 0xff, buffer->chunk_room * CHUNK_SECTORS * sizeof(*buffer->buckets)); /* NONE */
	for (size_t i = 0; i < buffer->sectors_per_page; i++) {
		uint32_t number = buffer->lengths >> i & 1 ? buffer->lists[i].oldest : NONE;
		for (; number != NONE; number = page_at(buffer, number)->newer)
			chain_page(buffer, number);
	}
}

/* ---- Memory ---- */

static void free_tables(struct write_buffer *buffer)
{
	memory_free(buffer->memory, buffer->chunks, buffer->chunk_room * sizeof(*buffer->chunks));
	memory_free(buffer->memory, buffer->buckets, buffer->chunk_room * CHUNK_SECTORS * sizeof(*buffer->buckets));
}

static bool grow_tables(struct write_buffer *buffer)
{
	size_t room = buffer->chunk_room == 0 ? CHUNKS_ROOM_MIN : 2 * buffer->chunk_room;
	size_t chunks_len = room * sizeof(*buffer->chunks);
	uint8_t **chunks = memory_new(buffer->memory, chunks_len);
	uint32_t *buckets = memory_new(buffer->memory, room * CHUNK_SECTORS * sizeof(*buckets));
	if (chunks == NULL || buckets == NULL) {
		memory_free(buffer->memory, chunks, chunks_len);
		memory_free(buffer->memory, buckets, room * CHUNK_SECTORS * sizeof(*buckets));
		return false;
	}
	if (buffer->chunk_count > 0)
		memcpy(chunks, buffer->chunks, buffer->chunk_count * sizeof(*chunks));
	free_tables(buffer);
	buffer->chunks = chunks;
	buffer->buckets = buckets;
	buffer->chunk_room = room;
	rehash(buffer);
	return true;
}

static bool add_chunk(struct write_buffer *buffer)
{
	if (buffer->chunk_count == buffer->chunk_room && !grow_tables(buffer))
		return false;
	uint8_t *chunk = memory_new(buffer->memory, chunk_len(buffer));
	if (chunk == NULL)
		return false;
	buffer->chunks[buffer->chunk_count] = chunk;
	free_chunk(buffer, buffer->chunk_count++);
	return true;
}

/* Nothing waits: gives back all chunks but the first, lest one comes and goes with each page that is written in parts. */
static void give_chunks_back(struct write_buffer *buffer)
{
	while (buffer->chunk_count > 1)
		memory_free(buffer->memory, buffer->chunks[--buffer->chunk_count], chunk_len(buffer));
	buffer->free_sector = buffer->free_page = NONE;
	free_chunk(buffer, 0);
}

struct write_buffer *write_buffer_new(struct memory *memory, unsigned sectors_per_page, size_t sectors_max)
{
	size_t align = _Alignof(struct buffered_page);
	struct write_buffer *buffer = memory_new(memory, sizeof(*buffer));
	if (buffer == NULL)
		return NULL;
	buffer->memory = memory;
	buffer->sectors_per_page = sectors_per_page;
	buffer->page_len = offsetof(struct buffered_page, sectors) + sectors_per_page * sizeof(uint32_t);
	buffer->page_len = (buffer->page_len + align - 1) / align * align;
	buffer->sectors_max = sectors_max < NONE - CHUNK_SECTORS ? sectors_max : NONE - CHUNK_SECTORS;
	buffer->free_sector = buffer->free_page = NONE;
	return buffer;
}

void write_buffer_free(struct write_buffer *buffer)
{
	if (buffer == NULL)
		return;
	while (buffer->chunk_count > 0)
		memory_free(buffer->memory, buffer->chunks[--buffer->chunk_count], chunk_len(buffer));
	free_tables(buffer);
	memory_free(buffer->memory, buffer, sizeof(*buffer));
}

/* ---- Sectors ---- */

uint64_t write_buffer_mask(const struct write_buffer *buffer, uint64_t page)
{
	uint32_t number = find_page(buffer, page);
	return number == NONE ? 0 : page_at(buffer, number)->mask;
}

void write_buffer_get(const struct write_buffer *buffer, uint64_t page, size_t off, size_t len, uint8_t *buf)
{
	uint32_t number = find_page(buffer, page);
	if (number == NONE)
		return;
	const struct buffered_page *found = page_at(buffer, number);
	for (uint64_t left = found->mask & sectors_touched(off, len); left != 0; left &= left - 1) {
		unsigned sector = (unsigned)__builtin_ctzll(left);
		const uint8_t *bytes = sector_at(buffer, found->sectors[sector]);
		struct overlap part = sector_overlap(sector, off, len);
		memcpy(buf + (part.start - off), bytes + part.start % PAGE_SECTOR_SIZE, part.end - part.start);
	}
}

uint8_t *write_buffer_sector(const struct write_buffer *buffer, uint64_t page, unsigned sector)
{
	return sector_at(buffer, page_at(buffer, find_page(buffer, page))->sectors[sector]);
}

/* A page of which nothing waits, for a sector to be put to it. */
static uint32_t take_page(struct write_buffer *buffer, uint64_t page)
{
	uint32_t number = buffer->free_page;
	struct buffered_page *taken = page_at(buffer, number);
	buffer->free_page = taken->chain;
	buffer->page_count++;
	taken->page = page;
	taken->mask = 0;
	chain_page(buffer, number);
	return number;
}

static uint32_t take_sector(struct write_buffer *buffer)
{
	uint32_t number = buffer->free_sector;
	memcpy(&buffer->free_sector, sector_at(buffer, number), sizeof(number));
	buffer->count++;
	return number;
}

uint8_t *write_buffer_put(struct write_buffer *buffer, uint64_t page, unsigned sector)
{
	uint32_t number = find_page(buffer, page);
	uint64_t bit = UINT64_C(1) << sector;
	bool waits = number != NONE && (page_at(buffer, number)->mask & bit) != 0;
	if (!waits && (buffer->count >= buffer->sectors_max || (buffer->free_sector == NONE && !add_chunk(buffer))))
		return NULL;
	if (number != NONE)
		delist_page(buffer, number);
	else
		number = take_page(buffer, page);
	struct buffered_page *found = page_at(buffer, number);
	if (!waits)
		found->sectors[sector] = take_sector(buffer);
	found->mask |= bit;
	enlist_page(buffer, number);
	return sector_at(buffer, found->sectors[sector]);
}

bool write_buffer_next(const struct write_buffer *buffer, uint64_t *page_ret)
{
	if (buffer->lengths == 0)
		return false;
	uint32_t number = buffer->lists[63 - __builtin_clzll(buffer->lengths)].oldest;
	*page_ret = page_at(buffer, number)->page;
	return true;
}

static void drop_sectors(struct write_buffer *buffer, uint32_t number, uint64_t mask)
{
	struct buffered_page *page = page_at(buffer, number);
	delist_page(buffer, number);
	for (uint64_t left = page->mask & mask; left != 0; left &= left - 1) {
		free_sector(buffer, page->sectors[__builtin_ctzll(left)]);
		buffer->count--;
	}
	if ((page->mask & ~mask) != 0) {
		page->mask &= ~mask;
		enlist_page(buffer, number);
		return;
	}
	unchain_page(buffer, number);
	free_page(buffer, number);
	buffer->page_count--;
}

void write_buffer_drop(struct write_buffer *buffer, uint64_t page, uint64_t mask)
{
	uint32_t number = find_page(buffer, page);
	if (number == NONE || (page_at(buffer, number)->mask & mask) == 0)
		return;
	drop_sectors(buffer, number, mask);
	if (buffer->count == 0)
		give_chunks_back(buffer);
}

size_t write_buffer_count(const struct write_buffer *buffer)
{
	return buffer->count;
}
