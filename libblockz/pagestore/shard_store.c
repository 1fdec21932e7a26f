/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changes of what is stored of a shard's pages.  Table, storage, what waits, counts and view change here together, with
 * the lock held alone, so that nobody who looks finds one of them ahead of the others.
 */
#include "base/checked.h"
#include "base/zeros.h"
#include "pagestore/shard_private.h"

static void count_out(struct shard *shard, struct page_entry entry)
{
	shard->compressed_pages -= entry.kind == PAGE_FRAME;
	shard->raw_pages -= entry.kind == PAGE_RAW;
	shard->stored_bytes -= entry.len;
}

static void count_in(struct shard *shard, struct page_entry entry)
{
	shard->compressed_pages += entry.kind == PAGE_FRAME;
	shard->raw_pages += entry.kind == PAGE_RAW;
	shard->stored_bytes += entry.len;
}

/* ---- Zeros ---- */

/* The lock is held alone: a local page, which was this entry, has become zero in the table. */
static void drop_page(void *ctx, uint64_t local, struct page_entry entry)
{
	struct shard *shard = ctx;
	uint64_t page = image_page(shard->pages, shard->number, local);
	if (entry.waits)
		write_buffer_drop(shard->buffer, local, UINT64_MAX);
	if (entry.len > 0)
		page_storage_give(shard->storage, page, entry.first);
	count_out(shard, entry);
	page_view_forget(&shard->view, page);
	shard->changes++;
}

/* Local pages [first, stop), all of this sort, become zero. */
static enum blockz_status drop_step(struct shard *shard, uint64_t first, uint64_t stop, enum page_sort sort,
				    bool is_last, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	pthread_rwlock_wrlock(&shard->lock);
	if (sort != SORT_ZERO && !page_table_zero(shard->table, first, stop, drop_page, shard))
		status = memory_fault(shard->memory, 0, fault);
	if (is_last || status != BLOCKZ_OK)
		page_storage_trim(shard->storage);
	pthread_rwlock_unlock(&shard->lock);
	return status;
}

/*
 * In steps of stored pages, between which readers get in: each costs about a microsecond.  What is zero already, or
 * in the base, costs next to nothing, however much it is.
 */
enum { DROP_STEP = 1024 };

enum blockz_status shard_drop_pages(struct shard *shard, uint64_t first, uint64_t end, struct blockz_fault *fault)
{
	for (uint64_t stop; first < end; first = stop) {
		enum page_sort sort = page_table_sort(shard->table, first);
		stop = sort == SORT_STORED ? min(first + DROP_STEP, end)
					   : page_table_differs(shard->table, first, end, sort);
		enum blockz_status status = drop_step(shard, first, stop, sort, stop == end, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	return BLOCKZ_OK;
}

enum blockz_status shard_zero(struct shard *shard, uint64_t first, uint64_t end, struct blockz_fault *fault)
{
	shard_enter(shard);
	enum blockz_status status = shard_drop_pages(shard, first, end, fault);
	shard_leave(shard);
	return status;
}

/* ---- Bytes ---- */

/* The lock is held alone: what was stored and waiting of a page is of no more use, but for room that is used again. */
static void leave_old(struct shard *shard, uint64_t page, struct page_entry old, bool in_place)
{
	if (old.waits)
		write_buffer_drop(shard->buffer, local_page(shard->pages, page), UINT64_MAX);
	if (old.len > 0 && !in_place)
		page_storage_give(shard->storage, page, old.first);
	count_out(shard, old);
	page_view_forget(&shard->view, page);
}

/* The lock is held alone: new bytes, of which entry says all but where, replace what a page was. */
static enum blockz_status replace_page(struct shard *shard, uint64_t page, struct page_entry entry,
				       const uint8_t *bytes, struct blockz_fault *fault)
{
	uint64_t local = local_page(shard->pages, page);
	struct page_entry old = page_table_get(shard->table, local);
	enum blockz_status status = BLOCKZ_OK;
	bool in_place = entry.kind == PAGE_RAW && old.kind == PAGE_RAW;
	if (in_place)
		entry.first = old.first;
	else
		status = page_storage_take(shard->storage, page, entry.len, &entry.first, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (!page_table_set(shard->table, local, entry)) {
		status = memory_fault(shard->memory, 0, fault);
		page_storage_give(shard->storage, page, entry.first);
		return status;
	}
	page_storage_put(shard->storage, page, entry.first, 0, bytes, entry.len);
	leave_old(shard, page, old, in_place);
	count_in(shard, entry);
	shard->changes++;
	if (old.len > entry.len)
		page_storage_trim(shard->storage);
	return BLOCKZ_OK;
}

enum blockz_status shard_put_stored(struct shard *shard, uint64_t page, enum page_kind kind, const uint8_t *bytes,
				    size_t len, struct blockz_fault *fault)
{
	struct page_entry entry = { .kind = kind, .len = (uint32_t)len };
	pthread_rwlock_wrlock(&shard->lock);
	enum blockz_status status = replace_page(shard, page, entry, bytes, fault);
	pthread_rwlock_unlock(&shard->lock);
	return status;
}

enum blockz_status shard_put_page(struct shard *shard, uint64_t page, struct page_context *context,
				  const uint8_t *bytes, struct blockz_fault *fault)
{
	size_t len = page_len(shard->pages, page);
	uint64_t local = local_page(shard->pages, page);
	if (all_zeros(bytes, len))
		return shard_drop_pages(shard, local, local + 1, fault);
	size_t frame_len = page_codec_encode(shard->pages->codec, context, bytes, len);
	return frame_len > 0 ? shard_put_stored(shard, page, PAGE_FRAME, context->frame, frame_len, fault)
			     : shard_put_stored(shard, page, PAGE_RAW, bytes, len, fault);
}
