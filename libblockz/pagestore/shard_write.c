/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing a part of a page.  In a page that is raw it goes where it belongs.  In any other it waits, as sectors,
 * for more of the page to come; where it cannot, since nothing may wait, or all of the page would, or there is no
 * room and none to be made, the page is made anew at once: what is stored of it, over that what waits, over that
 * what is written.
 */
#include <string.h>

#include "base/checked.h"
#include "base/zeros.h"
#include "blockz_pages.h"
#include "pagestore/shard.h"

enum {
	SECTOR = PAGE_SECTOR_SIZE,
	/* A raw page is encoded anew when it was written over in parts: of these the entry counts 64ths of a page. */
	WRITES_PAGE = 64,
};

struct writing {
	struct shard *shard;
	uint64_t page, local;
	size_t off, len;
	const uint8_t *bytes; /* NULL: zeros */
};

static void fill(uint8_t *to, const struct writing *self, size_t off, size_t len)
{
	if (self->bytes != NULL)
		memcpy(to, self->bytes + (off - self->off), len);
	else
		memset(to, 0, len);
}

static bool writes_zeros(const struct writing *self)
{
	return self->bytes == NULL || all_zeros(self->bytes, self->len);
}

static uint64_t all_sectors(const struct writing *self)
{
	return sectors_touched(0, page_len(self->shard->pages, self->page));
}

/* The sectors that are written as a whole. */
static uint64_t sectors_covered(const struct writing *self)
{
	size_t end = self->off + self->len;
	size_t first = (self->off + SECTOR - 1) / SECTOR * SECTOR;
	size_t last = end == page_len(self->shard->pages, self->page) ? end : end / SECTOR * SECTOR;
	return first < last ? sectors_touched(first, last - first) : 0;
}

/* ---- Making a page anew ---- */

static enum blockz_status decode(const struct writing *self, struct page_entry entry, struct page_context *context,
				 struct blockz_fault *fault)
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

/* What is stored of a page that is not in the base, without what waits, into the context's page. */
static enum blockz_status load(const struct writing *self, struct page_entry entry, struct page_context *context,
			       struct blockz_fault *fault)
{
	size_t len = page_len(self->shard->pages, self->page);
	if (entry.kind == PAGE_ZERO)
		memset(context->page, 0, len);
	else if (entry.kind == PAGE_RAW)
		page_storage_get(self->shard->storage, self->page, entry.first, 0, context->page, len);
	else if (!view_get(&self->shard->view, self->page, 0, len, context->page))
		return decode(self, entry, context, fault);
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
	enum blockz_status status = base_read(pages, bytes, page_len(pages, self->page), self->page * pages->page_size,
					      fault);
	if (status == BLOCKZ_OK)
		*bytes_ret = bytes;
	else
		memory_free(memory, bytes, pages->page_size);
	return status;
}

/* Stores what is in the context's page, and over it what waits and what is written. */
static enum blockz_status store(const struct writing *self, uint64_t mask, struct page_context *context,
				struct blockz_fault *fault)
{
	struct shard *shard = self->shard;
	waiting_overlay(shard, self->page, mask, 0, page_len(shard->pages, self->page), context->page);
	fill(context->page + self->off, self, self->off, self->len);
	enum blockz_status status = page_store(shard, self->page, context, context->page, fault);
	/* The next request is likely to be for the same page again; of what waited it is not. */
	if (status == BLOCKZ_OK && self->len > 0 && page_table_get(shard->table, self->local).kind == PAGE_FRAME)
		view_exchange(shard, self->page, context);
	return status;
}

/* Makes the page anew; len 0: with no more than what waits of it. */
static enum blockz_status renew(const struct writing *self, struct blockz_fault *fault)
{
	struct shard *shard = self->shard;
	struct page_codec *codec = shard->pages->codec;
	struct page_entry entry = page_table_get(shard->table, self->local);
	uint64_t mask = entry.waits ? write_buffer_mask(shard->buffer, self->local) : 0;
	uint64_t known = mask | (self->len > 0 ? sectors_covered(self) : 0);
	bool is_known = (all_sectors(self) & ~known) == 0;
	uint8_t *bytes = NULL;
	enum blockz_status status = BLOCKZ_OK;
	if (!is_known && entry.kind == PAGE_BASE)
		status = load_base(self, &bytes, fault);
	if (status != BLOCKZ_OK)
		return status;
	struct page_context *context = page_codec_take(codec);
	if (bytes != NULL) {
		memory_free(shard->memory, context->page, shard->pages->page_size);
		context->page = bytes;
	} else if (!is_known) {
		status = load(self, entry, context, fault);
	}
	if (status == BLOCKZ_OK)
		status = store(self, mask, context, fault);
	page_codec_give(codec, context);
	return status;
}

