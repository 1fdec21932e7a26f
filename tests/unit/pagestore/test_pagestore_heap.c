/* SPDX-License-Identifier: BSD-3-Clause */
/* The heap of the page store against a model that keeps each string. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "memory.h"
#include "pagestore/heap.h"
#include "pagestore/page_storage.h"
#include "random.h"

enum { STRINGS = 400 };

/* What was taken; bytes NULL: nothing. */
struct string {
	uint8_t *bytes;
	size_t len;
	uint32_t first;
};

static struct string strings[STRINGS];

static void take(struct heap *heap, struct string *string, size_t len)
{
	ck_assert_int_eq(heap_take(heap, len, &string->first, NULL), BLOCKZ_OK);
	string->len = len;
	string->bytes = malloc(len);
	ck_assert_ptr_nonnull(string->bytes);
	rnd_fill(string->bytes, len);
	heap_put(heap, string->first, 0, string->bytes, len);
}

static void give(struct heap *heap, struct string *string)
{
	heap_give(heap, string->first);
	free(string->bytes);
	*string = (struct string){ 0 };
}

static void put_part(struct heap *heap, struct string *string)
{
	size_t off = (size_t)rnd_below(string->len), len = (size_t)rnd_below(string->len - off + 1);
	bool zeros = rnd_below(4) == 0;
	if (zeros)
		memset(string->bytes + off, 0, len);
	else
		rnd_fill(string->bytes + off, len);
	heap_put(heap, string->first, off, zeros ? NULL : string->bytes + off, len);
}

static void check(const struct heap *heap, const struct string *string)
{
	static uint8_t found[HEAP_LEN_MAX];
	size_t off = (size_t)rnd_below(string->len), len = (size_t)rnd_below(string->len - off + 1);
	heap_get(heap, string->first, off, found, len);
	ck_assert_mem_eq(found, string->bytes + off, len);
	const uint8_t *looked = heap_look(heap, string->first, string->len);
	if (looked != NULL)
		ck_assert_mem_eq(looked, string->bytes, string->len);
}

/* From a byte to the longest, short ones more often. */
static size_t random_len(void)
{
	static const size_t limits[] = { 20, 300, 10000, 40000, HEAP_LEN_MAX };
	return 1 + (size_t)rnd_below(limits[rnd_below(5)]);
}

START_TEST(strings_keep_their_bytes)
{
	struct memory memory = { 0 };
	struct heap *heap = heap_new(&memory);
	ck_assert_ptr_nonnull(heap);
	for (int round = 0; round < (few_rounds ? 5000 : 30000); round++) {
		struct string *string = &strings[rnd_below(STRINGS)];
		if (string->bytes == NULL)
			take(heap, string, random_len());
		else if (rnd_below(3) == 0)
			give(heap, string);
		else
			put_part(heap, string);
		if (string->bytes != NULL)
			check(heap, string);
		if (rnd_below(50) == 0)
			heap_trim(heap);
	}
	for (size_t i = 0; i < STRINGS; i++)
		if (strings[i].bytes != NULL) {
			check(heap, &strings[i]);
			give(heap, &strings[i]);
		}
	heap_free(heap);
	ck_assert_uint_eq(memory.used, 0);
	ck_assert_uint_gt(memory.peak, 0);
}
END_TEST

/* ---- What it costs ---- */

/* Lengths of pages of 32 KiB of programs and libraries, compressed: a tenth of them is shorter than the first, and so on. */
static size_t page_len(void)
{
	static const size_t tenths[] = { 1500, 4500, 7500, 9500, 11500, 13000, 14500, 16500, 19500, 32768 };
	size_t tenth = (size_t)rnd_below(10), from = tenth == 0 ? 30 : tenths[tenth - 1];
	return from + (size_t)rnd_below(tenths[tenth] - from + 1);
}

enum { PAGES = 2000, ROUNDS = 10 };

struct page {
	uint32_t first;
	size_t len;
};

static void take_page(struct heap *heap, struct page *page, uint64_t *sum)
{
	static uint8_t zeros[HEAP_LEN_MAX];
	struct page taken = { .len = page_len() };
	ck_assert_int_eq(heap_take(heap, taken.len, &taken.first, NULL), BLOCKZ_OK);
	heap_put(heap, taken.first, 0, zeros, taken.len);
	*page = taken;
	*sum += taken.len;
}

static struct page *fill(struct heap *heap, uint64_t *sum)
{
	struct page *pages = keep(PAGES * sizeof(*pages));
	for (size_t i = 0; i < PAGES; i++)
		take_page(heap, &pages[i], sum);
	return pages;
}

