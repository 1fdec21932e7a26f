/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The page store against a plain array: reads, writes and zeroes of random sizes at random places, edges favoured, by
 * several threads, each of which has bytes of its own in pages that all share, or pages of its own.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/checked.h"
#include "blockz_pages.h"
#include "images.h"

enum {
	EDGE = 128 * MIB,     /* where nbdkit's sparse array has an edge, at which its zeroing destroys what lies behind */
	SIZE = 2 * EDGE + MIB + 12345,
	WINDOW = MIB / 2 + 9, /* around these edges, both ends among them, is where all happens */
	WINDOWS = 4,
	BASE_LEN = 400 * KIB + 5000,
	BAD_START = 300 * KIB + 100, BAD_END = 340 * KIB, /* of the base, where it cannot be read */
	LONGEST = 600 * KIB,
	LEAST_PAGE = 4 * KIB,
	THREADS_MAX = 8,
	OPS = 400,            /* of all threads together */
};

static const uint32_t page_sizes[] = { LEAST_PAGE, 32 * KIB, 256 * KIB };
static const uint64_t caches[] = { 0, 32 * KIB, 256 * KIB, BLOCKZ_PAGES_CACHE_DEFAULT };
enum { CACHES = 4 };
static const unsigned thread_counts[] = { 1, 2, THREADS_MAX };

enum base_kind { BASE_NONE, BASE_GOOD, BASE_BAD, BASE_KINDS };

static const uint64_t window_starts[WINDOWS] = { 0, EDGE - WINDOW / 2, 2 * EDGE - WINDOW / 2, SIZE - WINDOW };

/* ---- The base ---- */

static uint8_t base_bytes[BASE_LEN];

static int base_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	if (ctx != NULL && off < BAD_END && off + len > BAD_START)
		return EIO;
	*got_ret = (size_t)min(len, BASE_LEN - min(off, BASE_LEN));
	memcpy(buf, base_bytes + off, *got_ret);
	return 0;
}

/* There are zeros from 64 KiB to 160 KiB, and it is known. */
static int base_next_data(void *ctx, uint64_t off, uint64_t *start_ret, uint64_t *end_ret)
{
	(void)ctx;
	*start_ret = off >= 64 * KIB && off < 160 * KIB ? 160 * KIB : off;
	*end_ret = off < 64 * KIB ? 64 * KIB : BASE_LEN;
	return 0;
}

static const struct blockz_source_ops base_ops = { .read = base_read, .next_data = base_next_data };
static const struct blockz_source bases[BASE_KINDS] = {
	[BASE_GOOD] = { &base_ops, NULL, BASE_LEN },
	[BASE_BAD] = { &base_ops, base_bytes, BASE_LEN },
};

/* ---- A store and what it should hold ---- */

static struct blockz_pages *pages;
static uint64_t memory_max;
static uint32_t page_size;
static enum base_kind base_kind;
static uint8_t *model; /* of SIZE bytes */

static void store_new(struct blockz_pages_options options, enum base_kind kind)
{
	struct blockz_fault fault = { .text = "" };
	base_kind = kind;
	page_size = options.page_size;
	memory_max = options.memory_max;
	options.size = SIZE;
	if (kind != BASE_NONE)
		options.base = &bases[kind];
	enum blockz_status status = blockz_pages_new(&options, &pages, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "%s", fault.text);
	model = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ck_assert(model != MAP_FAILED);
	if (kind == BASE_NONE)
		return;
	struct bytes disk = image_new(IMAGE_DISK, BASE_LEN);
	memset(disk.data + 64 * KIB, 0, 96 * KIB);
	memcpy(base_bytes, disk.data, BASE_LEN);
	memcpy(model, base_bytes, BASE_LEN);
}

static void store_free(void)
{
	blockz_pages_free(pages);
	munmap(model, SIZE);
}

/* Pages that the bad part of the base touches. */
static bool may_fail(uint64_t off, uint64_t len)
{
	return base_kind == BASE_BAD && off < (BAD_END / page_size + 1) * page_size &&
	       off + len > BAD_START / page_size * page_size;
}

