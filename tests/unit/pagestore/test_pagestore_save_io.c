/* SPDX-License-Identifier: BSD-3-Clause */
/* Saves by any number of threads, beside reads and writes, to sinks and from bases that fail, and interrupted. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "blockz_pages.h"
#include "images.h"
#include "watch.h"

enum { PAGE = 8192, PAGES = 60, LEN = PAGES * PAGE - 1000 };

static const struct blockz_range raw[] = { { 5 * PAGE + 1, 6 * PAGE }, { 20 * PAGE, 30 * PAGE + 5 } };

/* Some pages are zero, some are in the base, the rest compress, or do not, and sectors of some wait. */
static struct blockz_pages *pages_new(struct bytes image, const struct blockz_source *base)
{
	const struct blockz_pages_options options = {
		.size = LEN, .page_size = PAGE, .cache = MIB, .base = base,
	};
	struct blockz_pages *pages = NULL;
	ck_assert_int_eq(blockz_pages_new(&options, &pages, NULL), BLOCKZ_OK);
	for (size_t pos = 0; pos < LEN; pos += 3 * PAGE) {
		size_t len = pos / PAGE % 2 == 0 ? PAGE : 2000;
		len = len < LEN - pos ? len : LEN - pos;
		ck_assert_int_eq(blockz_pages_write(pages, image.data + pos, len, pos, NULL), BLOCKZ_OK);
	}
	return pages;
}

static enum blockz_status save(struct blockz_pages *pages, struct growing_sink *sink, struct blockz_work work,
			       struct blockz_pack_result *result_ret, struct blockz_fault *fault)
{
	const struct blockz_pages_save_options options = { .raw = raw, .raw_count = 2, .work = work };
	struct blockz_sink out = growing_sink(sink);
	return blockz_pages_save(pages, &out, &options, result_ret, fault);
}

/* An image that is half in a store and half in its base. */
static struct bytes base_image(void)
{
	struct bytes image = image_new(IMAGE_DISK, LEN);
	memset(image.data + 40 * PAGE, 0, 10 * PAGE);
	return image;
}

START_TEST(threads_change_nothing)
{
	struct bytes image = base_image(), first = { NULL, 0 };
	struct blockz_source base = bytes_source(image);
	struct blockz_pages *pages = pages_new(image, &base);
	for (unsigned threads = 1; threads <= 5; threads++) {
		struct growing_sink sink = { .calls = 0 };
		struct blockz_pack_result result;
		ck_assert_int_eq(save(pages, &sink, (struct blockz_work){ .threads = threads }, &result, NULL), BLOCKZ_OK);
		if (threads == 1)
			first = sink.bytes;
		assert_bytes(sink.bytes, first);
	}
	assert_reads(format_named("zstd"), first, image);
	blockz_pages_free(pages);
}
END_TEST

/* ---- What fails ---- */

START_TEST(sinks_that_fail_at_any_write_fail)
{
	struct bytes image = base_image();
	struct blockz_source base = bytes_source(image);
	struct blockz_pages *pages = pages_new(image, &base);
	for (unsigned threads = 1; threads <= 3; threads++) {
		enum blockz_status status = BLOCKZ_FAILED;
		unsigned fail_at;
		for (fail_at = 1; status != BLOCKZ_OK; fail_at++) {
			struct growing_sink sink = { .fail_at = fail_at };
			struct blockz_pack_result result = { .pieces = 12345 };
			status = save(pages, &sink, (struct blockz_work){ .threads = threads }, &result, NULL);
			bool failed = sink.calls >= fail_at;
			ck_assert_int_eq(status, failed ? BLOCKZ_FAILED : BLOCKZ_OK);
			ck_assert_int_eq(result.pieces == 12345, failed);
			ck_assert_uint_le(sink.calls, fail_at); /* nothing is written behind a failure */
		}
		ck_assert_uint_gt(fail_at, 40);
	}
	/* And the store can be written to again. */
	ck_assert_int_eq(blockz_pages_write(pages, image.data, LEN, 0, NULL), BLOCKZ_OK);
	blockz_pages_free(pages);
}
END_TEST

/* A base that cannot be read at one place. */
struct bad_base {
	struct bytes bytes;
	uint64_t bad_off;
};

static int bad_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	const struct bad_base *self = ctx;
	size_t left = off < self->bytes.len ? self->bytes.len - (size_t)off : 0;
	*got_ret = len < left ? len : left;
	if (off <= self->bad_off && self->bad_off < off + *got_ret)
		return EIO;
	if (*got_ret > 0)
		memcpy(buf, self->bytes.data + off, *got_ret);
	return 0;
}

