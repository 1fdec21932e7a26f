/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two texts, and how far they are equal from given offsets on.  A diagonal is what is added to an offset in the new
 * text to get one in the old, modulo SIZE_MAX + 1.
 */
#ifndef DELTA_DIFFER_TEXTS_H
#define DELTA_DIFFER_TEXTS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct texts {
	const uint8_t *old, *new;
	size_t old_len, new_len;
};

/* Equal bytes from a and b on, at most max. */
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

/* Equal bytes before a and b, at most max. */
static inline size_t equal_behind(const uint8_t *a, const uint8_t *b, size_t max)
{
	size_t i = 0;
	while (i < max && a[-(ptrdiff_t)i - 1] == b[-(ptrdiff_t)i - 1])
		i++;
	return i;
}

#endif
