/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages of one sort in a row are found shard by shard, and end where the first of them ends that does. */
#include "pagestore/extent.h"

#include "base/checked.h"
#include "base/export.h"
#include "base/fault.h"
#include "pagestore/base_image.h"
#include "pagestore/shard.h"
#include "pagestore/store.h"

/* The first page of [page, end) that is not of this sort; end if there is none. */
static uint64_t differs_within(const struct blockz_pages *pages, uint64_t page, uint64_t end, enum page_sort sort)
{
	for (unsigned i = 0; i < pages->shard_count; i++) {
		uint64_t first = local_from(pages, i, page), stop = local_from(pages, i, end);
		uint64_t differs = first < stop ? shard_differs(pages->shards[i], first, stop, sort) : stop;
		if (differs < stop)
			end = image_page(pages, i, differs);
	}
	return end;
}

/*
 * The same in windows that double: pages of one sort in one shard may be long in a row where another has one of another
 * sort soon, and must not be walked over again and again, by each question on the way.
 */
static uint64_t differs(const struct blockz_pages *pages, uint64_t page, uint64_t end, enum page_sort sort)
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

enum page_sort pages_sort(const struct blockz_pages *pages, uint64_t page, uint64_t end, uint64_t *end_ret)
{
	enum page_sort sort = shard_sort(shard_of(pages, page), local_page(pages, page));
	*end_ret = differs(pages, page + 1, end, sort);
	return sort;
}

enum blockz_status pages_extent(const struct blockz_pages *pages, uint64_t page, uint64_t end, bool *zeros_ret,
				uint64_t *end_ret, struct blockz_fault *fault)
{
	enum page_sort sort = pages_sort(pages, page, end, &end);
	if (sort == SORT_BASE)
		return base_image_extent(pages->base, pages->page_size, page, end, zeros_ret, end_ret, fault);
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
	if (status != BLOCKZ_OK)
		return status;
	*len_ret = min(stop, end_page * pages->page_size) - off; /* the last page ends behind 2^63-1 at most */
	return BLOCKZ_OK;
}
