/* SPDX-License-Identifier: BSD-3-Clause */
/* Tells how far bytes are equal, from given places on or back. */
#ifndef BASE_EQUAL_H
#define BASE_EQUAL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Returns how many bytes from a and b on are equal, at most max. */
static inline size_t equal_ahead(const uint8_t *a, const uint8_t *b, size_t max)
{
	size_t i = 0;
	for (uint64_t x, y; max - i >= 8; i += 8) {
		memcpy(&x, a + i, 8);
		memcpy(&y, b + i, 8);
		if (x != y)
			break;
	}
	while (i < max && a[i] == b[i])
		i++;
	return i;
}

/* Returns how many bytes before a and b are equal, at most max. */
static inline size_t equal_behind(const uint8_t *a, const uint8_t *b, size_t max)
{
	size_t i = 0;
	while (i < max && a[-(ptrdiff_t)i - 1] == b[-(ptrdiff_t)i - 1])
		i++;
	return i;
}

#endif
