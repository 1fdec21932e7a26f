/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading a part of a page.  Under the lock bytes are copied and nothing else: a look either fills the buffer, or
 * says what is missing to do so, whereupon that is got and another look follows, at which the page may have become
 * something else; or it takes along the frame, and puts what waits in its place, and the rest is decoded when the
 * lock is free again.
 */
#include <string.h>

#include "pagestore/shard.h"

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
	if (view_get(&shard->view, self->page, self->off, self->len, self->buf)) {
		count_one(&shard->read_hits);
		return FILLED;
	}
	if (self->context == NULL)
		return NEEDS_CONTEXT;
	page_storage_get(shard->storage, self->page, self->entry.first, 0, self->context->frame, self->entry.len);
	self->changes = shard->changes;
	return NEEDS_DECODING;
}

static enum outcome look(struct reading *self)
{
	struct shard *shard = self->shard;
	uint64_t local = local_page(shard, self->page);
	enum outcome outcome = FILLED;
	pthread_rwlock_rdlock(&shard->lock);
	self->entry = page_table_get(shard->table, local);
	self->mask = self->entry.waits ? write_buffer_mask(shard->buffer, local) : 0;
	if ((sectors_touched(self->off, self->len) & ~self->mask) == 0)
		count_one(&shard->read_hits);
	else
		outcome = get_stored(self);
	if (outcome == FILLED || outcome == NEEDS_DECODING)
		waiting_overlay(shard, self->page, self->mask, self->off, self->len, self->buf);
	pthread_rwlock_unlock(&shard->lock);
	return outcome;
}

/* The page in the context becomes the view, unless it may have changed since. */
static void keep(const struct reading *self)
{
	struct shard *shard = self->shard;
	pthread_rwlock_rdlock(&shard->lock);
	if (shard->changes == self->changes)
		view_exchange(shard, self->page, self->context);
	pthread_rwlock_unlock(&shard->lock);
}

static enum blockz_status decode(const struct reading *self, struct blockz_fault *fault)
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
		struct span span = sector_span((unsigned)__builtin_ctzll(left), self->off, self->len);
		memcpy(self->buf + (span.start - self->off), context->page + span.start, span.end - span.start);
	}
	if (!whole)
		keep(self);
	return BLOCKZ_OK;
}

enum blockz_status shard_read(struct shard *shard, uint64_t page, size_t off, size_t len, uint8_t *buf,
			      struct blockz_fault *fault)
{
	struct reading self = { .shard = shard, .page = page, .off = off, .len = len, .buf = buf };
	struct page_codec *codec = shard->pages->codec;
	enum blockz_status status = BLOCKZ_OK;
	enum outcome outcome;
	count_one(&shard->reads);
	do {
		outcome = look(&self);
		if (outcome == NEEDS_CONTEXT) {
			self.context = page_codec_take(codec);
		} else if (outcome == NEEDS_BASE) {
			status = base_read(shard->pages, buf, len, page * shard->pages->page_size + off, fault);
			self.has_base = true;
		}
	} while ((outcome == NEEDS_CONTEXT || outcome == NEEDS_BASE) && status == BLOCKZ_OK);
	if (outcome == NEEDS_DECODING)
		status = decode(&self, fault);
	if (self.context != NULL)
		page_codec_give(codec, self.context);
	return status;
}
