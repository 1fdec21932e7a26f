/* SPDX-License-Identifier: BSD-3-Clause */
#include "delta/file/old_space.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/fault.h"
#include "format/format.h"
#include "io/access.h"

enum {
	BUCKETS = 1024,
	STARTS_STEP = 64,    /* blocks whose places are found from one that is remembered */
	ADD_UNIT = 64,
	ADD_PART = 64 << 10, /* bytes of the file that are read to be added */
};

/* A block; it is in the list from the oldest to the newest while it is ready. */
struct entry {
	struct entry *older, *newer;
	struct entry *next; /* in its bucket */
	size_t block, len;
	unsigned users;
	bool ready;
	uint8_t bytes[]; /* len and DECODE_SLACK */
};

struct old {
	const struct blockz_source *file;
	uint64_t file_size;
	const struct delta_old_block *blocks;
	size_t block_count;
	uint64_t *starts; /* of each STARTS_STEP-th block: where it is behind the file */
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t changed; /* an entry became ready, failed, or lost its last user */
	uint64_t limit, used;
	uint64_t decoded_len, decoded_ns; /* of all blocks so far, in CPU time */
	struct entry *oldest, *newest;
	struct entry *spare; /* memory of the one dropped last, which the next one mostly has the length of; not in used */
	struct entry *buckets[BUCKETS];
};

/* What an entry costs, so that there cannot be too many of a few bytes. */
static uint64_t cost_of(size_t len)
{
	return sizeof(struct entry) + len + DECODE_SLACK;
}

struct old *old_new(const struct blockz_source *file, uint64_t file_size, const struct delta_old_blocks *blocks,
		    uint64_t cache, unsigned at_once)
{
	struct old *old = calloc(1, sizeof(*old));
	uint64_t *starts = calloc(blocks->count / STARTS_STEP + 1, sizeof(*starts));
	if (old == NULL || starts == NULL) {
		free(old);
		free(starts);
		return NULL;
	}
	*old = (struct old){
		.file = file, .file_size = file_size, .blocks = blocks->items, .block_count = blocks->count, .starts = starts,
		.limit = cache,
	};
	uint64_t start = 0, longest = 0;
	for (size_t i = 0; i < blocks->count; i++) {
		if (i % STARTS_STEP == 0)
			starts[i / STARTS_STEP] = start;
		start += blocks->items[i].plain_len;
		longest = blocks->items[i].plain_len > longest ? blocks->items[i].plain_len : longest;
	}
	if (old->limit < at_once * cost_of((size_t)longest))
		old->limit = at_once * cost_of((size_t)longest);
	pthread_mutex_init(&old->lock, NULL);
	pthread_cond_init(&old->changed, NULL);
	return old;
}

void old_free(struct old *old)
{
	if (old == NULL)
		return;
	while (old->oldest != NULL) {
		struct entry *entry = old->oldest;
		old->oldest = entry->newer;
		free(entry);
	}
	free(old->spare);
	pthread_cond_destroy(&old->changed);
	pthread_mutex_destroy(&old->lock);
	free(old->starts);
	free(old);
}

void old_reader_free(struct old_reader *reader)
{
	codec_contexts_free(&reader->contexts);
	buffer_free(&reader->bytes);
}

/* ---- Entries; all under the lock ---- */

static struct entry **bucket_of(struct old *old, size_t block)
{
	return &old->buckets[block % BUCKETS];
}

static struct entry *find_entry(struct old *old, size_t block)
{
	struct entry *entry = *bucket_of(old, block);
	while (entry != NULL && entry->block != block)
		entry = entry->next;
	return entry;
}

static void unlink_entry(struct old *old, struct entry *entry)
{
	*(entry->older != NULL ? &entry->older->newer : &old->oldest) = entry->newer;
	*(entry->newer != NULL ? &entry->newer->older : &old->newest) = entry->older;
	entry->older = entry->newer = NULL;
}

static void append_entry(struct old *old, struct entry *entry)
{
	entry->older = old->newest;
	*(old->newest != NULL ? &old->newest->newer : &old->oldest) = entry;
	old->newest = entry;
}

static void drop_entry(struct old *old, struct entry *entry)
{
	struct entry **at = bucket_of(old, entry->block);
	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	old->used -= cost_of(entry->len);
	free(old->spare);
	old->spare = entry;
}

/* Memory for an entry; of the spare one, or in its place. */
static struct entry *new_entry(struct old *old, size_t len)
{
	struct entry *entry = old->spare;
	old->spare = NULL;
	if (entry != NULL && entry->len == len)
		return entry;
	free(entry);
	return malloc(sizeof(*entry) + len + DECODE_SLACK);
}

/* Drops what was not used for longest; false if what is in use leaves no room. */
static bool make_room(struct old *old, size_t len)
{
	struct entry *entry = old->oldest;
	while (old->used + cost_of(len) > old->limit && entry != NULL) {
		struct entry *newer = entry->newer;
		if (entry->users == 0) {
			unlink_entry(old, entry);
			drop_entry(old, entry);
		}
		entry = newer;
	}
	return old->used + cost_of(len) <= old->limit;
}

