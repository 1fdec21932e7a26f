/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An image in use as a disk, against a plain array: threads read, write and flush at random, and the file is decoded by
 * others after each commit.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk_threads.h"
#include "foreign.h"
#include "served.h"
#include "stores.h"

/* ---- The model ---- */

/* Each thread writes to pages of its own, so that it knows what it reads; they share units, pieces and the cache. */
enum { PAGE = 4096 };

/* Part of one page of the thread's; false if none of it is raw. */
static bool choose_write(struct disk_thread *self, uint64_t *off, size_t *len)
{
	const struct blockz_range *range = &served_raw[disk_thread_next(self) % SERVED_RAWS];
	uint64_t pages = (range->end + PAGE - 1) / PAGE - range->start / PAGE;
	uint64_t page = range->start / PAGE + disk_thread_next(self) % pages;
	page -= page % self->count;
	page += self->number;
	uint64_t start = page * PAGE + disk_thread_next(self) % PAGE, end = (page + 1) * PAGE;
	start = start < range->start ? range->start : start;
	end = end > range->end ? range->end : end;
	if (start >= end)
		return false;
	*off = start;
	*len = (size_t)(1 + disk_thread_next(self) % (end - start));
	return true;
}

static void write_some(struct disk_thread *self)
{
	struct served *served = self->served;
	uint64_t off = 0;
	size_t len = 0;
	uint8_t bytes[PAGE];
	if (!choose_write(self, &off, &len))
		return;
	bool zeros = disk_thread_next(self) % 8 == 0;
	for (size_t i = 0; i < len; i++)
		bytes[i] = zeros ? 0 : (uint8_t)disk_thread_next(self);
	if (blockz_disk_write(served->disk, zeros ? NULL : bytes, len, off, NULL) != BLOCKZ_OK)
		self->failure = "a write";
	memcpy(served->image.data + off, bytes, len);
}

/* Compares what is not raw, and of the rest the pages that this thread writes to. */
static void read_some(struct disk_thread *self)
{
	struct served *served = self->served;
	uint64_t off = disk_thread_next(self) % SERVED_LEN;
	size_t len = (size_t)(1 + disk_thread_next(self) % (disk_thread_next(self) % 8 == 0 ? 3 * SERVED_PIECE : 3 * PAGE));
	len = len < SERVED_LEN - off ? len : (size_t)(SERVED_LEN - off);
	uint8_t *bytes = malloc(len);
	if (bytes == NULL || blockz_disk_read(served->disk, bytes, len, off, NULL) != BLOCKZ_OK)
		self->failure = "a read";
	for (uint64_t pos = off, end; pos < off + len && self->failure == NULL; pos = end) {
		end = pos - pos % PAGE + PAGE;
		end = end < off + len ? end : off + len;
		if (pos / PAGE % self->count != self->number)
			continue;
		if (memcmp(bytes + (pos - off), served->image.data + pos, (size_t)(end - pos)) != 0)
			self->failure = "other bytes than were written";
	}
	free(bytes);
}

static const struct disk_work work = { .writes = 14, .reads = 16, .write_some = write_some, .read_some = read_some };

START_TEST(threads_read_and_write_as_in_an_array)
{
	static const unsigned counts[] = { 1, 2, 8 };
	struct served served;
	served_prepare_variant(&served, &served_variants[_i]);
	for (int round = 0; round < 6; round++) {
		served_start(&served, round % 2 == 0 ? BLOCKZ_COMMIT_CLOSE : BLOCKZ_COMMIT_FLUSH);
		disk_threads_run(&served, &work, counts[round % 3]);
		assert_served(&served);
		served_close(&served);
		assert_file_is_right(&served);
	}
	served_free(&served);
}
END_TEST

/* ---- Commits ---- */

START_TEST(a_flush_commits_if_asked)
{
	struct served served;
	served_prepare_variant(&served, &served_variants[_i]);
	served_start(&served, BLOCKZ_COMMIT_FLUSH);
	for (size_t i = 0; i < 3; i++) {
		memset(served.image.data + MIB, (int)i + 1, 5 * KIB);
		ck_assert_int_eq(blockz_disk_write(served.disk, served.image.data + MIB, 5 * KIB, MIB, &served.fault),
				 BLOCKZ_OK);
		ck_assert_int_eq(blockz_disk_flush(served.disk, &served.fault), BLOCKZ_OK);
		ck_assert(!served_has_journal(&served));
		assert_file_is_right(&served);
	}
	served_close(&served);
	served_free(&served);
}
END_TEST

