/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests to pages. */
#include "base/checked.h"
#include "base/export.h"
#include "base/fault.h"
#include "pagestore/shard.h"

static enum blockz_status check_range(const struct blockz_pages *pages, uint64_t off, uint64_t len,
				      struct blockz_fault *fault)
{
	if (off > pages->size || len > pages->size - off)
		return fault_set(fault, BLOCKZ_USAGE, off, "beyond the end of the image");
	return BLOCKZ_OK;
}

EXPORT enum blockz_status blockz_pages_read(struct blockz_pages *pages, void *buf, size_t len, uint64_t off,
					    struct blockz_fault *fault)
{
	enum blockz_status status = check_range(pages, off, len, fault);
	for (size_t done = 0; done < len && status == BLOCKZ_OK;) {
		uint64_t page = (off + done) / pages->page_size;
		size_t start = (size_t)((off + done) % pages->page_size);
		size_t part = (size_t)min(len - done, pages->page_size - start);
		status = shard_read(shard_of(pages, page), page, start, part, (uint8_t *)buf + done, fault);
		done += part;
	}
	return status;
}

/* Pages [first, end), shard by shard. */
static enum blockz_status zero_pages(struct blockz_pages *pages, uint64_t first, uint64_t end,
				     struct blockz_fault *fault)
{
	uint64_t shards = min(end - first, pages->shard_count);
	enum blockz_status status = BLOCKZ_OK;
	for (uint64_t i = 0; i < shards && status == BLOCKZ_OK; i++) {
		struct shard *shard = shard_of(pages, first + i);
		status = shard_zero(shard, local_from(pages, shard->number, first),
				    local_from(pages, shard->number, end), fault);
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

EXPORT enum blockz_status blockz_pages_write(struct blockz_pages *pages, const void *buf, uint64_t len, uint64_t off,
					     struct blockz_fault *fault)
{
	enum blockz_status status = check_range(pages, off, len, fault);
	if (status == BLOCKZ_OK && buf == NULL)
		return zero_range(pages, len, off, fault);
	for (uint64_t done = 0; done < len && status == BLOCKZ_OK;) {
		uint64_t page = (off + done) / pages->page_size;
		size_t start = (size_t)((off + done) % pages->page_size);
		size_t part = (size_t)min(len - done, pages->page_size - start);
		status = shard_write(shard_of(pages, page), page, start, part, (const uint8_t *)buf + done, fault);
		done += part;
	}
	return status;
}
