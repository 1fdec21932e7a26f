/* SPDX-License-Identifier: BSD-3-Clause */
/* Things are found by a table of buckets, and go in the order of a list, from that which was not used for longest on. */
#include "parallel/cache.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/fault.h"

enum { BUCKETS_MIN = 1024 };

struct cache {
	struct cache_limits limits;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t changed; /* a thing became ready, failed, or lost its last user */
	uint64_t used;
	struct cached *oldest, *newest; /* of those that are ready */
	struct cached *spare; /* memory of the one that made room last, which the next one mostly has the length of */
	struct cached **buckets; /* a power of 2 of them, as many as there are things, or more if there was memory for that */
	size_t bucket_count, count;
};

struct cache *cache_new(const struct cache_limits *limits)
{
	struct cache *cache = calloc(1, sizeof(*cache));
	struct cached **buckets = calloc(BUCKETS_MIN, sizeof(*buckets));
	if (cache == NULL || buckets == NULL) {
		free(cache);
		free(buckets);
		return NULL;
	}
	cache->limits = *limits;
	cache->buckets = buckets;
	cache->bucket_count = BUCKETS_MIN;
	pthread_mutex_init(&cache->lock, NULL);
	pthread_cond_init(&cache->changed, NULL);
	return cache;
}

void cache_free(struct cache *cache)
{
	if (cache == NULL)
		return;
	while (cache->oldest != NULL) {
		struct cached *cached = cache->oldest;
		cache->oldest = cached->newer;
		free(cached);
	}
	pthread_cond_destroy(&cache->changed);
	pthread_mutex_destroy(&cache->lock);
	free(cache->buckets);
	free(cache);
}

/* ---- The table; all under the lock ---- */

static struct cached **bucket_of(const struct cache *cache, uint64_t key)
{
	return &cache->buckets[key & (cache->bucket_count - 1)];
}

static struct cached *find_cached(const struct cache *cache, uint64_t key)
{
	struct cached *cached = *bucket_of(cache, key);
	while (cached != NULL && cached->key != key)
		cached = cached->next;
	return cached;
}

static void insert_cached(struct cache *cache, struct cached *cached)
{
	struct cached **bucket = bucket_of(cache, cached->key);
	cached->next = *bucket;
	*bucket = cached;
}

/* Without memory for it, finding things takes longer. */
static void double_buckets(struct cache *cache)
{
	struct cached **before = cache->buckets;
	size_t count_before = cache->bucket_count;
	struct cached **buckets = calloc(2 * count_before, sizeof(*buckets));
	if (buckets == NULL)
		return;
	cache->buckets = buckets;
	cache->bucket_count = 2 * count_before;
	for (size_t i = 0; i < count_before; i++) {
		for (struct cached *cached = before[i], *next; cached != NULL; cached = next) {
			next = cached->next;
			insert_cached(cache, cached);
		}
	}
	free(before);
}

static void add_cached(struct cache *cache, struct cached *cached)
{
	insert_cached(cache, cached);
	cache->used += cached->len + cache->limits.each;
	if (++cache->count > cache->bucket_count)
		double_buckets(cache);
}

static void remove_cached(struct cache *cache, struct cached *cached)
{
	struct cached **at = bucket_of(cache, cached->key);
	while (*at != cached)
		at = &(*at)->next;
	*at = cached->next;
	cache->used -= cached->len + cache->limits.each;
	cache->count--;
}

/* ---- The list of those that are ready; all under the lock ---- */

static void unlink_cached(struct cache *cache, struct cached *cached)
{
	*(cached->older != NULL ? &cached->older->newer : &cache->oldest) = cached->newer;
	*(cached->newer != NULL ? &cached->newer->older : &cache->newest) = cached->older;
}

