/* SPDX-License-Identifier: BSD-3-Clause */
/* Huffman trees of literals: RFC 8878, section 4.2. */
#ifndef FORMAT_ZSTD_HUFFMAN_H
#define FORMAT_ZSTD_HUFFMAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HUFFMAN_LOG_MAX = 11, TREE_LEN_MAX = 128 };

struct huffman {
	uint8_t bits[256]; /* 0: it has no code */
	uint16_t codes[256];
};

/* How many bytes the description of a tree has that begins with this one. */
size_t huffman_description_len(uint8_t first);
/* Reads one of that length; false: it is none. */
bool huffman_read(struct huffman *huffman, const uint8_t *bytes, size_t len);

/* How many bytes a stream of these bytes has; SIZE_MAX: one of them has no code. */
size_t huffman_len(const struct huffman *huffman, const uint8_t *bytes, size_t len);
/* Writes it; there is room for 8 bytes more.  Returns its length. */
size_t huffman_write(const struct huffman *huffman, const uint8_t *bytes, size_t len, uint8_t *out);

#endif
