/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/checked.h"
#include "base/export.h"
#include "base/fault.h"
#include "blockz_pages.h"
#include "pagestore/shard.h"
#include "pagestore/snapshot.h"
#include "parallel/pool.h"

/* Requests meet in a shard by chance only, and seldom, if there are some times as many as threads at work. */
enum { SHARDS_PER_CPU = 4 };

static enum blockz_status check_options(const struct blockz_pages_options *options, struct blockz_fault *fault)
{
	uint32_t page_size = options->page_size;
	if (options->size > INT64_MAX)
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "image size: more than 2^63-1 bytes");
	if (page_size != 0 && (page_size < BLOCKZ_PAGE_SIZE_MIN || page_size > BLOCKZ_PAGE_SIZE_MAX ||
			       (page_size & (page_size - 1)) != 0))
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "page size %u: not a power of two from %d to %d",
				 (unsigned)page_size, BLOCKZ_PAGE_SIZE_MIN, BLOCKZ_PAGE_SIZE_MAX);
	if (options->level < ZSTD_minCLevel() || options->level > ZSTD_maxCLevel())
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "level %d: not from %d to %d", options->level,
				 ZSTD_minCLevel(), ZSTD_maxCLevel());
	if (options->base != NULL && options->base->size > options->size)
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "the base is a stream, or longer than the image");
	return BLOCKZ_OK;
}

static void choose(struct blockz_pages *pages, const struct blockz_pages_options *options)
{
	unsigned cpus = pool_threads(0);
	bool compressed = options->layout == BLOCKZ_PAGES_COMPRESSED;
	pages->size = options->size;
	pages->page_size = options->page_size != 0 ? options->page_size : BLOCKZ_PAGE_SIZE_DEFAULT;
	pages->page_count = options->size / pages->page_size + (options->size % pages->page_size != 0);
	pages->layout = options->layout;
	pages->level = options->level != 0 ? options->level : BLOCKZ_PAGES_LEVEL_DEFAULT;
	pages->base = options->base;
	while (1U << pages->shard_bits < SHARDS_MIN ||
	       (1U << pages->shard_bits < SHARDS_MAX && 1U << pages->shard_bits < SHARDS_PER_CPU * cpus))
		pages->shard_bits++;
	pages->shard_count = 1U << pages->shard_bits;
	if (compressed)
		pages->sectors_max = (size_t)min(options->cache / PAGE_SECTOR_SIZE / pages->shard_count, SIZE_MAX);
}

/* In the memory that the new store counts. */
static enum blockz_status make_parts(struct blockz_pages *pages, struct blockz_fault *fault)
{
	struct memory *memory = &pages->memory;
	size_t shards_len = pages->shard_count * sizeof(*pages->shards);
	int level = pages->layout == BLOCKZ_PAGES_COMPRESSED ? pages->level : 0;
	enum blockz_status status = BLOCKZ_OK;
	if (pages->layout == BLOCKZ_PAGES_DIRECT)
		status = flat_mapping_new(memory, pages->size, pages->page_size, &pages->mapping, fault);
	if (status == BLOCKZ_OK)
		status = page_codec_new(memory, pages->page_size, level, pool_threads(0), &pages->codec, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (level != 0 && (pages->crew = crew_new(0)) == NULL)
		return fault_nomem(fault);
	pages->shards = memory_new(memory, shards_len);
	if (pages->shards == NULL)
		return memory_fault(memory, shards_len, fault);
	for (unsigned i = 0; i < pages->shard_count; i++) {
		pages->shards[i] = shard_new(pages, memory, i);
		if (pages->shards[i] == NULL)
			return memory_fault(memory, 0, fault);
	}
	return BLOCKZ_OK;
}

EXPORT enum blockz_status blockz_pages_new(const struct blockz_pages_options *options, struct blockz_pages **pages_ret,
					   struct blockz_fault *fault)
{
	enum blockz_status status = check_options(options, fault);
	if (status != BLOCKZ_OK)
		return status;
	struct memory memory = { .max = options->memory_max };
	struct blockz_pages *pages = memory_new(&memory, sizeof(*pages));
	if (pages == NULL)
		return memory_fault(&memory, sizeof(*pages), fault);
	pages->memory.max = memory.max;
	pages->memory.used = pages->memory.peak = sizeof(*pages);
	choose(pages, options);
	status = make_parts(pages, fault);
	if (status == BLOCKZ_OK)
		*pages_ret = pages;
	else
		blockz_pages_free(pages);
	return status;
}

EXPORT void blockz_pages_free(struct blockz_pages *pages)
{
	if (pages == NULL)
		return;
	crew_free(pages->crew);
	for (unsigned i = 0; pages->shards != NULL && i < pages->shard_count; i++)
		shard_free(pages->shards[i]);
	page_codec_free(pages->codec);
	flat_mapping_free(pages->mapping);
	struct memory memory = { .used = pages->memory.used };
	memory_free(&memory, pages->shards, pages->shard_count * sizeof(*pages->shards));
	memory_free(&memory, pages, sizeof(*pages));
}

EXPORT enum blockz_status blockz_pages_lock(struct blockz_pages *pages, struct blockz_fault *fault)
{
	if (pages->mapping == NULL)
		return BLOCKZ_OK;
	snapshot_begin(pages);
	enum blockz_status status = flat_mapping_lock(pages->mapping, fault);
	snapshot_end(pages);
	return status;
}

EXPORT void blockz_pages_rest(struct blockz_pages *pages)
{
	page_codec_rest(pages->codec);
}

static uint64_t counter(const _Atomic uint64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

static void add_info(struct blockz_pages_info *info, struct shard *shard)
{
	pthread_rwlock_rdlock(&shard->lock);
	info->compressed_pages += shard->compressed_pages;
	info->raw_pages += shard->raw_pages;
	info->stored_bytes += shard->stored_bytes;
	if (shard->buffer != NULL)
		info->waiting_bytes += write_buffer_count(shard->buffer) * PAGE_SECTOR_SIZE;
	pthread_rwlock_unlock(&shard->lock);
	info->reads += counter(&shard->reads);
	info->read_hits += counter(&shard->read_hits);
	info->writes += counter(&shard->writes);
	info->write_hits += counter(&shard->write_hits);
}

EXPORT struct blockz_pages_info blockz_pages_info(struct blockz_pages *pages)
{
	struct blockz_pages_info info = { .size = pages->size, .page_size = pages->page_size };
	for (unsigned i = 0; i < pages->shard_count; i++)
		add_info(&info, pages->shards[i]);
	info.memory_bytes = counter(&pages->memory.used);
	info.memory_peak_bytes = counter(&pages->memory.peak);
	return info;
}
