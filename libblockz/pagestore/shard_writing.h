/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A write of a part of a page on its way through the files shard_write.c, shard_wait.c and shard_renew.c.  The writer has
 * the turn all the way.
 */
#ifndef PAGESTORE_SHARD_WRITING_H
#define PAGESTORE_SHARD_WRITING_H

#include <string.h>

#include "pagestore/shard_private.h"

struct writing {
	struct shard *shard;
	uint64_t page, local;
	size_t off, len;      /* len 0: nothing but what waits */
	const uint8_t *bytes; /* NULL: zeros */
};

/* Writes what belongs at [off, off + len) of the page, which lies in what is written, to to. */
static inline void writing_fill(const struct writing *self, uint8_t *to, size_t off, size_t len)
{
	if (self->bytes != NULL)
		memcpy(to, self->bytes + (off - self->off), len);
	else
		memset(to, 0, len);
}

/* The mask of all sectors of the page. */
static inline uint64_t writing_all_sectors(const struct writing *self)
{
	return sectors_touched(0, page_len(self->shard->pages, self->page));
}

/* The mask of the sectors that are written as a whole. */
static inline uint64_t writing_whole_sectors(const struct writing *self)
{
	size_t end = self->off + self->len;
	size_t first = (self->off + PAGE_SECTOR_SIZE - 1) / PAGE_SECTOR_SIZE * PAGE_SECTOR_SIZE;
	size_t last = end == page_len(self->shard->pages, self->page) ? end : end / PAGE_SECTOR_SIZE * PAGE_SECTOR_SIZE;
	return first < last ? sectors_touched(first, last - first) : 0;
}

/*
 * Has all sectors wait that are written.  *done_ret false: there is no memory for it, and nothing is changed.  Errors, with
 * nothing changed: those of the base, BLOCKZ_DAMAGED.
 */
enum blockz_status writing_wait(const struct writing *self, bool *done_ret, struct blockz_fault *fault);

/*
 * Makes the page anew: what is stored of it, over that what waits, over that what is written.  Errors, with the page as it
 * was: those of the base, BLOCKZ_DAMAGED, BLOCKZ_LIMIT, BLOCKZ_FAILED.
 */
enum blockz_status writing_renew(const struct writing *self, struct blockz_fault *fault);

/* What is stored of a page that is not in the base, without what waits, into the context's page.  Errors: BLOCKZ_DAMAGED. */
enum blockz_status writing_load(const struct writing *self, struct page_entry entry, struct page_context *context,
				struct blockz_fault *fault);

#endif
