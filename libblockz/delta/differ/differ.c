/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Long equal runs are found by hashes, and stretched over what has changed in them.  Only what is left of the old text
 * then gets a suffix array, in which what is left of the new text is looked for.
 */
#include "delta/differ/differ.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/checked.h"
#include "base/fault.h"
#include "delta/differ/hash_index.h"
#include "delta/differ/match.h"
#include "delta/differ/suffix_index.h"
#include "delta/differ/sweep.h"

enum {
	MARGIN = 64, /* bytes of matches that stay with what is between them */
};

struct stretches {
	struct stretch *items;
	size_t count;
};

struct differ {
	const uint8_t *old;
	size_t old_len;
	uint64_t old_base;
	/* One of them. */
	struct hash_index *hashes;
	struct suffix_index *suffixes;
};

uint64_t differ_old_max(enum differ_pass pass)
{
	return pass == DIFFER_LONG_RUNS ? HASH_OLD_MAX : SUFFIX_OLD_MAX;
}

uint64_t differ_memory(enum differ_pass pass, uint64_t old_len)
{
	return pass == DIFFER_LONG_RUNS ? hash_index_memory(old_len) : suffix_index_memory(old_len, 1);
}

/* There is a match for some 400 bytes, and for a while a list is there twice. */
uint64_t differ_matches_memory(uint64_t new_len)
{
	return new_len / 8;
}

/* ---- What matches have not used ---- */

/* Old offsets are larger by so much, modulo 2^64; false: no memory. */
static bool copy_ahead(const struct matches *matches, uint64_t by, struct matches *copy_ret)
{
	if (!matches_copy(matches, copy_ret))
		return false;
	for (size_t i = 0; i < copy_ret->count; i++)
		copy_ret->items[i].old_off += by;
	return true;
}

static int compare_old(const void *a, const void *b)
{
	uint64_t x = ((const struct match *)a)->old_off, y = ((const struct match *)b)->old_off;
	return x < y ? -1 : x > y;
}

/* To what of them is within the old text: offsets of those that begin before it are below zero. */
static void cut(struct matches *matches, uint64_t old_len)
{
	for (size_t i = 0; i < matches->count; i++) {
		struct match *match = &matches->items[i];
		uint64_t end = match->old_off + match->len;
		if (end < match->old_off)
			*match = (struct match){ match->new_off, 0, end };
		if (match->old_off < old_len)
			match->len = min(match->len, old_len - match->old_off);
	}
}

/* The old text without the insides of matches, which are cut and sorted by old_off for this. */
static bool remaining_stretches(const struct differ *differ, struct matches *matches, struct stretches *stretches)
{
	cut(matches, differ->old_len);
	if (matches->count > 0)
		qsort(matches->items, matches->count, sizeof(*matches->items), compare_old);
	size_t pos = 0;
	for (size_t i = 0; i <= matches->count; i++) {
		bool last = i == matches->count || matches->items[i].old_off >= differ->old_len;
		const struct match *match = &matches->items[i];
		if (!last && match->len <= 2 * MARGIN)
			continue;
		size_t start = last ? differ->old_len : (size_t)match->old_off + MARGIN;
		if (start > pos) {
			struct stretch *items = array_room(stretches->items, stretches->count, sizeof(*items));
			if (items == NULL)
				return false;
			stretches->items = items;
			items[stretches->count++] = (struct stretch){ pos, start - pos };
		}
		if (last)
			break;
		size_t end = (size_t)(match->old_off + match->len) - MARGIN;
		pos = end > pos ? end : pos;
	}
	return true;
}

static bool index_the_rest(struct differ *differ, const struct matches *used)
{
	struct matches by_old = { 0 };
	struct stretches stretches = { 0 };
	if (copy_ahead(used, -differ->old_base, &by_old) && remaining_stretches(differ, &by_old, &stretches))
		differ->suffixes = suffix_index_new(differ->old, stretches.items, stretches.count);
	matches_free(&by_old);
	free(stretches.items);
	return differ->suffixes != NULL;
}

/* ---- The whole ---- */

enum blockz_status differ_new(enum differ_pass pass, const uint8_t *old, size_t old_len, uint64_t old_base,
			      const struct matches *used, struct differ **differ_ret, struct blockz_fault *fault)
{
	struct differ *differ = calloc(1, sizeof(*differ));
	if (differ == NULL)
		return fault_nomem(fault);
	*differ = (struct differ){ .old = old, .old_len = old_len, .old_base = old_base };
	bool made = pass == DIFFER_LONG_RUNS ? (differ->hashes = hash_index_new(old, old_len)) != NULL
					     : index_the_rest(differ, used);
	if (!made) {
		differ_free(differ);
		return fault_nomem(fault);
	}
	*differ_ret = differ;
	return BLOCKZ_OK;
}

void differ_free(struct differ *differ)
{
	if (differ == NULL)
		return;
	hash_index_free(differ->hashes);
	suffix_index_free(differ->suffixes);
	free(differ);
}

enum blockz_status differ_match(const struct differ *differ, const uint8_t *new, size_t new_len,
				const struct blockz_work *work, struct matches *matches, struct blockz_fault *fault)
{
	const struct texts texts = { .old = differ->old, .old_len = differ->old_len, .new = new, .new_len = new_len };
	const struct finder finder = differ->hashes != NULL ? hash_index_finder(differ->hashes)
							    : suffix_index_finder(differ->suffixes);
	struct matches mine = { 0 };
	if (!copy_ahead(matches, -differ->old_base, &mine))
		return fault_nomem(fault);
	enum blockz_status status = sweep(&texts, &finder, work, &mine, fault);
	if (status != BLOCKZ_OK) {
		matches_free(&mine);
		return status;
	}
	for (size_t i = 0; i < mine.count; i++)
		mine.items[i].old_off += differ->old_base;
	matches_free(matches);
	*matches = mine;
	return BLOCKZ_OK;
}
