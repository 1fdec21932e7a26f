/* SPDX-License-Identifier: BSD-3-Clause */
/* A page goes into the view by an exchange of pointers: nothing is copied, and no memory taken but for the first. */
#include "pagestore/page_view.h"

#include <string.h>

void page_view_init(struct page_view *view, struct memory *memory, uint32_t page_size)
{
	view->memory = memory;
	view->page_size = page_size;
	view->page = BLOCKZ_UNKNOWN;
	view->bytes = NULL;
	pthread_mutex_init(&view->lock, NULL);
}

void page_view_clear(struct page_view *view)
{
	memory_free(view->memory, view->bytes, view->page_size);
	pthread_mutex_destroy(&view->lock);
}

bool page_view_get(struct page_view *view, uint64_t page, size_t off, size_t len, uint8_t *buf)
{
	pthread_mutex_lock(&view->lock);
	bool found = view->page == page;
	if (found)
		memcpy(buf, view->bytes + off, len);
	pthread_mutex_unlock(&view->lock);
	return found;
}

void page_view_exchange(struct page_view *view, uint64_t page, struct page_context *context)
{
	pthread_mutex_lock(&view->lock);
	if (view->bytes == NULL)
		view->bytes = memory_new(view->memory, view->page_size);
	if (view->bytes != NULL) {
		uint8_t *bytes = view->bytes;
		view->bytes = context->page;
		view->page = page;
		context->page = bytes;
	}
	pthread_mutex_unlock(&view->lock);
}
