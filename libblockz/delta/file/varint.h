/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes and reads numbers as they stand in deltas: see layout.h. */
#ifndef DELTA_FILE_VARINT_H
#define DELTA_FILE_VARINT_H

#include <stddef.h>
#include <stdint.h>

enum { VARINT_MAX = 10 };

/* Writes up to VARINT_MAX bytes; returns how many. */
static inline size_t varint_put(uint8_t *bytes, uint64_t value)
{
	size_t len = 0;
	for (; value >= 0x80; value >>= 7)
		bytes[len++] = (uint8_t)(value | 0x80);
	bytes[len++] = (uint8_t)value;
	return len;
}

/* Reads one from at most len bytes; returns how many it has, 0: it does not end, is too large, or longer than it need be. */
static inline size_t varint_get(const uint8_t *bytes, size_t len, uint64_t *value_ret)
{
	uint64_t value = 0;
	for (size_t i = 0; i < len && i < VARINT_MAX; i++) {
		if (i == VARINT_MAX - 1 && bytes[i] > 1)
			return 0;
		value |= (uint64_t)(bytes[i] & 0x7f) << 7 * i;
		if (bytes[i] >= 0x80)
			continue;
		if (i > 0 && bytes[i] == 0)
			return 0;
		*value_ret = value;
		return i + 1;
	}
	return 0;
}

/* Signed numbers: 0, -1, 1, -2, ... */
static inline uint64_t zigzag(uint64_t difference)
{
	return difference >> 63 != 0 ? ~(difference << 1) : difference << 1;
}

static inline uint64_t unzigzag(uint64_t value)
{
	return (value & 1) != 0 ? ~(value >> 1) : value >> 1;
}

#endif
