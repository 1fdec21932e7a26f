/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An image in use as a disk, against a plain array: threads read, write and flush at random, the file is decoded by
 * others, and what the disk refuses leaves everything as it was.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blockz_disk.h"
#include "foreign.h"
#include "format/gzip/layout.h"
#include "images.h"
#include "range/map.h"
#include "stores.h"

enum { LEN = 5 * MIB + 12345, PIECE = 256 * KIB, CACHE = MIB, THREADS_MAX = 8 };

#define NAME "disk"
#define JOURNAL "." NAME ".blockz-journal"

static const struct blockz_range raw[] = { { 0, 5000 }, { 70 * KIB + 11, 3 * MIB + 77 }, { LEN - 12000, LEN } };
enum { RAWS = sizeof(raw) / sizeof(raw[0]) };

/* A file in a directory of its own, open as a disk, and the image that it should have. */
struct served {
	const char *format;
	char path[64];
	int dir;
	struct bytes image;
	struct blockz_store store;
	struct blockz_disk *disk;
	struct blockz_fault fault;
};

static struct bytes read_whole(const struct served *self)
{
	int fd = openat(self->dir, NAME, O_RDONLY);
	struct stat st;
	ck_assert(fd >= 0 && fstat(fd, &st) == 0);
	struct bytes file = bytes_new((size_t)st.st_size);
	ck_assert_int_eq(read(fd, file.data, file.len), (ssize_t)file.len);
	close(fd);
	return file;
}

