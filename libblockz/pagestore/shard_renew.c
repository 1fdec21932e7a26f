/* SPDX-License-Identifier: BSD-3-Clause */
/* A page is made anew from all that is known of it, and encoded as a whole. */
#include "pagestore/base_image.h"
#include "pagestore/shard_writing.h"

static enum blockz_status decode_page(const struct writing *self, struct page_entry entry,
				      struct page_context *context, struct blockz_fault *fault)
{
	const struct blockz_pages *pages = self->shard->pages;
	const uint8_t *frame = page_storage_look(self->shard->storage, self->page, entry.first, entry.len);
	if (frame == NULL) {
		page_storage_get(self->shard->storage, self->page, entry.first, 0, context->frame, entry.len);
		frame = context->frame;
	}
	return page_codec_decode(context, frame, entry.len, context->page, page_len(pages, self->page),
				 self->page * pages->page_size, fault);
}

enum blockz_status writing_load(const struct writing *self, struct page_entry entry, struct page_context *context,
				struct blockz_fault *fault)
{
	size_t len = page_len(self->shard->pages, self->page);
	if (entry.kind == PAGE_ZERO)
		memset(context->page, 0, len);
	else if (entry.kind == PAGE_RAW)
		page_storage_get(self->shard->storage, self->page, entry.first, 0, context->page, len);
	else if (!page_view_get(&self->shard->view, self->page, 0, len, context->page))
		return decode_page(self, entry, context, fault);
	return BLOCKZ_OK;
}

/* A page of the base, in memory of its own: a context is not kept from others while the base is read. */
static enum blockz_status load_base(const struct writing *self, uint8_t **bytes_ret, struct blockz_fault *fault)
{
	const struct blockz_pages *pages = self->shard->pages;
	struct memory *memory = self->shard->memory;
	uint8_t *bytes = memory_new(memory, pages->page_size);
	if (bytes == NULL)
		return memory_fault(memory, pages->page_size, fault);
	enum blockz_status status = base_image_read(pages->base, bytes, page_len(pages, self->page),
						    self->page * pages->page_size, fault);
	if (status == BLOCKZ_OK)
		*bytes_ret = bytes;
	else
		memory_free(memory, bytes, pages->page_size);
	return status;
}

/* Stores what is in the context's page, and over it what waits and what is written. */
static enum blockz_status store_page(const struct writing *self, bool waits, struct page_context *context,
				     struct blockz_fault *fault)
{
	struct shard *shard = self->shard;
	if (waits)
		write_buffer_get(shard->buffer, self->local, 0, page_len(shard->pages, self->page), context->page);
	writing_fill(self, context->page + self->off, self->off, self->len);
	enum blockz_status status = shard_put_page(shard, self->page, context, context->page, fault);
	/* The next request is likely to be for the same page again; of what waited it is not. */
	if (status == BLOCKZ_OK && self->len > 0 && page_table_get(shard->table, self->local).kind == PAGE_FRAME)
		page_view_exchange(&shard->view, self->page, context);
	return status;
}

/* With a page of the base, which becomes the context's; bytes NULL: with what is stored of the page, if that is needed. */
static enum blockz_status renew_from(const struct writing *self, struct page_entry entry, bool is_known, uint8_t *bytes,
				     struct blockz_fault *fault)
{
	struct shard *shard = self->shard;
	struct page_context *context = page_codec_take(shard->pages->codec);
	enum blockz_status status = BLOCKZ_OK;
	if (bytes != NULL) {
		memory_free(shard->memory, context->page, shard->pages->page_size);
		context->page = bytes;
	} else if (!is_known) {
		status = writing_load(self, entry, context, fault);
	}
	if (status == BLOCKZ_OK)
		status = store_page(self, entry.waits, context, fault);
	page_codec_give(shard->pages->codec, context);
	return status;
}

enum blockz_status writing_renew(const struct writing *self, struct blockz_fault *fault)
{
	struct shard *shard = self->shard;
	struct page_entry entry = page_table_get(shard->table, self->local);
	uint64_t known = entry.waits ? write_buffer_mask(shard->buffer, self->local) : 0;
	if (self->len > 0)
		known |= writing_whole_sectors(self);
	bool is_known = (writing_all_sectors(self) & ~known) == 0;
	uint8_t *bytes = NULL;
	if (!is_known && entry.kind == PAGE_BASE) {
		enum blockz_status status = load_base(self, &bytes, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	return renew_from(self, entry, is_known, bytes, fault);
}