/* New pages before old ones are given back, as in a store. */
static void overwrite(struct heap *heap, struct page *pages, uint64_t *sum, uint64_t *most)
{
	for (size_t i = 0; i < PAGES * ROUNDS; i++) {
		struct page *page = &pages[rnd_below(PAGES)], old = *page;
		take_page(heap, page, sum);
		heap_give(heap, old.first);
		*sum -= old.len;
		if (*sum > *most)
			*most = *sum;
	}
}

static void give_all(struct heap *heap, const struct page *pages)
{
	for (size_t i = 0; i < PAGES; i++)
		heap_give(heap, pages[i].first);
	heap_trim(heap);
}

START_TEST(little_is_lost)
{
	struct memory memory = { 0 };
	struct heap *heap = heap_new(&memory);
	uint64_t sum = 0;
	struct page *pages = fill(heap, &sum);
	ck_assert_uint_lt(memory.used, sum + sum / 50);
	uint64_t most = sum;
	overwrite(heap, pages, &sum, &most);
	ck_assert_uint_lt(memory.used, most + most / 25);
	give_all(heap, pages);
	ck_assert_uint_lt(memory.used, most / 200);
	/* What was given back is where the heap grows again. */
	for (int round = 0; round < (few_rounds ? 3 : 20); round++)
		give_all(heap, fill(heap, &sum));
	ck_assert_uint_lt(memory.used, most / 200);
	heap_free(heap);
	ck_assert_uint_eq(memory.used, 0);
}
END_TEST

/* How much of a page lies in its first run; to 64 bytes. */
static size_t first_run(const struct heap *heap, const struct page *page)
{
	size_t len = page->len;
	while (len > 64 && heap_look(heap, page->first, len) == NULL)
		len -= 64;
	return len;
}

START_TEST(runs_stay_long)
{
	struct memory memory = { 0 };
	struct heap *heap = heap_new(&memory);
	uint64_t sum = 0, runs = 0;
	struct page *pages = fill(heap, &sum);
	for (size_t i = 0; i < PAGES * 30; i++) {
		struct page *page = &pages[rnd_below(PAGES)], old = *page;
		page->len = (size_t)rnd_below(400) + (old.len > 200 ? old.len - 200 : 1);
		ck_assert_int_eq(heap_take(heap, page->len, &page->first, NULL), BLOCKZ_OK);
		heap_give(heap, old.first);
	}
	for (size_t i = 0; i < PAGES; i++)
		runs += first_run(heap, &pages[i]);
	/* 1550 in fact; 1150 without a reserve, and 420 if runs were taken as they come. */
	ck_assert_uint_gt(runs / PAGES, 1300);
	heap_free(heap);
}
END_TEST

/* Bytes of this process in memory that are no file's. */
static uint64_t resident(void)
{
	unsigned long kib = 0;
	char line[200];
	FILE *file = fopen("/proc/self/status", "r");
	ck_assert_ptr_nonnull(file);
	while (kib == 0 && fgets(line, sizeof(line), file) != NULL)
		sscanf(line, "RssAnon: %lu kB", &kib);
	fclose(file);
	ck_assert_uint_gt(kib, 0);
	return (uint64_t)kib * KIB;
}

static void assert_counted(const struct memory *memory, uint64_t before)
{
	uint64_t found = resident() - before, used = memory->used;
	ck_assert_uint_lt(found < used ? used - found : found - used, MIB / 2);
}

START_TEST(what_is_counted_is_resident)
{
	if (sanitized) /* which takes memory of its own */
		return;
	struct memory memory = { 0 };
	struct heap *heap = heap_new(&memory);
	uint64_t sum = 0, most = 0, before = resident();
	struct page *pages = fill(heap, &sum);
	assert_counted(&memory, before);
	overwrite(heap, pages, &sum, &most);
	assert_counted(&memory, before);
	for (size_t i = 0; i < PAGES; i++)
		if (i % 16 != 0)
			heap_give(heap, pages[i].first);
	heap_trim(heap);
	ck_assert_uint_lt(memory.used, most / 2);
	assert_counted(&memory, before);
	heap_free(heap);
	assert_counted(&memory, before);
}
END_TEST

/* ---- No memory ---- */

/*
 * Takes strings until that fails, which must leave all as it was; then there is room again once one is given back.
 * Returns how many there was room for.
 */
