/* SPDX-License-Identifier: BSD-3-Clause */
#include "disk/piece_cache.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/fault.h"

/* A decoded piece; it is in the list from the oldest to the newest while it is ready. */
struct entry {
	struct entry *older, *newer;
	size_t piece, len;
	unsigned users;
	bool ready;
	uint8_t bytes[]; /* len and DECODE_SLACK */
};

/* What is known of a piece. */
struct slot {
	struct entry *entry; /* NULL: not decoded */
	uint8_t *proved;     /* a bit for each copy of a zero piece; NULL: none yet */
};

struct idle_reader {
	struct piece_reader reader;
	struct idle_reader *next;
};

struct cache {
	const struct blockz_source *file;
	const struct blockz_map *map;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t changed; /* an entry became ready, failed, or lost its last user */
	uint64_t limit, used;
	struct entry *oldest, *newest;
	struct slot *slots; /* one a piece */
	struct idle_reader *readers;
};

struct cache *cache_new(const struct blockz_source *file, const struct blockz_map *map, uint64_t limit)
{
	struct cache *cache = calloc(1, sizeof(*cache));
	struct slot *slots = calloc(map->piece_count + 1, sizeof(*slots));
	if (cache == NULL || slots == NULL) {
		free(cache);
		free(slots);
		return NULL;
	}
	cache->file = file;
	cache->map = map;
	cache->limit = limit;
	cache->slots = slots;
	pthread_mutex_init(&cache->lock, NULL);
	pthread_cond_init(&cache->changed, NULL);
	return cache;
}

void cache_free(struct cache *cache)
{
	if (cache == NULL)
		return;
	for (size_t i = 0; i < cache->map->piece_count; i++) {
		free(cache->slots[i].entry);
		free(cache->slots[i].proved);
	}
	while (cache->readers != NULL) {
		struct idle_reader *reader = cache->readers;
		cache->readers = reader->next;
		piece_reader_free(&reader->reader);
		free(reader);
	}
	pthread_cond_destroy(&cache->changed);
	pthread_mutex_destroy(&cache->lock);
	free(cache->slots);
	free(cache);
}

/* ---- Readers: as many as there are threads that decode at once ---- */

static struct idle_reader *take_reader(struct cache *cache)
{
	pthread_mutex_lock(&cache->lock);
	struct idle_reader *reader = cache->readers;
	if (reader != NULL)
		cache->readers = reader->next;
	pthread_mutex_unlock(&cache->lock);
	if (reader != NULL)
		return reader;
	reader = calloc(1, sizeof(*reader));
	if (reader != NULL && !piece_reader_init(&reader->reader, cache->file, cache->map)) {
		free(reader);
		return NULL;
	}
	return reader;
}

static void give_reader(struct cache *cache, struct idle_reader *reader)
{
	pthread_mutex_lock(&cache->lock);
	reader->next = cache->readers;
	cache->readers = reader;
	pthread_mutex_unlock(&cache->lock);
}

/* ---- Entries; all under the lock ---- */

static void unlink_entry(struct cache *cache, struct entry *entry)
{
	*(entry->older != NULL ? &entry->older->newer : &cache->oldest) = entry->newer;
	*(entry->newer != NULL ? &entry->newer->older : &cache->newest) = entry->older;
	entry->older = entry->newer = NULL;
}

