/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every byte that a page store takes: counted, and refused beyond a limit.  What a store keeps is taken here and nowhere
 * else, so that it can tell how much that is.  Any thread may call all of it.
 *
 * What fails leaves in errno why, EDQUOT for the limit, ENOMEM where there is really no more; memory_fault() reads it.
 */
#ifndef PAGESTORE_MEMORY_H
#define PAGESTORE_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef ZSTD_STATIC_LINKING_ONLY
#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_customMem */
#endif
#include <zstd.h>

#include "blockz.h"

/* Zeros but for max at first. */
struct memory {
	_Atomic uint64_t used, peak; /* bytes */
	uint64_t max;                /* 0: no limit */
};

/* Counts len bytes as used; false, and nothing counted, if they would be more than max. */
bool memory_count(struct memory *memory, uint64_t len);
/* Counts len bytes as used no more. */
void memory_uncount(struct memory *memory, uint64_t len);

/* len bytes of zeros, counted; NULL if there are none.  The caller keeps len and says it again. */
void *memory_new(struct memory *memory, size_t len);
void memory_free(struct memory *memory, void *bytes, size_t len); /* NULL is fine */

/*
 * Maps len bytes of zeros, which take memory, an OS page at a time, only once they are touched, and so are not counted
 * here.  len: a multiple of an OS page.  NULL if there is no room.
 */
void *memory_map(uint64_t len);
void memory_unmap(void *bytes, uint64_t len); /* NULL is fine */

/* Gives back the memory of whole OS pages, which read as zeros from now on. */
void memory_drop(void *bytes, uint64_t len);

/* Bytes of an OS page. */
size_t memory_os_page(void);

/* What has the contexts of zstd counted; memory has to outlive them. */
ZSTD_customMem memory_zstd(struct memory *memory);

/*
 * Straight after one of these has failed for len bytes (or zstd for want of them: len 0): BLOCKZ_LIMIT if it was the
 * limit, else BLOCKZ_FAILED.
 */
enum blockz_status memory_fault(const struct memory *memory, uint64_t len, struct blockz_fault *fault);

#endif
