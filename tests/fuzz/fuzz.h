/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the fuzz targets have in common: memory as sink and store, and the question that every edit has to answer.  A
 * target that finds a property broken aborts by assert().
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <errno.h>

#include "blockz.h"
#include "judge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct blockz_work one_thread = { .threads = 1 };

static inline struct blockz_memory bytes_memory(const struct bytes *bytes)
{
	return (struct blockz_memory){ bytes->data, bytes->len };
}

/* ---- A sink ---- */

static inline int sink_write(void *ctx, const void *buf, size_t len)
{
	bytes_append(ctx, buf, len);
	return 0;
}

static inline int sink_rewrite(void *ctx, const void *buf, size_t len, uint64_t off)
{
	struct bytes *bytes = ctx;
	assert(off <= bytes->len && len <= bytes->len - off);
	memcpy(bytes->data + off, buf, len);
	return 0;
}

static inline struct blockz_sink bytes_sink(struct bytes *bytes)
{
	static const struct blockz_sink_ops ops = { .write = sink_write, .rewrite = sink_rewrite };
	return (struct blockz_sink){ &ops, bytes };
}

/* ---- A store with a journal, one of whose writes to the file can fail ---- */

struct memory_store {
	struct bytes file, journal;
	bool published;
	uint64_t fail_at; /* so many writes succeed, the next fails, those behind it succeed again */
};

static inline int bytes_read(const struct bytes *bytes, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	size_t left = off < bytes->len ? bytes->len - (size_t)off : 0;
	*got_ret = len < left ? len : left;
	if (*got_ret > 0)
		memcpy(buf, bytes->data + off, *got_ret);
	return 0;
}

static inline int store_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	struct memory_store *store = ctx;
	return bytes_read(&store->file, buf, len, off, got_ret);
}

static inline int store_write(void *ctx, const void *buf, size_t len, uint64_t off)
{
	struct memory_store *store = ctx;
	if (store->fail_at-- == 0)
		return EIO;
	return sink_rewrite(&store->file, buf, len, off);
}

static inline int store_sync(void *ctx)
{
	(void)ctx;
	return 0;
}

static inline int journal_create(void *ctx, uint64_t len)
{
	struct memory_store *store = ctx;
	assert(!store->published);
	bytes_resize(&store->journal, (size_t)len);
	return 0;
}

static inline int journal_write(void *ctx, const void *buf, size_t len, uint64_t off)
{
	struct memory_store *store = ctx;
	return sink_rewrite(&store->journal, buf, len, off);
}

static inline int journal_sync(void *ctx)
{
	const struct memory_store *store = ctx;
	assert(store->published);
	return 0;
}

static inline int journal_publish(void *ctx)
{
	struct memory_store *store = ctx;
	store->published = true;
	return 0;
}

static inline int journal_discard(void *ctx)
{
	struct memory_store *store = ctx;
	assert(!store->published);
	return 0;
}

static inline int journal_find(void *ctx, uint64_t *len_ret)
{
	struct memory_store *store = ctx;
	*len_ret = store->journal.len;
	return store->published ? 0 : ENOENT;
}

static inline int journal_fetch(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	struct memory_store *store = ctx;
	assert(store->published);
	return bytes_read(&store->journal, buf, len, off, got_ret);
}

static inline int journal_remove(void *ctx)
{
	struct memory_store *store = ctx;
	assert(store->published);
	store->published = false;
	return 0;
}

static inline struct blockz_store memory_store(struct memory_store *self)
{
	static const struct blockz_store_ops ops = {
		.read = store_read, .write = store_write, .sync = store_sync,
		.journal_create = journal_create, .journal_write = journal_write, .journal_publish = journal_publish,
		.journal_sync = journal_sync, .journal_discard = journal_discard, .journal_find = journal_find, .journal_read = journal_fetch,
		.journal_remove = journal_remove,
	};
	return (struct blockz_store){ &ops, self, self->file.len, { 1, 2, 3 }, NULL };
}

static inline void memory_store_free(struct memory_store *self)
{
	free(self->file.data);
	free(self->journal.data);
}

/* ---- Calls that may fail, but have to say why ---- */

