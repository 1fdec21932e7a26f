/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests for bytes of the image become requests for pages, one after the other or on several threads. */
#include "base/checked.h"
#include "base/export.h"
#include "base/fault.h"
#include "blockz_pages.h"
#include "pagestore/shard.h"
#include "pagestore/store.h"
#include "parallel/helpers.h"

static enum blockz_status check_range(const struct blockz_pages *pages, uint64_t off, uint64_t len,
				      struct blockz_fault *fault)
{
	if (off > pages->size || len > pages->size - off)
		return fault_set(fault, BLOCKZ_USAGE, off, "beyond the end of the image");
	return BLOCKZ_OK;
}

/* ---- Reads, and writes of bytes ---- */

/* A request that encodes or decodes so much is shared with helpers, in parts of some pages. */
enum { SHARED_MIN = 256 << 10, PART_LEN = 64 << 10 };

struct request {
	const struct blockz_pages *pages;
	uint64_t off, end;
	uint8_t *to;         /* of a read, */
	const uint8_t *from; /* and of a write; the other is NULL */
};

static uint64_t part_len(const struct blockz_pages *pages)
{
	return pages->page_size > PART_LEN ? pages->page_size : PART_LEN;
}

/* Page by page, in the caller's thread. */
static enum blockz_status do_range(const struct request *request, uint64_t off, uint64_t end, struct blockz_fault *fault)
{
	const struct blockz_pages *pages = request->pages;
	enum blockz_status status = BLOCKZ_OK;
	while (off < end && status == BLOCKZ_OK) {
		uint64_t page = off / pages->page_size, done = off - request->off;
		size_t start = (size_t)(off % pages->page_size), len = (size_t)min(end - off, pages->page_size - start);
		struct shard *shard = shard_of(pages, page);
		status = request->to != NULL ? shard_read(shard, page, start, len, request->to + done, fault)
					     : shard_write(shard, page, start, len, request->from + done, fault);
		off += len;
	}
	return status;
}

/* Parts meet where an offset is a multiple of their length. */
static enum blockz_status do_part(void *ctx, size_t part, struct blockz_fault *fault)
{
	const struct request *request = ctx;
	uint64_t len = part_len(request->pages), start = (request->off / len + part) * len;
	return do_range(request, start > request->off ? start : request->off, min(start + len, request->end), fault);
}

static enum blockz_status carry_out(struct request *request, struct blockz_fault *fault)
{
	const struct blockz_pages *pages = request->pages;
	if (pages->helpers == NULL || request->end - request->off < SHARED_MIN)
		return do_range(request, request->off, request->end, fault);
	uint64_t len = part_len(pages), parts = (request->end - 1) / len - request->off / len + 1;
	return helpers_run(pages->helpers, (size_t)parts, do_part, request, fault);
}

EXPORT enum blockz_status blockz_pages_read(struct blockz_pages *pages, void *buf, size_t len, uint64_t off,
					    struct blockz_fault *fault)
{
	struct request request = { .pages = pages, .off = off, .end = off + len, .to = buf };
	enum blockz_status status = check_range(pages, off, len, fault);
	if (status != BLOCKZ_OK)
		return status;
	return carry_out(&request, fault);
}

/* ---- Writes of zeros ---- */

/* Pages [first, end), shard by shard. */
static enum blockz_status zero_pages(struct blockz_pages *pages, uint64_t first, uint64_t end,
				     struct blockz_fault *fault)
{
	uint64_t shards = min(end - first, pages->shard_count);
	enum blockz_status status = BLOCKZ_OK;
	for (uint64_t page = first; page < first + shards && status == BLOCKZ_OK; page++) {
		unsigned number = shard_number(pages, page);
		status = shard_zero(pages->shards[number], local_from(pages, number, first), local_from(pages, number, end),
				    fault);
	}
	return status;
}

static enum blockz_status zero_range(struct blockz_pages *pages, uint64_t len, uint64_t off, struct blockz_fault *fault)
{
	uint64_t end = off + len, pos = off;
	enum blockz_status status = BLOCKZ_OK;
	while (pos < end && status == BLOCKZ_OK) {
		uint64_t page = pos / pages->page_size, stop = end == pages->size ? pages->page_count : end / pages->page_size;
		size_t start = (size_t)(pos % pages->page_size);
		size_t part = (size_t)min(end - pos, pages->page_size - start);
		if (start == 0 && page < stop) {
			status = zero_pages(pages, page, stop, fault);
			pos = stop == pages->page_count ? end : stop * pages->page_size;
		} else {
			status = shard_write(shard_of(pages, page), page, start, part, NULL, fault);
			pos += part;
		}
	}
	return status;
}

/* ---- Both kinds of writes ---- */

EXPORT enum blockz_status blockz_pages_write(struct blockz_pages *pages, const void *buf, uint64_t len, uint64_t off,
					     struct blockz_fault *fault)
{
	struct request request = { .pages = pages, .off = off, .end = off + len, .from = buf };
	enum blockz_status status = check_range(pages, off, len, fault);
	if (status != BLOCKZ_OK)
		return status;
	return buf == NULL ? zero_range(pages, len, off, fault) : carry_out(&request, fault);
}