START_TEST(a_disk_left_alone_commits)
{
	struct served served;
	served_prepare_variant(&served, &served_variants[0]);
	served_start(&served, BLOCKZ_COMMIT_CLOSE);
	memset(served.image.data + MIB, 77, 5 * KIB);
	ck_assert_int_eq(blockz_disk_write(served.disk, served.image.data + MIB, 5 * KIB, MIB, &served.fault), BLOCKZ_OK);
	ck_assert(served_has_journal(&served));
	while (served_has_journal(&served)) /* or until the test's time is over */
		usleep(100000);
	assert_file_is_right(&served);
	memset(served.image.data + MIB, 78, 5 * KIB);
	ck_assert_int_eq(blockz_disk_write(served.disk, served.image.data + MIB, 5 * KIB, MIB, &served.fault), BLOCKZ_OK);
	served_close(&served);
	assert_file_is_right(&served);
	served_free(&served);
}
END_TEST

/* ---- A store that fails while threads are at work ---- */

/* A store in memory, one operation at a time. */
struct locked_store {
	struct memory_store memory;
	struct blockz_store inner;
	pthread_mutex_t lock;
};

#define LOCKED(call)                                  \
	struct locked_store *self = ctx;              \
	pthread_mutex_lock(&self->lock);              \
	int error = self->inner.ops->call;            \
	pthread_mutex_unlock(&self->lock);            \
	return error

static int locked_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	LOCKED(read(self->inner.ctx, buf, len, off, got_ret));
}

static int locked_write(void *ctx, const void *buf, size_t len, uint64_t off)
{
	LOCKED(write(self->inner.ctx, buf, len, off));
}

static int locked_sync(void *ctx)
{
	LOCKED(sync(self->inner.ctx));
}

static int locked_create(void *ctx, uint64_t len)
{
	LOCKED(journal_create(self->inner.ctx, len));
}

static int locked_journal_write(void *ctx, const void *buf, size_t len, uint64_t off)
{
	LOCKED(journal_write(self->inner.ctx, buf, len, off));
}

static int locked_publish(void *ctx)
{
	LOCKED(journal_publish(self->inner.ctx));
}

static int locked_journal_sync(void *ctx)
{
	LOCKED(journal_sync(self->inner.ctx));
}

static int locked_discard(void *ctx)
{
	LOCKED(journal_discard(self->inner.ctx));
}

static int locked_find(void *ctx, uint64_t *len_ret)
{
	LOCKED(journal_find(self->inner.ctx, len_ret));
}

static int locked_remove(void *ctx)
{
	LOCKED(journal_remove(self->inner.ctx));
}

static void *write_until_it_fails(void *ctx)
{
	struct disk_thread *self = ctx;
	uint64_t off = 0;
	size_t len = 0;
	uint8_t bytes[PAGE] = { 1, 2, 3 };
	for (unsigned i = 0; i < 60; i++) {
		if (choose_write(self, &off, &len))
			blockz_disk_write(self->served->disk, bytes, len, off, NULL);
		if (i % 8 == self->number)
			blockz_disk_flush(self->served->disk, NULL);
	}
	return NULL;
}

