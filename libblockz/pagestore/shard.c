/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of a shard, its turn, and what others may know of it without changing anything. */
#include "base/fault.h"
#include "pagestore/shard_private.h"

/* ---- Life ---- */

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
	shard->storage = pages->mapping != NULL ? page_storage_new_flat(memory, pages->mapping)
						: page_storage_new_heap(memory);
	if (shard->storage == NULL)
		return false;
	if (pages->sectors_max == 0)
		return true;
	shard->buffer = write_buffer_new(memory, pages->page_size / PAGE_SECTOR_SIZE, pages->sectors_max);
	return shard->buffer != NULL;
}

struct shard *shard_new(const struct blockz_pages *pages, struct memory *memory, unsigned number)
{
	struct shard *shard = memory_new(memory, sizeof(*shard));
	if (shard == NULL)
		return NULL;
	shard->pages = pages;
	shard->memory = memory;
	shard->number = number;
	sem_init(&shard->turn, 0, 1);
	pthread_rwlock_init(&shard->lock, NULL);
	page_view_init(&shard->view, memory, pages->page_size);
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
	page_view_clear(&shard->view);
	pthread_rwlock_destroy(&shard->lock);
	sem_destroy(&shard->turn);
	memory_free(shard->memory, shard, sizeof(*shard));
}

/* ---- The turn ---- */

void shard_enter(struct shard *shard)
{
	while (sem_wait(&shard->turn) != 0)
		; /* a signal came */
}

void shard_leave(struct shard *shard)
{
	sem_post(&shard->turn);
}

/* ---- Questions ---- */

enum page_sort shard_sort(struct shard *shard, uint64_t local)
{
	pthread_rwlock_rdlock(&shard->lock);
	enum page_sort sort = page_table_sort(shard->table, local);
	pthread_rwlock_unlock(&shard->lock);
	return sort;
}

uint64_t shard_differs(struct shard *shard, uint64_t local, uint64_t end, enum page_sort sort)
{
	pthread_rwlock_rdlock(&shard->lock);
	uint64_t differs = page_table_differs(shard->table, local, end, sort);
	pthread_rwlock_unlock(&shard->lock);
	return differs;
}

static uint64_t counter(const _Atomic uint64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

void shard_add_info(struct shard *shard, struct blockz_pages_info *info)
{
	pthread_rwlock_rdlock(&shard->lock);
	info->compressed_pages += shard->compressed_pages;
	info->raw_pages += shard->raw_pages;
	info->stored_bytes += shard->stored_bytes;
	if (shard->buffer != NULL)
		info->waiting_bytes += write_buffer_count(shard->buffer) * PAGE_SECTOR_SIZE;
	pthread_rwlock_unlock(&shard->lock);
	info->reads += counter(&shard->reads);
	info->read_hits += counter(&shard->read_hits);
	info->writes += counter(&shard->writes);
	info->write_hits += counter(&shard->write_hits);
}

struct page_entry shard_entry(const struct shard *shard, uint64_t page)
{
	return page_table_get(shard->table, local_page(shard->pages, page));
}

enum blockz_status shard_copy_stored(const struct shard *shard, uint64_t page, struct buffer *out, size_t *len_ret,
				     struct blockz_fault *fault)
{
	struct page_entry entry = shard_entry(shard, page);
	if (!buffer_reserve(out, entry.len))
		return fault_nomem(fault);
	page_storage_get(shard->storage, page, entry.first, 0, out->bytes, entry.len);
	*len_ret = entry.len;
	return BLOCKZ_OK;
}
