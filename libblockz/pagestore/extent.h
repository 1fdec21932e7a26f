/* SPDX-License-Identifier: BSD-3-Clause */
/* What can be told of a store's pages without looking into them: from tables, and from what the base says of itself. */
#ifndef PAGESTORE_EXTENT_H
#define PAGESTORE_EXTENT_H

#include "blockz_pages.h"
#include "pagestore/page_table.h"

/* The sort of a page, and where the pages of [page, end), not empty, end that are of this sort from the first on. */
enum page_sort pages_sort(const struct blockz_pages *pages, uint64_t page, uint64_t end, uint64_t *end_ret);

/*
 * What can be told of pages [page, end), not empty, without looking into any: *zeros_ret, whether some from the
 * first on are known to be zeros, or may be data, and *end_ret where these end.  Errors: BLOCKZ_FAILED (the base).
 */
enum blockz_status pages_extent(const struct blockz_pages *pages, uint64_t page, uint64_t end, bool *zeros_ret,
				uint64_t *end_ret, struct blockz_fault *fault);

#endif
