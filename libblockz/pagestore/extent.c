/* SPDX-License-Identifier: BSD-3-Clause */
#include "pagestore/extent.h"

#include "base/checked.h"
#include "base/export.h"
#include "base/fault.h"
#include "blockz_pages.h"

/* The first page of [page, end) that is not of this sort; end if there is none. */
static uint64_t differs_within(struct blockz_pages *pages, uint64_t page, uint64_t end, enum page_sort sort)
{
	for (unsigned i = 0; i < pages->shard_count; i++) {
		struct shard *shard = pages->shards[i];
		uint64_t first = local_from(pages, i, page), stop = local_from(pages, i, end);
		if (first >= stop)
			continue;
		pthread_rwlock_rdlock(&shard->lock);
		uint64_t differs = page_table_differs(shard->table, first, stop, sort);
		pthread_rwlock_unlock(&shard->lock);
		if (differs < stop)
			end = image_page(shard, differs);
	}
	return end;
}

/*
 * The same in windows that double: pages of one sort in one shard may be long in a row where another has one of another
 * sort soon, and must not be walked over again and again, by each question on the way.
 */
static uint64_t differs(struct blockz_pages *pages, uint64_t page, uint64_t end, enum page_sort sort)
{
	uint64_t window = pages->shard_count;
	while (page < end) {
		uint64_t stop = window < end - page ? page + window : end;
		page = differs_within(pages, page, stop, sort);
		if (page < stop)
			break;
		window *= 2;
	}
	return page;
}

/* Pages [page, end) are in the base. */
static enum blockz_status base_extent(const struct blockz_pages *pages, uint64_t page, uint64_t end, bool *zeros_ret,
				      uint64_t *end_ret, struct blockz_fault *fault)
{
	const struct blockz_source *base = pages->base;
	uint64_t off = page * pages->page_size, start = off, stop = base->size;
	int error = base->ops->next_data == NULL ? 0 : base->ops->next_data(base->ctx, off, &start, &stop);
	if (error != 0)
		return fault_errno(fault, error, off, "search for data in the base");
	*zeros_ret = start >= base->size || start / pages->page_size > page;
	if (start >= base->size)
		*end_ret = end;
	else if (*zeros_ret)
		*end_ret = min(end, start / pages->page_size);
	else
		*end_ret = min(end, stop / pages->page_size + (stop % pages->page_size != 0));
	if (*end_ret <= page) /* there is data that ends before it begins */
		*end_ret = page + 1;
	return BLOCKZ_OK;
}

enum blockz_status pages_extent(struct blockz_pages *pages, uint64_t page, uint64_t end, bool *zeros_ret,
				uint64_t *end_ret, struct blockz_fault *fault)
{
	struct shard *shard = shard_of(pages, page);
	pthread_rwlock_rdlock(&shard->lock);
	enum page_sort sort = page_table_sort(shard->table, local_page(shard, page));
	pthread_rwlock_unlock(&shard->lock);
	end = differs(pages, page + 1, end, sort);
	if (sort == SORT_BASE)
		return base_extent(pages, page, end, zeros_ret, end_ret, fault);
	*zeros_ret = sort == SORT_ZERO;
	*end_ret = end;
	return BLOCKZ_OK;
}

EXPORT enum blockz_status blockz_pages_extent(struct blockz_pages *pages, uint64_t off, uint64_t len, bool *zeros_ret,
					      uint64_t *len_ret, struct blockz_fault *fault)
{
	if (len == 0 || off > pages->size || len > pages->size - off)
		return fault_set(fault, BLOCKZ_USAGE, off, "empty, or beyond the end of the image");
	uint64_t stop = off + len, end_page;
	enum blockz_status status = pages_extent(pages, off / pages->page_size, (stop - 1) / pages->page_size + 1,
						 zeros_ret, &end_page, fault);
	if (status == BLOCKZ_OK) /* the last page ends behind 2^63-1 at most */
		*len_ret = min(stop, end_page * pages->page_size) - off;
	return status;
}
