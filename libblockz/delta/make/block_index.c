/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks are sorted by hash, and those of one hash by their place in the file. */
#include "delta/make/block_index.h"

#include <stdlib.h>

#include "base/bisect.h"

struct block_index {
	const struct image *image;
	size_t count;
	uint32_t sorted[];
};

static int compare_hashes(const struct block_hash *a, const struct block_hash *b)
{
	if (a->low != b->low)
		return a->low < b->low ? -1 : 1;
	return (a->high > b->high) - (a->high < b->high);
}

static int compare_sorted(const void *a, const void *b, void *hashes)
{
	uint32_t ia = *(const uint32_t *)a, ib = *(const uint32_t *)b;
	int order = compare_hashes((const struct block_hash *)hashes + ia, (const struct block_hash *)hashes + ib);
	return order != 0 ? order : (ia > ib) - (ia < ib);
}

struct block_index *block_index_new(const struct image *image)
{
	struct block_index *index = malloc(sizeof(*index) + image->blocks.count * sizeof(index->sorted[0]));
	if (index == NULL)
		return NULL;
	index->image = image;
	index->count = image->blocks.count;
	for (size_t i = 0; i < index->count; i++)
		index->sorted[i] = (uint32_t)i;
	qsort_r(index->sorted, index->count, sizeof(index->sorted[0]), compare_sorted, image->hashes);
	return index;
}

void block_index_free(struct block_index *index)
{
	free(index);
}

struct hash_search {
	const struct block_index *index;
	const struct block_hash *hash;
};

static bool is_less(const void *ctx, uint64_t i, uint64_t file_off)
{
	const struct hash_search *search = ctx;
	const struct image *image = search->index->image;
	uint32_t at = search->index->sorted[i];
	int order = compare_hashes(&image->hashes[at], search->hash);
	return order < 0 || (order == 0 && image->blocks.items[at].file_off < file_off);
}

/* The first of the sorted whose hash, and then whose place in the file, is not less. */
static size_t lower_bound(const struct block_index *index, const struct block_hash *hash, uint64_t file_off)
{
	const struct hash_search search = { index, hash };
	return (size_t)bisect(index->count, is_less, &search, file_off);
}

static bool is_same(const struct block_index *index, size_t sorted, const struct image *image, size_t block)
{
	if (sorted == index->count)
		return false;
	uint32_t at = index->sorted[sorted];
	const struct block *found = &index->image->blocks.items[at], *wanted = &image->blocks.items[block];
	return compare_hashes(&index->image->hashes[at], &image->hashes[block]) == 0 &&
	       found->file_len == wanted->file_len && found->plain_len == wanted->plain_len &&
	       found->codec == wanted->codec;
}

uint32_t block_index_find(const struct block_index *index, const struct image *image, size_t block)
{
	size_t at = lower_bound(index, &image->hashes[block], image->blocks.items[block].file_off);
	if (!is_same(index, at, image, block))
		at = lower_bound(index, &image->hashes[block], 0);
	return is_same(index, at, image, block) ? index->sorted[at] : UINT32_MAX;
}