static void write_whole(const struct served *self, struct bytes file)
{
	int fd = openat(self->dir, NAME, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert(fd >= 0);
	ck_assert_int_eq(write(fd, file.data, file.len), (ssize_t)file.len);
	close(fd);
}

static bool has_journal(const struct served *self)
{
	return faccessat(self->dir, JOURNAL, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void prepare(struct served *self, const char *format, struct bytes image, struct bytes file)
{
	*self = (struct served){ .format = format, .image = image };
	strcpy(self->path, "/tmp/blockz-disk-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(self->path));
	self->dir = open(self->path, O_RDONLY | O_DIRECTORY);
	write_whole(self, file);
}

static enum blockz_status open_disk(struct served *self, enum blockz_store_mode mode, enum blockz_commit commit)
{
	const struct blockz_disk_options options = { .cache = CACHE, .commit = commit };
	ck_assert_int_eq(blockz_store_open(self->dir, NAME, mode, &self->store, &self->fault), BLOCKZ_OK);
	enum blockz_status status = blockz_disk_open(&self->store, &options, &self->disk, &self->fault);
	if (status != BLOCKZ_OK)
		blockz_store_close(&self->store);
	return status;
}

static void serve(struct served *self, enum blockz_commit commit)
{
	enum blockz_status status = open_disk(self, BLOCKZ_STORE_WRITE, commit);
	ck_assert_msg(status == BLOCKZ_OK, "open: %s", self->fault.text);
	ck_assert(blockz_disk_is_writable(self->disk));
}

static void close_disk(struct served *self)
{
	enum blockz_status status = blockz_disk_close(self->disk, &self->fault);
	ck_assert_msg(status == BLOCKZ_OK, "close: %s", self->fault.text);
	blockz_store_close(&self->store);
	ck_assert(!has_journal(self));
}

static void finish(struct served *self)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", self->path);
	ck_assert_int_eq(system(command), 0);
	close(self->dir);
}

static void assert_file_is_right(struct served *self)
{
	struct bytes file = read_whole(self);
	assert_decodes(self->format, file, self->image);
	assert_verifies(file);
}

static void assert_served(struct served *self)
{
	struct bytes found = bytes_new(self->image.len);
	ck_assert_int_eq(blockz_disk_read(self->disk, found.data, found.len, 0, &self->fault), BLOCKZ_OK);
	assert_bytes(found, self->image);
}

/* ---- What is served ---- */

struct variant {
	const char *format, *check;
	bool no_index;
};

static const struct variant variants[] = {
	{ "gzip", NULL, false }, { "gzip", NULL, true }, { "xz", "crc32", false },  { "xz", "crc64", false },
	{ "xz", "sha256", false }, { "xz", "none", false }, { "zstd", NULL, false },
};
enum { VARIANTS = sizeof(variants) / sizeof(variants[0]) };

static struct bytes image_with_zeros(void)
{
	struct bytes image = image_new(IMAGE_DISK, LEN);
	memset(image.data + 3 * MIB + 256 * KIB, 0, MIB);
	return image;
}

static void prepare_image(struct served *self, const struct variant *variant, struct bytes image)
{
	struct blockz_pack_options options = {
		.check = variant->check, .piece_size = PIECE, .raw = raw, .raw_count = RAWS, .no_index = variant->no_index,
	};
	prepare(self, variant->format, image, pack_image(format_named(variant->format), image, options, NULL));
}

static void prepare_variant(struct served *self, const struct variant *variant)
{
	prepare_image(self, variant, image_with_zeros());
}

/* ---- The model ---- */

/* Each thread writes to pages of its own, so that it knows what it reads; they share units, pieces and the cache. */
enum { PAGE = 4096 };

struct thread {
	struct served *served;
	unsigned number, count;
	uint64_t seed;
	pthread_t thread;
	const char *failure;
};

static uint64_t next(struct thread *self)
{
	self->seed ^= self->seed << 13;
	self->seed ^= self->seed >> 7;
	self->seed ^= self->seed << 17;
	return self->seed;
}

/* Part of one page of the thread's; false if none of it is raw. */
static bool choose_write(struct thread *self, uint64_t *off, size_t *len)
{
	const struct blockz_range *range = &raw[next(self) % RAWS];
	uint64_t pages = (range->end + PAGE - 1) / PAGE - range->start / PAGE;
	uint64_t page = range->start / PAGE + next(self) % pages;
	page -= page % self->count;
	page += self->number;
	uint64_t start = page * PAGE + next(self) % PAGE, end = (page + 1) * PAGE;
	start = start < range->start ? range->start : start;
	end = end > range->end ? range->end : end;
	if (start >= end)
		return false;
	*off = start;
	*len = (size_t)(1 + next(self) % (end - start));
	return true;
}

static void write_some(struct thread *self)
{
	struct served *served = self->served;
	uint64_t off = 0;
	size_t len = 0;
	uint8_t bytes[PAGE];
	if (!choose_write(self, &off, &len))
		return;
	bool zeros = next(self) % 8 == 0;
	for (size_t i = 0; i < len; i++)
		bytes[i] = zeros ? 0 : (uint8_t)next(self);
	if (blockz_disk_write(served->disk, zeros ? NULL : bytes, len, off, NULL) != BLOCKZ_OK)
		self->failure = "a write";
	memcpy(served->image.data + off, bytes, len);
}

/* Compares what is not raw, and of the rest the pages that this thread writes to. */
static void read_some(struct thread *self)
{
	struct served *served = self->served;
	uint64_t off = next(self) % LEN;
	size_t len = (size_t)(1 + next(self) % (next(self) % 8 == 0 ? 3 * PIECE : 3 * PAGE));
	len = len < LEN - off ? len : (size_t)(LEN - off);
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

static void *act(void *ctx)
{
	struct thread *self = ctx;
	for (unsigned i = 0; i < (sanitized ? 100 : 300) && self->failure == NULL; i++) {
		uint64_t what = next(self) % 16;
		if (what < 7)
			write_some(self);
		else if (what < 15 || next(self) % 4 != 0)
			read_some(self);
		else if (blockz_disk_flush(self->served->disk, NULL) != BLOCKZ_OK)
			self->failure = "a flush";
	}
	return NULL;
}

static void run_threads(struct served *served, unsigned count)
{
	struct thread threads[THREADS_MAX];
	for (unsigned i = 0; i < count; i++) {
		threads[i] = (struct thread){ .served = served, .number = i, .count = count, .seed = rnd() | 1 };
		ck_assert_int_eq(pthread_create(&threads[i].thread, NULL, act, &threads[i]), 0);
	}
	for (unsigned i = 0; i < count; i++) {
		pthread_join(threads[i].thread, NULL);
		ck_assert_msg(threads[i].failure == NULL, "thread %u of %u: %s", i, count, threads[i].failure);
	}
}

START_TEST(threads_read_and_write_as_in_an_array)
{
	static const unsigned counts[] = { 1, 2, 8 };
	struct served served;
	prepare_variant(&served, &variants[_i]);
	for (int round = 0; round < 6; round++) {
		serve(&served, round % 2 == 0 ? BLOCKZ_COMMIT_CLOSE : BLOCKZ_COMMIT_FLUSH);
		run_threads(&served, counts[round % 3]);
		assert_served(&served);
		close_disk(&served);
		assert_file_is_right(&served);
	}
	finish(&served);
}
END_TEST

/* ---- What is refused ---- */

START_TEST(what_is_not_raw_is_refused_before_any_byte)
{
	static const struct blockz_range cases[] = {
		{ 5000, 5001 }, { 4999, 5001 }, { 6 * KIB, 6 * KIB + 1 }, { 70 * KIB + 10, 70 * KIB + 12 },
		{ 3 * MIB, 3 * MIB + 78 }, { 70 * KIB + 11, LEN }, { LEN - 12001, LEN },
	};
	struct served served;
	struct bytes junk = image_new(IMAGE_NOISE, LEN);
	prepare_image(&served, &variants[_i], image_new(IMAGE_TEXT, LEN)); /* which nobody stores unasked */
	struct bytes before = read_whole(&served);
	serve(&served, BLOCKZ_COMMIT_CLOSE);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = (size_t)(cases[i].end - cases[i].start);
		ck_assert_int_eq(blockz_disk_write(served.disk, junk.data, len, cases[i].start, &served.fault),
				 BLOCKZ_UNSUPPORTED);
		ck_assert_ptr_nonnull(strstr(served.fault.text, "raw range"));
	}
	ck_assert_int_eq(blockz_disk_write(served.disk, junk.data, 2, LEN - 1, &served.fault), BLOCKZ_USAGE);
	ck_assert_int_eq(blockz_disk_write(served.disk, junk.data, 2, UINT64_MAX, &served.fault), BLOCKZ_USAGE);
	ck_assert_int_eq(blockz_disk_read(served.disk, junk.data, 2, LEN - 1, &served.fault), BLOCKZ_USAGE);
	ck_assert_int_eq(blockz_disk_read(served.disk, junk.data, 2, UINT64_MAX, &served.fault), BLOCKZ_USAGE);
	ck_assert_int_eq(blockz_disk_write(served.disk, junk.data, 0, LEN, &served.fault), BLOCKZ_OK);
	ck_assert(blockz_disk_is_writable(served.disk) && !has_journal(&served));
	close_disk(&served);
	assert_bytes(read_whole(&served), before);
	finish(&served);
}
END_TEST

START_TEST(a_store_without_a_journal_is_read_only)
{
	static const enum blockz_store_mode modes[] = { BLOCKZ_STORE_READ, BLOCKZ_STORE_WRITE_UNJOURNALLED };
	struct served served;
	prepare_variant(&served, &variants[0]);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(open_disk(&served, modes[i], BLOCKZ_COMMIT_CLOSE), BLOCKZ_OK);
		ck_assert(!blockz_disk_is_writable(served.disk));
		ck_assert_int_eq(blockz_disk_write(served.disk, "x", 1, 0, &served.fault), BLOCKZ_UNSUPPORTED);
		ck_assert_int_eq(blockz_disk_flush(served.disk, &served.fault), BLOCKZ_OK);
		assert_served(&served);
		close_disk(&served);
	}
	finish(&served);
}
END_TEST

/* A single piece, as others write it. */
START_TEST(a_piece_larger_than_the_cache_is_refused)
{
	struct served served;
	struct bytes image = image_with_zeros();
	prepare(&served, "gzip", image, zlib_pack(image, 6, Z_DEFAULT_STRATEGY));
	ck_assert_int_eq(open_disk(&served, BLOCKZ_STORE_WRITE, BLOCKZ_COMMIT_CLOSE), BLOCKZ_LIMIT);
	ck_assert_uint_lt(served.fault.offset, 64);
	finish(&served);
}
END_TEST

/* ---- Damage ---- */

static uint64_t file_off_of(struct bytes file, uint64_t off)
{
	struct blockz_map *map = map_of(bytes_source(file), false);
	struct blockz_extent extent;
	ck_assert(blockz_map_extent_at(map, off, &extent));
	blockz_map_free(map);
	return extent.file_off;
}

/*
 * A bit of a raw range has flipped.  Where a check of its own covers the piece, writing into it is refused; anywhere
 * the file stays as damaged as it was, whatever else is written.
 */
START_TEST(damage_is_never_laundered)
{
	const struct variant *variant = &variants[_i];
	struct served served;
	size_t len = 0;
	prepare_variant(&served, variant);
	struct bytes file = read_whole(&served), found = bytes_new(LEN);
	file.data[file_off_of(file, 2 * MIB + 5)] ^= 8;
	write_whole(&served, file);
	serve(&served, BLOCKZ_COMMIT_FLUSH);
	enum blockz_status status = blockz_disk_write(served.disk, "y", 1, 2 * MIB + 9000, &served.fault);
	bool has_none = variant->check != NULL && strcmp(variant->check, "none") == 0;
	ck_assert_int_eq(status, variant->no_index || has_none ? BLOCKZ_OK : BLOCKZ_DAMAGED);
	ck_assert_int_eq(blockz_disk_write(served.disk, "z", 1, 0, &served.fault), BLOCKZ_OK);
	ck_assert_int_eq(blockz_disk_write(served.disk, "z", 1, LEN - 1, &served.fault), BLOCKZ_OK);
	ck_assert_int_eq(blockz_disk_flush(served.disk, &served.fault), BLOCKZ_OK);
	close_disk(&served);
	ck_assert_int_eq(judge(variant->format, read_whole(&served), found, &len), has_none);
	finish(&served);
}
END_TEST

/* A piece that the index calls zero is not: it is neither read as zeros nor reported as such. */
START_TEST(an_index_that_lies_about_zeros_is_found_out)
{
	const size_t piece = (size_t)1 << INDEX_PIECE_LOG_MIN;
	struct served served;
	struct bytes image = bytes_new(2 * piece);
	struct deflate_data data = { .room = 0 };
	size_t half = 0;
	image.data[7] = 1;
	for (size_t pos = 0; pos < image.len; pos += 32 * KIB) {
		half = pos == piece ? data.bytes.len : half;
		deflate_append_stored(&data, image.data + pos, 32 * KIB, false);
		deflate_append_stored(&data, "", 0, false);
	}
	const struct index_claim claims[] = { { INDEX_ZERO, half, 1 }, { INDEX_DATA, data.bytes.len - half, 0 } };
	deflate_append(&data, "\3", 2);
	prepare(&served, "gzip", image, gzip_indexed(data.bytes, image, claims, 2, NULL, 0));
	serve(&served, BLOCKZ_COMMIT_CLOSE);
	uint8_t byte = 9;
	bool zeros;
	uint64_t len;
	ck_assert_int_eq(blockz_map_info(blockz_disk_map(served.disk)).index, BLOCKZ_INDEX_HEADER);
	ck_assert_int_eq(blockz_disk_read(served.disk, &byte, 1, 100, &served.fault), BLOCKZ_DAMAGED);
	ck_assert_int_eq(blockz_disk_extent(served.disk, 5, 100, &zeros, &len, &served.fault), BLOCKZ_DAMAGED);
	ck_assert_int_eq(blockz_disk_read(served.disk, &byte, 1, piece + 5, &served.fault), BLOCKZ_OK);
	close_disk(&served);
	finish(&served);
}
END_TEST

/* ---- Extents ---- */

START_TEST(extents_are_zeros_only_where_that_is_proved)
{
	struct served served;
	uint64_t zeros_found = 0;
	prepare_variant(&served, &variants[_i]);
	serve(&served, BLOCKZ_COMMIT_CLOSE);
	for (uint64_t off = 0, len; off < LEN; off += len) {
		bool zeros = false;
		uint64_t asked = off % 3 == 0 ? LEN - off : (LEN - off < 100 * KIB ? LEN - off : 100 * KIB);
		ck_assert_int_eq(blockz_disk_extent(served.disk, off, asked, &zeros, &len, &served.fault), BLOCKZ_OK);
		ck_assert(len > 0 && len <= asked);
		if (!zeros)
			continue;
		zeros_found += len;
		ck_assert(bytes_are_zero(served.image.data + off, (size_t)len));
		for (size_t i = 0; i < RAWS; i++)
			ck_assert(off >= raw[i].end || off + len <= raw[i].start);
	}
	/* A scan of a gzip file does not look for zeros, and without a check nothing suggests them. */
	bool known = !variants[_i].no_index && (variants[_i].check == NULL || strcmp(variants[_i].check, "none") != 0);
	if (known)
		ck_assert_uint_ge(zeros_found, MIB);
	bool zeros;
	uint64_t len;
	ck_assert_int_eq(blockz_disk_extent(served.disk, LEN, 1, &zeros, &len, &served.fault), BLOCKZ_USAGE);
	close_disk(&served);
	finish(&served);
}
END_TEST

/* ---- Commits ---- */

START_TEST(a_flush_commits_if_asked)
{
	struct served served;
	prepare_variant(&served, &variants[_i]);
	serve(&served, BLOCKZ_COMMIT_FLUSH);
	for (size_t i = 0; i < 3; i++) {
		memset(served.image.data + MIB, (int)i + 1, 5 * KIB);
		ck_assert_int_eq(blockz_disk_write(served.disk, served.image.data + MIB, 5 * KIB, MIB, &served.fault),
				 BLOCKZ_OK);
		ck_assert_int_eq(blockz_disk_flush(served.disk, &served.fault), BLOCKZ_OK);
		ck_assert(!has_journal(&served));
		assert_file_is_right(&served);
	}
	close_disk(&served);
	finish(&served);
}
END_TEST

START_TEST(a_disk_left_alone_commits)
{
	struct served served;
	prepare_variant(&served, &variants[0]);
	serve(&served, BLOCKZ_COMMIT_CLOSE);
	memset(served.image.data + MIB, 77, 5 * KIB);
	ck_assert_int_eq(blockz_disk_write(served.disk, served.image.data + MIB, 5 * KIB, MIB, &served.fault), BLOCKZ_OK);
	ck_assert(has_journal(&served));
	while (has_journal(&served)) /* or until the test's time is over */
		usleep(100000);
	assert_file_is_right(&served);
	memset(served.image.data + MIB, 78, 5 * KIB);
	ck_assert_int_eq(blockz_disk_write(served.disk, served.image.data + MIB, 5 * KIB, MIB, &served.fault), BLOCKZ_OK);
	close_disk(&served);
	assert_file_is_right(&served);
	finish(&served);
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
	struct thread *self = ctx;
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
	prepare_variant(&served, &variants[_i]);
	struct bytes file = read_whole(&served), room = bytes_new(LEN);
	size_t refused = 0, len = 0;
	for (size_t n = 12; n < 300; n += 1 + n / 4) {
		const struct blockz_disk_options options = { .cache = CACHE, .commit = n % 2 ? BLOCKZ_COMMIT_FLUSH : 0 };
		struct locked_store locked = { .lock = PTHREAD_MUTEX_INITIALIZER };
		struct thread threads[4];
		memory_store_init(&locked.memory, file.data, file.len);
		locked.inner = memory_store(&locked.memory);
		struct blockz_store store = { &ops, &locked, locked.inner.size, locked.inner.identity, NULL };
		ck_assert_int_eq(blockz_disk_open(&store, &options, &served.disk, NULL), BLOCKZ_OK);
		locked.memory.fail_at = locked.memory.step_count + n;
		locked.memory.fail_from_then_on = true;
		for (unsigned i = 0; i < 4; i++) /* before the store draws numbers in other threads */
			threads[i] = (struct thread){ .served = &served, .number = i, .count = 4, .seed = rnd() | 1 };
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
		ck_assert(judge(served.format, found, room, &len) && len == LEN);
		memory_store_free(&locked.memory);
	}
	ck_assert_uint_gt(refused, 0);
	finish(&served);
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
	prepare(&served, "gzip", image, zlib_end(file));
	serve(&served, BLOCKZ_COMMIT_CLOSE);
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
	close_disk(&served);
	assert_file_is_right(&served);
	finish(&served);
}
END_TEST

int main(void)
{
	TCase *c = case_new("disk");
	tcase_add_loop_test(c, threads_read_and_write_as_in_an_array, 0, VARIANTS);
	tcase_add_loop_test(c, what_is_not_raw_is_refused_before_any_byte, 0, VARIANTS);
	tcase_add_test(c, a_store_without_a_journal_is_read_only);
	tcase_add_test(c, a_piece_larger_than_the_cache_is_refused);
	tcase_add_loop_test(c, damage_is_never_laundered, 0, VARIANTS);
	tcase_add_test(c, an_index_that_lies_about_zeros_is_found_out);
	tcase_add_loop_test(c, extents_are_zeros_only_where_that_is_proved, 0, VARIANTS);
	tcase_add_loop_test(c, a_flush_commits_if_asked, 0, VARIANTS);
	tcase_add_test(c, a_disk_left_alone_commits);
	tcase_add_loop_test(c, threads_meet_a_store_that_fails, 0, VARIANTS);
	tcase_add_test(c, raw_bytes_in_a_compressed_piece_of_gzip_can_be_written);
	return case_run("disk", c);
}
