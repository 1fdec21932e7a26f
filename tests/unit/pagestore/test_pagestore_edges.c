/* SPDX-License-Identifier: BSD-3-Clause */
/* The page store: what went wrong once, what memory it takes, its ends, and what it refuses. */
#include <string.h>

#include "blockz_pages.h"
#include "images.h"

enum {
	EDGE = 128 * MIB, /* of nbdkit's sparse array */
	BASE_LEN = 400 * KIB,
};

static struct blockz_pages *new_pages(uint64_t size, uint64_t cache)
{
	const struct blockz_pages_options options = { .size = size, .cache = cache };
	struct blockz_pages *made = NULL;
	ck_assert_int_eq(blockz_pages_new(&options, &made, NULL), BLOCKZ_OK);
	return made;
}

static void put(struct blockz_pages *store, const void *bytes, uint64_t len, uint64_t off)
{
	struct blockz_fault fault = { .text = "" };
	ck_assert_msg(blockz_pages_write(store, bytes, len, off, &fault) == BLOCKZ_OK, "%s", fault.text);
}

static bool holds(struct blockz_pages *store, const uint8_t *bytes, size_t len, uint64_t off)
{
	uint8_t found[64 * KIB];
	ck_assert_uint_le(len, sizeof(found));
	ck_assert_int_eq(blockz_pages_read(store, found, len, off, NULL), BLOCKZ_OK);
	return memcmp(found, bytes, len) == 0;
}

/* ---- What went wrong once ---- */

/* nbdkit memory crashes when it is asked for the extents of an empty disk. */
START_TEST(an_empty_disk_has_extents)
{
	static const uint64_t sizes[] = { 1, 4096, 32769, EDGE, EDGE + 1, INT64_MAX };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct blockz_pages *store = new_pages(sizes[i], 0);
		bool zeros = false;
		uint64_t len = 0;
		ck_assert_int_eq(blockz_pages_extent(store, 0, sizes[i], &zeros, &len, NULL), BLOCKZ_OK);
		ck_assert(zeros);
		ck_assert_uint_eq(len, sizes[i]);
		ck_assert_int_eq(blockz_pages_extent(store, sizes[i] - 1, 1, &zeros, &len, NULL), BLOCKZ_OK);
		ck_assert(zeros);
		ck_assert_uint_eq(len, 1);
		blockz_pages_free(store);
	}
}
END_TEST

/* nbdkit memory zeroes what lies behind the edge, at the same distance from the next one as the range began. */
START_TEST(zeroing_across_an_edge_zeroes_that)
{
	static uint8_t zeros[64 * KIB];
	struct bytes noise = image_new(IMAGE_NOISE, 64 * KIB);
	struct blockz_pages *store = new_pages(4 * (uint64_t)EDGE, _i == 0 ? 0 : BLOCKZ_PAGES_CACHE_DEFAULT);
	const uint64_t start = EDGE - 8 * KIB, len = 20 * KIB;
	for (uint64_t off = EDGE - 64 * KIB; off < 2 * EDGE + 64 * KIB; off += 64 * KIB)
		if (off < EDGE + 64 * KIB || off >= 2 * EDGE - 64 * KIB)
			put(store, noise.data, noise.len, off);
	put(store, NULL, len, start);
	ck_assert(holds(store, zeros, len, start));
	ck_assert(holds(store, noise.data, 56 * KIB, EDGE - 64 * KIB));
	ck_assert(holds(store, noise.data + 12 * KIB, 52 * KIB, EDGE + 12 * KIB));
	ck_assert(holds(store, noise.data, noise.len, 2 * (uint64_t)EDGE - 64 * KIB));
	ck_assert(holds(store, noise.data, noise.len, 2 * (uint64_t)EDGE));
	blockz_pages_free(store);
}
END_TEST

/* To make room for a sector its own page is written back, and becomes raw: in that nothing may wait. */
START_TEST(a_page_that_becomes_raw_does_not_wait)
{
	struct bytes page = image_new(IMAGE_NOISE, 32 * KIB), other = bytes_new(4 * KIB);
	memset(other.data, 'B', other.len);
	/* In one of these a shard has one sector, of however many shards there are. */
	struct blockz_pages *store = new_pages(MIB, (uint64_t)4 * KIB << _i);
	struct bytes first = bytes_copy(page);
	memset(first.data + 20 * KIB, 0, 12 * KIB);
	put(store, first.data, first.len, 0);
	ck_assert_uint_eq(blockz_pages_info(store).compressed_pages, 1);
	for (size_t off = 20 * KIB; off < 32 * KIB; off += 4 * KIB)
		put(store, page.data + off, 4 * KIB, off);
	put(store, page.data, 4 * KIB, 0);
	put(store, other.data, other.len, 0);
	ck_assert(holds(store, other.data, other.len, 0));
	ck_assert(holds(store, page.data + other.len, page.len - other.len, other.len));
	blockz_pages_free(store);
}
END_TEST

