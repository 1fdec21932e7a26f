/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads that meet in one page, or in a store that stands still. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "blockz_pages.h"
#include "images.h"
#include "pagestore/snapshot.h"

enum { PAGE = 32 * KIB, SECTOR = 4 * KIB, READERS = 2, SIZE = 8 * MIB };

static struct blockz_pages *pages;
static atomic_bool ended;
static atomic_int wrong;

static void expect(bool good)
{
	if (!good)
		atomic_fetch_add(&wrong, 1);
}

static void open_pages(enum blockz_pages_layout layout, uint64_t cache)
{
	const struct blockz_pages_options options = { .size = SIZE, .layout = layout, .cache = cache, .level = -1 };
	ck_assert_int_eq(blockz_pages_new(&options, &pages, NULL), BLOCKZ_OK);
}

static void run_with_readers(void *(*read)(void *), void (*write)(void))
{
	pthread_t threads[READERS];
	for (int i = 0; i < READERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, read, NULL), 0);
	write();
	ended = true;
	for (int i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(wrong, 0);
	blockz_pages_free(pages);
}

/* ---- A page is its old bytes or its new ones, whatever it is kept as ---- */

enum { CONTENTS = 3, ROUNDS = 2000 };

static uint8_t contents[CONTENTS][PAGE]; /* text, noise, zeros */

static void *read_whole(void *ctx)
{
	(void)ctx;
	uint8_t found[PAGE];
	while (!ended) {
		bool known = false;
		expect(blockz_pages_read(pages, found, PAGE, 0, NULL) == BLOCKZ_OK);
		for (int i = 0; i < CONTENTS; i++)
			known = known || memcmp(found, contents[i], PAGE) == 0;
		expect(known);
	}
	return NULL;
}

static void write_whole(void)
{
	for (int i = 0; i < ROUNDS / (few_rounds ? 4 : 1); i++)
		expect(blockz_pages_write(pages, contents[i % CONTENTS], PAGE, 0, NULL) == BLOCKZ_OK);
}

START_TEST(a_page_is_old_or_new)
{
	memcpy(contents[0], image_new(IMAGE_TEXT, PAGE).data, PAGE);
	memcpy(contents[1], image_new(IMAGE_NOISE, PAGE).data, PAGE);
	open_pages((enum blockz_pages_layout)_i, BLOCKZ_PAGES_CACHE_DEFAULT);
	run_with_readers(read_whole, write_whole);
}
END_TEST

/* ---- What was written is read, though others read what was before it ---- */

static void *read_other(void *ctx)
{
	(void)ctx;
	uint8_t found[SECTOR];
	while (!ended) {
		expect(blockz_pages_read(pages, found, SECTOR, 0, NULL) == BLOCKZ_OK);
		expect(memcmp(found, contents[0], SECTOR) == 0);
	}
	return NULL;
}

static void write_and_read(void)
{
	uint8_t bytes[SECTOR], found[SECTOR];
	for (int i = 0; i < ROUNDS / (few_rounds ? 4 : 1); i++) {
		memset(bytes, i, SECTOR);
		expect(blockz_pages_write(pages, bytes, SECTOR, SECTOR, NULL) == BLOCKZ_OK);
		/* Another page takes the view, so that the readers decode again. */
		expect(blockz_pages_read(pages, found, SECTOR, SIZE / 2, NULL) == BLOCKZ_OK);
		expect(blockz_pages_read(pages, found, SECTOR, SECTOR, NULL) == BLOCKZ_OK);
		expect(memcmp(found, bytes, SECTOR) == 0);
	}
}

START_TEST(no_reader_brings_old_bytes_back)
{
	memcpy(contents[0], image_new(IMAGE_TEXT, PAGE).data, PAGE);
	open_pages(BLOCKZ_PAGES_COMPRESSED, _i == 0 ? 0 : 32 * KIB);
	ck_assert_int_eq(blockz_pages_write(pages, contents[0], PAGE, 0, NULL), BLOCKZ_OK);
	ck_assert_int_eq(blockz_pages_write(pages, contents[0], PAGE, SIZE / 2, NULL), BLOCKZ_OK);
	run_with_readers(read_other, write_and_read);
}
END_TEST

/* ---- Snapshots ---- */

static atomic_int written;

static void *write_on(void *ctx)
{
	uint8_t bytes[PAGE];
	for (uint32_t i = 0; !ended; i++) {
		memset(bytes, 1 + (int)(i % 200), PAGE);
		uint64_t off = (uint64_t)(uintptr_t)ctx + (uint64_t)i * 5 * SECTOR % (SIZE - PAGE);
		expect(blockz_pages_write(pages, bytes, i % 3 == 0 ? PAGE : SECTOR, off / SECTOR * SECTOR, NULL) == BLOCKZ_OK);
		atomic_fetch_add(&written, 1);
	}
	return NULL;
}

/* A page as snapshot_read() has it, by its kind too. */
static void check_snapshot(uint64_t page, const uint8_t *image)
{
	enum snapshot_kind kind;
	uint64_t count;
	uint8_t found[PAGE];
	struct buffer frame = { 0 };
	size_t len;
	ck_assert_int_eq(snapshot_run(pages, page, &kind, &count, NULL), BLOCKZ_OK);
	ck_assert_uint_ge(count, 1);
	ck_assert_uint_le(count, SIZE / PAGE - page);
	ck_assert_int_eq(blockz_pages_read(pages, found, PAGE, page * PAGE, NULL), BLOCKZ_OK);
	ck_assert_int_eq(memcmp(found, image + page * PAGE, PAGE), 0);
	if (kind == SNAPSHOT_ZERO)
		ck_assert(bytes_are_zero(image + page * PAGE, (size_t)count * PAGE));
	if (kind != SNAPSHOT_FRAME)
		return;
	ck_assert_int_eq(snapshot_frame(pages, page, &frame, &len, NULL), BLOCKZ_OK);
	struct blockz_pages_info info = blockz_pages_info(pages);
	ck_assert_uint_gt(info.compressed_pages, 0);
	ck_assert_uint_ge(len, 1);
	ck_assert_uint_le(len, PAGE);
	buffer_free(&frame);
}

START_TEST(a_snapshot_stands_still)
{
	pthread_t writers[READERS];
	uint8_t *image = keep(SIZE);
	open_pages(BLOCKZ_PAGES_COMPRESSED, MIB);
	for (uintptr_t i = 0; i < READERS; i++)
		ck_assert_int_eq(pthread_create(&writers[i], NULL, write_on, (void *)(i * PAGE)), 0);
	for (int turn = 0; turn < 5; turn++) {
		int before = written;
		while (written < before + 50)
			sched_yield();
		snapshot_begin(pages);
		for (uint64_t page = 0; page < SIZE / PAGE; page++)
			ck_assert_int_eq(snapshot_read(pages, page * PAGE, (page + 1) * PAGE, image + page * PAGE, NULL), BLOCKZ_OK);
		for (uint64_t page = 0; page < SIZE / PAGE; page++)
			check_snapshot(page, image);
		snapshot_end(pages);
	}
	ended = true;
	for (int i = 0; i < READERS; i++)
		pthread_join(writers[i], NULL);
	ck_assert_int_eq(wrong, 0);
	blockz_pages_free(pages);
}
END_TEST

int main(void)
{
	TCase *c = case_new("pagestore_race");
	tcase_add_loop_test(c, a_page_is_old_or_new, 0, 3);
	tcase_add_loop_test(c, no_reader_brings_old_bytes_back, 0, 2);
	tcase_add_test(c, a_snapshot_stands_still);
	return case_run("pagestore_race", c);
}
