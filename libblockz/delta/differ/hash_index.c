/* SPDX-License-Identifier: BSD-3-Clause */
/* Samples at every eighth byte stand in chains by their hashes, and a run is found by any sample that lies in it. */
#include "delta/differ/hash_index.h"

#include <stdlib.h>

enum {
	CHAIN_MAX = 32, /* samples of one hash that are looked at */
	GAIN_MIN = 4,
};

/* Samples are counted from 1; 0 ends a chain.  Those of one hash are linked by ascending offset. */
struct hash_index {
	unsigned bits;
	uint32_t *heads;
	uint32_t *nexts;
};

static inline uint64_t load(const uint8_t *p)
{
	uint64_t x;
	memcpy(&x, p, sizeof(x));
	return x;
}

static inline uint64_t hash(const uint8_t *p)
{
	uint64_t h = load(p) * 0x9e3779b97f4a7c15u;
	h = (h ^ h >> 29 ^ load(p + 8)) * 0xbf58476d1ce4e5b9u;
	return (h ^ h >> 32) * 0x94d049bb133111ebu;
}

static size_t sample_count(size_t old_len)
{
	return old_len < HASH_LEN ? 0 : (old_len - HASH_LEN) / HASH_STEP + 1;
}

static unsigned head_bits(uint64_t count)
{
	unsigned bits = 8;
	while (bits < 32 && (uint64_t)1 << bits < count)
		bits++;
	return bits;
}

uint64_t hash_index_memory(uint64_t old_len)
{
	uint64_t count = old_len / HASH_STEP + 1;
	return (count + ((uint64_t)1 << head_bits(count))) * sizeof(uint32_t);
}

struct hash_index *hash_index_new(const uint8_t *old, size_t old_len)
{
	size_t count = sample_count(old_len);
	struct hash_index *index = calloc(1, sizeof(*index));
	if (index == NULL)
		return NULL;
	index->bits = head_bits(count);
	index->heads = calloc((size_t)1 << index->bits, sizeof(*index->heads));
	index->nexts = malloc((count + 1) * sizeof(*index->nexts));
	if (index->heads == NULL || index->nexts == NULL) {
		hash_index_free(index);
		return NULL;
	}
	uint64_t behind = 0;
	for (size_t i = count; i > 0; i--) {
		uint64_t h = hash(old + (i - 1) * HASH_STEP);
		uint32_t *head = &index->heads[h >> (64 - index->bits)];
		/* Of a row of equal samples, as in zeros, the first is enough. */
		index->nexts[i] = i < count && h == behind ? index->nexts[*head] : *head;
		*head = (uint32_t)i;
		behind = h;
	}
	return index;
}

void hash_index_free(struct hash_index *index)
{
	if (index == NULL)
		return;
	free(index->heads);
	free(index->nexts);
	free(index);
}

static size_t distance(size_t a, size_t b)
{
	return a < b ? b - a : a - b;
}

static size_t find_run(const void *self, const struct texts *texts, size_t new_off, size_t new_end, size_t old_hint,
		       size_t *old_off_ret)
{
	const struct hash_index *index = self;
	const uint8_t *new = texts->new + new_off;
	uint32_t sample = index->heads[hash(new) >> (64 - index->bits)];
	size_t best = 0;
	for (int i = 0; sample != 0 && i < CHAIN_MAX; sample = index->nexts[sample], i++) {
		size_t old_off = (size_t)(sample - 1) * HASH_STEP, max = texts->old_len - old_off;
		max = max < new_end - new_off ? max : new_end - new_off;
		size_t len = equal_ahead(new, texts->old + old_off, max);
		if (len >= HASH_LEN &&
		    (len > best || (len == best && distance(old_off, old_hint) < distance(*old_off_ret, old_hint)))) {
			best = len;
			*old_off_ret = old_off;
		}
	}
	return best;
}

struct finder hash_index_finder(const struct hash_index *index)
{
	return (struct finder){ .index = index, .find = find_run, .min_len = HASH_LEN, .min_gain = GAIN_MIN };
}
