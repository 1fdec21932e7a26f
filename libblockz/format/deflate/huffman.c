/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Package-merge.
 *
 * A symbol with a code of n bits is n items, one on each of the levels 1 to n; a complete code of s symbols is 2s - 2 items
 * of level 1, if two items of a level count as one, a package, on the level above.  The lightest ones are wanted.
 *
 *    weights    a 1, b 1, c 2, d 4                 at most 3 bits
 *    level 3    a 1, b 1, c 2, d 4                 packages: ab 2, cd 6
 *    level 2    a 1, b 1, c 2, ab 2, d 4, cd 6     packages: ab 2, c(ab) 4, d(cd) 10
 *    level 1    a 1, b 1, c 2, ab 2, d 4, c(ab) 4, d(cd) 10
 *
 * The lightest six of level 1 are four symbols and the packages ab and c(ab), which are the first four items of level 2;
 * these are three symbols and the package ab, which is the first two items of level 3.  So a and b have 3 bits, c has 2,
 * and d has 1: it is enough to know which items of a level are symbols, as these are sorted.
 */
#include "format/deflate/huffman.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { SYMBOL_BITS = 9, LEVEL_ROOM = 2 * HUFFMAN_SYMBOLS_MAX };

struct level {
	uint32_t weight[LEVEL_ROOM];
	bool is_symbol[LEVEL_ROOM];
	unsigned count;
};

static int compare(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* The symbols that get a code, the lightest first, each below its weight. */
static unsigned sort_symbols(const uint32_t *weights, unsigned symbols, uint32_t *sorted)
{
	unsigned count = 0;
	for (unsigned s = 0; s < symbols; s++)
		if (weights[s] > 0)
			sorted[count++] = weights[s] << SYMBOL_BITS | s;
	for (unsigned s = 0; count < 2; s++)
		if (weights[s] == 0)
			sorted[count++] = s;
	qsort(sorted, count, sizeof(*sorted), compare);
	return count;
}

/* Merges the symbols with the packages of the level below; the deepest one has none, as nothing is below it. */
static void make_level(struct level *level, const uint32_t *sorted, unsigned count, const struct level *below)
{
	const unsigned packages = below->count / 2;
	unsigned symbol = 0, package = 0, i = 0;
	for (; symbol < count || package < packages; i++) {
		uint32_t weight = package < packages ? below->weight[2 * package] + below->weight[2 * package + 1] : UINT32_MAX;
		level->is_symbol[i] = symbol < count && sorted[symbol] >> SYMBOL_BITS <= weight;
		level->weight[i] = level->is_symbol[i] ? sorted[symbol++] >> SYMBOL_BITS : weight;
		package += !level->is_symbol[i];
	}
	level->count = i;
}

void huffman_lens(const uint32_t *weights, unsigned symbols, unsigned max, uint8_t *lens)
{
	struct level levels[HUFFMAN_BITS_MAX + 1];
	uint32_t sorted[HUFFMAN_SYMBOLS_MAX];
	const unsigned count = sort_symbols(weights, symbols, sorted);
	levels[max].count = 0;
	for (unsigned n = max; n > 0; n--)
		make_level(&levels[n - 1], sorted, count, &levels[n]);
	memset(lens, 0, symbols);
	unsigned items = 2 * count - 2;
	for (unsigned n = 0; n < max; n++) {
		unsigned found = 0;
		for (unsigned i = 0; i < items; i++)
			if (levels[n].is_symbol[i])
				lens[sorted[found++] & ((1U << SYMBOL_BITS) - 1)]++;
		items = 2 * (items - found);
	}
}

static uint16_t reverse(unsigned code, unsigned len)
{
	unsigned reversed = 0;
	for (; len > 0; len--, code >>= 1)
		reversed = reversed << 1 | (code & 1);
	return (uint16_t)reversed;
}

void huffman_codes(const uint8_t *lens, unsigned symbols, uint16_t *codes)
{
	unsigned next[HUFFMAN_BITS_MAX + 2] = { 0 };
	for (unsigned s = 0; s < symbols; s++)
		next[lens[s] + 1]++;
	next[1] = 0; /* of symbols without a code */
	for (unsigned len = 1; len <= HUFFMAN_BITS_MAX; len++)
		next[len] = (next[len] + next[len - 1]) << 1;
	for (unsigned s = 0; s < symbols; s++)
		codes[s] = lens[s] > 0 ? reverse(next[lens[s]]++, lens[s]) : 0;
}
