/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A store is cut into shards: of n, page p of the image lies in shard p mod n, as its local page p / n.  A shard
 * has all that its pages need to itself, so that requests in different shards do not meet.
 *
 * Who changes a shard has its turn, and does everything but the change itself with that alone: reads of the base,
 * decoding, encoding.  The lock is held for moments only, in which bytes are copied: shared to look, and alone, on
 * top of the turn, to change.  So who has the turn may look without the lock, and readers decode while others
 * encode.
 *
 * A thread that has a context of the codec waits for the lock, but for no turn, and not for the base; one that has
 * the lock waits for nothing. No thread has two turns, but one that freezes all of the store, and takes them in
 * order.
 */
#ifndef PAGESTORE_SHARD_H
#define PAGESTORE_SHARD_H

#include <pthread.h>
#include <semaphore.h>

#include "blockz_pages.h"
#include "pagestore/page_codec.h"
#include "pagestore/page_storage.h"
#include "pagestore/page_table.h"
#include "pagestore/write_buffer.h"
#include "parallel/helpers.h"

enum { SHARDS_MIN = 8, SHARDS_MAX = 256 };

/* The page that was decoded last for a part of it: the next request is likely to want another. */
struct view {
	pthread_mutex_t lock; /* of readers against each other */
	uint64_t page;        /* of the image; BLOCKZ_UNKNOWN: none */
	uint8_t *bytes;       /* a page; NULL until one is first put here */
};

struct shard {
	const struct blockz_pages *pages;
	struct memory *memory;
	unsigned number;
	sem_t turn; /* a semaphore, since a frozen store is nobody's */
	pthread_rwlock_t lock;
	struct page_table *table;
	struct page_storage *storage;
	struct write_buffer *buffer; /* NULL: sectors do not wait */
	struct view view;
	uint64_t changes; /* of what is stored */
	uint64_t compressed_pages, raw_pages, stored_bytes;
	_Atomic uint64_t reads, read_hits, writes, write_hits;
};

struct blockz_pages {
	struct memory memory;
	uint64_t size, page_count;
	uint32_t page_size;
	enum blockz_pages_layout layout;
	int level;
	const struct blockz_source *base; /* or NULL */
	size_t sectors_max; /* that may wait in a shard */
	struct page_codec *codec;
	struct flat_mapping *mapping; /* or NULL */
	struct crew *crew;     /* for long requests; NULL where there is nothing to encode and decode */
	unsigned shard_bits, shard_count; /* 2 to the power of shard_bits */
	struct shard **shards;
};

/* ---- Pages and shards ---- */

static inline struct shard *shard_of(const struct blockz_pages *pages, uint64_t page)
{
	return pages->shards[page & (pages->shard_count - 1)];
}

static inline uint64_t local_page(const struct shard *shard, uint64_t page)
{
	return page >> shard->pages->shard_bits;
}

static inline uint64_t image_page(const struct shard *shard, uint64_t local)
{
	return local << shard->pages->shard_bits | shard->number;
}

/* How many of the image's pages before this one are a shard's: the local number of the first from it on. */
static inline uint64_t local_from(const struct blockz_pages *pages, unsigned shard, uint64_t page)
{
	return (page + pages->shard_count - 1 - shard) >> pages->shard_bits;
}

/* Bytes of a page, fewer only of the last one. */
static inline size_t page_len(const struct blockz_pages *pages, uint64_t page)
{
	uint64_t left = pages->size - page * pages->page_size;
	return left < pages->page_size ? (size_t)left : pages->page_size;
}

/* ---- What can be done with them ---- */

/* NULL: no memory, as memory_fault() has it. */
struct shard *shard_new(const struct blockz_pages *pages, struct memory *memory, unsigned number);
void shard_free(struct shard *shard); /* NULL is fine */

void shard_enter(struct shard *shard); /* waits for the turn */
void shard_leave(struct shard *shard);

/* Reads a part of a page.  Errors: those of the base, BLOCKZ_DAMAGED (memory does not hold what was put there). */
enum blockz_status shard_read(struct shard *shard, uint64_t page, size_t off, size_t len, uint8_t *buf,
			      struct blockz_fault *fault);

/*
 * Writes a part of a page; bytes NULL: zeros.  Errors, with the page as it was: as above, BLOCKZ_LIMIT,
 * BLOCKZ_FAILED.
 */
enum blockz_status shard_write(struct shard *shard, uint64_t page, size_t off, size_t len, const uint8_t *bytes,
			       struct blockz_fault *fault);

/* Zeroes local pages [first, end), some of them after a failure.  Errors: BLOCKZ_LIMIT, BLOCKZ_FAILED (no memory). */
enum blockz_status shard_zero(struct shard *shard, uint64_t first, uint64_t end, struct blockz_fault *fault);

/* ---- Among these ---- */

/* Bytes of the base, and zeros behind its end, at an image offset.  Errors: BLOCKZ_FAILED. */
enum blockz_status base_read(const struct blockz_pages *pages, uint8_t *buf, size_t len, uint64_t off,
			     struct blockz_fault *fault);

/* Part of a page from the view, if it is there; the lock is held shared, or the turn. */
bool view_get(struct view *view, uint64_t page, size_t off, size_t len, uint8_t *buf);
/* The context's page, which is this one, becomes the view. */
void view_exchange(struct shard *shard, uint64_t page, struct page_context *context);

/* Copies what waits of a part of a page over it; the lock is held shared, or the turn. */
void waiting_overlay(const struct shard *shard, uint64_t page, uint64_t mask, size_t off, size_t len, uint8_t *buf);

/* The sectors, as bits, that [off, off + len) of a page touches. */
uint64_t sectors_touched(size_t off, size_t len);

struct span {
	size_t start, end;
};

/* The bytes of a page that are both in the sector and in [off, off + len). */
struct span sector_span(unsigned sector, size_t off, size_t len);

/* The turn is held.  A page becomes what these bytes are in its kind, a frame or raw; nothing of it waits any more. */
enum blockz_status page_put(struct shard *shard, uint64_t page, enum page_kind kind, const uint8_t *bytes, size_t len,
			    struct blockz_fault *fault);
/* The same with the bytes of a page, for which the kind is chosen; context NULL where the layout encodes nothing. */
enum blockz_status page_store(struct shard *shard, uint64_t page, struct page_context *context, const uint8_t *bytes,
			      struct blockz_fault *fault);
/* The turn is held.  As shard_zero(). */
enum blockz_status pages_drop(struct shard *shard, uint64_t first, uint64_t end, struct blockz_fault *fault);

static inline void count_one(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

#endif
