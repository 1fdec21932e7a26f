/* SPDX-License-Identifier: BSD-3-Clause */
/* Bits are put by parts of bytes: there are never many. */
#include "format/deflate/bits.h"

#include <stdlib.h>

#include "base/checked.h"

size_t bits_len(const struct bits *bits)
{
	return (size_t)((bits->count + 7) / 8);
}

bool bits_reserve(struct bits *bits, size_t len)
{
	size_t need = bits_len(bits) + len;
	if (need <= bits->room)
		return true;
	size_t room = 2 * need;
	uint8_t *bytes = realloc(bits->bytes, room);
	if (bytes == NULL) {
		bits->nomem = true;
		return false;
	}
	bits->bytes = bytes;
	bits->room = room;
	return true;
}

void bits_put(struct bits *bits, uint32_t value, unsigned n)
{
	if (!bits_reserve(bits, sizeof(value) + 1))
		return;
	while (n > 0) {
		unsigned at = bits->count % 8, part = (unsigned)min(n, 8 - at);
		uint8_t *byte = &bits->bytes[bits->count / 8];
		*byte = (uint8_t)((at == 0 ? 0 : *byte) | (value & ((1U << part) - 1)) << at);
		value >>= part;
		bits->count += part;
		n -= part;
	}
}

void bits_copy(struct bits *bits, const uint8_t *bytes, uint64_t first, uint64_t n)
{
	while (n > 0) {
		unsigned at = first % 8, part = (unsigned)min(n, 8 - at);
		bits_put(bits, (uint32_t)bytes[first / 8] >> at, part);
		first += part;
		n -= part;
	}
}

void bits_cut(struct bits *bits, uint64_t count)
{
	bits->count = count;
	if (count % 8 != 0)
		bits->bytes[count / 8] &= (uint8_t)((1U << count % 8) - 1);
}

void bits_free(struct bits *bits)
{
	free(bits->bytes);
	*bits = (struct bits){ 0 };
}
