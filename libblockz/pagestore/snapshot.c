/* SPDX-License-Identifier: BSD-3-Clause */
/* A store stands still while one thread has the turns of all its shards. */
#include "pagestore/snapshot.h"

#include <errno.h>

#include "base/checked.h"
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

enum blockz_status snapshot_read(const struct blockz_pages *pages, uint64_t start, uint64_t end, uint8_t *bytes,
				 struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	for (uint64_t pos = start, page_end; pos < end && status == BLOCKZ_OK; pos = page_end) {
		uint64_t page = pos / pages->page_size, page_start = page * pages->page_size;
		page_end = min(end, page_start + pages->page_size);
		status = shard_read(shard_of(pages, page), page, (size_t)(pos - page_start), (size_t)(page_end - pos),
				    bytes + (pos - start), fault);
	}
	return status;
}

/* Where a page begins, or off in it. */
static uint64_t from_page(const struct blockz_pages *pages, uint64_t page, uint64_t off)
{
	uint64_t start = page * pages->page_size;
	return start > off ? start : off;
}

/* ---- As a source ---- */

static int read_source(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	const struct blockz_pages *pages = ctx;
	struct blockz_fault fault;
	uint64_t left = off < pages->size ? pages->size - off : 0;
	*got_ret = (size_t)min(len, left);
	if (snapshot_read(pages, off, off + *got_ret, buf, &fault) == BLOCKZ_OK)
		return 0;
	return fault.error != 0 ? fault.error : EIO;
}

static int next_data(void *ctx, uint64_t off, uint64_t *start_ret, uint64_t *end_ret)
{
	const struct blockz_pages *pages = ctx;
	struct blockz_fault fault;
	bool zeros = true;
	uint64_t page = off / pages->page_size, end = page;
	while (zeros && end < pages->page_count) {
		page = end;
		if (pages_extent(pages, page, pages->page_count, &zeros, &end, &fault) != BLOCKZ_OK)
			return fault.error != 0 ? fault.error : EIO;
	}
	*start_ret = zeros ? pages->size : from_page(pages, page, off);
	*end_ret = end < pages->page_count ? end * pages->page_size : pages->size;
	return 0;
}

struct blockz_source snapshot_source(const struct blockz_pages *pages)
{
	static const struct blockz_source_ops ops = { .read = read_source, .next_data = next_data };
	return (struct blockz_source){ &ops, (void *)(uintptr_t)pages, pages->size };
}

/* ---- What changed ---- */

struct blockz_range snapshot_changed(const struct blockz_pages *pages, uint64_t off)
{
	uint64_t page = off / pages->page_size, end = page, start = pages->page_count;
	for (; page < pages->page_count; page = end) {
		bool is_changed = pages_sort(pages, page, pages->page_count, &end) != SORT_BASE;
		if (is_changed)
			start = min(start, page);
		else if (start < page)
			break;
	}
	if (start >= pages->page_count)
		return (struct blockz_range){ pages->size, pages->size };
	return (struct blockz_range){ from_page(pages, start, off), min(pages->size, page * pages->page_size) };
}