static inline void check_fault(enum blockz_status status, const struct blockz_fault *fault)
{
	assert(status == BLOCKZ_OK || (fault->status == status && fault->text[0] != '\0'));
	assert(memchr(fault->text, '\0', sizeof(fault->text)) != NULL && strchr(fault->text, '\n') == NULL);
}

static inline enum blockz_status verify(const struct blockz_source *file, bool quick, uint64_t *image_size_ret)
{
	struct blockz_verify_options options = { .quick = quick, .work = one_thread };
	struct blockz_verify_result result;
	struct blockz_fault fault = { 0 };
	enum blockz_status status = blockz_verify(file, &options, &result, &fault);
	check_fault(status, &fault);
	if (status == BLOCKZ_OK)
		*image_size_ret = result.map.image_size;
	return status;
}

static inline enum blockz_status read_map(const struct blockz_source *file, bool scan, struct blockz_map **map_ret)
{
	struct blockz_fault fault = { 0 };
	enum blockz_status status = blockz_map_read(file, &(struct blockz_map_options){ .scan = scan }, map_ret, &fault);
	check_fault(status, &fault);
	return status;
}

static inline enum blockz_status make_plan(const struct blockz_source *file, const struct blockz_map *map,
					   const struct blockz_edit *edits, size_t count,
					   struct blockz_plan **plan_ret)
{
	struct blockz_fault fault = { 0 };
	enum blockz_status status = blockz_plan_new(file, map, edits, count, &one_thread, plan_ret, &fault);
	check_fault(status, &fault);
	return status;
}

/* ---- Edits ---- */

struct edited {
	const struct bytes *old_file;
	enum verdict verdict; /* on the old file */
	struct bytes image;   /* as it shall be */
};

/* The plan's writes ascend, lie within the file, and are all that differs. */
static inline void check_writes(const struct blockz_plan *plan, const struct bytes *old, const struct bytes *new)
{
	struct blockz_planned_write write;
	uint64_t pos = 0;
	assert(old->len == new->len);
	for (size_t i = 0; blockz_plan_write_at(plan, i, &write); i++) {
		assert(write.file_off >= pos && write.length > 0);
		assert(write.file_off <= old->len && write.length <= old->len - write.file_off);
		assert(memcmp(old->data + pos, new->data + pos, (size_t)(write.file_off - pos)) == 0);
		pos = write.file_off + write.length;
	}
	assert(memcmp(old->data + pos, new->data + pos, old->len - (size_t)pos) == 0);
}

/*
 * Carries a plan out on a copy of the file, where the write number fail_at fails.  Then the file is as before; else it
 * holds the edited image if it held the old one, and is rejected if it was.
 */
static inline void check_plan(const struct blockz_plan *plan, const struct edited *edited, uint64_t fail_at)
{
	const struct bytes *old = edited->old_file;
	struct memory_store memory = { .fail_at = fail_at };
	struct bytes copy = { 0 }, image = { 0 };
	bytes_append(&memory.file, old->data, old->len);
	struct blockz_store store = memory_store(&memory);
	struct blockz_memory old_memory = bytes_memory(old);
	struct blockz_source old_source = blockz_source_memory(&old_memory);
	struct blockz_sink sink = bytes_sink(&copy);
	struct blockz_fault fault = { 0 };

	if (blockz_plan_apply(plan, &store, &fault) != BLOCKZ_OK) {
		assert(fail_at < blockz_plan_info(plan).writes && fault.state == BLOCKZ_IMAGE_ROLLED_BACK);
		assert(bytes_equal(&memory.file, old));
		memory.fail_at = UINT64_MAX;
		assert(blockz_plan_apply(plan, &store, NULL) == BLOCKZ_OK);
	}
	assert(!memory.published);
	check_writes(plan, old, &memory.file);
	assert(blockz_plan_copy(plan, &old_source, &sink, NULL) == BLOCKZ_OK && bytes_equal(&copy, &memory.file));
	assert(judge_file(copy.data, copy.len, SIZE_MAX, &image) == edited->verdict);
	if (edited->verdict == ACCEPTED)
		assert(bytes_equal(&image, &edited->image));
	free(copy.data);
	free(image.data);
	memory_store_free(&memory);
}

#endif
