/* SPDX-License-Identifier: BSD-3-Clause */
/* A store stands still while one thread has the turns of all its shards. */
#include "pagestore/snapshot.h"

#include "pagestore/extent.h"
#include "pagestore/shard.h"
#include "pagestore/store.h"

void snapshot_begin(struct blockz_pages *pages)
{
	for (unsigned i = 0; i < pages->shard_count; i++)
		shard_enter(pages->shards[i]);
}

void snapshot_end(struct blockz_pages *pages)
{
	for (unsigned i = 0; i < pages->shard_count; i++)
		shard_leave(pages->shards[i]);
}

int snapshot_level(const struct blockz_pages *pages)
{
	return pages->level;
}

/* Of a page that is not stored, whether it is known to be zeros, and where zeros end then. */
static enum blockz_status find_zeros(const struct blockz_pages *pages, uint64_t page, enum page_kind kind,
				     bool *zeros_ret, uint64_t *end_ret, struct blockz_fault *fault)
{
	if (kind == PAGE_BASE) { /* only runs of zeros are worth looking for their ends */
		enum blockz_status status = pages_extent(pages, page, page + 1, zeros_ret, end_ret, fault);
		if (status != BLOCKZ_OK || !*zeros_ret)
			return status;
	}
	return pages_extent(pages, page, pages->page_count, zeros_ret, end_ret, fault);
}

enum blockz_status snapshot_run(const struct blockz_pages *pages, uint64_t page, enum snapshot_kind *kind_ret,
				uint64_t *count_ret, struct blockz_fault *fault)
{
	struct page_entry entry = shard_entry(shard_of(pages, page), page);
	bool is_stored = entry.waits || entry.kind == PAGE_FRAME || entry.kind == PAGE_RAW, zeros = false;
	uint64_t end = page + 1;
	if (!is_stored) {
		enum blockz_status status = find_zeros(pages, page, entry.kind, &zeros, &end, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	*kind_ret = zeros ? SNAPSHOT_ZERO : entry.kind == PAGE_FRAME && !entry.waits ? SNAPSHOT_FRAME : SNAPSHOT_PLAIN;
	*count_ret = zeros ? end - page : 1;
	return BLOCKZ_OK;
}

enum blockz_status snapshot_frame(const struct blockz_pages *pages, uint64_t page, struct buffer *out, size_t *len_ret,
				  struct blockz_fault *fault)
{
	return shard_copy_stored(shard_of(pages, page), page, out, len_ret, fault);
}

enum blockz_status snapshot_read(const struct blockz_pages *pages, uint64_t page, void *buf, struct blockz_fault *fault)
{
	return shard_read(shard_of(pages, page), page, 0, page_len(pages, page), buf, fault);
}