static size_t fill_up(struct heap *heap, enum blockz_status expected)
{
	struct blockz_fault fault = { 0 };
	enum blockz_status status = BLOCKZ_OK;
	size_t count = 0;
	while (count < STRINGS) {
		uint32_t first;
		status = heap_take(heap, 40000, &first, &fault);
		if (status != BLOCKZ_OK)
			break;
		heap_give(heap, first);
		take(heap, &strings[count++], 40000);
	}
	ck_assert_int_eq(status, expected);
	ck_assert_int_eq(fault.status, expected);
	ck_assert_uint_gt(count, 10);
	/* What was not enough is there still. */
	uint32_t rest;
	ck_assert_int_eq(heap_take(heap, 1000, &rest, NULL), BLOCKZ_OK);
	heap_give(heap, rest);
	give(heap, &strings[0]);
	take(heap, &strings[0], 40000);
	for (size_t i = 0; i < count; i++) {
		check(heap, &strings[i]);
		give(heap, &strings[i]);
	}
	return count;
}

START_TEST(the_limit_holds)
{
	struct memory memory = { .max = 2 * MIB };
	struct heap *heap = heap_new(&memory);
	size_t count = fill_up(heap, BLOCKZ_LIMIT);
	/* Nearly full, and no more was counted. */
	ck_assert_uint_le(memory.peak, memory.max);
	ck_assert_uint_gt(memory.peak, memory.max - 64 * KIB);
	ck_assert_uint_eq(fill_up(heap, BLOCKZ_LIMIT), count);
	heap_free(heap);
	ck_assert_uint_eq(memory.used, 0);
}
END_TEST

START_TEST(no_memory_is_no_limit)
{
	if (sanitized) /* which cannot do without */
		return;
	struct memory memory = { .max = 1 << 30 };
	struct heap *heap = heap_new(&memory);
	struct rlimit limit, low;
	ck_assert_int_eq(getrlimit(RLIMIT_DATA, &limit), 0);
	low = limit;
	low.rlim_cur = resident() + 24 * MIB;
	ck_assert_int_eq(setrlimit(RLIMIT_DATA, &low), 0);
	enum blockz_status status = BLOCKZ_OK;
	struct blockz_fault fault = { 0 };
	uint32_t first;
	for (int i = 0; i < 2000 && status == BLOCKZ_OK; i++)
		status = heap_take(heap, 40000, &first, &fault);
	uint64_t used = memory.used;
	ck_assert_int_eq(setrlimit(RLIMIT_DATA, &limit), 0);
	ck_assert_int_eq(status, BLOCKZ_FAILED);
	ck_assert_int_eq(fault.status, BLOCKZ_FAILED);
	ck_assert_uint_lt(used, 32 * MIB);
	ck_assert_int_eq(heap_take(heap, 40000, &first, NULL), BLOCKZ_OK);
	heap_free(heap);
	ck_assert_uint_eq(memory.used, 0);
}
END_TEST

/* ---- Storages ---- */

static void use_storage(struct page_storage *storage, uint64_t page)
{
	uint8_t bytes[4096], found[4096];
	uint32_t first;
	rnd_fill(bytes, sizeof(bytes));
	ck_assert_int_eq(page_storage_take(storage, page, sizeof(bytes), &first, NULL), BLOCKZ_OK);
	page_storage_put(storage, page, first, 0, bytes, sizeof(bytes));
	page_storage_put(storage, page, first, 1000, NULL, 500);
	memset(bytes + 1000, 0, 500);
	page_storage_get(storage, page, first, 0, found, sizeof(found));
	ck_assert_mem_eq(found, bytes, sizeof(bytes));
	ck_assert_mem_eq(page_storage_look(storage, page, first, sizeof(bytes)), bytes, sizeof(bytes));
	page_storage_give(storage, page, first);
	page_storage_trim(storage);
}

START_TEST(storages_are_alike)
{
	struct memory memory = { 0 };
	struct page_storage *heap = page_storage_new_heap(&memory), *storage;
	struct flat_mapping *mapping = NULL;
	use_storage(heap, UINT64_MAX);
	page_storage_free(heap);
	ck_assert_uint_eq(memory.used, 0);
	/* Of 1 TiB, or what 32 bits address, and not a multiple of a page. */
	const uint64_t pages = (uint64_t)1 << (SIZE_MAX > UINT32_MAX ? 28 : 17);
	ck_assert_int_eq(flat_mapping_new(&memory, pages * 4096 - 1, 4096, &mapping, NULL), BLOCKZ_OK);
	storage = page_storage_new_flat(&memory, mapping);
	uint64_t used = memory.used;
	use_storage(storage, 0);
	use_storage(storage, pages - 1);
	ck_assert_uint_eq(memory.used, used);
	page_storage_free(storage);
	flat_mapping_free(mapping);
	ck_assert_uint_eq(memory.used, 0);
}
END_TEST

