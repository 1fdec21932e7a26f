/* SPDX-License-Identifier: BSD-3-Clause */
/* A rolling hash chooses the samples, so that a shift of the text changes none; few are in the map by chance. */
#include "delta/make/coverage.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

enum {
	SAMPLE_BITS = 6,   /* one place in 64: 2048 of a block of 128 KiB */
	SHIFT = 4,         /* a byte has left a hash of 64 bits after 16 more */
	MAP_BITS_MIN = 16, /* 8 KiB */
	MAP_BITS_MAX = 30, /* 128 MiB */
};

struct coverage {
	unsigned bits; /* of an index in the map */
	_Atomic uint64_t map[];
};

/* Of splitmix64: what each byte adds. */
static uint64_t mix(uint64_t x)
{
	x = (x + UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* 16 bits a sample: one in 16 is found by chance. */
static unsigned map_bits(uint64_t text_len)
{
	unsigned bits = MAP_BITS_MIN;
	while (bits < MAP_BITS_MAX && UINT64_C(1) << bits < text_len >> (SAMPLE_BITS - 4))
		bits++;
	return bits;
}

uint64_t coverage_memory(uint64_t text_len)
{
	return sizeof(struct coverage) + (UINT64_C(1) << map_bits(text_len)) / 8;
}

struct coverage *coverage_new(uint64_t text_len)
{
	struct coverage *coverage = calloc(1, (size_t)coverage_memory(text_len));
	if (coverage != NULL)
		coverage->bits = map_bits(text_len);
	return coverage;
}

void coverage_free(struct coverage *coverage)
{
	free(coverage);
}

struct sampling {
	uint64_t terms[256];
	const uint8_t *text;
	size_t len, pos;
	uint64_t hash;
};

static void samples_start(struct sampling *sampling, const uint8_t *text, size_t len)
{
	for (unsigned i = 0; i < 256; i++)
		sampling->terms[i] = mix(i);
	sampling->text = text;
	sampling->len = len;
	sampling->pos = 0;
	sampling->hash = 0;
}

/* Goes on to the next sample, unless it is the same as the last one; false at the end. */
static bool samples_next(struct sampling *sampling, uint64_t *hash_ret)
{
	uint64_t hash = sampling->hash, last = *hash_ret;
	size_t pos = sampling->pos;
	while (pos < sampling->len) {
		hash = (hash << SHIFT) + sampling->terms[sampling->text[pos++]];
		if (hash >> (64 - SAMPLE_BITS) == 0 && pos >= 64 / SHIFT && hash != last)
			break;
	}
	bool found = pos < sampling->len;
	sampling->hash = hash;
	sampling->pos = pos;
	*hash_ret = hash;
	return found;
}

static size_t map_bit(const struct coverage *coverage, uint64_t hash)
{
	return (size_t)(mix(hash) >> (64 - coverage->bits));
}

void coverage_add(struct coverage *coverage, const uint8_t *text, size_t len)
{
	struct sampling sampling;
	uint64_t hash = UINT64_MAX;
	for (samples_start(&sampling, text, len); samples_next(&sampling, &hash);) {
		size_t bit = map_bit(coverage, hash);
		atomic_fetch_or_explicit(&coverage->map[bit / 64], UINT64_C(1) << bit % 64, memory_order_relaxed);
	}
}

double coverage_of(const struct coverage *coverage, const uint8_t *text, size_t len)
{
	struct sampling sampling;
	uint64_t hash = UINT64_MAX;
	size_t all = 0, found = 0;
	for (samples_start(&sampling, text, len); samples_next(&sampling, &hash); all++) {
		size_t bit = map_bit(coverage, hash);
		found += atomic_load_explicit(&coverage->map[bit / 64], memory_order_relaxed) >> bit % 64 & 1;
	}
	return all == 0 ? 1 : (double)found / (double)all;
}
