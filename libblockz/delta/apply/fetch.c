/* SPDX-License-Identifier: BSD-3-Clause */
/* Fetches are sorted by where they lie in OLD's space, and those at hand are done first. */
#include "delta/apply/fetch.h"

#include <stdlib.h>

static int compare_fetches(const void *a, const void *b)
{
	const struct fetch *fa = a, *fb = b;
	return (fa->old_off > fb->old_off) - (fa->old_off < fb->old_off);
}

static enum blockz_status do_fetch(struct fetch *fetch, struct old *old, struct old_reader *reader,
				   struct blockz_fault *fault)
{
	fetch->done = true;
	if (fetch->adds)
		return old_add(old, reader, fetch->old_off, fetch->out, fetch->len, fault);
	return old_copy(old, reader, fetch->old_off, fetch->out, fetch->len, fault);
}

enum blockz_status fetch_all(struct fetch *fetches, size_t count, struct old *old, struct old_reader *reader,
			     struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	if (count > 0)
		qsort(fetches, count, sizeof(*fetches), compare_fetches);
	for (size_t i = 0; i < count && status == BLOCKZ_OK; i++)
		if (old_is_at_hand(old, fetches[i].old_off, fetches[i].len))
			status = do_fetch(&fetches[i], old, reader, fault);
	for (size_t i = 0; i < count && status == BLOCKZ_OK; i++)
		if (!fetches[i].done)
			status = do_fetch(&fetches[i], old, reader, fault);
	return status;
}
