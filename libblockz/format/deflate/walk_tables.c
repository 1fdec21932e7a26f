/* SPDX-License-Identifier: BSD-3-Clause */
/* Huffman tables, made from the lengths of codes. */
#include "format/deflate/walk_tables.h"

#include <string.h>

#include "base/checked.h"

enum { END_OF_BLOCK = 256, FIRST_LENGTH = 257, LAST_LENGTH = 285, LAST_DIST = 29 };

/* RFC 1951, section 3.2.5. */
const uint16_t walk_dist_base[WALK_DIST_SYMBOLS] = {
	1,   2,   3,   4,   5,    7,    9,    13,   17,   25,   33,   49,    65,    97,    129,
	193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577,
};

/* Section 3.2.7. */
const uint8_t walk_precode_order[WALK_PRECODE_SYMBOLS] = {
	16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
};

enum fullness { COMPLETE, COMPLETE_OR_ONE_BIT, COMPLETE_ONE_BIT_OR_NONE };

/* Entry of a symbol whose code has len bits; 0: it has none. */
typedef uint32_t (*make_entry)(unsigned symbol, unsigned len);

static inline uint32_t litlen_entry(unsigned symbol, unsigned len)
{
	const uint32_t bits = len | len << WALK_CODE_SHIFT;
	if (symbol < END_OF_BLOCK)
		return bits | 1U << WALK_OUT_SHIFT | symbol << WALK_SYMBOL_SHIFT;
	if (symbol < FIRST_LENGTH || symbol > LAST_LENGTH)
		return 0;
	if (symbol == LAST_LENGTH)
		return bits | WALK_DIST | 258U << WALK_OUT_SHIFT;
	/* RFC 1951, section 3.2.5: from the ninth on, four symbols share a number of extra bits. */
	unsigned n = symbol - FIRST_LENGTH;
	unsigned extra = n < 8 ? 0 : n / 4 - 1;
	unsigned out = n < 8 ? n + 3 : ((4 + n % 4) << extra) + 3;
	return (bits + extra) | WALK_DIST | out << WALK_OUT_SHIFT;
}

static inline uint32_t dist_entry(unsigned symbol, unsigned len)
{
	if (symbol > LAST_DIST)
		return 0;
	unsigned extra = symbol < 4 ? 0 : symbol / 2 - 1;
	return (len + extra) | (uint32_t)WALK_CODE_DIST << WALK_CODE_SHIFT | symbol << WALK_SYMBOL_SHIFT |
	       extra << WALK_EXTRA_SHIFT;
}

static inline uint32_t precode_entry(unsigned symbol, unsigned len)
{
	return symbol << WALK_PRECODE_SHIFT | len;
}

/* What zlib's inflate accepts. */
static const char *check_counts(const uint16_t *count, unsigned used, enum fullness fullness)
{
	int32_t left = 1;
	for (unsigned len = 1; len <= WALK_CODE_BITS; len++) {
		left = left * 2 - count[len];
		if (left < 0)
			return "over-subscribed Huffman code";
	}
	if (left == 0 || (fullness >= COMPLETE_OR_ONE_BIT && used == 1 && count[1] == 1) ||
	    (fullness >= COMPLETE_ONE_BIT_OR_NONE && used == 0))
		return NULL;
	return "incomplete Huffman code";
}

/* The code behind this one among those of len bits, first bit lowest; behind the last: 0. */
static inline unsigned next_code(unsigned code, unsigned len)
{
	unsigned zeros = ~code & ((1U << len) - 1);
	if (zeros == 0)
		return 0;
	unsigned top = highest_bit(zeros);
	return (code & ((1U << top) - 1)) | 1U << top;
}

/* Sorts the symbols by length and then by themselves, those without a code last. */
static const char *sort_symbols(struct walk_code_set *set, uint16_t *count, const uint8_t *lens, unsigned symbols,
				enum fullness fullness)
{
	/* Two counters for each length, because equal neighbours would wait for each other. */
	uint16_t even[WALK_CODE_BITS + 1] = { 0 }, odd[WALK_CODE_BITS + 1] = { 0 };
	unsigned s = 0;
	for (; s + 1 < symbols; s += 2) {
		even[lens[s]]++;
		odd[lens[s + 1]]++;
	}
	if (s < symbols)
		even[lens[s]]++;
	for (unsigned len = 0; len <= WALK_CODE_BITS; len++)
		count[len] = (uint16_t)(even[len] + odd[len]);
	const unsigned used = symbols - count[0];
	const char *wrong = check_counts(count, used, fullness);
	if (wrong != NULL)
		return wrong;

	uint16_t place[WALK_CODE_BITS + 1];
	unsigned first = 0, sum = 0;
	place[0] = (uint16_t)used;
	for (unsigned len = 1; len <= WALK_CODE_BITS; len++) {
		place[len] = (uint16_t)sum;
		first *= 2;
		set->base[len] = (int16_t)((int)sum - (int)first);
		first += count[len];
		sum += count[len];
		set->limit[len] = (uint16_t)(first << (WALK_CODE_BITS - len));
	}
	for (s = 0; s < symbols; s++)
		set->sorted[place[lens[s]]++] = (uint16_t)s;
	return NULL;
}

