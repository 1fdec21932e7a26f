/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A page store as its own files see it.  It is cut into shards: of n, page p of the image lies in shard p mod n, as its
 * local page p / n.  What stands here is settled when the store is made, and so needs no lock; all that changes lies in
 * the shards, in the memory that is counted, and in what guards itself.
 */
#ifndef PAGESTORE_STORE_H
#define PAGESTORE_STORE_H

#include "blockz_pages.h"
#include "pagestore/memory.h"

struct blockz_pages {
	struct memory memory;
	uint64_t size, page_count;
	uint32_t page_size;
	enum blockz_pages_layout layout;
	int level;
	const struct blockz_source *base; /* the caller's, or NULL */
	size_t sectors_max;               /* that may wait in a shard */
	struct page_codec *codec;
	struct flat_mapping *mapping;     /* NULL where each shard has a heap */
	struct helpers *helpers;          /* for long requests; NULL where there is nothing to encode and decode */
	unsigned shard_bits, shard_count; /* 2 to the power of shard_bits */
	struct shard **shards;
};

/* The number of the shard in which a page lies, and the shard. */
static inline unsigned shard_number(const struct blockz_pages *pages, uint64_t page)
{
	return (unsigned)page & (pages->shard_count - 1);
}

static inline struct shard *shard_of(const struct blockz_pages *pages, uint64_t page)
{
	return pages->shards[shard_number(pages, page)];
}

/* A page's number in its shard. */
static inline uint64_t local_page(const struct blockz_pages *pages, uint64_t page)
{
	return page >> pages->shard_bits;
}

/* The page of the image that is a local page of a shard. */
static inline uint64_t image_page(const struct blockz_pages *pages, unsigned shard, uint64_t local)
{
	return local << pages->shard_bits | shard;
}

/* How many of the image's pages before this one are a shard's: the local number of its first page from this one on. */
static inline uint64_t local_from(const struct blockz_pages *pages, unsigned shard, uint64_t page)
{
	return (page + pages->shard_count - 1 - shard) >> pages->shard_bits;
}

/* Bytes of a page that lie in the image: all of them but for the last page. */
static inline size_t page_len(const struct blockz_pages *pages, uint64_t page)
{
	uint64_t left = pages->size - page * pages->page_size;
	return left < pages->page_size ? (size_t)left : pages->page_size;
}

#endif
