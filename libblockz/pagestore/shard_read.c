/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading a part of a page.  Under the lock bytes are copied and nothing else: a look either fills the buffer, or
 * says what is missing to do so, whereupon that is got and another look follows, at which the page may have become
 * something else; or it takes along the frame, and puts what waits in its place, and the rest is decoded when the
 * lock is free again.
 */
#include <string.h>

#include "pagestore/base_image.h"
#include "pagestore/shard_private.h"

struct reading {
	struct shard *shard;
	uint64_t page;
	size_t off, len;
	uint8_t *buf;
	struct page_context *context; /* NULL until one is needed */
	bool has_base;                /* buf is what the base has */
	/* As the last look found it. */
	struct page_entry entry;
	uint64_t mask; /* what waits */
	uint64_t changes;
};

enum outcome { FILLED, NEEDS_CONTEXT, NEEDS_BASE, NEEDS_DECODING };

/* Fills buf with what is stored of the page, as far as that can be done under the lock. */
static enum outcome get_stored(struct reading *self)
{
	struct shard *shard = self->shard;
	switch (self->entry.kind) {
	case PAGE_ZERO:
		memset(self->buf, 0, self->len);
		return FILLED;
	case PAGE_BASE:
		return self->has_base ? FILLED : NEEDS_BASE;
	case PAGE_RAW:
		page_storage_get(shard->storage, self->page, self->entry.first, self->off, self->buf, self->len);
		return FILLED;
	case PAGE_FRAME:
		break;
	}
	if (page_view_get(&shard->view, self->page, self->off, self->len, self->buf)) {
		count_one(&shard->read_hits);
		return FILLED;
	}
	if (self->context == NULL)
		return NEEDS_CONTEXT;
	page_storage_get(shard->storage, self->page, self->entry.first, 0, self->context->frame, self->entry.len);
	self->changes = shard->changes;
	return NEEDS_DECODING;
}

static enum outcome look_at_page(struct reading *self)
{
	struct shard *shard = self->shard;
	uint64_t local = local_page(shard->pages, self->page);
	enum outcome outcome = FILLED;
	pthread_rwlock_rdlock(&shard->lock);
	self->entry = page_table_get(shard->table, local);
	self->mask = self->entry.waits ? write_buffer_mask(shard->buffer, local) : 0;
	if ((sectors_touched(self->off, self->len) & ~self->mask) == 0)
		count_one(&shard->read_hits);
	else
		outcome = get_stored(self);
	if (self->mask != 0 && (outcome == FILLED || outcome == NEEDS_DECODING))
		write_buffer_get(shard->buffer, local, self->off, self->len, self->buf);
	pthread_rwlock_unlock(&shard->lock);
	return outcome;
}

/* The page in the context becomes the view, unless it may have changed since. */
static void keep_view(const struct reading *self)
{
	struct shard *shard = self->shard;
	pthread_rwlock_rdlock(&shard->lock);
	if (shard->changes == self->changes)
		page_view_exchange(&shard->view, self->page, self->context);
	pthread_rwlock_unlock(&shard->lock);
}

/* Decodes the frame that was taken along, and fills buf with what did not wait. */
static enum blockz_status decode_page(const struct reading *self, struct blockz_fault *fault)
{
	const struct blockz_pages *pages = self->shard->pages;
	struct page_context *context = self->context;
	size_t len = page_len(pages, self->page);
	bool whole = self->len == len, straight = whole && self->mask == 0;
	enum blockz_status status = page_codec_decode(context, context->frame, self->entry.len,
						      straight ? self->buf : context->page, len,
						      self->page * pages->page_size, fault);
	if (status != BLOCKZ_OK || straight)
		return status;
	for (uint64_t left = sectors_touched(self->off, self->len) & ~self->mask; left != 0; left &= left - 1) {
		struct overlap part = sector_overlap((unsigned)__builtin_ctzll(left), self->off, self->len);
		memcpy(self->buf + (part.start - self->off), context->page + part.start, part.end - part.start);
	}
	if (!whole)
		keep_view(self);
	return BLOCKZ_OK;
}

static enum blockz_status read_base(struct reading *self, struct blockz_fault *fault)
{
	const struct blockz_pages *pages = self->shard->pages;
	self->has_base = true;
	return base_image_read(pages->base, self->buf, self->len, self->page * pages->page_size + self->off, fault);
}

/* Looks, and gets what is missing, until the page can be read. */
static enum blockz_status read_part(struct reading *self, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	while (status == BLOCKZ_OK) {
		switch (look_at_page(self)) {
		case FILLED:
			return BLOCKZ_OK;
		case NEEDS_DECODING:
			return decode_page(self, fault);
		case NEEDS_CONTEXT:
			self->context = page_codec_take(self->shard->pages->codec);
			break;
		case NEEDS_BASE:
			status = read_base(self, fault);
			break;
		}
	}
	return status;
}

enum blockz_status shard_read(struct shard *shard, uint64_t page, size_t off, size_t len, uint8_t *buf,
			      struct blockz_fault *fault)
{
	struct reading self = { .shard = shard, .page = page, .off = off, .len = len, .buf = buf };
	count_one(&shard->reads);
	enum blockz_status status = read_part(&self, fault);
	if (self.context != NULL)
		page_codec_give(shard->pages->codec, self.context);
	return status;
}