START_TEST(threads_meet_a_store_that_fails)
{
	static const struct blockz_store_ops ops = {
		.read = locked_read, .write = locked_write, .sync = locked_sync, .journal_create = locked_create,
		.journal_write = locked_journal_write, .journal_publish = locked_publish,
		.journal_sync = locked_journal_sync, .journal_discard = locked_discard, .journal_find = locked_find,
		.journal_remove = locked_remove,
	};
	struct served served;
	served_prepare_variant(&served, &served_variants[_i]);
	struct bytes file = served_file(&served), room = bytes_new(SERVED_LEN);
	size_t refused = 0, len = 0;
	for (size_t n = 12; n < 300; n += 1 + n / 4) {
		const struct blockz_disk_options options = { .cache = SERVED_CACHE, .commit = n % 2 ? BLOCKZ_COMMIT_FLUSH : 0 };
		struct locked_store locked = { .lock = PTHREAD_MUTEX_INITIALIZER };
		struct disk_thread threads[4];
		memory_store_init(&locked.memory, file.data, file.len);
		locked.inner = memory_store(&locked.memory);
		struct blockz_store store = { &ops, &locked, locked.inner.size, locked.inner.identity, NULL };
		ck_assert_int_eq(blockz_disk_open(&store, &options, &served.disk, NULL), BLOCKZ_OK);
		locked.memory.fail_at = locked.memory.step_count + n;
		locked.memory.fail_from_then_on = true;
		for (unsigned i = 0; i < 4; i++) /* before the store draws numbers in other threads */
			threads[i] = (struct disk_thread){ .served = &served, .number = i, .count = 4, .seed = rnd() | 1 };
		for (unsigned i = 0; i < 4; i++)
			ck_assert_int_eq(pthread_create(&threads[i].thread, NULL, write_until_it_fails, &threads[i]), 0);
		for (unsigned i = 0; i < 4; i++)
			pthread_join(threads[i].thread, NULL);
		refused += !blockz_disk_is_writable(served.disk);
		if (blockz_disk_is_writable(served.disk))
			locked.memory.fail_at = locked.memory.step_count + 1;
		ck_assert_int_eq(blockz_disk_flush(served.disk, &served.fault), BLOCKZ_FAILED);
		ck_assert(!blockz_disk_is_writable(served.disk));
		ck_assert_int_eq(blockz_disk_close(served.disk, &served.fault), BLOCKZ_FAILED);
		ck_assert(!memory_store_has_journal(&locked.memory) ||
			  served.fault.state == BLOCKZ_IMAGE_NEEDS_RECOVERY);
		memory_store_cut(&locked.memory, STORE_CUT_RANDOM);
		memory_store_reopen(&locked.memory);
		enum blockz_recovery recovery;
		ck_assert_int_eq(blockz_recover(&locked.inner, BLOCKZ_REMEDY_RECOVER, &recovery, &served.fault), BLOCKZ_OK);
		struct bytes found = { locked.memory.file.seen, locked.memory.file.size };
		ck_assert(judge(served.format, found, room, &len) && len == SERVED_LEN);
		memory_store_free(&locked.memory);
	}
	ck_assert_uint_gt(refused, 0);
	served_free(&served);
}
END_TEST

/* ---- Files of others ---- */

/* Stored blocks between compressed ones, in one piece that all of it decodes from. */
START_TEST(raw_bytes_in_a_compressed_piece_of_gzip_can_be_written)
{
	struct served served;
	struct bytes image = image_new(IMAGE_TEXT, 600 * KIB);
	struct zlib_file *file = zlib_begin(6, Z_DEFAULT_STRATEGY, image.len);
	zlib_put(file, image.data, 200 * KIB, Z_NO_FLUSH);
	zlib_level(file, 0);
	zlib_put(file, image.data + 200 * KIB, 150 * KIB, Z_NO_FLUSH);
	zlib_level(file, 6);
	zlib_put(file, image.data + 350 * KIB, 250 * KIB, Z_FINISH);
	served_prepare(&served, "gzip", image, zlib_end(file));
	served_start(&served, BLOCKZ_COMMIT_CLOSE);
	struct blockz_map_range range;
	size_t written = 0;
	for (uint64_t off = 0; blockz_map_range_at(blockz_disk_map(served.disk), off, &range); off = range.end) {
		size_t len = (size_t)(range.end - range.start);
		if (!range.patchable)
			continue;
		assert_served(&served);
		complement(image, (struct blockz_range){ range.start, range.end });
		ck_assert_int_eq(blockz_disk_write(served.disk, image.data + range.start, len, range.start, &served.fault),
				 BLOCKZ_OK);
		written += len;
	}
	ck_assert_uint_gt(written, 0);
	assert_served(&served);
	served_close(&served);
	assert_file_is_right(&served);
	served_free(&served);
}
END_TEST

int main(void)
{
	TCase *c = case_new("disk");
	tcase_add_loop_test(c, threads_read_and_write_as_in_an_array, 0, SERVED_VARIANTS);
	tcase_add_loop_test(c, a_flush_commits_if_asked, 0, SERVED_VARIANTS);
	tcase_add_test(c, a_disk_left_alone_commits);
	tcase_add_loop_test(c, threads_meet_a_store_that_fails, 0, SERVED_VARIANTS);
	tcase_add_test(c, raw_bytes_in_a_compressed_piece_of_gzip_can_be_written);
	return case_run("disk", c);
}
