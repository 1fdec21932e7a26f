/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A cache of what was decoded, for any number of threads: of a served disk its pieces, of a delta the blocks of OLD.  It knows
 * keys and lengths; what decodes is the caller's, and runs without the cache's lock.
 *
 * A thing is decoded by one thread, and others that want it wait.  Where that fails, whoever waited decodes it itself.  A thing can
 * be made in steps, from its beginning on: then it is there as far as it was wanted, and goes on when more is.  What was
 * not used for longest goes when there is no room; what somebody holds stays, and who wants more waits until it is put back.
 * So a thread holds one thing at a time.
 */
#ifndef PARALLEL_CACHE_H
#define PARALLEL_CACHE_H

#include "blockz.h"

struct cache;

/* A thing; who holds it may read the first three.  The others are the cache's. */
struct cached {
	uint64_t key;
	size_t len;
	struct cached *older, *newer; /* in the list of those that are ready */
	struct cached *next;          /* in its bucket */
	size_t made; /* so many of its bytes are there; more only while it is not ready */
	unsigned users;
	bool ready;
	bool lost; /* what is behind `made` cannot be made: its last user frees it */
	_Alignas(uint64_t) uint8_t bytes[]; /* len of them, and the slack */
};

struct cache_limits {
	uint64_t bytes; /* that things may take together */
	size_t each;    /* what one takes beside its bytes, so that there cannot be too many of a few bytes; may be 0 */
	size_t slack;   /* bytes behind each that are there to be written over, which are not counted */
};

/* What a thread wants, and how it is made.  A key has the same length each time, which with `each` is within the limit. */
struct cache_want {
	uint64_t key;
	size_t len;
	/* Called by any thread, several at once, but one for a key.  Fills bytes, which have room for len and the slack. */
	enum blockz_status (*decode)(const struct cache_want *want, uint8_t *bytes, struct blockz_fault *fault);
	void *ctx;
	/*
	 * NULL, or called in the place of decode, for a thing that is made in steps, of which the first `wanted` bytes are wanted.
	 * *made are there, 0 at first; sets it to `wanted` or more.  Behind bytes and slack are step_len more, which stay between the
	 * steps, and of which each thing of the same length has as many.
	 */
	enum blockz_status (*step)(const struct cache_want *want, uint8_t *bytes, size_t *made, struct blockz_fault *fault);
	size_t wanted, step_len;
};

enum cache_state {
	CACHE_ABSENT,
	CACHE_DECODING, /* some thread is at it */
	CACHE_READY,
};

/* NULL: no memory. */
struct cache *cache_new(const struct cache_limits *limits);
void cache_free(struct cache *cache); /* NULL is fine; nothing may be held */

/* All of these may be called by any thread. */

/* Returns what decode says, or BLOCKZ_FAILED without memory.  *cached_ret is held until cache_put(). */
enum blockz_status cache_get(struct cache *cache, const struct cache_want *want, struct cached **cached_ret,
			     struct blockz_fault *fault);
void cache_put(struct cache *cache, struct cached *cached);

/* Decodes what is absent for later, if there is room for it without waiting.  What fails fails again when it is needed. */
void cache_prefetch(struct cache *cache, const struct cache_want *want);

/* This may change at any time. */
enum cache_state cache_state_of(struct cache *cache, uint64_t key);

#endif
