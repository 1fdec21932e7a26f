/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes are copied from a little before, as matches of compressed text are. */
#ifndef BASE_COPY_H
#define BASE_COPY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { COPY_SLACK = 31 };

/*
 * Writes len bytes, at least one, at `to`: each is the one that stands `distance` before it, where it may have been written just
 * now.  Up to COPY_SLACK bytes more behind them are written over.
 */
static inline void copy_match(uint8_t *to, size_t len, size_t distance)
{
	const uint8_t *from = to - distance, *end = to + len;
	if (__builtin_expect(distance >= 16, 1)) {
		do {
			memcpy(to, from, 16);
			memcpy(to + 16, from + 16, 16);
			to += 32;
			from += 32;
		} while (to < end);
	} else if (distance == 1) {
		memset(to, *from, len);
	} else {
		/* Of eight bytes as many are right as they are away. */
		const size_t step = distance < 8 ? distance : 8;
		do {
			memcpy(to, from, 8);
			to += step;
			from += step;
		} while (to < end);
	}
}

#endif
