/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing a part of a page.  In a page that is raw it goes where it belongs.  In any other it waits, as sectors,
 * for more of the page to come; where it cannot, since nothing may wait, or all of the page would, or there is no
 * room and none to be made, the page is made anew at once.
 */
#include "base/zeros.h"
#include "pagestore/shard_writing.h"

static bool writes_zeros(const struct writing *self)
{
	return self->bytes == NULL || all_zeros(self->bytes, self->len);
}

/* ---- Raw pages ---- */

/* A raw page is encoded anew when it was written over in parts: of these the entry counts 64ths of a page. */
enum { WRITES_PAGE = 64 };

/* Whether all bytes of a raw page are zeros. */
static bool is_zero(const struct writing *self, struct page_entry entry)
{
	const struct page_storage *storage = self->shard->storage;
	const uint8_t *bytes = page_storage_look(storage, self->page, entry.first, entry.len);
	uint8_t part[PAGE_SECTOR_SIZE];
	if (bytes != NULL)
		return all_zeros(bytes, entry.len);
	for (size_t off = 0; off < entry.len; off += PAGE_SECTOR_SIZE) {
		size_t len = (size_t)min(PAGE_SECTOR_SIZE, entry.len - off);
		page_storage_get(storage, self->page, entry.first, off, part, len);
		if (!all_zeros(part, len))
			return false;
	}
	return true;
}

/* A raw page becomes a frame, if that pays by now.  It may fail: the request is carried out. */
static void encode_anew(const struct writing *self, struct page_entry entry)
{
	struct shard *shard = self->shard;
	struct page_context *context = page_codec_take(shard->pages->codec);
	page_storage_get(shard->storage, self->page, entry.first, 0, context->page, entry.len);
	size_t frame_len = page_codec_encode(shard->pages->codec, context, context->page, entry.len);
	if (frame_len > 0)
		shard_put_stored(shard, self->page, PAGE_FRAME, context->frame, frame_len, NULL);
	page_codec_give(shard->pages->codec, context);
}

/* Writes to a raw page, which may become a frame or zeros by that. */
static void write_raw(const struct writing *self)
{
	struct shard *shard = self->shard;
	struct page_entry entry = page_table_get(shard->table, self->local);
	uint64_t more = self->len * WRITES_PAGE / shard->pages->page_size, before = entry.writes;
	uint64_t writes = before + (more > 0 ? more : 1);
	/* After 1, 2, 4, and then each 4 pages' worth: it does not always pay to try. */
	bool due = writes >= WRITES_PAGE && (writes & ~before) > before;
	entry.writes = (uint16_t)(writes <= PAGE_WRITES_MAX ? writes : PAGE_WRITES_MAX / 2 + 1);
	pthread_rwlock_wrlock(&shard->lock);
	page_storage_put(shard->storage, self->page, entry.first, self->off, self->bytes, self->len);
	page_table_set(shard->table, self->local, entry);
	pthread_rwlock_unlock(&shard->lock);
	if (writes_zeros(self) && is_zero(self, entry))
		shard_drop_pages(shard, self->local, self->local + 1, NULL);
	else if (due && shard->pages->layout == BLOCKZ_PAGES_COMPRESSED)
		encode_anew(self, entry);
}

/* ---- Any page ---- */

enum way { NOTHING_TO_DO, IN_PLACE, WAIT, MAKE_ROOM, RENEW };

static enum way choose_way(const struct writing *self)
{
	struct shard *shard = self->shard;
	struct page_entry entry = page_table_get(shard->table, self->local);
	if (entry.kind == PAGE_RAW)
		return IN_PLACE;
	if (entry.kind == PAGE_ZERO && !entry.waits && writes_zeros(self))
		return NOTHING_TO_DO;
	if (shard->buffer == NULL)
		return RENEW;
	uint64_t mask = write_buffer_mask(shard->buffer, self->local);
	uint64_t fresh = sectors_touched(self->off, self->len) & ~mask;
	size_t more = (size_t)__builtin_popcountll(fresh), most = shard->pages->sectors_max;
	bool is_known = (writing_all_sectors(self) & ~(mask | writing_whole_sectors(self))) == 0;
	if (more > most || (more > 0 && is_known))
		return RENEW;
	return write_buffer_count(shard->buffer) > most - more ? MAKE_ROOM : WAIT;
}

/* Writes the page back of which most waits; false: that failed. */
static bool write_back(struct shard *shard)
{
	struct writing next = { .shard = shard };
	if (!write_buffer_next(shard->buffer, &next.local))
		return false;
	next.page = image_page(shard->pages, shard->number, next.local);
	return writing_renew(&next, NULL) == BLOCKZ_OK;
}

static enum blockz_status write_part(const struct writing *self, struct blockz_fault *fault)
{
	enum way way = choose_way(self);
	while (way == MAKE_ROOM) /* for which it may have been this page that was written back */
		way = write_back(self->shard) ? choose_way(self) : RENEW;
	if (way == NOTHING_TO_DO)
		return BLOCKZ_OK;
	if (way == IN_PLACE) {
		write_raw(self);
		return BLOCKZ_OK;
	}
	if (way == WAIT) {
		bool done = false;
		enum blockz_status status = writing_wait(self, &done, fault);
		if (status != BLOCKZ_OK || done)
			return status;
	}
	return writing_renew(self, fault);
}

static enum blockz_status write_whole(const struct writing *self, struct blockz_fault *fault)
{
	const struct blockz_pages *pages = self->shard->pages;
	if (self->bytes == NULL)
		return shard_drop_pages(self->shard, self->local, self->local + 1, fault);
	if (pages->layout != BLOCKZ_PAGES_COMPRESSED)
		return shard_put_page(self->shard, self->page, NULL, self->bytes, fault);
	struct page_context *context = page_codec_take(pages->codec);
	enum blockz_status status = shard_put_page(self->shard, self->page, context, self->bytes, fault);
	page_codec_give(pages->codec, context);
	return status;
}

enum blockz_status shard_write(struct shard *shard, uint64_t page, size_t off, size_t len, const uint8_t *bytes,
			       struct blockz_fault *fault)
{
	const struct writing self = { shard, page, local_page(shard->pages, page), off, len, bytes };
	shard_enter(shard);
	count_one(&shard->writes);
	enum blockz_status status = len == page_len(shard->pages, page) ? write_whole(&self, fault)
									: write_part(&self, fault);
	shard_leave(shard);
	return status;
}
