/* SPDX-License-Identifier: BSD-3-Clause */
#include "pagestore/snapshot.h"

#include "base/fault.h"
#include "pagestore/extent.h"
#include "pagestore/shard.h"

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

/* The turns are held by who freezes: nothing changes. */
static struct page_entry entry_of(const struct blockz_pages *pages, uint64_t page)
{
	const struct shard *shard = shard_of(pages, page);
	return page_table_get(shard->table, local_page(shard, page));
}

enum blockz_status snapshot_run(struct blockz_pages *pages, uint64_t page, enum snapshot_kind *kind_ret,
				uint64_t *count_ret, struct blockz_fault *fault)
{
	struct page_entry entry = entry_of(pages, page);
	bool is_stored = entry.waits || entry.kind == PAGE_FRAME || entry.kind == PAGE_RAW, zeros = false;
	uint64_t end = page + 1;
	enum blockz_status status = BLOCKZ_OK;
	/* Only runs of zeros are worth looking for their ends. */
	if (!is_stored)
		status = pages_extent(pages, page, entry.kind == PAGE_BASE ? end : pages->page_count, &zeros, &end, fault);
	if (status == BLOCKZ_OK && zeros && entry.kind == PAGE_BASE)
		status = pages_extent(pages, page, pages->page_count, &zeros, &end, fault);
	if (status != BLOCKZ_OK)
		return status;
	*kind_ret = zeros ? SNAPSHOT_ZERO : entry.kind == PAGE_FRAME && !entry.waits ? SNAPSHOT_FRAME : SNAPSHOT_PLAIN;
	*count_ret = zeros ? end - page : 1;
	return BLOCKZ_OK;
}

enum blockz_status snapshot_frame(struct blockz_pages *pages, uint64_t page, struct buffer *out, size_t *len_ret,
				  struct blockz_fault *fault)
{
	struct page_entry entry = entry_of(pages, page);
	if (!buffer_reserve(out, entry.len))
		return fault_nomem(fault);
	page_storage_get(shard_of(pages, page)->storage, page, entry.first, 0, out->bytes, entry.len);
	*len_ret = entry.len;
	return BLOCKZ_OK;
}

enum blockz_status snapshot_read(struct blockz_pages *pages, uint64_t page, void *buf, struct blockz_fault *fault)
{
	return shard_read(shard_of(pages, page), page, 0, page_len(pages, page), buf, fault);
}
