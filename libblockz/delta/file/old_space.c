/* SPDX-License-Identifier: BSD-3-Clause */
/* What is asked for of the space is cut at the ends of blocks; a block is found by where it starts behind the file. */
#include "delta/file/old_space.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/bisect.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/fault.h"
#include "format/format.h"
#include "io/access.h"
#include "parallel/cache.h"

enum {
	STARTS_STEP = 64,    /* blocks whose places are found from one that is remembered */
	ADD_STEP = 64,
	ADD_PART = 64 << 10, /* bytes of the file that are read to be added */
};

struct old {
	const struct blockz_source *file;
	uint64_t file_size;
	const struct delta_old_block *blocks;
	size_t block_count;
	uint64_t *starts; /* of each STARTS_STEP-th block: where it is behind the file */
	struct cache *decoded; /* blocks, by their numbers */
	pthread_mutex_t lock; /* of all below */
	uint64_t decoded_len, decoded_ns; /* of all blocks so far, in CPU time */
};

/* Where blocks start behind the file.  Returns the length of the longest. */
static uint64_t find_starts(const struct delta_old_blocks *blocks, uint64_t *starts)
{
	uint64_t start = 0, longest = 0;
	for (size_t i = 0; i < blocks->count; i++) {
		uint64_t len = blocks->items[i].plain_len;
		if (i % STARTS_STEP == 0)
			starts[i / STARTS_STEP] = start;
		start += len;
		longest = len > longest ? len : longest;
	}
	return longest;
}

struct old *old_new(const struct blockz_source *file, uint64_t file_size, const struct delta_old_blocks *blocks,
		    uint64_t cache, unsigned at_once)
{
	struct cache_limits limits = { .each = sizeof(struct cached) + DECODE_SLACK, .slack = DECODE_SLACK };
	struct old *old = calloc(1, sizeof(*old));
	uint64_t *starts = calloc(blocks->count / STARTS_STEP + 1, sizeof(*starts));
	if (old == NULL || starts == NULL)
		goto nomem;
	uint64_t least = at_once * (find_starts(blocks, starts) + limits.each);
	limits.bytes = cache < least ? least : cache;
	*old = (struct old){
		.file = file, .file_size = file_size, .blocks = blocks->items, .block_count = blocks->count, .starts = starts,
		.decoded = cache_new(&limits),
	};
	if (old->decoded == NULL)
		goto nomem;
	pthread_mutex_init(&old->lock, NULL);
	return old;
nomem:
	free(starts);
	free(old);
	return NULL;
}

void old_free(struct old *old)
{
	if (old == NULL)
		return;
	cache_free(old->decoded);
	pthread_mutex_destroy(&old->lock);
	free(old->starts);
	free(old);
}

void old_reader_free(struct old_reader *reader)
{
	codec_contexts_free(&reader->contexts);
	buffer_free(&reader->bytes);
}

/* ---- Blocks ---- */

/* A block that is wanted, and who decodes it. */
struct wanted {
	struct old *old;
	struct old_reader *reader;
};

