/* SPDX-License-Identifier: BSD-3-Clause */
#include "pagestore/shard.h"

#include <string.h>

#include "base/checked.h"
#include "base/fault.h"
#include "base/zeros.h"

/* ---- The whole ---- */

static bool make_parts(struct shard *shard)
{
	const struct blockz_pages *pages = shard->pages;
	struct memory *memory = shard->memory;
	uint64_t base_pages = pages->base == NULL ? 0 : pages->base->size / pages->page_size +
							(pages->base->size % pages->page_size != 0);
	shard->table = page_table_new(memory, local_from(pages, shard->number, pages->page_count),
				      local_from(pages, shard->number, base_pages));
	if (shard->table == NULL)
		return false;
	shard->storage = pages->mapping != NULL ? page_storage_new_flat(memory, pages->mapping) : page_storage_new_heap(memory);
	if (shard->storage == NULL)
		return false;
	if (pages->sectors_max > 0)
		shard->buffer = write_buffer_new(memory, pages->page_size / PAGE_SECTOR_SIZE, pages->sectors_max);
	return pages->sectors_max == 0 || shard->buffer != NULL;
}

struct shard *shard_new(const struct blockz_pages *pages, struct memory *memory, unsigned number)
{
	struct shard *shard = memory_new(memory, sizeof(*shard));
	if (shard == NULL)
		return NULL;
	shard->pages = pages;
	shard->memory = memory;
	shard->number = number;
	shard->view.page = BLOCKZ_UNKNOWN;
	sem_init(&shard->turn, 0, 1);
	pthread_rwlock_init(&shard->lock, NULL);
	pthread_mutex_init(&shard->view.lock, NULL);
	if (make_parts(shard))
		return shard;
	shard_free(shard);
	return NULL;
}

void shard_free(struct shard *shard)
{
	if (shard == NULL)
		return;
	page_table_free(shard->table);
	page_storage_free(shard->storage);
	write_buffer_free(shard->buffer);
	memory_free(shard->memory, shard->view.bytes, shard->pages->page_size);
	pthread_mutex_destroy(&shard->view.lock);
	pthread_rwlock_destroy(&shard->lock);
	sem_destroy(&shard->turn);
	memory_free(shard->memory, shard, sizeof(*shard));
}

void shard_enter(struct shard *shard)
{
	while (sem_wait(&shard->turn) != 0)
		; /* a signal came */
}

void shard_leave(struct shard *shard)
{
	sem_post(&shard->turn);
}

/* ---- The view ---- */

bool view_get(struct view *view, uint64_t page, size_t off, size_t len, uint8_t *buf)
{
	pthread_mutex_lock(&view->lock);
	bool found = view->page == page;
	if (found)
		memcpy(buf, view->bytes + off, len);
	pthread_mutex_unlock(&view->lock);
	return found;
}

void view_exchange(struct shard *shard, uint64_t page, struct page_context *context)
{
	struct view *view = &shard->view;
	pthread_mutex_lock(&view->lock);
	if (view->bytes == NULL)
		view->bytes = memory_new(shard->memory, shard->pages->page_size);
	if (view->bytes != NULL) {
		uint8_t *bytes = view->bytes;
		view->bytes = context->page;
		view->page = page;
		context->page = bytes;
	}
	pthread_mutex_unlock(&view->lock);
}

/* The lock is held alone: no reader has the view's. */
static void view_forget(struct view *view, uint64_t page)
{
	if (view->page == page)
		view->page = BLOCKZ_UNKNOWN;
}

/* ---- Changes ---- */

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

static void drop(void *ctx, uint64_t local, struct page_entry entry)
{
	struct shard *shard = ctx;
	uint64_t page = image_page(shard, local);
	if (entry.waits)
		write_buffer_drop(shard->buffer, local, UINT64_MAX);
	if (entry.len > 0)
		page_storage_give(shard->storage, page, entry.first);
	count_out(shard, entry);
	view_forget(&shard->view, page);
	shard->changes++;
}

/*
 * In steps of stored pages, between which readers get in: each costs about a microsecond.  What is zero already, or
 * in the base, costs next to nothing, however much it is.
 */
enum { DROP_STEP = 1024 };

