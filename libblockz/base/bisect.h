/* SPDX-License-Identifier: BSD-3-Clause */
/* Bisection, over whatever is in order; inlined with the function that tells the order, so that it costs no calls. */
#ifndef BASE_BISECT_H
#define BASE_BISECT_H

#include <stdbool.h>
#include <stdint.h>

/* True for those of 0 to count - 1 that come before what is looked for, which are the first ones. */
typedef bool bisect_is_before(const void *ctx, uint64_t i, uint64_t wanted);

/* Returns the first that does not come before what is wanted; count if all do. */
static inline __attribute__((always_inline)) uint64_t bisect(uint64_t count, bisect_is_before *is_before, const void *ctx,
							     uint64_t wanted)
{
	uint64_t low = 0, high = count;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		if (is_before(ctx, middle, wanted))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Returns the last that comes before what is wanted; 0 if none does. */
static inline __attribute__((always_inline)) uint64_t bisect_last(uint64_t count, bisect_is_before *is_before, const void *ctx,
								  uint64_t wanted)
{
	uint64_t behind = bisect(count, is_before, ctx, wanted);
	return behind > 0 ? behind - 1 : 0;
}

#endif