/* ---- What threads do; each returns whether all was well ---- */

struct worker {
	unsigned number, count;
	size_t stripe;  /* it has each count-th run of so many bytes to itself; 0: each count-th MiB */
	uint64_t state; /* of its random numbers */
	int ops;
	uint8_t *old, *new, *found; /* LONGEST bytes each */
};

static atomic_int wrong;

static bool expect(bool good, const char *what, uint64_t off, uint64_t len)
{
	if (!good && atomic_fetch_add(&wrong, 1) == 0)
		fprintf(stderr, "%s at %ju, %ju bytes\n", what, (uintmax_t)off, (uintmax_t)len);
	return good;
}

static uint64_t below(struct worker *self, uint64_t n)
{
	self->state ^= self->state << 13;
	self->state ^= self->state >> 7;
	self->state ^= self->state << 17;
	return (self->state * UINT64_C(0x2545f4914f6cdd1d) >> 16) % n;
}

static void check_read(struct worker *self, uint64_t off, size_t len)
{
	struct blockz_fault fault = { .offset = 0 };
	enum blockz_status status = blockz_pages_read(pages, self->found, len, off, &fault);
	if (status == BLOCKZ_OK)
		expect(memcmp(self->found, model + off, len) == 0, "wrong bytes", off, len);
	else
		expect(status == BLOCKZ_FAILED && may_fail(off, len) && fault.offset >= off / page_size * page_size &&
		       fault.offset < off + len, fault.text, off, len);
}

/* After a failure, each page has its old bytes or its new ones. */
static void settle(struct worker *self, uint64_t off, size_t len)
{
	for (size_t done = 0, part; done < len; done += part) {
		uint64_t pos = off + done;
		part = (size_t)min(len - done, page_size - pos % page_size);
		if (blockz_pages_read(pages, self->found, part, pos, NULL) != BLOCKZ_OK)
			expect(may_fail(pos, part), "unreadable", pos, part);
		else if (memcmp(self->found, self->new + done, part) == 0)
			memcpy(model + pos, self->new + done, part);
		else
			expect(memcmp(self->found, model + pos, part) == 0, "torn", pos, part);
	}
}

static void write_new(struct worker *self, uint64_t off, size_t len, bool zeros)
{
	struct blockz_fault fault = { .text = "" };
	enum blockz_status status = blockz_pages_write(pages, zeros ? NULL : self->new, len, off, &fault);
	if (status == BLOCKZ_OK) {
		memcpy(model + off, self->new, len);
		return;
	}
	expect((memory_max != 0 && status == BLOCKZ_LIMIT) || (status == BLOCKZ_FAILED && may_fail(off, len)), fault.text,
	       off, len);
	settle(self, off, len);
}

static void fill(struct worker *self, uint8_t *bytes, size_t len)
{
	uint64_t kind = below(self, 5);
	for (size_t i = 0; i < len; i++)
		bytes[i] = kind < 2 ? (uint8_t)below(self, 256) : kind == 2 ? 0 : (uint8_t)("blockz "[i % 7] + i / 999);
}

/* Edges of pages, of shards' strides and of sectors, and what is near them. */
static uint64_t favoured(struct worker *self, uint64_t off)
{
	static const uint64_t steps[] = { 512, 4 * KIB, 32 * KIB, 256 * KIB, MIB / 2 };
	uint64_t step = steps[below(self, 5)];
	off = off / step * step;
	return below(self, 2) == 0 ? off : off + below(self, 3) - 1;
}