/* A kind of table, in which the compiler sees constants. */
struct table_kind {
	unsigned root; /* log2 of how many entries it has */
	uint32_t none; /* the entry of what no code begins with */
	enum fullness fullness;
	make_entry entry;
};

static const struct table_kind litlen_kind = { WALK_ROOT, WALK_SPECIAL, COMPLETE_OR_ONE_BIT, litlen_entry };
static const struct table_kind dist_kind = {
	WALK_ROOT, WALK_SPECIAL | (uint32_t)WALK_CODE_DIST << WALK_CODE_SHIFT, COMPLETE_ONE_BIT_OR_NONE, dist_entry,
};
static const struct table_kind precode_kind = { WALK_PRECODE_BITS, 0, COMPLETE, precode_entry };

/*
 * Fills a table of 2^root entries, and a set, from the lengths of the codes of so many symbols.  While it has 2^len entries,
 * each code of len bits is just one of them; doubled, it has every continuation.
 */
static inline __attribute__((always_inline)) const char *build_table(uint32_t *table, const struct table_kind *kind,
								     struct walk_code_set *set, const uint8_t *lens,
								     unsigned symbols)
{
	uint16_t count[WALK_CODE_BITS + 1];
	const char *wrong = sort_symbols(set, count, lens, symbols, kind->fullness);
	if (wrong != NULL)
		return wrong;
	const uint16_t *symbol = set->sorted;
	unsigned code = 0;
	table[0] = kind->none;
	for (unsigned len = 1; len <= kind->root; len++) {
		unsigned half = 1U << (len - 1);
		memcpy(table + half, table, half * sizeof(*table));
		for (unsigned n = count[len]; n > 0; n--) {
			uint32_t e = kind->entry(*symbol++, len);
			table[code] = e != 0 ? e : kind->none;
			code = next_code(code, len);
		}
	}
	return NULL;
}

const char *walk_codes_build(struct walk_codes *codes, const uint8_t *litlen_lens, unsigned litlen_count,
			     const uint8_t *dist_lens, unsigned dist_count)
{
	if (litlen_lens[END_OF_BLOCK] == 0)
		return "no code for the end of the block";
	const char *wrong = build_table(codes->entry, &litlen_kind, &codes->litlen, litlen_lens, litlen_count);
	if (wrong != NULL)
		return wrong;
	return build_table(codes->entry + WALK_DIST, &dist_kind, &codes->dist, dist_lens, dist_count);
}

void walk_lens_fixed(struct walk_lens *lens)
{
	memset(lens->litlen, 8, sizeof(lens->litlen));
	memset(lens->litlen + 144, 9, 112);
	memset(lens->litlen + 256, 7, 24);
	memset(lens->dist, 5, sizeof(lens->dist));
}

void walk_codes_build_fixed(struct walk_codes *codes)
{
	struct walk_lens lens;
	walk_lens_fixed(&lens);
	walk_codes_build(codes, lens.litlen, WALK_LITLEN_SYMBOLS, lens.dist, WALK_DIST_SYMBOLS);
}

const char *walk_precode_build(uint32_t table[1 << WALK_PRECODE_BITS], const uint8_t lens[WALK_PRECODE_SYMBOLS])
{
	struct walk_code_set set;
	return build_table(table, &precode_kind, &set, lens, WALK_PRECODE_SYMBOLS);
}

/* The lowest 15 bits of v in reverse, so that codes compare as numbers. */
static unsigned reverse15(uint32_t v)
{
	v = (v & 0x5555) << 1 | (v >> 1 & 0x5555);
	v = (v & 0x3333) << 2 | (v >> 2 & 0x3333);
	v = (v & 0x0f0f) << 4 | (v >> 4 & 0x0f0f);
	v = (v & 0x00ff) << 8 | (v >> 8 & 0x00ff);
	return v >> 1;
}

uint32_t walk_codes_entry(const struct walk_codes *codes, bool dist, uint32_t bits)
{
	const struct walk_code_set *set = dist ? &codes->dist : &codes->litlen;
	unsigned code = reverse15(bits);
	unsigned len = code < set->limit[WALK_ROOT] ? 1 : WALK_ROOT + 1;
	while (len <= WALK_CODE_BITS && code >= set->limit[len])
		len++;
	if (len > WALK_CODE_BITS)
		return WALK_SPECIAL;
	unsigned symbol = set->sorted[(int)(code >> (WALK_CODE_BITS - len)) + set->base[len]];
	if (!dist && symbol == END_OF_BLOCK)
		return WALK_SPECIAL | len;
	uint32_t e = dist ? dist_entry(symbol, len) : litlen_entry(symbol, len);
	return e != 0 ? e : WALK_SPECIAL;
}

/* Codes stand sorted by their lengths, and each length has as many as are below its limit. */
static void set_lens(const struct walk_code_set *set, uint8_t *lens)
{
	int place = 0;
	for (unsigned len = 1; len <= WALK_CODE_BITS; len++)
		while ((place - set->base[len]) << (WALK_CODE_BITS - len) < set->limit[len])
			lens[set->sorted[place++]] = (uint8_t)len;
}

struct walk_lens walk_codes_lens(const struct walk_codes *codes)
{
	struct walk_lens lens = { { 0 }, { 0 } };
	set_lens(&codes->litlen, lens.litlen);
	set_lens(&codes->dist, lens.dist);
	return lens;
}
