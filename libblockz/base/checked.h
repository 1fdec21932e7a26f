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

static inline uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

#endif
