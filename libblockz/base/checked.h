/* SPDX-License-Identifier: BSD-3-Clause */
/* Arithmetic on offsets.  For values from files: false is returned, and nothing written, where the result does not fit. */
#ifndef BASE_CHECKED_H
#define BASE_CHECKED_H

#include <stdbool.h>
#include <stdint.h>

static inline bool checked_add(uint64_t a, uint64_t b, uint64_t *sum_ret)
{
	if (a > UINT64_MAX - b)
		return false;
	*sum_ret = a + b;
	return true;
}

static inline bool checked_mul(uint64_t a, uint64_t b, uint64_t *product_ret)
{
	if (b != 0 && a > UINT64_MAX / b)
		return false;
	*product_ret = a * b;
	return true;
}

/* Grows *sum by b. */
static inline bool checked_grow(uint64_t *sum, uint64_t b)
{
	return checked_add(*sum, b, sum);
}

static inline uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Which bit of a number, which is not 0, is its highest: 0 is the lowest. */
static inline unsigned highest_bit(uint32_t number)
{
	return 31 - (unsigned)__builtin_clz(number);
}

#endif