enum blockz_status pages_drop(struct shard *shard, uint64_t first, uint64_t end, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	while (first < end && status == BLOCKZ_OK) {
		enum page_sort sort = page_table_sort(shard->table, first);
		uint64_t stop = sort == SORT_STORED ? min(first + DROP_STEP, end)
						    : page_table_differs(shard->table, first, end, sort);
		pthread_rwlock_wrlock(&shard->lock);
		if (sort != SORT_ZERO && !page_table_zero(shard->table, first, stop, drop, shard))
			status = memory_fault(shard->memory, 0, fault);
		if (stop == end || status != BLOCKZ_OK)
			page_storage_trim(shard->storage);
		pthread_rwlock_unlock(&shard->lock);
		first = stop;
	}
	return status;
}

enum blockz_status shard_zero(struct shard *shard, uint64_t first, uint64_t end, struct blockz_fault *fault)
{
	shard_enter(shard);
	enum blockz_status status = pages_drop(shard, first, end, fault);
	shard_leave(shard);
	return status;
}

/* The lock is held alone: new bytes, of which entry says but where, take the place of what a page was. */
static enum blockz_status replace(struct shard *shard, uint64_t page, struct page_entry entry, const uint8_t *bytes,
				  struct blockz_fault *fault)
{
	uint64_t local = local_page(shard, page);
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
	if (old.waits)
		write_buffer_drop(shard->buffer, local, UINT64_MAX);
	if (old.len > 0 && !in_place)
		page_storage_give(shard->storage, page, old.first);
	count_out(shard, old);
	count_in(shard, entry);
	view_forget(&shard->view, page);
	shard->changes++;
	if (old.len > entry.len)
		page_storage_trim(shard->storage);
	return BLOCKZ_OK;
}

enum blockz_status page_put(struct shard *shard, uint64_t page, enum page_kind kind, const uint8_t *bytes, size_t len,
			    struct blockz_fault *fault)
{
	struct page_entry entry = { .kind = kind, .len = (uint32_t)len };
	pthread_rwlock_wrlock(&shard->lock);
	enum blockz_status status = replace(shard, page, entry, bytes, fault);
	pthread_rwlock_unlock(&shard->lock);
	return status;
}

enum blockz_status page_store(struct shard *shard, uint64_t page, struct page_context *context, const uint8_t *bytes,
			      struct blockz_fault *fault)
{
	size_t len = page_len(shard->pages, page);
	uint64_t local = local_page(shard, page);
	if (all_zeros(bytes, len))
		return pages_drop(shard, local, local + 1, fault);
	size_t frame_len = page_codec_encode(shard->pages->codec, context, bytes, len);
	return frame_len > 0 ? page_put(shard, page, PAGE_FRAME, context->frame, frame_len, fault)
			     : page_put(shard, page, PAGE_RAW, bytes, len, fault);
}

/* ---- What pages hold ---- */

enum blockz_status base_read(const struct blockz_pages *pages, uint8_t *buf, size_t len, uint64_t off,
			     struct blockz_fault *fault)
{
	const struct blockz_source *base = pages->base;
	size_t part = off < base->size ? (size_t)min(len, base->size - off) : 0, got = 0;
	int error = part > 0 ? base->ops->read(base->ctx, buf, part, off, &got) : 0;
	if (error != 0)
		return fault_errno(fault, error, off, "read of the base");
	if (got < part)
		return fault_set(fault, BLOCKZ_FAILED, off + got, "the base ends: it shrank");
	memset(buf + part, 0, len - part);
	return BLOCKZ_OK;
}

uint64_t sectors_touched(size_t off, size_t len)
{
	size_t first = off / PAGE_SECTOR_SIZE, last = (off + len - 1) / PAGE_SECTOR_SIZE;
	return UINT64_MAX >> (63 - (last - first)) << first;
}

struct span sector_span(unsigned sector, size_t off, size_t len)
{
	size_t start = (size_t)sector * PAGE_SECTOR_SIZE, end = start + PAGE_SECTOR_SIZE;
	return (struct span){ start < off ? off : start, (size_t)min(end, off + len) };
}

void waiting_overlay(const struct shard *shard, uint64_t page, uint64_t mask, size_t off, size_t len, uint8_t *buf)
{
	for (uint64_t left = mask & sectors_touched(off, len); left != 0; left &= left - 1) {
		unsigned sector = (unsigned)__builtin_ctzll(left);
		const uint8_t *bytes = write_buffer_sector(shard->buffer, local_page(shard, page), sector);
		struct span span = sector_span(sector, off, len);
		memcpy(buf + (span.start - off), bytes + span.start % PAGE_SECTOR_SIZE, span.end - span.start);
	}
}
