/* SPDX-License-Identifier: BSD-3-Clause */
#include "delta/make/image.h"

#include <stdlib.h>
#include <xxhash.h>

#include "base/checked.h"
#include "base/fault.h"
#include "check/sha256.h"
#include "container/container.h"
#include "io/access.h"
#include "parallel/pool.h"

enum {
	READ_LEN = 1 << 20,
	/* Plain bytes are compared in blocks of this length, at multiples of it; in longer ones where there would be too many. */
	PLAIN_LEN = 64 << 10,
	PLAIN_BLOCKS_MAX = 1 << 20,
};

void image_free(struct image *image)
{
	blocks_free(&image->blocks);
	free(image->hashes);
	*image = (struct image){ 0 };
}

/* What is between [pos, pos + len) of the file and the blocks from *next on. */
static void hash_blocks(struct image *image, XXH3_state_t *state, size_t *next, const uint8_t *bytes, size_t len,
			uint64_t pos)
{
	while (*next < image->blocks.count) {
		const struct block *block = &image->blocks.items[*next];
		uint64_t start = block->file_off > pos ? block->file_off : pos;
		uint64_t end = min(block->file_off + block->file_len, pos + len);
		if (start >= pos + len)
			return;
		if (start == block->file_off)
			XXH3_128bits_reset(state);
		XXH3_128bits_update(state, bytes + (start - pos), (size_t)(end - start));
		if (end < block->file_off + block->file_len)
			return;
		XXH128_hash_t hash = XXH3_128bits_digest(state);
		image->hashes[(*next)++] = (struct block_hash){ hash.low64, hash.high64 };
	}
}

static enum blockz_status hash_image(struct image *image, struct sha256 *sha256, XXH3_state_t *state, uint8_t *buf,
				     struct blockz_fault *fault)
{
	size_t next = 0;
	uint64_t size = image->file.size;
	for (uint64_t pos = 0; pos < size; pos += READ_LEN) {
		size_t len = (size_t)min(READ_LEN, size - pos);
		enum blockz_status status = read_data(&image->file, buf, len, pos, image->subject, fault);
		if (status != BLOCKZ_OK)
			return status;
		sha256_update(sha256, buf, len);
		hash_blocks(image, state, &next, buf, len, pos);
	}
	return sha256_finish(sha256, image->sha256) ? BLOCKZ_OK : fault_nomem(fault);
}

/* Adds the whole plain blocks within [start, end). */
static bool add_plain(struct blocks *blocks, uint64_t start, uint64_t end, uint32_t len)
{
	bool ok = true;
	start += (len - start % len) % len;
	for (; ok && start < end && end - start >= len; start += len)
		ok = blocks_append(blocks, &(struct block){ .file_off = start, .file_len = len, .plain_len = len,
							    .codec = CODEC_STORED, .is_plain = true });
	return ok;
}

/* What is between blocks is cut into blocks as well, so that what is equal there is found as fast. */
static bool split_plain(struct blocks *blocks)
{
	const struct blocks before = *blocks;
	uint64_t pos = 0;
	uint32_t len = PLAIN_LEN;
	while (len < CODEC_BLOCK_MAX && blocks->size / len > PLAIN_BLOCKS_MAX)
		len *= 2;
	blocks->items = NULL;
	blocks->count = 0;
	bool ok = true;
	for (size_t i = 0; i < before.count && ok; i++) {
		ok = add_plain(blocks, pos, before.items[i].file_off, len) && blocks_append(blocks, &before.items[i]);
		pos = before.items[i].file_off + before.items[i].file_len;
	}
	ok = ok && add_plain(blocks, pos, blocks->size, len);
	free(before.items);
	return ok;
}

/* What containers say names no file. */
static enum blockz_status say_which(const struct image *image, enum blockz_status status, struct blockz_fault *fault)
{
	if (fault == NULL)
		return status;
	const struct blockz_fault inner = *fault;
	fault_set(fault, status, inner.offset, "%s: %s", subject_name(image->subject), inner.text);
	return fault_about(fault, status, image->subject);
}

static enum blockz_status image_read(struct image *image, bool is_new, const struct codec_env *env,
				     struct blockz_fault *fault)
{
	enum blockz_status status = container_read(&image->file, env, &image->blocks, fault);
	if (status != BLOCKZ_OK)
		return say_which(image, status, fault);
	if (is_new)
		image->blocks.size = image->file.size;
	image->file.size = image->blocks.size;
	if (!split_plain(&image->blocks))
		return fault_nomem(fault);
	image->hashes = calloc(image->blocks.count + 1, sizeof(*image->hashes));
	struct sha256 sha256 = { 0 };
	XXH3_state_t *state = XXH3_createState();
	uint8_t *buf = malloc(READ_LEN);
	status = image->hashes == NULL || !sha256_start(&sha256) || state == NULL || buf == NULL
			 ? fault_nomem(fault)
			 : hash_image(image, &sha256, state, buf, fault);
	free(buf);
	XXH3_freeState(state);
	sha256_free(&sha256);
	return status;
}

struct reading {
	struct image *images;
	const struct codec_env *env;
};

static enum blockz_status read_one(void *ctx, size_t i, struct blockz_fault *fault)
{
	const struct reading *reading = ctx;
	return image_read(&reading->images[i], i == 1, reading->env, fault);
}

enum blockz_status images_read(struct image images[2], const struct blockz_source *const files[2],
			       const struct codec_env *env, const struct blockz_work *work, struct blockz_fault *fault)
{
	struct reading reading = { .images = images, .env = env };
	images[0].file = *files[0];
	images[1].file = *files[1];
	images[0].subject = BLOCKZ_ABOUT_OLD;
	images[1].subject = BLOCKZ_ABOUT_NEW;
	return pool_each(2, read_one, &reading, work->threads, fault);
}

/* Sorted by hash. */
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

/* The first of the sorted whose hash, and then whose place in the file, is not less. */
static size_t lower_bound(const struct block_index *index, const struct block_hash *hash, uint64_t file_off)
{
	size_t low = 0, high = index->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		uint32_t at = index->sorted[middle];
		int order = compare_hashes(&index->image->hashes[at], hash);
		if (order < 0 || (order == 0 && index->image->blocks.items[at].file_off < file_off))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
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
