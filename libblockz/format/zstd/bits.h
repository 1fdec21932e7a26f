/* SPDX-License-Identifier: BSD-3-Clause */
/* Bits as the entropy coders of zstd have them: written one behind the other, and read from the last one back. */
#ifndef FORMAT_ZSTD_BITS_H
#define FORMAT_ZSTD_BITS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/checked.h"

/* The n bits from bit `first` of len bytes on, n <= 56; what is behind the bytes is zeros. */
static inline uint64_t bits_at(const uint8_t *bytes, size_t len, size_t first, unsigned n)
{
	size_t pos = first / 8;
	uint64_t word = 0;
	if (pos + 8 <= len)
		word = load_le64(bytes + pos);
	else
		for (size_t i = pos; i < len; i++)
			word |= (uint64_t)bytes[i] << 8 * (i - pos);
	return word >> first % 8 & (((uint64_t)1 << n) - 1);
}

/* A stream that is read from its end. */
struct bits_back {
	const uint8_t *bytes;
	size_t len;
	size_t left; /* bits */
	bool short_of; /* more were asked for: these were zeros */
};

/* Begins at the mark in the last byte; false: there is none. */
static inline bool bits_back_begin(struct bits_back *bits, const uint8_t *bytes, size_t len)
{
	if (len == 0 || bytes[len - 1] == 0)
		return false;
	*bits = (struct bits_back){ bytes, len, 8 * (len - 1) + highest_bit(bytes[len - 1]), false };
	return true;
}

/* Reads n bits, n <= 31. */
static inline uint32_t bits_back_read(struct bits_back *bits, unsigned n)
{
	if (n > bits->left) {
		uint32_t value = (uint32_t)(bits_at(bits->bytes, bits->len, 0, (unsigned)bits->left) << (n - bits->left));
		bits->left = 0;
		bits->short_of = true;
		return value;
	}
	bits->left -= n;
	return (uint32_t)bits_at(bits->bytes, bits->len, bits->left, n);
}

/* A stream that is written; whoever has it sees to the room, for 8 bytes more than it becomes. */
struct bits_out {
	uint8_t *bytes;
	size_t len;
	uint64_t word;
	unsigned count; /* bits of it, less than 8 between calls */
};

/* Appends the n lowest bits of value, n <= 31. */
static inline void bits_put(struct bits_out *bits, uint32_t value, unsigned n)
{
	bits->word |= ((uint64_t)value & (((uint64_t)1 << n) - 1)) << bits->count;
	bits->count += n;
	store_le64(bits->bytes + bits->len, bits->word);
	bits->len += bits->count / 8;
	bits->word >>= bits->count / 8 * 8;
	bits->count %= 8;
}

/* Sets the mark, and returns how many bytes there are. */
static inline size_t bits_end(struct bits_out *bits)
{
	bits_put(bits, 1, 1);
	return bits->len + (bits->count > 0);
}

#endif