static enum blockz_status read_block(const struct old *old, const struct delta_old_block *block, struct old_reader *reader,
				     uint8_t *bytes, struct blockz_fault *fault)
{
	struct blockz_fault why = { .text = "" };
	if (!buffer_reserve(&reader->bytes, block->file_len))
		return fault_nomem(fault);
	enum blockz_status status = read_data(old->file, reader->bytes.bytes, block->file_len, block->file_off,
					      BLOCKZ_ABOUT_OLD, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = codec_decode(&reader->contexts, block->codec, reader->bytes.bytes, block->file_len, bytes, block->plain_len,
			      &why);
	if (status == BLOCKZ_OK)
		return BLOCKZ_OK;
	fault_set(fault, status, block->file_off, "OLD's block of %" PRIu32 " bytes at %" PRIu64 " of OLD, which DELTA says is %s: %s",
		  block->file_len, block->file_off, codec_at(block->codec)->name, why.text);
	return fault_about(fault, status, BLOCKZ_ABOUT_OLD);
}

/* Reads and decodes a block, and counts what that takes. */
static enum blockz_status decode_block(const struct cache_want *want, uint8_t *bytes, struct blockz_fault *fault)
{
	const struct wanted *wanted = want->ctx;
	struct old *old = wanted->old;
	uint64_t start = thread_cpu_ns();
	enum blockz_status status = read_block(old, &old->blocks[want->key], wanted->reader, bytes, fault);
	uint64_t took = thread_cpu_ns() - start;
	pthread_mutex_lock(&old->lock);
	old->decoded_len += want->len;
	old->decoded_ns += took;
	pthread_mutex_unlock(&old->lock);
	return status;
}

/* ---- Ranges ---- */

static bool starts_at_or_before(const void *old, uint64_t i, uint64_t off)
{
	return ((const struct old *)old)->starts[i] <= off;
}

/* The block that holds byte off behind the file, and where in the block that is. */
static size_t find_block(const struct old *old, uint64_t off, size_t *within_ret)
{
	size_t count = (old->block_count + STARTS_STEP - 1) / STARTS_STEP;
	size_t start = (size_t)bisect_last(count, starts_at_or_before, old, off), block = start * STARTS_STEP;
	off -= old->starts[start];
	for (; off >= old->blocks[block].plain_len; block++)
		off -= old->blocks[block].plain_len;
	*within_ret = (size_t)off;
	return block;
}

/* The inner loop is one that compilers turn into a few instructions on vectors, as its length is known to them. */
static void add_bytes(uint8_t *restrict out, const uint8_t *restrict bytes, size_t len)
{
	for (; len >= ADD_STEP; len -= ADD_STEP, out += ADD_STEP, bytes += ADD_STEP)
		for (size_t i = 0; i < ADD_STEP; i++)
			out[i] = (uint8_t)(out[i] + bytes[i]);
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(out[i] + bytes[i]);
}

static enum blockz_status add_file(struct old *old, struct old_reader *reader, uint64_t off, uint8_t *out, size_t len,
				   struct blockz_fault *fault)
{
	if (!buffer_reserve(&reader->bytes, ADD_PART))
		return fault_nomem(fault);
	enum blockz_status status = BLOCKZ_OK;
	while (len > 0 && status == BLOCKZ_OK) {
		size_t part = (size_t)min(len, ADD_PART);
		status = read_data(old->file, reader->bytes.bytes, part, off, BLOCKZ_ABOUT_OLD, fault);
		if (status == BLOCKZ_OK)
			add_bytes(out, reader->bytes.bytes, part);
		off += part;
		out += part;
		len -= part;
	}
	return status;
}

static enum blockz_status use_blocks(struct old *old, struct old_reader *reader, uint64_t off, uint8_t *out, size_t len,
				     bool adds, struct blockz_fault *fault)
{
	size_t within = 0, block = find_block(old, off, &within);
	struct wanted wanted = { old, reader };
	for (; len > 0; block++, within = 0) {
		const struct cache_want want = {
			.key = block, .len = old->blocks[block].plain_len, .decode = decode_block, .ctx = &wanted,
		};
		struct cached *cached = NULL;
		enum blockz_status status = cache_get(old->decoded, &want, &cached, fault);
		if (status != BLOCKZ_OK)
			return status;
		size_t part = (size_t)min(len, cached->len - within);
		if (adds)
			add_bytes(out, cached->bytes + within, part);
		else
			memcpy(out, cached->bytes + within, part);
		cache_put(old->decoded, cached);
		out += part;
		len -= part;
	}
	return BLOCKZ_OK;
}

double old_decode_ns(struct old *old)
{
	pthread_mutex_lock(&old->lock);
	double ns = old->decoded_len == 0 ? 0 : (double)old->decoded_ns / (double)old->decoded_len;
	pthread_mutex_unlock(&old->lock);
	return ns;
}

bool old_is_at_hand(struct old *old, uint64_t off, size_t len)
{
	if (off < old->file_size)
		return true;
	size_t within = 0, block = find_block(old, off - old->file_size, &within);
	for (uint64_t end = within + (uint64_t)len; end > 0; block++) {
		if (cache_state_of(old->decoded, block) != CACHE_READY)
			return false;
		end -= min(end, old->blocks[block].plain_len);
	}
	return true;
}

enum blockz_status old_copy(struct old *old, struct old_reader *reader, uint64_t off, uint8_t *out, size_t len,
			    struct blockz_fault *fault)
{
	if (off >= old->file_size)
		return use_blocks(old, reader, off - old->file_size, out, len, false, fault);
	return read_data(old->file, out, len, off, BLOCKZ_ABOUT_OLD, fault);
}

enum blockz_status old_add(struct old *old, struct old_reader *reader, uint64_t off, uint8_t *out, size_t len,
			   struct blockz_fault *fault)
{
	if (off >= old->file_size)
		return use_blocks(old, reader, off - old->file_size, out, len, true, fault);
	return add_file(old, reader, off, out, len, fault);
}
