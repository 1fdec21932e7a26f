/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of a page store: what its options ask for, its parts, and the counts of them all. */
#include "base/checked.h"
#include "base/export.h"
#include "base/fault.h"
#include "pagestore/flat_mapping.h"
#include "pagestore/page_codec.h"
#include "pagestore/sectors.h"
#include "pagestore/shard.h"
#include "pagestore/snapshot.h"
#include "pagestore/store.h"
#include "parallel/helpers.h"
#include "parallel/pool.h"

/* Requests meet in a shard by chance only, and seldom, if there are some times as many as threads at work. */
enum { SHARDS_PER_CPU = 4, SHARDS_MIN = 8, SHARDS_MAX = 256 };

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

/* Sets all that the options and the number of CPUs say. */
static void set_shape(struct blockz_pages *pages, const struct blockz_pages_options *options)
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

static enum blockz_status make_shards(struct blockz_pages *pages, struct blockz_fault *fault)
{
	size_t len = pages->shard_count * sizeof(*pages->shards);
	pages->shards = memory_new(&pages->memory, len);
	if (pages->shards == NULL)
		return memory_fault(&pages->memory, len, fault);
	for (unsigned i = 0; i < pages->shard_count; i++) {
		pages->shards[i] = shard_new(pages, &pages->memory, i);
		if (pages->shards[i] == NULL)
			return memory_fault(&pages->memory, 0, fault);
	}
	return BLOCKZ_OK;
}

/* In the memory that the new store counts. */
static enum blockz_status make_parts(struct blockz_pages *pages, struct blockz_fault *fault)
{
	struct memory *memory = &pages->memory;
	int level = pages->layout == BLOCKZ_PAGES_COMPRESSED ? pages->level : 0;
	enum blockz_status status = BLOCKZ_OK;
	if (pages->layout == BLOCKZ_PAGES_DIRECT)
		status = flat_mapping_new(memory, pages->size, pages->page_size, &pages->mapping, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = page_codec_new(memory, pages->page_size, level, pool_threads(0), &pages->codec, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (level != 0 && (pages->helpers = helpers_new(0)) == NULL)
		return fault_nomem(fault);
	return make_shards(pages, fault);
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
	set_shape(pages, options);
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
	helpers_free(pages->helpers);
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

EXPORT struct blockz_pages_info blockz_pages_info(struct blockz_pages *pages)
{
	struct blockz_pages_info info = { .size = pages->size, .page_size = pages->page_size };
	for (unsigned i = 0; i < pages->shard_count; i++)
		shard_add_info(pages->shards[i], &info);
	info.memory_bytes = counter(&pages->memory.used);
	info.memory_peak_bytes = counter(&pages->memory.peak);
	return info;
}