/* Where the store does not need the base, nobody sees that it is damaged; elsewhere the save is refused, and says where. */
START_TEST(bases_that_are_damaged)
{
	static const struct blockz_source_ops ops = { .read = bad_read };
	struct bad_base bad = { base_image(), 0 };
	struct blockz_source base = { &ops, &bad, LEN };
	for (unsigned threads = 1; threads <= 3; threads += 2) {
		for (size_t page = 0; page < PAGES; page++) {
			struct growing_sink sink = { .calls = 0 };
			struct blockz_pack_result result;
			struct blockz_fault fault = { .offset = 0 };
			bad.bad_off = BLOCKZ_UNKNOWN;
			struct blockz_pages *pages = pages_new(bad.bytes, &base);
			bad.bad_off = page * PAGE + 4999;
			bool needed = page % 6 != 0;
			enum blockz_status status =
				save(pages, &sink, (struct blockz_work){ .threads = threads }, &result, &fault);
			ck_assert_int_eq(status, needed ? BLOCKZ_FAILED : BLOCKZ_OK);
			if (needed)
				ck_assert_uint_eq(fault.offset / PAGE, page);
			else
				assert_reads(format_named("zstd"), sink.bytes, bad.bytes);
			blockz_pages_free(pages);
		}
	}
}
END_TEST

/* A base whose n-th search for data fails. */
struct lost_base {
	struct bytes bytes;
	unsigned calls, fail_at;
};

static int lost_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	const struct lost_base *self = ctx;
	memcpy(buf, self->bytes.data + off, len);
	*got_ret = len;
	return 0;
}

static int lost_next_data(void *ctx, uint64_t off, uint64_t *start_ret, uint64_t *end_ret)
{
	struct lost_base *self = ctx;
	*start_ret = off; /* all of it is data */
	*end_ret = off + 1;
	return ++self->calls == self->fail_at ? EIO : 0;
}

/* Where it could not be found out in the end whether a page is zeros, it has been read. */
START_TEST(bases_whose_holes_cannot_be_found)
{
	static const struct blockz_source_ops ops = { .read = lost_read, .next_data = lost_next_data };
	struct lost_base lost = { .bytes = base_image() };
	struct blockz_source base = { &ops, &lost, LEN };
	struct blockz_pages *pages = pages_new(lost.bytes, &base);
	unsigned failed = 0;
	do {
		struct growing_sink sink = { .calls = 0 };
		struct blockz_pack_result result;
		lost.calls = 0;
		lost.fail_at++;
		enum blockz_status status = save(pages, &sink, (struct blockz_work){ .threads = 1 }, &result, NULL);
		failed += status != BLOCKZ_OK;
		if (status == BLOCKZ_OK)
			assert_reads(format_named("zstd"), sink.bytes, lost.bytes);
		else
			ck_assert_int_eq(status, BLOCKZ_FAILED);
	} while (lost.calls >= lost.fail_at);
	ck_assert_uint_gt(failed, 40);
	blockz_pages_free(pages);
}
END_TEST

START_TEST(progress_is_told_and_may_interrupt)
{
	struct bytes image = base_image();
	struct blockz_source base = bytes_source(image);
	struct blockz_pages *pages = pages_new(image, &base);
	for (unsigned threads = 1; threads <= 3; threads++) {
		enum blockz_status status = BLOCKZ_FAILED;
		struct watch watch = { .calls = 0 };
		for (unsigned stop_at = 1; status != BLOCKZ_OK; stop_at++) {
			struct growing_sink sink = { .calls = 0 };
			struct blockz_pack_result result;
			struct blockz_fault fault;
			watch = (struct watch){ .stop_at = stop_at };
			status = save(pages, &sink, watched_work(&watch, threads), &result, &fault);
			assert_watched(&watch, status, &fault);
		}
		ck_assert_uint_gt(watch.calls, 40);
		ck_assert_uint_eq(watch.image_done, LEN);
	}
	blockz_pages_free(pages);
}
END_TEST

/* ---- The image of one moment ---- */

enum { WRITERS = 2, READERS = 2, SAVES = 8 };

/* Each writer goes through the pages that are its own, again and again, and writes the number of the round to them. */
struct stage {
	struct blockz_pages *pages;
	_Atomic uint64_t written[WRITERS]; /* pages, so far */
	_Atomic bool stop;
};

struct actor {
	struct stage *stage;
	unsigned number;
	pthread_t thread;
};

static uint64_t value_of(unsigned writer, uint64_t round)
{
	return round * WRITERS + writer + 1;
}

static void *write_on(void *arg)
{
	struct actor *self = arg;
	uint64_t page[PAGE / 8];
	for (uint64_t round = 0; !self->stage->stop; round++) {
		for (size_t i = 0; i < PAGE / 8; i++)
			page[i] = value_of(self->number, round);
		for (uint64_t i = self->number; i < PAGES && !self->stage->stop; i += WRITERS) {
			if (blockz_pages_write(self->stage->pages, page, PAGE, i * PAGE, NULL) != BLOCKZ_OK)
				return self;
			self->stage->written[self->number]++;
		}
	}
	return NULL;
}

