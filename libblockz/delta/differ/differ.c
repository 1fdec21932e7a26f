/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Long equal runs are found by hashes, and stretched over what has changed in them.  Only what is left of the old text then
 * gets a suffix array, in which what is left of the new text is looked for.
 */
#include "delta/differ/differ.h"

#include <stdlib.h>

#include "base/checked.h"
#include "base/fault.h"
#include "delta/differ/hash_index.h"
#include "delta/differ/match.h"
#include "delta/differ/suffix_index.h"
#include "delta/differ/sweep.h"

struct differ {
	const uint8_t *old;
	size_t old_len;
	struct hash_index *hashes;
};

uint64_t differ_memory(uint64_t old_len)
{
	return hash_index_memory(old_len) + suffix_index_memory(old_len, 1);
}

enum blockz_status differ_new(const uint8_t *old, size_t old_len, const struct blockz_work *work,
			      struct differ **differ_ret, struct blockz_fault *fault)
{
	(void)work;
	struct differ *differ = calloc(1, sizeof(*differ));
	if (differ == NULL)
		return fault_nomem(fault);
	differ->old = old;
	differ->old_len = old_len;
	differ->hashes = hash_index_new(old, old_len);
	if (differ->hashes == NULL) {
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
	free(differ);
}

enum blockz_status differ_match(const struct differ *differ, uint64_t old_base, const uint8_t *new, size_t new_len,
				const struct blockz_work *work, struct matches *matches, struct blockz_fault *fault)
{
	const struct texts texts = { .old = differ->old, .old_len = differ->old_len, .new = new, .new_len = new_len };
	const struct part whole = { .off = 0, .len = differ->old_len };
	struct matches mine = { 0 };
	enum blockz_status status = BLOCKZ_OK;
	struct suffix_index *suffixes = NULL;
	for (size_t i = 0; i < matches->count && status == BLOCKZ_OK; i++) {
		struct match match = matches->items[i];
		match.old_off -= old_base;
		if (!matches_add(&mine, match))
			status = fault_nomem(fault);
	}
	struct finder finder = hash_index_finder(differ->hashes);
	if (status == BLOCKZ_OK)
		status = sweep(&texts, &finder, work, &mine, fault);
	if (status == BLOCKZ_OK) {
		suffixes = suffix_index_new(differ->old, &whole, 1);
		status = suffixes == NULL ? fault_nomem(fault) : BLOCKZ_OK;
	}
	if (status == BLOCKZ_OK) {
		finder = suffix_index_finder(suffixes);
		status = sweep(&texts, &finder, work, &mine, fault);
	}
	suffix_index_free(suffixes);
	if (status != BLOCKZ_OK) {
		matches_free(&mine);
		return status;
	}
	for (size_t i = 0; i < mine.count; i++)
		mine.items[i].old_off += old_base;
	matches_free(matches);
	*matches = mine;
	return BLOCKZ_OK;
}