/* ---- Memory ---- */

START_TEST(rewriting_takes_no_more_memory)
{
	struct bytes noise = image_new(IMAGE_NOISE, 32 * KIB), text = image_new(IMAGE_TEXT, 32 * KIB);
	struct blockz_pages_options options = { .size = MIB, .layout = (enum blockz_pages_layout)_i };
	struct blockz_pages *store;
	ck_assert_int_eq(blockz_pages_new(&options, &store, NULL), BLOCKZ_OK);
	uint64_t memory = 0;
	for (size_t i = 0; i < 400; i++) {
		const struct bytes *bytes = i % 2 == 0 ? &noise : &text;
		put(store, bytes->data, bytes->len - i % 3 * 10000, 0);
		if (i == 10)
			memory = blockz_pages_info(store).memory_bytes;
	}
	ck_assert_uint_le(blockz_pages_info(store).memory_bytes, memory + 64 * KIB);
	blockz_pages_free(store);
}
END_TEST

START_TEST(a_page_zeroed_in_parts_is_given_back)
{
	struct bytes noise = image_new(IMAGE_NOISE, 32 * KIB);
	struct blockz_pages_options options = { .size = MIB, .layout = (enum blockz_pages_layout)_i };
	struct blockz_pages *store;
	ck_assert_int_eq(blockz_pages_new(&options, &store, NULL), BLOCKZ_OK);
	put(store, noise.data, noise.len, 0);
	ck_assert_uint_eq(blockz_pages_info(store).raw_pages, 1);
	put(store, NULL, 5000, 0);
	put(store, NULL, 32 * KIB - 7000, 7000);
	ck_assert_uint_eq(blockz_pages_info(store).raw_pages + blockz_pages_info(store).compressed_pages, 1);
	put(store, NULL, 2000, 5000);
	struct blockz_pages_info info = blockz_pages_info(store);
	ck_assert_uint_eq(info.raw_pages + info.stored_bytes, 0);
	blockz_pages_free(store);
}
END_TEST

/* Text over noise, in parts: it is encoded when all has been written, or a while later. */
START_TEST(a_raw_page_becomes_small_again)
{
	struct bytes noise = image_new(IMAGE_NOISE, 32 * KIB), text = image_new(IMAGE_TEXT, 32 * KIB);
	struct blockz_pages *store = new_pages(MIB, BLOCKZ_PAGES_CACHE_DEFAULT);
	put(store, noise.data, noise.len, 0);
	for (int turn = 0; turn < 3; turn++)
		for (size_t off = 0; off < text.len && blockz_pages_info(store).raw_pages > 0; off += 4 * KIB)
			put(store, text.data + off, 4 * KIB, off);
	struct blockz_pages_info info = blockz_pages_info(store);
	ck_assert_uint_eq(info.compressed_pages, 1);
	ck_assert_uint_eq(info.raw_pages, 0);
	ck_assert_uint_eq(info.waiting_bytes, 0);
	ck_assert(holds(store, text.data, text.len, 0));
	blockz_pages_free(store);
}
END_TEST

/* ---- The largest disk ---- */

START_TEST(the_largest_disk_is_zeroed_at_once)
{
	const uint64_t size = INT64_MAX, half = UINT64_C(1) << 62;
	struct bytes text = image_new(IMAGE_TEXT, 50 * KIB);
	static const uint32_t page_sizes[] = { 4 * KIB, 32 * KIB, 256 * KIB };
	struct blockz_pages_options options = { .size = size, .page_size = page_sizes[_i % 3], .cache = MIB };
	struct blockz_source base = bytes_source(image_new(IMAGE_DISK, BASE_LEN));
	struct blockz_pages *store;
	bool zeros;
	uint64_t len;
	if (_i >= 3)
		options.base = &base;
	ck_assert_int_eq(blockz_pages_new(&options, &store, NULL), BLOCKZ_OK);
	put(store, text.data, text.len, size - text.len);
	put(store, text.data, text.len, half - 20 * KIB - 1);
	uint64_t memory = blockz_pages_info(store).memory_bytes;
	put(store, NULL, half, 100);
	ck_assert_uint_le(blockz_pages_info(store).memory_bytes, memory + MIB / 2);
	ck_assert(holds(store, text.data + 20 * KIB + 1 + 100, 20 * KIB, half + 100));
	ck_assert(holds(store, text.data, text.len, size - text.len));
	ck_assert_int_eq(blockz_pages_extent(store, MIB, size - MIB, &zeros, &len, NULL), BLOCKZ_OK);
	ck_assert(zeros);
	ck_assert_uint_le(len, half);
	ck_assert_uint_ge(len, half - 3 * MIB);
	put(store, NULL, size, 0);
	ck_assert_int_eq(blockz_pages_extent(store, 0, size, &zeros, &len, NULL), BLOCKZ_OK);
	ck_assert(zeros);
	ck_assert_uint_eq(len, size);
	ck_assert_uint_eq(blockz_pages_info(store).stored_bytes, 0);
	blockz_pages_free(store);
}
END_TEST