START_TEST(a_mapping_has_its_limits)
{
	struct memory memory = { .max = 64 * KIB };
	struct blockz_fault fault;
	struct flat_mapping *mapping = NULL;
	ck_assert_int_eq(flat_mapping_new(&memory, INT64_MAX, 4096, &mapping, &fault), BLOCKZ_FAILED);
	ck_assert_ptr_null(mapping);
	ck_assert_uint_eq(memory.used, 0);
	ck_assert_int_eq(flat_mapping_new(&memory, MIB, 4096, &mapping, &fault), BLOCKZ_OK);
	uint64_t page = 0;
	while (flat_mapping_take(mapping, page, &fault) == BLOCKZ_OK)
		memset(flat_mapping_page(mapping, page++), 1, 4096);
	ck_assert_uint_eq(page, 15);
	ck_assert_int_eq(fault.status, BLOCKZ_LIMIT);
	ck_assert_int_eq(flat_mapping_lock(mapping, &fault), BLOCKZ_LIMIT);
	flat_mapping_give(mapping, 3);
	ck_assert_int_eq(flat_mapping_take(mapping, 3, &fault), BLOCKZ_OK);
	flat_mapping_free(mapping);
	ck_assert_uint_eq(memory.used, 0);
}
END_TEST

START_TEST(a_locked_mapping_is_counted_whole)
{
	struct memory memory = { 0 };
	struct flat_mapping *mapping = NULL;
	ck_assert_int_eq(flat_mapping_new(&memory, 64 * KIB, 4096, &mapping, NULL), BLOCKZ_OK);
	uint64_t used = memory.used;
	ck_assert_int_eq(flat_mapping_take(mapping, 2, NULL), BLOCKZ_OK);
	memset(flat_mapping_page(mapping, 2), 7, 4096);
	enum blockz_status status = flat_mapping_lock(mapping, NULL);
	if (status == BLOCKZ_OK) {
		ck_assert_uint_eq(memory.used, used + 64 * KIB);
		ck_assert_int_eq(flat_mapping_page(mapping, 2)[4095], 7);
		flat_mapping_give(mapping, 2);
		ck_assert_uint_eq(memory.used, used + 64 * KIB);
		ck_assert_int_eq(flat_mapping_take(mapping, 5, NULL), BLOCKZ_OK);
		ck_assert_uint_eq(memory.used, used + 64 * KIB);
	} else {
		/* Whoever may not lock memory is told so, and nothing has changed. */
		ck_assert_uint_eq(memory.used, used + 4096);
	}
	flat_mapping_free(mapping);
	ck_assert_uint_eq(memory.used, 0);
}
END_TEST

START_TEST(contexts_of_zstd_are_counted)
{
	struct memory memory = { .max = 100 * KIB };
	ZSTD_CCtx *cctx = ZSTD_createCCtx_advanced(memory_zstd(&memory));
	ck_assert_ptr_nonnull(cctx);
	static uint8_t in[32768], out[40000];
	ck_assert(ZSTD_isError(ZSTD_compress2(cctx, out, sizeof(out), in, sizeof(in))));
	struct blockz_fault fault;
	ck_assert_int_eq(memory_fault(&memory, 0, &fault), BLOCKZ_LIMIT);
	memory.max = 0;
	ck_assert(!ZSTD_isError(ZSTD_compress2(cctx, out, sizeof(out), in, sizeof(in))));
	ck_assert_uint_gt(memory.used, 100 * KIB);
	ck_assert_uint_ge(memory.used, ZSTD_sizeof_CCtx(cctx));
	ZSTD_freeCCtx(cctx);
	ck_assert_uint_eq(memory.used, 0);
}
END_TEST

int main(void)
{
	TCase *c = case_new("pagestore_heap");
	tcase_add_test(c, strings_keep_their_bytes);
	tcase_add_test(c, little_is_lost);
	tcase_add_test(c, runs_stay_long);
	tcase_add_test(c, what_is_counted_is_resident);
	tcase_add_test(c, the_limit_holds);
	tcase_add_test(c, no_memory_is_no_limit);
	tcase_add_test(c, storages_are_alike);
	tcase_add_test(c, a_mapping_has_its_limits);
	tcase_add_test(c, a_locked_mapping_is_counted_whole);
	tcase_add_test(c, contexts_of_zstd_are_counted);
	return case_run("pagestore_heap", c);
}