static void append_cached(struct cache *cache, struct cached *cached)
{
	cached->older = cache->newest;
	cached->newer = NULL;
	*(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = cached;
	cache->newest = cached;
}

static void free_spare(struct cache *cache)
{
	free(cache->spare);
	cache->spare = NULL;
}

/* Drops what was not used for longest; false if what is in use leaves no room. */
static bool make_room(struct cache *cache, size_t len)
{
	uint64_t cost = len + cache->limits.each;
	struct cached *cached = cache->oldest;
	while (cache->used + cost > cache->limits.bytes && cached != NULL) {
		struct cached *newer = cached->newer;
		if (cached->users == 0) {
			unlink_cached(cache, cached);
			remove_cached(cache, cached);
			free_spare(cache);
			cache->spare = cached;
		}
		cached = newer;
	}
	if (cache->used + cost <= cache->limits.bytes)
		return true;
	free_spare(cache);
	return false;
}

/* Memory for a thing of this length; the spare one, or new memory in its place. */
static struct cached *new_cached(struct cache *cache, const struct cache_want *want)
{
	struct cached *cached = cache->spare;
	cache->spare = NULL;
	if (cached != NULL && cached->len == want->len)
		return cached;
	free(cached);
	return malloc(sizeof(*cached) + want->len + cache->limits.slack + want->step_len);
}

/* ---- Things ---- */

static enum blockz_status make(const struct cache_want *want, uint8_t *bytes, size_t *made, struct blockz_fault *fault)
{
	if (want->step != NULL)
		return want->step(want, bytes, made, fault);
	*made = want->len;
	return want->decode(want, bytes, fault);
}

static void let_go(struct cache *cache, struct cached *cached)
{
	if (--cached->users > 0)
		return;
	if (cached->lost)
		free(cached);
	else
		pthread_cond_broadcast(&cache->changed);
}

/* Makes as much of a thing as is wanted, which is not in the list, and holds it; the lock is released for it. */
static enum blockz_status make_more(struct cache *cache, const struct cache_want *want, struct cached *cached,
				    struct cached **cached_ret, struct blockz_fault *fault)
{
	size_t made = cached->made;
	cached->ready = false;
	cached->users++;
	pthread_mutex_unlock(&cache->lock);
	enum blockz_status status = make(want, cached->bytes, &made, fault);
	pthread_mutex_lock(&cache->lock);
	pthread_cond_broadcast(&cache->changed);
	if (status != BLOCKZ_OK) {
		remove_cached(cache, cached);
		cached->lost = true;
		let_go(cache, cached);
		return status;
	}
	cached->made = made;
	cached->ready = true;
	append_cached(cache, cached);
	*cached_ret = cached;
	return BLOCKZ_OK;
}

/* Makes a new thing, for which there is room. */
static enum blockz_status make_new(struct cache *cache, const struct cache_want *want, struct cached **cached_ret,
				   struct blockz_fault *fault)
{
	struct cached *cached = new_cached(cache, want);
	if (cached == NULL)
		return fault_nomem(fault);
	*cached = (struct cached){ .key = want->key, .len = want->len };
	add_cached(cache, cached);
	return make_more(cache, want, cached, cached_ret, fault);
}

/* Holds what is wanted; the lock is held, but not while this waits or decodes. */
static enum blockz_status hold_cached(struct cache *cache, const struct cache_want *want, struct cached **cached_ret,
			       struct blockz_fault *fault)
{
	for (;;) {
		struct cached *cached = find_cached(cache, want->key);
		if (cached != NULL && cached->ready) {
			unlink_cached(cache, cached);
			if (cached->made < want->wanted)
				return make_more(cache, want, cached, cached_ret, fault);
			cached->users++;
			append_cached(cache, cached);
			*cached_ret = cached;
			return BLOCKZ_OK;
		}
		if (cached == NULL && make_room(cache, want->len))
			return make_new(cache, want, cached_ret, fault);
		pthread_cond_wait(&cache->changed, &cache->lock);
	}
}

enum blockz_status cache_get(struct cache *cache, const struct cache_want *want, struct cached **cached_ret,
			     struct blockz_fault *fault)
{
	pthread_mutex_lock(&cache->lock);
	enum blockz_status status = hold_cached(cache, want, cached_ret, fault);
	pthread_mutex_unlock(&cache->lock);
	return status;
}

void cache_put(struct cache *cache, struct cached *cached)
{
	pthread_mutex_lock(&cache->lock);
	let_go(cache, cached);
	pthread_mutex_unlock(&cache->lock);
}

void cache_prefetch(struct cache *cache, const struct cache_want *want)
{
	struct cached *cached = NULL;
	pthread_mutex_lock(&cache->lock);
	if (find_cached(cache, want->key) == NULL && make_room(cache, want->len) &&
	    make_new(cache, want, &cached, NULL) == BLOCKZ_OK)
		let_go(cache, cached);
	pthread_mutex_unlock(&cache->lock);
}

enum cache_state cache_state_of(struct cache *cache, uint64_t key)
{
	pthread_mutex_lock(&cache->lock);
	const struct cached *cached = find_cached(cache, key);
	enum cache_state state = cached == NULL ? CACHE_ABSENT : cached->ready ? CACHE_READY : CACHE_DECODING;
	pthread_mutex_unlock(&cache->lock);
	return state;
}
