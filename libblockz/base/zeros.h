/* SPDX-License-Identifier: BSD-3-Clause */
/* Tells whether bytes are all zeros, for everybody who wants to know. */
#ifndef BASE_ZEROS_H
#define BASE_ZEROS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* True if all len bytes are zero: the first few, and then each equal to one further on, at the speed of memcmp. */
static inline bool all_zeros(const uint8_t *bytes, size_t len)
{
	size_t head = len < 64 ? len : 64;
	for (size_t i = 0; i < head; i++)
		if (bytes[i] != 0)
			return false;
	return memcmp(bytes, bytes + head, len - head) == 0;
}

#endif
