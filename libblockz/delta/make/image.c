/* SPDX-License-Identifier: BSD-3-Clause */
/* An image is read once: the same bytes go into its own hash and into that of the block they are of. */
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

/* ---- Blocks ---- */

/* Adds the whole plain blocks within [start, end). */
static bool add_plain(struct blocks *blocks, uint64_t start, uint64_t end, uint32_t len)
{
	start += (len - start % len) % len;
	for (; start < end && end - start >= len; start += len)
		if (!blocks_append(blocks, &(struct block){ .file_off = start, .file_len = len, .plain_len = len,
							    .codec = CODEC_STORED, .is_plain = true }))
			return false;
	return true;
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

static enum blockz_status take_apart(struct image *image, bool is_new, const struct codec_env *env,
				     struct blockz_fault *fault)
{
	enum blockz_status status = container_read(&image->file, env, &image->blocks, fault);
	if (status != BLOCKZ_OK)
		return say_which(image, status, fault);
	if (is_new)
		image->blocks.size = image->file.size;
	image->file.size = image->blocks.size;
	return split_plain(&image->blocks) ? BLOCKZ_OK : fault_nomem(fault);
}

/* ---- Hashes ---- */

struct hashing {
	struct sha256 sha256; /* of the image */
	XXH3_state_t *state;  /* of the next block */
	size_t next;
	uint8_t *buf; /* READ_LEN */
};

/* What is between [pos, pos + len) of the file and the blocks from the next on. */
static void hash_blocks(struct image *image, struct hashing *hashing, size_t len, uint64_t pos)
{
	while (hashing->next < image->blocks.count) {
		const struct block *block = &image->blocks.items[hashing->next];
		uint64_t start = block->file_off > pos ? block->file_off : pos;
		uint64_t end = min(block->file_off + block->file_len, pos + len);
		if (start >= pos + len)
			return;
		if (start == block->file_off)
			XXH3_128bits_reset(hashing->state);
		XXH3_128bits_update(hashing->state, hashing->buf + (start - pos), (size_t)(end - start));
		if (end < block->file_off + block->file_len)
			return;
		XXH128_hash_t hash = XXH3_128bits_digest(hashing->state);
		image->hashes[hashing->next++] = (struct block_hash){ hash.low64, hash.high64 };
	}
}

static enum blockz_status hash_file(struct image *image, struct hashing *hashing, struct blockz_fault *fault)
{
	uint64_t size = image->file.size;
	for (uint64_t pos = 0; pos < size; pos += READ_LEN) {
		size_t len = (size_t)min(READ_LEN, size - pos);
		enum blockz_status status = read_data(&image->file, hashing->buf, len, pos, image->subject, fault);
		if (status != BLOCKZ_OK)
			return status;
		sha256_update(&hashing->sha256, hashing->buf, len);
		hash_blocks(image, hashing, len, pos);
	}
	return sha256_finish(&hashing->sha256, image->sha256) ? BLOCKZ_OK : fault_nomem(fault);
}

static enum blockz_status hash_image(struct image *image, struct blockz_fault *fault)
{
	struct hashing hashing = { .state = XXH3_createState(), .buf = malloc(READ_LEN) };
	image->hashes = calloc(image->blocks.count + 1, sizeof(*image->hashes));
	bool ok = image->hashes != NULL && sha256_start(&hashing.sha256) && hashing.state != NULL && hashing.buf != NULL;
	enum blockz_status status = ok ? hash_file(image, &hashing, fault) : fault_nomem(fault);
	free(hashing.buf);
	XXH3_freeState(hashing.state);
	sha256_free(&hashing.sha256);
	return status;
}

/* ---- Both images ---- */

struct reading {
	struct image *images;
	const struct codec_env *env;
};

static enum blockz_status read_image(void *ctx, size_t i, struct blockz_fault *fault)
{
	const struct reading *reading = ctx;
	struct image *image = &reading->images[i];
	enum blockz_status status = take_apart(image, i == 1, reading->env, fault);
	return status == BLOCKZ_OK ? hash_image(image, fault) : status;
}

enum blockz_status images_read(struct image images[2], const struct blockz_source *const files[2],
			       const struct codec_env *env, const struct blockz_work *work, struct blockz_fault *fault)
{
	struct reading reading = { .images = images, .env = env };
	images[0].file = *files[0];
	images[1].file = *files[1];
	images[0].subject = BLOCKZ_ABOUT_OLD;
	images[1].subject = BLOCKZ_ABOUT_NEW;
	return pool_each(2, read_image, &reading, work->threads, fault);
}
