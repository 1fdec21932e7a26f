/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the pages of a shard are.  Pages are those of the shard, counted from 0.  The functions that take a const
 * pointer may be called by several threads at once; any other by one, while none of these is under way.
 */
#ifndef PAGESTORE_PAGE_TABLE_H
#define PAGESTORE_PAGE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "pagestore/memory.h"

enum page_kind {
	PAGE_BASE,  /* as in the image that the store started from */
	PAGE_ZERO,
	PAGE_FRAME, /* a zstd frame */
	PAGE_RAW,
};

struct page_entry {
	enum page_kind kind;
	bool waits;      /* sectors of it wait */
	uint16_t writes; /* of PAGE_RAW, to the caller's measure; at most PAGE_WRITES_MAX */
	uint32_t len;    /* bytes stored, at most BLOCKZ_PAGE_SIZE_MAX; of PAGE_BASE and PAGE_ZERO 0 */
	uint32_t first;  /* where, to the caller's measure */
};

enum { PAGE_WRITES_MAX = 511 };

/* What can be told of a page without looking into it. */
enum page_sort {
	SORT_ZERO,
	SORT_BASE,
	SORT_STORED, /* or sectors of it wait */
};

struct page_table;

/*
 * A table of so many pages, at most 2^51; the first base_pages of them are in the base, the others zero.  Its memory is
 * counted in memory, which has to outlive it.  NULL: no memory.
 */
struct page_table *page_table_new(struct memory *memory, uint64_t pages, uint64_t base_pages);
void page_table_free(struct page_table *table); /* NULL is fine */

/* What a page is kept as. */
struct page_entry page_table_get(const struct page_table *table, uint64_t page);
/*
 * Says what a page is kept as from now on.  false, and nothing is changed: no memory.  That cannot be where the page was
 * neither zero nor in the base before.
 */
bool page_table_set(struct page_table *table, uint64_t page, struct page_entry entry);

/*
 * Makes [first, end) zero, and calls drop for each page of it that was stored or had sectors waiting, in order.  That
 * takes as long as there are such pages, however many others.  false: no memory; those that were dropped are zero.
 */
bool page_table_zero(struct page_table *table, uint64_t first, uint64_t end,
		     void (*drop)(void *ctx, uint64_t page, struct page_entry entry), void *ctx);

/* The sort of a page. */
enum page_sort page_table_sort(const struct page_table *table, uint64_t page);
/* The first page of [page, end) that is not of this sort; end if there is none. */
uint64_t page_table_differs(const struct page_table *table, uint64_t page, uint64_t end, enum page_sort sort);

#endif