/* Some range that is the worker's own, in a window. */
static void choose(struct worker *self, uint64_t *off_ret, size_t *len_ret)
{
	static const size_t lens[] = { 100, 4 * KIB, 5000, 32 * KIB, 70 * KIB, 256 * KIB, LONGEST };
	uint64_t window = window_starts[below(self, WINDOWS)];
	size_t len = below(self, 2) == 0 ? lens[below(self, 7)] : 1 + below(self, lens[below(self, 7)]);
	uint64_t off = window + below(self, WINDOW);
	if (below(self, 2) == 0)
		off = favoured(self, off);
	off = off > SIZE ? window : off;
	uint64_t stripe = self->stripe != 0 ? self->stripe : MIB / 4, end = off + len;
	uint64_t own = off / stripe / self->count * self->count + self->number;
	if (self->count > 1) {
		off = off < own * stripe || off >= (own + 1) * stripe ? own * stripe : off;
		end = min(end, (own + 1) * stripe);
		end = end <= off ? (own + 1) * stripe : end;
	}
	end = min(end, SIZE);
	*off_ret = off < end ? off : end;
	*len_ret = (size_t)min(end - *off_ret, LONGEST);
}

static void *work(void *ctx)
{
	struct worker *self = ctx;
	for (int i = 0; i < self->ops && wrong == 0; i++) {
		uint64_t off;
		size_t len;
		choose(self, &off, &len);
		uint64_t action = below(self, 8);
		if (action < 3) {
			check_read(self, off, len);
		} else if (action < 7) {
			fill(self, self->new, len);
			write_new(self, off, len, false);
		} else {
			memset(self->new, 0, len);
			write_new(self, off, len, true);
		}
		struct blockz_pages_info info = blockz_pages_info(pages);
		expect(memory_max == 0 || info.memory_peak_bytes <= memory_max, "too much memory", off, info.memory_peak_bytes);
	}
	return NULL;
}

