/* SPDX-License-Identifier: BSD-3-Clause */
/* Pieces are kept by a cache of the common kind; here are those who decode them, and bits for what was proved. */
#include "disk/piece_cache.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

enum {
	STEP_ALIGN = _Alignof(max_align_t),
	STEP_SHARE = 8, /* pieces of which less is so long as what a step has to know are decoded as a whole */
};

struct idle_reader {
	struct piece_reader reader;
	struct idle_reader *next;
};

struct piece_cache {
	const struct blockz_source *file;
	const struct blockz_map *map;
	struct cache *decoded;
	pthread_mutex_t lock; /* of all below */
	uint8_t **proved; /* of each zero piece a bit for each copy; NULL: none yet */
	struct idle_reader *readers;
};

struct piece_cache *piece_cache_new(const struct blockz_source *file, const struct blockz_map *map, uint64_t limit)
{
	const struct cache_limits limits = { .bytes = limit, .slack = DECODE_SLACK };
	struct piece_cache *cache = calloc(1, sizeof(*cache));
	uint8_t **proved = calloc(map->piece_count + 1, sizeof(*proved));
	struct cache *decoded = cache_new(&limits);
	if (cache == NULL || proved == NULL || decoded == NULL) {
		free(cache);
		free(proved);
		cache_free(decoded);
		return NULL;
	}
	*cache = (struct piece_cache){ .file = file, .map = map, .decoded = decoded, .proved = proved };
	pthread_mutex_init(&cache->lock, NULL);
	return cache;
}

void piece_cache_free(struct piece_cache *cache)
{
	if (cache == NULL)
		return;
	for (size_t i = 0; i < cache->map->piece_count; i++)
		free(cache->proved[i]);
	while (cache->readers != NULL) {
		struct idle_reader *reader = cache->readers;
		cache->readers = reader->next;
		piece_reader_free(&reader->reader);
		free(reader);
	}
	pthread_mutex_destroy(&cache->lock);
	cache_free(cache->decoded);
	free(cache->proved);
	free(cache);
}

/* ---- Readers: as many as there are threads that decode at once ---- */

static struct idle_reader *take_reader(struct piece_cache *cache)
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

static void give_reader(struct piece_cache *cache, struct idle_reader *reader)
{
	pthread_mutex_lock(&cache->lock);
	reader->next = cache->readers;
	cache->readers = reader;
	pthread_mutex_unlock(&cache->lock);
}

/* ---- Pieces ---- */

/* A piece that is wanted, by where it begins. */
struct want {
	struct cache_want base;
	struct piece_cache *cache;
	const struct group_piece *piece;
};

static enum blockz_status decode_piece(const struct cache_want *want, uint8_t *bytes, struct blockz_fault *fault)
{
	const struct want *self = want->ctx;
	struct idle_reader *reader = take_reader(self->cache);
	if (reader == NULL)
		return fault_nomem(fault);
	enum blockz_status status = piece_decode(&reader->reader, &self->piece->piece, want->len, bytes, NULL, fault);
	give_reader(self->cache, reader);
	return status;
}

/* What the next step has to know stands behind the piece, and the slack. */
static void *step_of(const struct cache_want *want, uint8_t *bytes)
{
	uintptr_t at = (uintptr_t)(bytes + want->len + DECODE_SLACK);
	return (void *)(at + -at % STEP_ALIGN);
}

static enum blockz_status decode_step(const struct cache_want *want, uint8_t *bytes, size_t *made, struct blockz_fault *fault)
{
	const struct want *self = want->ctx;
	struct idle_reader *reader = take_reader(self->cache);
	void *step = step_of(want, bytes);
	if (reader == NULL)
		return fault_nomem(fault);
	if (*made == 0)
		memset(step, 0, want->step_len - STEP_ALIGN);
	enum blockz_status status = piece_decode_step(&reader->reader, &self->piece->piece, want->len, step, bytes, want->wanted, made,
						      fault);
	give_reader(self->cache, reader);
	return status;
}

static void want_init(struct want *want, struct piece_cache *cache, const struct group_piece *piece, size_t wanted)
{
	uint64_t start = piece->piece.start;
	size_t len = (size_t)(piece->end - start), step_len = cache->map->format->step_len;
	*want = (struct want){ { .key = start, .len = len, .decode = decode_piece, .ctx = want }, cache, piece };
	if (step_len == 0 || len / STEP_SHARE < step_len)
		return;
	want->base.step = decode_step;
	want->base.step_len = step_len + STEP_ALIGN;
	want->base.wanted = wanted;
}

enum blockz_status piece_cache_get(struct piece_cache *cache, const struct group_piece *piece, size_t wanted,
				   struct cached **cached_ret, struct blockz_fault *fault)
{
	struct want want;
	want_init(&want, cache, piece, wanted);
	return cache_get(cache->decoded, &want.base, cached_ret, fault);
}

void piece_cache_put(struct piece_cache *cache, struct cached *cached)
{
	cache_put(cache->decoded, cached);
}

void piece_cache_prefetch(struct piece_cache *cache, const struct group_piece *piece)
{
	struct want want;
	want_init(&want, cache, piece, (size_t)(piece->end - piece->piece.start));
	cache_prefetch(cache->decoded, &want.base);
}

bool piece_cache_has(struct piece_cache *cache, uint64_t start)
{
	return cache_state_of(cache->decoded, start) != CACHE_ABSENT;
}

/* ---- Zeros ---- */

static bool is_proved(const uint8_t *proved, uint64_t copy)
{
	return proved != NULL && (proved[copy / 8] >> copy % 8 & 1) != 0;
}

/* The next copies of [*first, *first + *count) that are not proved: true, with both set, if there are some. */
static bool find_unproved(struct piece_cache *cache, size_t piece, uint64_t *first, uint64_t *count)
{
	pthread_mutex_lock(&cache->lock);
	const uint8_t *proved = cache->proved[piece];
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

static enum blockz_status remember_zeros(struct piece_cache *cache, size_t piece, uint64_t first, uint64_t count,
					 struct blockz_fault *fault)
{
	pthread_mutex_lock(&cache->lock);
	if (cache->proved[piece] == NULL)
		cache->proved[piece] = calloc(cache->map->pieces[piece].copies / 8 + 1, 1);
	uint8_t *proved = cache->proved[piece];
	for (uint64_t copy = first; copy < first + count && proved != NULL; copy++)
		proved[copy / 8] |= (uint8_t)(1 << copy % 8);
	pthread_mutex_unlock(&cache->lock);
	return proved != NULL ? BLOCKZ_OK : fault_nomem(fault);
}

enum blockz_status piece_cache_prove(struct piece_cache *cache, size_t piece, uint64_t first, uint64_t count,
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
			status = remember_zeros(cache, piece, first, count, fault);
		first += count;
		count = end - first;
	}
	return status;
}
