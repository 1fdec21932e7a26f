/* SPDX-License-Identifier: BSD-3-Clause */
/* Decoded pieces of a served disk, which several threads share, and zeros that were proved. */
#ifndef DISK_PIECE_CACHE_H
#define DISK_PIECE_CACHE_H

#include "mapped/groups.h"
#include "mapped/piece.h"
#include "parallel/cache.h"

struct piece_cache;

/* Keeps up to `limit` bytes of decoded pieces; each piece that is asked for must not be longer.  NULL: no memory. */
struct piece_cache *piece_cache_new(const struct blockz_source *file, const struct blockz_map *map, uint64_t limit);
void piece_cache_free(struct piece_cache *cache);

/* All of these may be called by any thread. */

/*
 * The bytes of a piece that is not long, of one copy, as cache_get() has it; they stay until piece_cache_put().  The first `wanted`
 * of them are there, and others need not be.
 */
enum blockz_status piece_cache_get(struct piece_cache *cache, const struct group_piece *piece, size_t wanted,
				   struct cached **cached_ret, struct blockz_fault *fault);
void piece_cache_put(struct piece_cache *cache, struct cached *cached);

/* Decodes a piece for later, if there is room for it without waiting.  What fails fails again when it is needed. */
void piece_cache_prefetch(struct piece_cache *cache, const struct group_piece *piece);
bool piece_cache_has(struct piece_cache *cache, uint64_t start); /* or is about to: the piece that begins at this image offset */

/* Proves that copies [first, first + count) of a zero piece are zeros; each is looked at once. */
enum blockz_status piece_cache_prove(struct piece_cache *cache, size_t piece, uint64_t first, uint64_t count,
				     struct blockz_fault *fault);

#endif