static enum blockz_status decode(const struct old *old, struct old_reader *reader, struct entry *entry,
				 struct blockz_fault *fault)
{
	const struct delta_old_block *block = &old->blocks[entry->block];
	struct blockz_fault why = { .text = "" };
	if (!buffer_reserve(&reader->bytes, block->file_len + DECODE_SLACK))
		return fault_nomem(fault);
	enum blockz_status status = read_data(old->file, reader->bytes.bytes, block->file_len, block->file_off,
					      BLOCKZ_ABOUT_OLD, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = codec_decode(&reader->contexts, block->codec, reader->bytes.bytes, block->file_len, entry->bytes,
			      entry->len, &why);
	if (status == BLOCKZ_OK)
		return BLOCKZ_OK;
	fault_set(fault, status, block->file_off, "OLD's block of %" PRIu32 " bytes at %" PRIu64 " of OLD, which DELTA says is %s: %s",
		  block->file_len, block->file_off, codec_at(block->codec)->name, why.text);
	return fault_about(fault, status, BLOCKZ_ABOUT_OLD);
}

/* Makes the entry of a block for which there is room, and gives it a user; the lock is released for it. */
static enum blockz_status load(struct old *old, struct old_reader *reader, size_t block, struct entry **entry_ret,
			       struct blockz_fault *fault)
{
	size_t len = old->blocks[block].plain_len;
	struct entry *entry = new_entry(old, len);
	if (entry == NULL)
		return fault_nomem(fault);
	*entry = (struct entry){ .block = block, .len = len, .users = 1, .next = *bucket_of(old, block) };
	*bucket_of(old, block) = entry;
	old->used += cost_of(len);
	pthread_mutex_unlock(&old->lock);
	uint64_t start = thread_cpu_ns();
	enum blockz_status status = decode(old, reader, entry, fault);
	uint64_t took = thread_cpu_ns() - start;
	pthread_mutex_lock(&old->lock);
	old->decoded_len += len;
	old->decoded_ns += took;
	entry->ready = status == BLOCKZ_OK;
	if (entry->ready) {
		append_entry(old, entry);
		*entry_ret = entry;
	} else {
		drop_entry(old, entry);
	}
	pthread_cond_broadcast(&old->changed);
	return status;
}

/* A block is decoded by one thread, others that want it wait.  A thread holds one at a time. */
static enum blockz_status get(struct old *old, struct old_reader *reader, size_t block, struct entry **entry_ret,
			      struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	pthread_mutex_lock(&old->lock);
	for (;;) {
		struct entry *entry = find_entry(old, block);
		if (entry != NULL && entry->ready) {
			entry->users++;
			unlink_entry(old, entry);
			append_entry(old, entry);
			*entry_ret = entry;
			break;
		}
		if (entry == NULL && make_room(old, old->blocks[block].plain_len)) {
			status = load(old, reader, block, entry_ret, fault);
			break;
		}
		pthread_cond_wait(&old->changed, &old->lock);
	}
	pthread_mutex_unlock(&old->lock);
	return status;
}

static void put(struct old *old, struct entry *entry)
{
	pthread_mutex_lock(&old->lock);
	if (--entry->users == 0)
		pthread_cond_broadcast(&old->changed);
	pthread_mutex_unlock(&old->lock);
}

/* ---- Ranges ---- */

/* The block that holds byte off behind the file, and where in the block that is. */
static size_t find_block(const struct old *old, uint64_t off, size_t *within_ret)
{
	size_t low = 0, high = (old->block_count + STARTS_STEP - 1) / STARTS_STEP;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (old->starts[middle] <= off)
			low = middle;
		else
			high = middle;
	}
	size_t block = low * STARTS_STEP;
	off -= old->starts[low];
	for (; off >= old->blocks[block].plain_len; block++)
		off -= old->blocks[block].plain_len;
	*within_ret = (size_t)off;
	return block;
}

/* The inner loop is one that compilers turn into a few instructions on vectors, as its length is known to them. */
static void add_bytes(uint8_t *restrict out, const uint8_t *restrict bytes, size_t len)
{
	for (; len >= ADD_UNIT; len -= ADD_UNIT, out += ADD_UNIT, bytes += ADD_UNIT)
		for (size_t i = 0; i < ADD_UNIT; i++)
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
	for (; len > 0; block++, within = 0) {
		struct entry *entry = NULL;
		enum blockz_status status = get(old, reader, block, &entry, fault);
		if (status != BLOCKZ_OK)
			return status;
		size_t part = (size_t)min(len, entry->len - within);
		if (adds)
			add_bytes(out, entry->bytes + within, part);
		else
			memcpy(out, entry->bytes + within, part);
		put(old, entry);
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
	bool ready = true;
	pthread_mutex_lock(&old->lock);
	for (uint64_t end = within + (uint64_t)len; ready && end > 0; block++) {
		const struct entry *entry = find_entry(old, block);
		ready = entry != NULL && entry->ready;
		end -= min(end, old->blocks[block].plain_len);
	}
	pthread_mutex_unlock(&old->lock);
	return ready;
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
