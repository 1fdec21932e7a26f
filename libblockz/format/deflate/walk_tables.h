/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decode tables of the deflate walker.
 *
 * Two tables of 2^WALK_ROOT entries stand one behind the other: the first for literals and lengths, the second for
 * distances.  Both are indexed with the next WALK_ROOT bits, and an entry says everything a walker needs: how many bits
 * to drop, how many bytes come out, and which of the two tables is next.  So a walker can follow a block without
 * asking what kind of symbol it has, and without a branch to mispredict.
 *
 *	bits  0 to 5    bits to drop, extra bits included
 *	bits  6 to 10   length of the code; 31 in distances, so that their extra bits count as no output
 *	bit  11         WALK_DIST: a distance follows; its value is where the second table begins
 *	bit  12         WALK_SPECIAL: ask walk_codes_entry() for the entry
 *	bits 13 to 20   of a literal, its byte
 *	bits 13 to 17   of a distance, its symbol; 18 to 21: how many of the bits to drop are extra bits
 *	bits 22 to 30   output bytes, to which extra bits are added
 *
 * Packing several literals into an entry was tried and costs more to build than it saves: with codes of 7 to 9 bits two
 * rarely fit.
 */
#ifndef FORMAT_DEFLATE_WALK_TABLES_H
#define FORMAT_DEFLATE_WALK_TABLES_H

#include <stdbool.h>
#include <stdint.h>

#include "format/deflate/walk.h"

enum {
	WALK_ROOT = 11,
	WALK_ROOT_SIZE = 1 << WALK_ROOT,

	WALK_BITS_MASK = 63,
	WALK_CODE_SHIFT = 6,
	WALK_CODE_MASK = 31,
	WALK_CODE_DIST = 31,
	WALK_DIST = WALK_ROOT_SIZE,
	WALK_SPECIAL = 1 << 12,
	WALK_SYMBOL_SHIFT = 13,
	WALK_SYMBOL_MASK = 31,
	WALK_EXTRA_SHIFT = 18,
	WALK_EXTRA_MASK = 15,
	WALK_OUT_SHIFT = 22,

	WALK_PRECODE_SYMBOLS = 19,
	WALK_PRECODE_BITS = 7, /* longest code */
	WALK_PRECODE_SHIFT = 4,
	WALK_CODE_BITS = 15, /* longest code */
};

/* A canonical code for decoding length by length: slow, but needs no table for the rare long codes. */
struct walk_code_set {
	uint16_t limit[WALK_CODE_BITS + 1]; /* first code too large for each length, left-justified */
	int16_t base[WALK_CODE_BITS + 1];   /* code + base: position in sorted */
	uint16_t sorted[WALK_LITLEN_SYMBOLS];
};

struct walk_codes {
	uint32_t entry[2 * WALK_ROOT_SIZE];
	struct walk_code_set litlen, dist;
};

/* The next two return NULL, or what is wrong with the lengths. */
const char *walk_codes_build(struct walk_codes *codes, const uint8_t *litlen_lens, unsigned litlen_count,
			     const uint8_t *dist_lens, unsigned dist_count);

/* Makes the table of the code for code lengths: symbol << WALK_PRECODE_SHIFT | bits to drop. */
const char *walk_precode_build(uint32_t table[1 << WALK_PRECODE_BITS], const uint8_t lens[WALK_PRECODE_SYMBOLS]);

/* Makes the tables of the fixed codes: RFC 1951, section 3.2.6. */
void walk_codes_build_fixed(struct walk_codes *codes);

/*
 * The entry of the one symbol at the front of bits; for what the tables mark WALK_SPECIAL.  WALK_SPECIAL with bits to
 * drop: the end of the block.  WALK_SPECIAL alone: no symbol has this code.
 */
uint32_t walk_codes_entry(const struct walk_codes *codes, bool dist, uint32_t bits);

/* Whether an entry is of the second table. */
static inline bool walk_entry_is_dist(uint32_t entry)
{
	return (entry >> WALK_CODE_SHIFT & WALK_CODE_MASK) == WALK_CODE_DIST;
}

static inline uint8_t walk_entry_literal(uint32_t entry)
{
	return (uint8_t)(entry >> WALK_SYMBOL_SHIFT);
}

/* Their lengths. */
void walk_lens_fixed(struct walk_lens *lens);

/* The lengths that codes were built from. */
struct walk_lens walk_codes_lens(const struct walk_codes *codes);

/* Least distance of distance symbols 0 to 29. */
extern const uint16_t walk_dist_base[WALK_DIST_SYMBOLS];

/* The order in which a header has the lengths of the code for code lengths. */
extern const uint8_t walk_precode_order[WALK_PRECODE_SYMBOLS];

#endif
