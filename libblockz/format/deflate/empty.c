/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many bits do empty blocks have?
 *
 *    fixed     10: so the place in a byte moves on by 2
 *    stored    3, up to a byte's edge, and 32: 40 if it begins at one, and decoders are quickest with it
 *    dynamic   92 or 95: the only way to an odd place
 *
 * Most are stored ones, and others before and behind them lead to a byte's edge, and from there to where the filler ends.
 *
 * The dynamic block is one whose codes are complete, as some decoders want them to be: HLIT 0, HDIST 1; the code lengths'
 * code has two symbols, 1 and 18, of one bit; literal 0 and the end of the block have one bit each, and so have two
 * distances.  The lengths' code is written as 18 or as all 19 of its entries, which makes the two sizes.
 */
#include "format/deflate/empty.h"

#include <string.h>

#include "format/deflate/layout.h"

enum {
	FIXED_BITS = 10,
	STORED_BITS = 8 * STORED_HEADER_LEN, /* from a byte's edge on */
	DYNAMIC_BITS = 92, DYNAMIC_LONGER_BITS = 95,
	FIXED_MAX = 7, /* on either side: four of them are as long as a stored one, so more would bring nothing new but in little room */
};

/* Blocks other than stored ones, all on one side of these. */
struct others {
	unsigned fixed;
	unsigned dynamic; /* the bits of one; 0: there is none */
};

struct filler {
	struct others before, behind;
	uint64_t stored;
};

/* The first bit behind a stored block that begins at a bit. */
static uint64_t behind_stored(uint64_t bit)
{
	return (bit + 3 + 7) / 8 * 8 + 32;
}

static uint64_t others_bits(const struct others *others)
{
	return others->dynamic + FIXED_BITS * others->fixed;
}

/* Finds out how many stored blocks there have to be between the others, to lead from one bit to another. */
static bool choose_stored(uint64_t from, uint64_t to, struct filler *filler)
{
	uint64_t start = from + others_bits(&filler->before), rest = others_bits(&filler->behind);
	if (start + rest > to)
		return false;
	uint64_t end = to - rest, first = behind_stored(start);
	bool none = start == end;
	filler->stored = none || first > end ? 0 : 1 + (end - first) / STORED_BITS;
	return none || (first <= end && (end - first) % STORED_BITS == 0);
}

static bool choose_filler(uint64_t from, uint64_t to, struct filler *filler)
{
	/* With as few of the dynamic ones as can be, which take decoders longest. */
	static const unsigned dynamic[][2] = {
		{ 0, 0 }, { DYNAMIC_BITS, 0 }, { DYNAMIC_LONGER_BITS, 0 }, { 0, DYNAMIC_BITS }, { 0, DYNAMIC_LONGER_BITS },
		{ DYNAMIC_BITS, DYNAMIC_LONGER_BITS }, { DYNAMIC_LONGER_BITS, DYNAMIC_LONGER_BITS },
	};
	for (size_t i = 0; i < sizeof(dynamic) / sizeof(dynamic[0]); i++) {
		filler->before.dynamic = dynamic[i][0];
		filler->behind.dynamic = dynamic[i][1];
		for (filler->before.fixed = 0; filler->before.fixed <= FIXED_MAX; filler->before.fixed++)
			for (filler->behind.fixed = 0; filler->behind.fixed <= FIXED_MAX; filler->behind.fixed++)
				if (choose_stored(from, to, filler))
					return true;
	}
	return false;
}

static void put_stored(struct bits *bits)
{
	bits_put(bits, 0, 3);
	bits_put(bits, 0, (unsigned)(-bits->count % 8));
	bits_put(bits, 0xffff0000, 32); /* LEN, NLEN */
}

static void put_dynamic(struct bits *bits, bool longer)
{
	enum { ENTRIES = 18, ENTRY_OF_18 = 2, ENTRY_OF_1 = 17 }; /* RFC 1951, section 3.2.7, has the order */
	bits_put(bits, 2 << 1, 3);
	bits_put(bits, 0, 5);
	bits_put(bits, 1, 5);
	bits_put(bits, longer ? ENTRIES + 1 - 4 : ENTRIES - 4, 4);
	for (int i = 0; i < (longer ? ENTRIES + 1 : ENTRIES); i++)
		bits_put(bits, i == ENTRY_OF_18 || i == ENTRY_OF_1, 3);
	/* Symbol 1 has the code 0, symbol 18 the code 1, behind which 7 bits say how many zeros there are beyond 11. */
	bits_put(bits, 0, 1);
	bits_put(bits, 1 | (138 - 11) << 1, 8);
	bits_put(bits, 1 | (255 - 138 - 11) << 1, 8);
	bits_put(bits, 0, 3);
	bits_put(bits, 1, 1); /* the end of the block */
}

static void put_others(struct bits *bits, const struct others *others)
{
	for (unsigned i = 0; i < others->fixed; i++)
		bits_put(bits, 1 << 1, FIXED_BITS); /* BFINAL 0, BTYPE 01, and the end's code, which is zeros */
	if (others->dynamic != 0)
		put_dynamic(bits, others->dynamic == DYNAMIC_LONGER_BITS);
}

bool empty_fill(struct bits *bits, uint64_t count)
{
	struct filler filler;
	if (count < bits->count || !choose_filler(bits->count, count, &filler))
		return false;
	put_others(bits, &filler.before);
	for (; filler.stored > 0; filler.stored--)
		put_stored(bits);
	put_others(bits, &filler.behind);
	return true;
}

void empty_fill_to_phase(struct bits *bits, unsigned phase)
{
	uint64_t count = bits->count + (phase - bits->count) % 8;
	while (!empty_fill(bits, count))
		count += 8;
}

void empty_end(struct bits *bits)
{
	bits_put(bits, 1 | 1 << 1, EMPTY_END_BITS);
}