/* A page is never seen half written. */
static void *read_on(void *arg)
{
	struct actor *self = arg;
	uint64_t page[PAGE / 8];
	for (uint64_t i = self->number; !self->stage->stop; i += 7)
		if (blockz_pages_read(self->stage->pages, page, PAGE, i % PAGES * PAGE, NULL) != BLOCKZ_OK ||
		    memcmp(page, page + 1, PAGE - 8) != 0)
			return self;
	return NULL;
}

/* A sink that looks at the store while it is saved. */
struct curious_sink {
	struct growing_sink file;
	struct stage *stage;
	uint64_t written[WRITERS]; /* when the first bytes came */
};

static int curious_write(void *ctx, const void *buf, size_t len)
{
	struct curious_sink *self = ctx;
	struct blockz_sink file = growing_sink(&self->file);
	uint64_t value;
	for (unsigned i = 0; i < WRITERS; i++) {
		uint64_t written = self->stage->written[i];
		if (self->file.calls == 0)
			self->written[i] = written;
		/* One that had been written may not have been counted yet. */
		if (written > self->written[i] + 1)
			return EBUSY;
	}
	/* Would never return if reads waited for the save. */
	if (blockz_pages_read(self->stage->pages, &value, sizeof(value), (PAGES - 1) * PAGE, NULL) != BLOCKZ_OK)
		return EIO;
	return file.ops->write(file.ctx, buf, len);
}

static uint64_t value_at(struct bytes image, size_t page)
{
	uint64_t value;
	memcpy(&value, image.data + page * PAGE, sizeof(value));
	ck_assert_mem_eq(image.data + page * PAGE, image.data + page * PAGE + 8, PAGE - 8);
	return value;
}

/* Up to some page each writer's are of one round, and from there on of the one before, which before the first is zeros. */
static void check_moment(struct bytes image)
{
	ck_assert_uint_eq(image.len, PAGES * PAGE);
	for (unsigned writer = 0; writer < WRITERS; writer++) {
		uint64_t value = value_at(image, writer);
		uint64_t before = value > value_of(writer, 0) ? value - WRITERS : 0;
		for (size_t i = writer; i < PAGES; i += WRITERS) {
			if (value_at(image, i) != value)
				value = before;
			ck_assert_uint_eq(value_at(image, i), value);
		}
	}
}

static void save_one(struct stage *stage)
{
	struct curious_sink sink = { .stage = stage };
	static const struct blockz_sink_ops ops = { .write = curious_write };
	struct blockz_sink out = { &ops, &sink };
	const struct blockz_pages_save_options options = { .work.threads = 2 };
	struct blockz_pack_result result;
	struct blockz_fault fault = { .text = "" };
	struct bytes found;
	ck_assert_msg(blockz_pages_save(stage->pages, &out, &options, &result, &fault) == BLOCKZ_OK, "%s", fault.text);
	assert_verifies(sink.file.bytes);
	ck_assert(extracts(sink.file.bytes, false, &found));
	check_moment(found);
}

START_TEST(a_save_is_the_image_of_one_moment)
{
	struct stage *stage = keep(sizeof(*stage));
	struct actor actors[WRITERS + READERS];
	const struct blockz_pages_options options = { .size = PAGES * PAGE, .page_size = PAGE };
	ck_assert_int_eq(blockz_pages_new(&options, &stage->pages, NULL), BLOCKZ_OK);
	for (unsigned i = 0; i < WRITERS + READERS; i++) {
		actors[i] = (struct actor){ .stage = stage, .number = i };
		ck_assert_int_eq(pthread_create(&actors[i].thread, NULL, i < WRITERS ? write_on : read_on, &actors[i]), 0);
	}
	for (int i = 0; i < SAVES; i++)
		save_one(stage);
	stage->stop = true;
	for (unsigned i = 0; i < WRITERS + READERS; i++) {
		void *failed = NULL;
		pthread_join(actors[i].thread, &failed);
		ck_assert_ptr_null(failed);
	}
	blockz_pages_free(stage->pages);
}
END_TEST

int main(void)
{
	TCase *c = case_new("pagestore_save_io");
	tcase_add_test(c, threads_change_nothing);
	tcase_add_test(c, sinks_that_fail_at_any_write_fail);
	tcase_add_test(c, bases_that_are_damaged);
	tcase_add_test(c, bases_whose_holes_cannot_be_found);
	tcase_add_test(c, progress_is_told_and_may_interrupt);
	tcase_add_test(c, a_save_is_the_image_of_one_moment);
	return case_run("pagestore_save_io", c);
}
