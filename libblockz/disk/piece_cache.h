/* SPDX-License-Identifier: BSD-3-Clause */
/* Decoded pieces that several threads share, and zeros that were proved. */
#ifndef DISK_PIECE_CACHE_H
#define DISK_PIECE_CACHE_H

#include "mapped/piece.h"

struct cache;

/* Keeps up to `limit` bytes of decoded pieces; each piece that is asked for must be smaller.  NULL: no memory. */
struct cache *cache_new(const struct blockz_source *file, const struct blockz_map *map, uint64_t limit);
void cache_free(struct cache *cache);

/* All of these may be called by any thread. */

/*
 * The bytes of a piece that is not long, of one copy; they stay until cache_put().  A piece is decoded by one thread,
 * others that want it wait.  A thread holds one piece at a time.
 */
enum blockz_status cache_get(struct cache *cache, size_t piece, const uint8_t **bytes_ret, struct blockz_fault *fault);
void cache_put(struct cache *cache, size_t piece);

/* Decodes a piece for later, if there is room for it without waiting.  What fails fails again when it is needed. */
void cache_fetch(struct cache *cache, size_t piece);
bool cache_has(struct cache *cache, size_t piece); /* or is about to */

/* Proves that copies [first, first + count) of a zero piece are zeros; each is looked at once. */
enum blockz_status cache_prove(struct cache *cache, size_t piece, uint64_t first, uint64_t count,
			       struct blockz_fault *fault);

#endif
