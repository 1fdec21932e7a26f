/* SPDX-License-Identifier: BSD-3-Clause */
#include "delta/differ/match.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/checked.h"

/* An extension ends where so many more bytes differ than are equal since it was best: what follows is found anew. */
enum { DROP_MAX = 16 };

void matches_free(struct matches *matches)
{
	free(matches->items);
	*matches = (struct matches){ 0 };
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

size_t match_extend_ahead(const struct texts *texts, size_t new_off, size_t diagonal, size_t len)
{
	size_t old_off = new_off + diagonal, best_len = 0;
	ptrdiff_t score = 0, best = 0;
	const uint8_t *a = texts->new + new_off, *b = texts->old + old_off;
	len = (size_t)min(len, old_off < texts->old_len ? texts->old_len - old_off : 0);
	for (size_t i = 0; i < len && score > best - DROP_MAX; i++) {
		score += a[i] == b[i] ? 1 : -1;
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
	for (size_t i = 1; i <= len && score > best - DROP_MAX; i++) {
		score += a[-(ptrdiff_t)i] == b[-(ptrdiff_t)i] ? 1 : -1;
		if (score > best) {
			best = score;
			best_len = i;
		}
	}
	return best_len;
}

size_t match_equal(const struct texts *texts, size_t new_off, size_t diagonal, size_t len)
{
	size_t old_off = new_off + diagonal, equal = 0;
	const uint8_t *a = texts->new + new_off, *b = texts->old + old_off;
	len = (size_t)min(len, old_off < texts->old_len ? texts->old_len - old_off : 0);
	for (size_t i = 0; i < len; i++)
		equal += a[i] == b[i];
	return equal;
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
