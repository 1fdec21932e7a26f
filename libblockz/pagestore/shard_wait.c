/* SPDX-License-Identifier: BSD-3-Clause */
/* What is written of a page waits, as whole sectors, for more of the page to come. */
#include "pagestore/base_image.h"
#include "pagestore/shard_writing.h"

/* What is written, on its way to its sectors. */
struct sectors {
	unsigned first, last;
	uint64_t fresh;                     /* those that do not wait yet */
	uint64_t partial;                   /* of these, those written in part: the first and the last at most */
	uint8_t ends[2][PAGE_SECTOR_SIZE];  /* old bytes of the first and the last, where these are partial */
};

/* The old bytes of a sector that does not wait yet. */
static enum blockz_status load_sector(const struct writing *self, unsigned sector, uint8_t *bytes,
				      struct blockz_fault *fault)
{
	struct shard *shard = self->shard;
	const struct blockz_pages *pages = shard->pages;
	size_t off = (size_t)sector * PAGE_SECTOR_SIZE, len = (size_t)min(PAGE_SECTOR_SIZE, page_len(pages, self->page) - off);
	struct page_entry entry = page_table_get(shard->table, self->local);
	memset(bytes, 0, PAGE_SECTOR_SIZE);
	if (entry.kind == PAGE_ZERO || page_view_get(&shard->view, self->page, off, len, bytes))
		return BLOCKZ_OK;
	if (entry.kind == PAGE_BASE)
		return base_image_read(pages->base, bytes, len, self->page * pages->page_size + off, fault);
	struct page_context *context = page_codec_take(pages->codec);
	enum blockz_status status = writing_load(self, entry, context, fault);
	if (status == BLOCKZ_OK) {
		memcpy(bytes, context->page + off, len);
		page_view_exchange(&shard->view, self->page, context);
	}
	page_codec_give(pages->codec, context);
	return status;
}

static enum blockz_status load_ends(const struct writing *self, struct sectors *sectors, struct blockz_fault *fault)
{
	if (sectors->partial >> sectors->first & 1) {
		enum blockz_status status = load_sector(self, sectors->first, sectors->ends[0], fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	if (sectors->last == sectors->first || (sectors->partial >> sectors->last & 1) == 0)
		return BLOCKZ_OK;
	return load_sector(self, sectors->last, sectors->ends[1], fault);
}

/* The lock is held alone.  Has all sectors wait that are written; false, and nothing is changed: no memory. */
static bool put_sectors(const struct writing *self, uint64_t fresh)
{
	struct shard *shard = self->shard;
	struct page_entry entry = page_table_get(shard->table, self->local);
	bool waited = entry.waits;
	entry.waits = true;
	if (!waited && !page_table_set(shard->table, self->local, entry))
		return false;
	for (uint64_t left = sectors_touched(self->off, self->len); left != 0; left &= left - 1) {
		if (write_buffer_put(shard->buffer, self->local, (unsigned)__builtin_ctzll(left)) != NULL)
			continue;
		write_buffer_drop(shard->buffer, self->local, fresh);
		entry.waits = waited;
		page_table_set(shard->table, self->local, entry);
		return false;
	}
	return true;
}

/* The lock is held alone.  Fills the sectors that were put. */
static void fill_sectors(const struct writing *self, const struct sectors *sectors)
{
	for (unsigned sector = sectors->first; sector <= sectors->last; sector++) {
		uint8_t *bytes = write_buffer_sector(self->shard->buffer, self->local, sector);
		struct overlap part = sector_overlap(sector, self->off, self->len);
		if (sectors->partial >> sector & 1)
			memcpy(bytes, sectors->ends[sector != sectors->first], PAGE_SECTOR_SIZE);
		writing_fill(self, bytes + part.start % PAGE_SECTOR_SIZE, part.start, part.end - part.start);
	}
}

enum blockz_status writing_wait(const struct writing *self, bool *done_ret, struct blockz_fault *fault)
{
	struct shard *shard = self->shard;
	uint64_t mask = write_buffer_mask(shard->buffer, self->local);
	struct sectors sectors;
	sectors.first = (unsigned)(self->off / PAGE_SECTOR_SIZE);
	sectors.last = (unsigned)((self->off + self->len - 1) / PAGE_SECTOR_SIZE);
	sectors.fresh = sectors_touched(self->off, self->len) & ~mask;
	sectors.partial = sectors.fresh & ~writing_whole_sectors(self);
	enum blockz_status status = load_ends(self, &sectors, fault);
	if (status != BLOCKZ_OK)
		return status;
	pthread_rwlock_wrlock(&shard->lock);
	*done_ret = put_sectors(self, sectors.fresh);
	if (*done_ret)
		fill_sectors(self, &sectors);
	pthread_rwlock_unlock(&shard->lock);
	if (*done_ret && mask != 0)
		count_one(&shard->write_hits);
	return BLOCKZ_OK;
}
