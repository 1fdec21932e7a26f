/* SPDX-License-Identifier: BSD-3-Clause */
/* A match goes on over bytes that differ as long as those that are equal outnumber them. */
#include "delta/differ/match.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/bisect.h"
#include "base/checked.h"

enum {
	DROP_MAX = 16, /* an extension ends where it was so much better before: what follows is found anew */
	FIELDS = 8, /* bytes before or behind that tell what a difference may be */
};

void matches_free(struct matches *matches)
{
	free(matches->items);
	*matches = (struct matches){ 0 };
}

static bool ends_at_or_before(const void *matches, uint64_t i, uint64_t new_off)
{
	const struct match *match = &((const struct matches *)matches)->items[i];
	return match->new_off + match->len <= new_off;
}

size_t matches_first_behind(const struct matches *matches, uint64_t new_off)
{
	return (size_t)bisect(matches->count, ends_at_or_before, matches, new_off);
}

bool matches_add(struct matches *matches, struct match match)
{
	struct match *items = array_room(matches->items, matches->count, sizeof(*items));
	if (items == NULL)
		return false;
	matches->items = items;
	items[matches->count++] = match;
	return true;
}

bool matches_copy(const struct matches *matches, struct matches *copy_ret)
{
	struct matches copy = { 0 };
	for (size_t i = 0; i < matches->count; i++) {
		if (!matches_add(&copy, matches->items[i])) {
			matches_free(&copy);
			return false;
		}
	}
	*copy_ret = copy;
	return true;
}

/*
 * Whether a byte costs next to nothing in the diff stream: it is equal, or its difference is that of the byte one or
 * two 32-bit fields before (toward -1) or behind (1), as in tables of addresses that have all moved by the same.
 */
static inline bool is_cheap(const uint8_t *a, const uint8_t *b, ptrdiff_t toward)
{
	uint8_t difference = (uint8_t)(*a - *b);
	return difference == 0 || difference == (uint8_t)(a[4 * toward] - b[4 * toward]) ||
	       difference == (uint8_t)(a[8 * toward] - b[8 * toward]);
}

size_t match_extend_ahead(const struct texts *texts, size_t new_off, size_t diagonal, size_t len)
{
	size_t old_off = new_off + diagonal, best_len = 0;
	ptrdiff_t score = 0, best = 0;
	const uint8_t *a = texts->new + new_off, *b = texts->old + old_off;
	len = (size_t)min(len, old_off < texts->old_len ? texts->old_len - old_off : 0);
	size_t before = (size_t)min(new_off, old_off);
	for (size_t i = 0; i < len && score > best - DROP_MAX; i++) {
		score += a[i] == b[i] || (before + i >= FIELDS && is_cheap(a + i, b + i, -1)) ? 1 : -1;
		if (score > best) {
			best = score;
			best_len = i + 1;
		}
	}
	return best_len;
}

size_t match_extend_behind(const struct texts *texts, size_t new_end, size_t diagonal, size_t len)
{
	size_t old_end = new_end + diagonal, best_len = 0;
	ptrdiff_t score = 0, best = 0;
	const uint8_t *a = texts->new + new_end, *b = texts->old + old_end;
	len = (size_t)min(len, old_end);
	size_t behind = (size_t)min(texts->new_len - new_end, texts->old_len - old_end);
	for (size_t i = 1; i <= len && score > best - DROP_MAX; i++) {
		const uint8_t *c = a - i, *d = b - i;
		score += *c == *d || (behind + i > FIELDS && is_cheap(c, d, 1)) ? 1 : -1;
		if (score > best) {
			best = score;
			best_len = i;
		}
	}
	return best_len;
}

size_t match_cheap(const struct texts *texts, size_t new_off, size_t diagonal, size_t len)
{
	size_t old_off = new_off + diagonal, cheap = 0;
	const uint8_t *a = texts->new + new_off, *b = texts->old + old_off;
	len = (size_t)min(len, old_off < texts->old_len ? texts->old_len - old_off : 0);
	for (size_t i = 0; i < len; i++)
		cheap += a[i] == b[i] || (i >= FIELDS && is_cheap(a + i, b + i, -1));
	return cheap;
}

size_t match_best_split(const struct texts *texts, size_t start, size_t end, size_t before, size_t behind)
{
	ptrdiff_t score = 0, best = 0;
	size_t best_len = 0;
	for (size_t i = start; i < end; i++) {
		score += texts->new[i] == texts->old[i + before];
		score -= texts->new[i] == texts->old[i + behind];
		if (score > best) {
			best = score;
			best_len = i - start + 1;
		}
	}
	return best_len;
}
