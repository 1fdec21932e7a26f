/* SPDX-License-Identifier: BSD-3-Clause */
/* Huffman codes whose lengths are limited. */
#ifndef FORMAT_DEFLATE_HUFFMAN_H
#define FORMAT_DEFLATE_HUFFMAN_H

#include <stdint.h>

enum { HUFFMAN_SYMBOLS_MAX = 288, HUFFMAN_BITS_MAX = 15 };

/*
 * Makes the lengths with which symbols of these weights take fewest bits, none of them above max: 0 for a symbol of no
 * weight.  Two symbols have a length in any case, since some decoders refuse codes that are not complete.  The weights together
 * are below 2^23, and there are at least two symbols.
 */
void huffman_lens(const uint32_t *weights, unsigned symbols, unsigned max, uint8_t *lens);

/* The codes of these lengths, as RFC 1951, section 3.2.2, gives them out; the first bit of a code is the lowest. */
void huffman_codes(const uint8_t *lens, unsigned symbols, uint16_t *codes);

#endif
