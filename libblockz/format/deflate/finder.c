/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Chains of places whose first four bytes have the same sum.  What stands in them of other text fails the comparison.  Of
 * three bytes the last place is enough: a match so short is worth its bits only if it is near.
 */
#include "format/deflate/finder.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/equal.h"

enum {
	HASH_BITS = 15,
	SHORT_LEN = 3, CHAIN_LEN = 4,
	SEARCH_MAX = 100, /* places of a chain that are looked at: bounds the time */
};

/* Places are the low bits of text offsets. */
struct finder {
	uint32_t last_of_three[1 << HASH_BITS], last[1 << HASH_BITS]; /* where a sum was last, */
	uint32_t before[WALK_WINDOW]; /* and where before that, by the same bits of the later place */
	uint64_t next;                /* the first offset that is not in chains */
};

struct finder *finder_new(void)
{
	return calloc(1, sizeof(struct finder));
}

void finder_free(struct finder *finder)
{
	free(finder);
}

static unsigned sum(uint32_t bytes)
{
	return bytes * 2654435761U >> (32 - HASH_BITS);
}

static uint32_t four(const uint8_t *bytes)
{
	return load_le32(bytes);
}

static uint32_t three(const uint8_t *bytes)
{
	return load_le32(bytes) & 0xffffff;
}

/* Puts what stands before a place into chains; four bytes are at that. */
static void catch_up(struct finder *finder, const uint8_t *at, uint64_t out, size_t reach)
{
	uint64_t pos = finder->next > out - reach && finder->next <= out ? finder->next : out - reach;
	if (finder->next > out)
		memset(finder->last, 0, sizeof(finder->last));
	for (; pos < out; pos++) {
		const uint8_t *bytes = at - (out - pos);
		uint32_t *last = &finder->last[sum(four(bytes))];
		finder->before[pos % WALK_WINDOW] = *last;
		*last = (uint32_t)pos;
		finder->last_of_three[sum(three(bytes))] = (uint32_t)pos;
	}
	finder->next = pos;
}

static size_t match_len(const uint8_t *at, uint32_t dist, size_t best, size_t max)
{
	const uint8_t *end = at + best;
	return *end == *(end - dist) ? equal_ahead(at, at - dist, max) : 0;
}

static size_t find_short(const struct finder *finder, const uint8_t *at, uint64_t out, size_t reach, struct walk_token *found)
{
	uint32_t dist = (uint32_t)out - finder->last_of_three[sum(three(at))];
	if (dist == 0 || dist > reach || equal_ahead(at, at - dist, SHORT_LEN) < SHORT_LEN)
		return 0;
	*found = (struct walk_token){ SHORT_LEN, (uint16_t)dist };
	return 1;
}

size_t finder_search(struct finder *finder, const uint8_t *at, uint64_t out, size_t reach, size_t max,
		     struct walk_token found[FOUND_MAX])
{
	if (max < CHAIN_LEN)
		return 0;
	reach = (size_t)min(reach, WALK_WINDOW);
	catch_up(finder, at, out, reach);
	size_t count = find_short(finder, at, out, reach, found), best = SHORT_LEN;
	uint32_t place = finder->last[sum(four(at))], dist = 0;
	for (unsigned i = 0; i < SEARCH_MAX && best < max; i++) {
		uint32_t next = (uint32_t)out - place;
		if (next <= dist || next > reach)
			break;
		dist = next;
		size_t len = match_len(at, dist, best, max);
		if (len > best) {
			found[count++] = (struct walk_token){ (uint16_t)len, (uint16_t)dist };
			best = len;
		}
		place = finder->before[place % WALK_WINDOW];
	}
	return count;
}