/* ---- Waiting ---- */

/* Writes the page back of which most waits; false: that failed. */
static bool write_back(struct shard *shard)
{
	struct writing next = { .shard = shard };
	if (!write_buffer_next(shard->buffer, &next.local))
		return false;
	next.page = image_page(shard, next.local);
	return renew(&next, NULL) == BLOCKZ_OK;
}

/* The old bytes of a sector that does not wait yet and is written in part. */
static enum blockz_status load_sector(const struct writing *self, size_t sector, uint8_t *bytes,
				      struct blockz_fault *fault)
{
	struct shard *shard = self->shard;
	size_t off = sector * SECTOR, len = (size_t)min(SECTOR, page_len(shard->pages, self->page) - off);
	struct page_entry entry = page_table_get(shard->table, self->local);
	memset(bytes, 0, SECTOR);
	if (entry.kind == PAGE_ZERO || view_get(&shard->view, self->page, off, len, bytes))
		return BLOCKZ_OK;
	if (entry.kind == PAGE_BASE)
		return base_read(shard->pages, bytes, len, self->page * shard->pages->page_size + off, fault);
	struct page_context *context = page_codec_take(shard->pages->codec);
	enum blockz_status status = load(self, entry, context, fault);
	if (status == BLOCKZ_OK) {
		memcpy(bytes, context->page + off, len);
		view_exchange(shard, self->page, context);
	}
	page_codec_give(shard->pages->codec, context);
	return status;
}

/* A part of a page on its way to its sectors. */
struct parts {
	uint64_t fresh;             /* sectors that do not wait yet */
	uint8_t ends[2][SECTOR];    /* old bytes of the first and the last, where these are written in part and fresh */
};

static enum blockz_status load_ends(const struct writing *self, struct parts *parts, struct blockz_fault *fault)
{
	uint64_t partial = parts->fresh & ~sectors_covered(self);
	size_t first = self->off / SECTOR, last = (self->off + self->len - 1) / SECTOR;
	enum blockz_status status = BLOCKZ_OK;
	if (partial >> first & 1)
		status = load_sector(self, first, parts->ends[0], fault);
	if (status == BLOCKZ_OK && last != first && partial >> last & 1)
		status = load_sector(self, last, parts->ends[1], fault);
	return status;
}

/* The lock is held alone.  Has all sectors wait that are written; false, and nothing is changed: no memory. */
static bool put_all(const struct writing *self, uint64_t fresh)
{
	struct shard *shard = self->shard;
	struct page_entry entry = page_table_get(shard->table, self->local);
	bool waited = entry.waits;
	entry.waits = true;
	if (!waited && !page_table_set(shard->table, self->local, entry))
		return false;
	for (uint64_t left = sectors_touched(self->off, self->len); left != 0; left &= left - 1) {
		if (write_buffer_put(shard->buffer, self->local, (unsigned)__builtin_ctzll(left)) != NULL)
			continue;
		write_buffer_drop(shard->buffer, self->local, fresh);
		entry.waits = waited;
		page_table_set(shard->table, self->local, entry);
		return false;
	}
	return true;
}

/* The lock is held alone. */
static void fill_all(const struct writing *self, const struct parts *parts)
{
	size_t first = self->off / SECTOR, last = (self->off + self->len - 1) / SECTOR;
	uint64_t partial = parts->fresh & ~sectors_covered(self);
	for (size_t sector = first; sector <= last; sector++) {
		uint8_t *bytes = write_buffer_sector(self->shard->buffer, self->local, (unsigned)sector);
		struct span span = sector_span((unsigned)sector, self->off, self->len);
		if (partial >> sector & 1)
			memcpy(bytes, parts->ends[sector != first], SECTOR);
		fill(bytes + span.start % SECTOR, self, span.start, span.end - span.start);
	}
}

