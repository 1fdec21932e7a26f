/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What only the files shard*.c see of a shard.
 *
 * Who changes a shard has its turn, and does everything but the change itself with that alone: reads of the base,
 * decoding, encoding.  The lock is held for moments only, in which bytes are copied: shared to look, and alone, on
 * top of the turn, to change.  So who has the turn may look without the lock, and readers decode while others
 * encode.
 *
 * A thread that has a context of the codec waits for the lock, but for no turn, and not for the base; one that has
 * the lock waits for nothing.
 */
#ifndef PAGESTORE_SHARD_PRIVATE_H
#define PAGESTORE_SHARD_PRIVATE_H

#include <pthread.h>
#include <semaphore.h>

#include "pagestore/page_codec.h"
#include "pagestore/page_storage.h"
#include "pagestore/page_view.h"
#include "pagestore/shard.h"
#include "pagestore/store.h"
#include "pagestore/write_buffer.h"

struct shard {
	const struct blockz_pages *pages;
	struct memory *memory;
	unsigned number;
	sem_t turn; /* a semaphore, since no one thread owns the turns of a store that stands still */
	pthread_rwlock_t lock;
	struct page_table *table;
	struct page_storage *storage;
	struct write_buffer *buffer; /* NULL: sectors do not wait */
	struct page_view view;
	uint64_t changes; /* of what is stored */
	uint64_t compressed_pages, raw_pages, stored_bytes;
	_Atomic uint64_t reads, read_hits, writes, write_hits;
};

/* ---- Changes of what is stored (shard_store.c); the caller has the turn, but not the lock ---- */

/*
 * A page becomes what these bytes are in its kind, a frame or raw; nothing of it waits any more.  Errors, with the page as it
 * was: BLOCKZ_LIMIT, BLOCKZ_FAILED (no memory).
 */
enum blockz_status shard_put_stored(struct shard *shard, uint64_t page, enum page_kind kind, const uint8_t *bytes,
				    size_t len, struct blockz_fault *fault);

/* The same with the bytes of a page, for which the kind is chosen; context NULL where the layout encodes nothing. */
enum blockz_status shard_put_page(struct shard *shard, uint64_t page, struct page_context *context,
				  const uint8_t *bytes, struct blockz_fault *fault);

/* As shard_zero(). */
enum blockz_status shard_drop_pages(struct shard *shard, uint64_t first, uint64_t end, struct blockz_fault *fault);

static inline void count_one(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

#endif
