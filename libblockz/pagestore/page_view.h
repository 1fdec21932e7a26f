/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The page of a shard that was decoded last for a part of it: the next request is likely to want another.  Any number of
 * threads may call page_view_get() and page_view_exchange() at once; no other may be under way.
 */
#ifndef PAGESTORE_PAGE_VIEW_H
#define PAGESTORE_PAGE_VIEW_H

#include <pthread.h>

#include "pagestore/page_codec.h"

struct page_view {
	pthread_mutex_t lock; /* of readers against each other */
	struct memory *memory;
	uint32_t page_size;
	uint64_t page;  /* of the image; BLOCKZ_UNKNOWN: none */
	uint8_t *bytes; /* a page; NULL until one is first put here */
};

/* Sets up a view of no page, whose memory is counted in memory. */
void page_view_init(struct page_view *view, struct memory *memory, uint32_t page_size);
/* Gives the view's memory back. */
void page_view_clear(struct page_view *view);

/* Copies [off, off + len) of a page to buf, and returns true, if the view is of this page. */
bool page_view_get(struct page_view *view, uint64_t page, size_t off, size_t len, uint8_t *buf);

/* The context's page, which is this one, becomes the view, and the context gets the room of the old one. */
void page_view_exchange(struct page_view *view, uint64_t page, struct page_context *context);

/* A page has changed: if the view is of it, it is of none from now on. */
static inline void page_view_forget(struct page_view *view, uint64_t page)
{
	if (view->page == page)
		view->page = BLOCKZ_UNKNOWN;
}

#endif