static void run(unsigned count, size_t stripe)
{
	struct worker workers[THREADS_MAX];
	pthread_t threads[THREADS_MAX];
	for (unsigned i = 0; i < count; i++) {
		workers[i] = (struct worker){ i, count, stripe, 77 + i, OPS / (few_rounds ? 3 : 1) / (int)count,
					      keep(LONGEST), keep(LONGEST), keep(LONGEST) };
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(wrong, 0);
}

/* ---- What is left ---- */

static void check_windows(void)
{
	struct worker self = { .found = keep(LONGEST) };
	for (int i = 0; i < WINDOWS; i++)
		for (uint64_t off = 0; off < WINDOW; off += LEAST_PAGE)
			check_read(&self, window_starts[i] + off, (size_t)min(LEAST_PAGE, SIZE - window_starts[i] - off));
	ck_assert_int_eq(wrong, 0);
}

/* The model is zero where extents say so, and all is covered. */
static void check_extents(void)
{
	uint64_t zero_bytes = 0;
	for (uint64_t off = 0, len; off < SIZE; off += len) {
		bool zeros;
		ck_assert_int_eq(blockz_pages_extent(pages, off, SIZE - off, &zeros, &len, NULL), BLOCKZ_OK);
		ck_assert_uint_ge(len, 1);
		ck_assert_uint_le(len, SIZE - off);
		ck_assert((off + len) % page_size == 0 || off + len == SIZE);
		if (!zeros)
			continue;
		zero_bytes += len;
		/* Outside of the windows nothing is ever written. */
		for (int i = 0; i < WINDOWS; i++) {
			uint64_t start = off > window_starts[i] ? off : window_starts[i];
			uint64_t end = min(off + len, window_starts[i] + WINDOW);
			ck_assert(start >= end || bytes_are_zero(model + start, (size_t)(end - start)));
		}
	}
	ck_assert_uint_ge(zero_bytes, SIZE - WINDOWS * (WINDOW + 2 * LONGEST));
}

static void check_info(void)
{
	struct blockz_pages_info info = blockz_pages_info(pages);
	ck_assert_uint_eq(info.size, SIZE);
	ck_assert_uint_eq(info.page_size, page_size);
	ck_assert_uint_gt(info.reads, 0);
	ck_assert_uint_gt(info.writes, 0);
	ck_assert_uint_le(info.stored_bytes, (info.compressed_pages + info.raw_pages) * page_size);
	ck_assert_uint_ge(info.memory_bytes, info.stored_bytes + info.waiting_bytes);
	ck_assert_uint_ge(info.memory_peak_bytes, info.memory_bytes);
}

/* What was unreadable is whole again once it is written as a whole; zeroed, nothing is left. */
static void heal_and_zero(void)
{
	struct worker self = { .found = keep(LONGEST), .new = keep(LONGEST), .state = 5 };
	uint64_t start = BAD_START / page_size * page_size, end = (BAD_END / page_size + 1) * page_size;
	base_kind = BASE_NONE;
	fill(&self, self.new, LONGEST);
	write_new(&self, start, (size_t)(end - start), false);
	check_windows();
	ck_assert_int_eq(blockz_pages_write(pages, NULL, SIZE, 0, NULL), BLOCKZ_OK);
	bool zeros = false;
	uint64_t len = 0;
	ck_assert_int_eq(blockz_pages_extent(pages, 0, SIZE, &zeros, &len, NULL), BLOCKZ_OK);
	ck_assert(zeros);
	ck_assert_uint_eq(len, SIZE);
	struct blockz_pages_info info = blockz_pages_info(pages);
	ck_assert_uint_eq(info.compressed_pages + info.raw_pages + info.stored_bytes + info.waiting_bytes, 0);
}

/* ---- Tests ---- */

static size_t stripe_of(int i)
{
	static const size_t stripes[] = { 512, 4 * KIB, 0 };
	return stripes[i % 3];
}

static void run_all(struct blockz_pages_options options, enum base_kind kind, unsigned threads, size_t stripe)
{
	store_new(options, kind);
	run(threads, stripe);
	check_windows();
	check_extents();
	check_info();
	if (memory_max == 0)
		heal_and_zero();
	store_free();
}

enum {
	COMPRESSED_TESTS = 3 * 3 * CACHES * BASE_KINDS,
	OTHER_TESTS = 2 * 3 * 3 * BASE_KINDS,
	TIGHT_TESTS = 2 * 3 * 3 * 3,
};

START_TEST(compressed_is_like_an_array)
{
	struct blockz_pages_options options = { .page_size = page_sizes[_i / 3 % 3], .cache = caches[_i / 9 % CACHES],
						.level = _i % 2 != 0 ? 0 : -3 };
	run_all(options, (enum base_kind)(_i / 9 / CACHES), thread_counts[_i % 3], stripe_of(_i / 3 + _i / 9));
}
END_TEST

START_TEST(uncompressed_is_like_an_array)
{
	struct blockz_pages_options options = { .page_size = page_sizes[_i / 3 % 3], .cache = BLOCKZ_PAGES_CACHE_DEFAULT,
						.layout = _i / 27 != 0 ? BLOCKZ_PAGES_DIRECT : BLOCKZ_PAGES_SPARSE };
	run_all(options, (enum base_kind)(_i / 9 % 3), thread_counts[_i % 3], stripe_of(_i / 3 + _i / 9));
}
END_TEST

/* So little that only some of the pages have room. */
START_TEST(tight_memory_loses_nothing)
{
	struct blockz_pages_options options = { .page_size = page_sizes[_i / 3 % 3], .cache = caches[_i / 27 != 0 ? 2 : 3],
						.layout = (enum blockz_pages_layout)(_i / 9 % 3), .level = -3 };
	struct blockz_pages *empty;
	options.size = SIZE;
	ck_assert_int_eq(blockz_pages_new(&options, &empty, NULL), BLOCKZ_OK);
	options.memory_max = blockz_pages_info(empty).memory_bytes + 600 * KIB + (uint64_t)page_sizes[_i / 3 % 3] * 2;
	blockz_pages_free(empty);
	run_all(options, BASE_NONE, thread_counts[_i % 3], stripe_of(_i / 3 + _i / 9));
}
END_TEST

int main(void)
{
	TCase *c = case_new("pagestore");
	tcase_add_loop_test(c, compressed_is_like_an_array, 0, COMPRESSED_TESTS);
	tcase_add_loop_test(c, uncompressed_is_like_an_array, 0, OTHER_TESTS);
	tcase_add_loop_test(c, tight_memory_loses_nothing, 0, TIGHT_TESTS);
	return case_run("pagestore", c);
}