/* *done_ret false: there is no memory for it to wait in, and nothing is changed. */
static enum blockz_status wait(const struct writing *self, bool *done_ret, struct blockz_fault *fault)
{
	struct shard *shard = self->shard;
	uint64_t mask = write_buffer_mask(shard->buffer, self->local);
	struct parts parts = { .fresh = sectors_touched(self->off, self->len) & ~mask };
	enum blockz_status status = load_ends(self, &parts, fault);
	if (status != BLOCKZ_OK)
		return status;
	pthread_rwlock_wrlock(&shard->lock);
	*done_ret = put_all(self, parts.fresh);
	if (*done_ret)
		fill_all(self, &parts);
	pthread_rwlock_unlock(&shard->lock);
	if (*done_ret && mask != 0)
		count_one(&shard->write_hits);
	return BLOCKZ_OK;
}

/* ---- Raw pages ---- */

static bool is_zero(const struct writing *self, struct page_entry entry)
{
	const uint8_t *bytes = page_storage_look(self->shard->storage, self->page, entry.first, entry.len);
	uint8_t part[SECTOR];
	if (bytes != NULL)
		return all_zeros(bytes, entry.len);
	for (size_t off = 0; off < entry.len; off += SECTOR) {
		size_t len = (size_t)min(SECTOR, entry.len - off);
		page_storage_get(self->shard->storage, self->page, entry.first, off, part, len);
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
		page_put(shard, self->page, PAGE_FRAME, context->frame, frame_len, NULL);
	page_codec_give(shard->pages->codec, context);
}

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
		pages_drop(shard, self->local, self->local + 1, NULL);
	else if (due && shard->pages->layout == BLOCKZ_PAGES_COMPRESSED)
		encode_anew(self, entry);
}

/* ---- The whole ---- */

enum way { NOTHING_TO_DO, IN_PLACE, WAIT, MAKE_ROOM, RENEW };

static enum way way_of(const struct writing *self)
{
	struct shard *shard = self->shard;
	struct page_entry entry = page_table_get(shard->table, self->local);
	if (entry.kind == PAGE_RAW)
		return IN_PLACE;
	if (entry.kind == PAGE_ZERO && !entry.waits && writes_zeros(self))
		return NOTHING_TO_DO;
	if (shard->buffer == NULL)
		return RENEW;
	uint64_t mask = write_buffer_mask(shard->buffer, self->local), fresh = sectors_touched(self->off, self->len) & ~mask;
	size_t more = (size_t)__builtin_popcountll(fresh), most = shard->pages->sectors_max;
	bool is_known = (all_sectors(self) & ~(mask | sectors_covered(self))) == 0;
	if (more > most || (more > 0 && is_known))
		return RENEW;
	return write_buffer_count(shard->buffer) > most - more ? MAKE_ROOM : WAIT;
}

static enum blockz_status write_part(const struct writing *self, struct blockz_fault *fault)
{
	enum way way = way_of(self);
	while (way == MAKE_ROOM) /* for which it may have been this page that was written back */
		way = write_back(self->shard) ? way_of(self) : RENEW;
	enum blockz_status status = BLOCKZ_OK;
	bool done = false;
	if (way == IN_PLACE)
		write_raw(self);
	if (way == WAIT)
		status = wait(self, &done, fault);
	if (status == BLOCKZ_OK && (way == RENEW || (way == WAIT && !done)))
		status = renew(self, fault);
	return status;
}

static enum blockz_status write_all(const struct writing *self, struct blockz_fault *fault)
{
	const struct blockz_pages *pages = self->shard->pages;
	if (self->bytes == NULL)
		return pages_drop(self->shard, self->local, self->local + 1, fault);
	if (pages->layout != BLOCKZ_PAGES_COMPRESSED)
		return page_store(self->shard, self->page, NULL, self->bytes, fault);
	struct page_context *context = page_codec_take(pages->codec);
	enum blockz_status status = page_store(self->shard, self->page, context, self->bytes, fault);
	page_codec_give(pages->codec, context);
	return status;
}

enum blockz_status shard_write(struct shard *shard, uint64_t page, size_t off, size_t len, const uint8_t *bytes,
			       struct blockz_fault *fault)
{
	const struct writing self = { shard, page, local_page(shard, page), off, len, bytes };
	shard_enter(shard);
	count_one(&shard->writes);
	enum blockz_status status = len == page_len(shard->pages, page) ? write_all(&self, fault)
									: write_part(&self, fault);
	shard_leave(shard);
	return status;
}
