/* SPDX-License-Identifier: BSD-3-Clause */
/* Ranges of bits in arrays of 64-bit words. */
#ifndef PAGESTORE_BITS_H
#define PAGESTORE_BITS_H

#include <stdint.h>

/* Bits [from, from + count) of a word; count: 1 to 64 - from. */
static inline uint64_t bits_mask(uint32_t from, uint32_t count)
{
	return UINT64_MAX >> (64 - count) << from;
}

static inline void bits_set(uint64_t *words, uint32_t from, uint32_t count)
{
	while (count > 0) {
		uint32_t bit = from % 64, n = count < 64 - bit ? count : 64 - bit;
		words[from / 64] |= bits_mask(bit, n);
		from += n;
		count -= n;
	}
}

static inline void bits_clear(uint64_t *words, uint32_t from, uint32_t count)
{
	while (count > 0) {
		uint32_t bit = from % 64, n = count < 64 - bit ? count : 64 - bit;
		words[from / 64] &= ~bits_mask(bit, n);
		from += n;
		count -= n;
	}
}

/* The first bit of [from, end) that equals `set`; end if there is none. */
static inline uint32_t bits_find(const uint64_t *words, uint32_t from, uint32_t end, int set)
{
	while (from < end) {
		uint64_t word = (set ? words[from / 64] : ~words[from / 64]) >> from % 64;
		if (word != 0) {
			from += (uint32_t)__builtin_ctzll(word);
			return from < end ? from : end;
		}
		from += 64 - from % 64;
	}
	return end;
}

#endif