/* ---- What is refused ---- */

START_TEST(bad_options_are_refused)
{
	const struct blockz_source base = bytes_source(bytes_new(BASE_LEN)), stream = { base.ops, base.ctx, BLOCKZ_UNKNOWN };
	const struct blockz_pages_options bad[] = {
		{ .size = (uint64_t)INT64_MAX + 1 },
		{ .size = MIB, .page_size = 2048 },
		{ .size = MIB, .page_size = 12 * KIB },
		{ .size = MIB, .page_size = 512 * KIB },
		{ .size = MIB, .level = 23 },
		{ .size = MIB, .base = &stream },
		{ .size = BASE_LEN - 1, .base = &base },
	};
	struct blockz_pages *store = NULL;
	struct blockz_fault fault;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(blockz_pages_new(&bad[i], &store, &fault), BLOCKZ_USAGE);
	for (uint64_t max = 1; max < 200 * KIB; max = max * 3 / 2 + 1) {
		const struct blockz_pages_options options = { .size = MIB, .memory_max = max };
		ck_assert_int_eq(blockz_pages_new(&options, &store, &fault), BLOCKZ_LIMIT);
	}
	ck_assert_ptr_null(store);
}
END_TEST

START_TEST(requests_beyond_the_end_are_refused)
{
	uint8_t bytes[100] = { 0 };
	bool zeros;
	uint64_t len;
	static const uint64_t beyond[][2] = { { 10, MIB - 9 }, { 1, MIB }, { 100, UINT64_MAX - 50 }, { 1, UINT64_MAX } };
	struct blockz_pages *store = new_pages(MIB, 0);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(blockz_pages_read(store, bytes, (size_t)beyond[i][0], beyond[i][1], NULL), BLOCKZ_USAGE);
		ck_assert_int_eq(blockz_pages_write(store, bytes, beyond[i][0], beyond[i][1], NULL), BLOCKZ_USAGE);
		ck_assert_int_eq(blockz_pages_write(store, NULL, UINT64_MAX, beyond[i][1], NULL), BLOCKZ_USAGE);
		ck_assert_int_eq(blockz_pages_extent(store, beyond[i][1], beyond[i][0], &zeros, &len, NULL), BLOCKZ_USAGE);
	}
	ck_assert_int_eq(blockz_pages_extent(store, 5, 0, &zeros, &len, NULL), BLOCKZ_USAGE);
	ck_assert_int_eq(blockz_pages_read(store, bytes, 0, MIB, NULL), BLOCKZ_OK);
	ck_assert_int_eq(blockz_pages_write(store, bytes, 0, MIB, NULL), BLOCKZ_OK);
	blockz_pages_free(store);
}
END_TEST

int main(void)
{
	TCase *c = case_new("pagestore_edges");
	tcase_add_test(c, an_empty_disk_has_extents);
	tcase_add_loop_test(c, zeroing_across_an_edge_zeroes_that, 0, 2);
	tcase_add_loop_test(c, a_page_that_becomes_raw_does_not_wait, 3, 9);
	tcase_add_loop_test(c, rewriting_takes_no_more_memory, 0, 3);
	tcase_add_loop_test(c, a_page_zeroed_in_parts_is_given_back, 0, 3);
	tcase_add_test(c, a_raw_page_becomes_small_again);
	tcase_add_loop_test(c, the_largest_disk_is_zeroed_at_once, 0, 6);
	tcase_add_test(c, bad_options_are_refused);
	tcase_add_test(c, requests_beyond_the_end_are_refused);
	return case_run("pagestore_edges", c);
}
