/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PAGESTORE_EXTENT_H
#define PAGESTORE_EXTENT_H

#include "pagestore/shard.h"

/*
 * What can be told of pages [page, end), not empty, without looking into any: *zeros_ret, whether some from the
 * first on are known to be zeros, or may be data, and *end_ret where these end.  Errors: BLOCKZ_FAILED (the base).
 */
enum blockz_status pages_extent(struct blockz_pages *pages, uint64_t page, uint64_t end, bool *zeros_ret,
				uint64_t *end_ret, struct blockz_fault *fault);

#endif
