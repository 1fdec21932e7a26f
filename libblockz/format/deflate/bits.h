/* SPDX-License-Identifier: BSD-3-Clause */
/* Bits one behind the other, lowest of a byte first, as deflate has them. */
#ifndef FORMAT_DEFLATE_BITS_H
#define FORMAT_DEFLATE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bits {
	uint8_t *bytes; /* what is left of the last byte is zeros */
	size_t room;
	uint64_t count; /* bits so far */
	bool nomem;     /* memory was short: something is missing */
};

/* Makes room for so many more bytes, and keeps what is there; false: memory is short. */
bool bits_reserve(struct bits *bits, size_t len);
/* Appends the n lowest bits of value, n <= 32. */
void bits_put(struct bits *bits, uint32_t value, unsigned n);
/* Appends the n bits of bytes from bit `first` on. */
void bits_copy(struct bits *bits, const uint8_t *bytes, uint64_t first, uint64_t n);
/* Drops all but the first count bits. */
void bits_cut(struct bits *bits, uint64_t count);
/* Bytes so far, the last one in part. */
size_t bits_len(const struct bits *bits);
void bits_free(struct bits *bits);

#endif
