/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each operation on an overlay fails in turn, once or from then on: what a flush has called durable is durable, a sync that
 * failed is not tried again, and nothing else keeps the next try from succeeding.
 */
#include <errno.h>
#include <string.h>

#include "overlays.h"
#include "random.h"

enum { FILE_LEN = 5000, PAGES = 9 };

static struct beside beside;
static bool written[PAGES], durable[PAGES];
static bool refused, flush_failed; /* a page could not be written, or not be made durable */

static void setup(void)
{
	struct bytes file = bytes_new(FILE_LEN);
	rnd_fill(file.data, file.len);
	beside_init(&beside, file);
}

static void teardown(void)
{
	beside_free(&beside);
}

static void put(uint64_t page)
{
	if (beside_put(&beside, page, (uint8_t)(page + 1)) == BLOCKZ_OK)
		written[page] = true;
	else
		refused = true;
}

static void flush(void)
{
	if (overlay_flush(beside.overlay, &beside.fault) == BLOCKZ_OK)
		memcpy(durable, written, sizeof(durable));
	else
		flush_failed = true;
}

/* The failing sync, or another part of publishing, which comes with some, counted in operations; 0: none failed. */
static size_t failed_sync(void)
{
	const struct memory_store *place = &beside.place;
	for (size_t i = 0; i < place->step_count; i++) {
		enum store_op op = place->steps[i].op;
		bool fails = i + 1 == place->fail_at || (place->fail_from_then_on && i + 1 > place->fail_at);
		if (fails && (op == STORE_JOURNAL_SYNC || op == STORE_JOURNAL_RENAME || op == STORE_DIRECTORY_SYNC))
			return i + 1;
	}
	return 0;
}

static void assert_never_synced_again(size_t from)
{
	const struct memory_store *place = &beside.place;
	for (size_t i = from; i < place->step_count; i++)
		ck_assert_int_ne(place->steps[i].op, STORE_JOURNAL_SYNC);
	ck_assert(!overlay_is_good(beside.overlay));
	ck_assert_int_eq(beside_put(&beside, 0, 'x'), BLOCKZ_FAILED);
	ck_assert_int_eq(overlay_flush(beside.overlay, NULL), BLOCKZ_FAILED);
}

/* Returns false once nothing fails any more. */
static bool run_failing_at(size_t n, bool from_then_on, int error)
{
	const struct overlay_identity next = { 77, 77, 77 };
	memory_store_reset(&beside.place, beside.file.file.seen, 1);
	memset(written, 0, sizeof(written));
	memset(durable, 0, sizeof(durable));
	refused = flush_failed = false;
	beside_begin(&beside, PAGES * PAGE - 5);
	memory_store_rewind(&beside.place);
	beside.place.fail_at = n;
	beside.place.fail_from_then_on = from_then_on;
	beside.place.error = error;
	put(2);
	flush();
	put(3);
	put(8);
	flush();
	bool announced = overlay_set_next(beside.overlay, &next, NULL) == BLOCKZ_OK;
	put(5);
	flush();
	bool failed = beside.place.step_count >= n;
	if (failed_sync() > 0)
		assert_never_synced_again(failed_sync());
	else if (!from_then_on)
		ck_assert(overlay_is_good(beside.overlay) && (!failed || refused || !announced || flush_failed));
	return failed;
}

/* After a power failure that loses all it can. */
static void assert_durable(size_t n)
{
	bool any = false;
	memory_store_cut(&beside.place, STORE_CUT_LOSE);
	struct blockz_overlay_info info = beside_look(&beside);
	for (uint64_t page = 0; page < PAGES; page++) {
		any = any || durable[page];
		ck_assert_msg(!durable[page] || beside_has(&beside, page, (uint8_t)(page + 1)), "operation %zu: page %d", n, (int)page);
	}
	ck_assert_int_eq(info.state == BLOCKZ_OVERLAY_OF_FILE, info.state != BLOCKZ_OVERLAY_NONE);
	ck_assert(!any || info.state == BLOCKZ_OVERLAY_OF_FILE);
}

START_TEST(what_was_flushed_survives_any_failure)
{
	static const int errors[] = { EIO, ENOSPC };
	size_t n = 1;
	for (; run_failing_at(n, _i % 2 == 1, errors[_i / 2]); n++)
		assert_durable(n);
	ck_assert_uint_gt(n, 18);
	ck_assert(durable[2] && durable[3] && durable[5] && durable[8]);
}
END_TEST

/* What fails but for a sync is tried again, and done. */
START_TEST(a_write_that_failed_can_be_repeated)
{
	size_t tried = 0;
	for (size_t n = 1; run_failing_at(n, false, ENOSPC); n++) {
		if (failed_sync() > 0)
			continue;
		tried++;
		for (uint64_t page = 0; page < PAGES; page++)
			ck_assert_int_eq(beside_put(&beside, page, (uint8_t)(page + 1)), BLOCKZ_OK);
		ck_assert_int_eq(overlay_flush(beside.overlay, NULL), BLOCKZ_OK);
		memset(durable, true, sizeof(durable));
		assert_durable(n);
	}
	ck_assert_uint_gt(tried, 5);
}
END_TEST

/* A disk without room is found by a write, and not by the flush behind it. */
START_TEST(a_flush_takes_no_room)
{
	beside_begin(&beside, PAGES * PAGE);
	memory_store_rewind(&beside.place);
	ck_assert_int_eq(beside_put(&beside, 4, 1), BLOCKZ_OK);
	size_t before = beside.place.step_count;
	ck_assert_int_eq(overlay_flush(beside.overlay, NULL), BLOCKZ_OK);
	ck_assert_int_eq(overlay_set_next(beside.overlay, &(struct overlay_identity){ 1, 1, 1 }, NULL), BLOCKZ_OK);
	for (size_t i = before; i < beside.place.step_count; i++) {
		const struct store_step *step = &beside.place.steps[i];
		bool seen = step->op != STORE_JOURNAL_WRITE;
		for (size_t k = 0; k < before; k++) {
			const struct store_step *earlier = &beside.place.steps[k];
			seen = seen || (earlier->op == STORE_JOURNAL_WRITE && earlier->off <= step->off &&
					step->off + step->len <= earlier->off + earlier->len);
		}
		ck_assert(seen);
	}
}
END_TEST

/* One that cannot be removed is not written to any more: it speaks of a file that is no longer there. */
START_TEST(one_that_cannot_be_dropped_is_closed)
{
	beside_begin(&beside, PAGES * PAGE);
	put(1);
	flush();
	memory_store_rewind(&beside.place);
	beside.place.fail_at = (size_t)_i + 1;
	ck_assert_int_eq(blockz_overlay_drop(beside.overlay, &beside.fault), BLOCKZ_FAILED);
	ck_assert_int_eq(beside.fault.state, BLOCKZ_IMAGE_NEEDS_RECOVERY);
	ck_assert(!overlay_is_good(beside.overlay));
	ck_assert_int_eq(beside_put(&beside, 1, 'x'), BLOCKZ_FAILED);
}
END_TEST

int main(void)
{
	TCase *c = case_new("overlay_failures");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, what_was_flushed_survives_any_failure, 0, 4);
	tcase_add_test(c, a_write_that_failed_can_be_repeated);
	tcase_add_test(c, a_flush_takes_no_room);
	tcase_add_loop_test(c, one_that_cannot_be_dropped_is_closed, 0, 2);
	return case_run("overlay_failures", c);
}