static void append_entry(struct cache *cache, struct entry *entry)
{
	entry->older = cache->newest;
	*(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = entry;
	cache->newest = entry;
}

static void drop_entry(struct cache *cache, struct entry *entry)
{
	cache->slots[entry->piece].entry = NULL;
	cache->used -= entry->len;
	free(entry);
}

/* Drops what was not used for longest; false if what is in use leaves no room. */
static bool make_room(struct cache *cache, uint64_t len)
{
	struct entry *entry = cache->oldest;
	while (cache->used + len > cache->limit && entry != NULL) {
		struct entry *newer = entry->newer;
		if (entry->users == 0) {
			unlink_entry(cache, entry);
			drop_entry(cache, entry);
		}
		entry = newer;
	}
	return cache->used + len <= cache->limit;
}

static enum blockz_status decode(struct cache *cache, struct entry *entry, struct blockz_fault *fault)
{
	struct idle_reader *reader = take_reader(cache);
	if (reader == NULL)
		return fault_nomem(fault);
	enum blockz_status status = piece_decode(&reader->reader, entry->piece, entry->bytes, NULL, fault);
	give_reader(cache, reader);
	return status;
}

/* Makes the entry of a piece for which there is room, and gives it a user; the lock is released for it. */
static enum blockz_status load(struct cache *cache, size_t piece, size_t len, struct blockz_fault *fault)
{
	struct entry *entry = malloc(sizeof(*entry) + len + DECODE_SLACK);
	if (entry == NULL)
		return fault_nomem(fault);
	*entry = (struct entry){ .piece = piece, .len = len, .users = 1 };
	cache->slots[piece].entry = entry;
	cache->used += len;
	pthread_mutex_unlock(&cache->lock);
	enum blockz_status status = decode(cache, entry, fault);
	pthread_mutex_lock(&cache->lock);
	entry->ready = status == BLOCKZ_OK;
	if (entry->ready)
		append_entry(cache, entry);
	else
		drop_entry(cache, entry);
	pthread_cond_broadcast(&cache->changed);
	return status;
}

enum blockz_status cache_get(struct cache *cache, size_t piece, const uint8_t **bytes_ret, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	size_t len = (size_t)piece_image_len(cache->map, piece);
	struct entry *entry;
	pthread_mutex_lock(&cache->lock);
	for (;;) {
		entry = cache->slots[piece].entry;
		if (entry != NULL && entry->ready) {
			entry->users++;
			unlink_entry(cache, entry);
			append_entry(cache, entry);
			break;
		}
		if (entry == NULL && make_room(cache, len)) {
			status = load(cache, piece, len, fault);
			entry = cache->slots[piece].entry;
			break;
		}
		pthread_cond_wait(&cache->changed, &cache->lock);
	}
	if (status == BLOCKZ_OK)
		*bytes_ret = entry->bytes;
	pthread_mutex_unlock(&cache->lock);
	return status;
}

static void release(struct cache *cache, struct entry *entry)
{
	if (--entry->users == 0)
		pthread_cond_broadcast(&cache->changed);
}

void cache_put(struct cache *cache, size_t piece)
{
	pthread_mutex_lock(&cache->lock);
	release(cache, cache->slots[piece].entry);
	pthread_mutex_unlock(&cache->lock);
}

void cache_fetch(struct cache *cache, size_t piece)
{
	size_t len = (size_t)piece_image_len(cache->map, piece);
	pthread_mutex_lock(&cache->lock);
	if (cache->slots[piece].entry == NULL && make_room(cache, len) && load(cache, piece, len, NULL) == BLOCKZ_OK)
		release(cache, cache->slots[piece].entry);
	pthread_mutex_unlock(&cache->lock);
}

bool cache_has(struct cache *cache, size_t piece)
{
	pthread_mutex_lock(&cache->lock);
	bool has = cache->slots[piece].entry != NULL;
	pthread_mutex_unlock(&cache->lock);
	return has;
}

/* ---- Zeros ---- */

static bool is_proved(const uint8_t *proved, uint64_t copy)
{
	return proved != NULL && (proved[copy / 8] >> copy % 8 & 1) != 0;
}

/* The next copies of [*first, *first + *count) that are not proved: true, with both set, if there are some. */
static bool find_unproved(struct cache *cache, size_t piece, uint64_t *first, uint64_t *count)
{
	pthread_mutex_lock(&cache->lock);
	const uint8_t *proved = cache->slots[piece].proved;
	uint64_t end = *first + *count, start = *first;
	while (start < end && is_proved(proved, start))
		start++;
	*first = start;
	while (start < end && !is_proved(proved, start))
		start++;
	*count = start - *first;
	pthread_mutex_unlock(&cache->lock);
	return *count > 0;
}

static enum blockz_status remember(struct cache *cache, size_t piece, uint64_t first, uint64_t count,
				   struct blockz_fault *fault)
{
	struct slot *slot = &cache->slots[piece];
	pthread_mutex_lock(&cache->lock);
	if (slot->proved == NULL)
		slot->proved = calloc(cache->map->pieces[piece].copies / 8 + 1, 1);
	bool good = slot->proved != NULL;
	for (uint64_t copy = first; copy < first + count && good; copy++)
		slot->proved[copy / 8] |= (uint8_t)(1 << copy % 8);
	pthread_mutex_unlock(&cache->lock);
	return good ? BLOCKZ_OK : fault_nomem(fault);
}

enum blockz_status cache_prove(struct cache *cache, size_t piece, uint64_t first, uint64_t count,
			       struct blockz_fault *fault)
{
	uint64_t end = first + count;
	enum blockz_status status = BLOCKZ_OK;
	while (status == BLOCKZ_OK && find_unproved(cache, piece, &first, &count)) {
		struct idle_reader *reader = take_reader(cache);
		if (reader == NULL)
			return fault_nomem(fault);
		status = piece_prove_zeros(&reader->reader, piece, first, count, fault);
		give_reader(cache, reader);
		if (status == BLOCKZ_OK)
			status = remember(cache, piece, first, count, fault);
		first += count;
		count = end - first;
	}
	return status;
}
