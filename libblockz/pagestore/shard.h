/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A shard has all that its pages need to itself, so that requests in different shards do not meet.
 *
 * Who changes a shard has its turn.  The functions here take it, unless they say that the caller has it.  Reads and the
 * questions do not wait for it.  No thread has two turns, but one that takes those of all shards, in order, so that the
 * store stands still (snapshot.h).
 */
#ifndef PAGESTORE_SHARD_H
#define PAGESTORE_SHARD_H

#include "base/buffer.h"
#include "blockz_pages.h"
#include "pagestore/page_table.h"

struct shard;

/*
 * The shard of this number, whose memory is counted in memory; pages, of which all but the shards is set up, has to
 * outlive it.  NULL: no memory, as memory_fault() has it.
 */
struct shard *shard_new(const struct blockz_pages *pages, struct memory *memory, unsigned number);
/* Frees a shard with all its pages; NULL is fine. */
void shard_free(struct shard *shard);

/* Waits for the turn, and gives it to the next. */
void shard_enter(struct shard *shard);
void shard_leave(struct shard *shard);

/* ---- Requests; pages are those of the image, unless they are called local ---- */

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

/* ---- Questions ---- */

/* What can be told of a local page without looking into it. */
enum page_sort shard_sort(struct shard *shard, uint64_t local);
/* The first of local pages [local, end) that is not of this sort; end if there is none. */
uint64_t shard_differs(struct shard *shard, uint64_t local, uint64_t end, enum page_sort sort);

/* Adds a shard's counts to those of the store. */
void shard_add_info(struct shard *shard, struct blockz_pages_info *info);

/* The caller has the turn.  What a page is kept as. */
struct page_entry shard_entry(const struct shard *shard, uint64_t page);
/*
 * The caller has the turn.  Copies what is stored of a page, which is a frame or raw, to the caller's buffer.
 * Errors: BLOCKZ_FAILED (no memory).
 */
enum blockz_status shard_copy_stored(const struct shard *shard, uint64_t page, struct buffer *out, size_t *len_ret,
				     struct blockz_fault *fault);

#endif
