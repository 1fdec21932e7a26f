/* SPDX-License-Identifier: BSD-3-Clause */
/* An overlay by itself: what it holds, whose it is, and any bytes that somebody left under its name. */
#include <errno.h>
#include <string.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "journal/overlay_pages.h"
#include "overlays.h"
#include "random.h"

enum { FILE_LEN = 200000, PAGES = 40, IMAGE_LEN = PAGES * PAGE - 100 };

static struct beside beside;

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

/* One that holds pages 3, 4 and the last, flushed and closed. */
static void leave_some(void)
{
	beside_begin(&beside, IMAGE_LEN);
	ck_assert_int_eq(beside_put(&beside, 3, 'a'), BLOCKZ_OK);
	ck_assert_int_eq(beside_put(&beside, 4, 'b'), BLOCKZ_OK);
	ck_assert_int_eq(beside_put(&beside, PAGES - 1, 'z'), BLOCKZ_OK);
	ck_assert_int_eq(overlay_flush(beside.overlay, NULL), BLOCKZ_OK);
	beside_close(&beside);
}

static struct overlay_identity identity_with(uint64_t file_size, uint64_t ends)
{
	return (struct overlay_identity){ file_size, ends, 5 };
}

/* Changes a byte of the file, which it is known by. */
static void change_file(void)
{
	beside.file.file.seen[7] ^= 1;
}

/* ---- What it holds ---- */

START_TEST(nothing_is_there_before_the_first_write)
{
	ck_assert_int_eq(beside_look(&beside).state, BLOCKZ_OVERLAY_NONE);
	ck_assert_int_eq(overlay_begin(beside.overlay, IMAGE_LEN, NULL), BLOCKZ_OK);
	ck_assert_int_eq(overlay_flush(beside.overlay, NULL), BLOCKZ_OK);
	ck_assert(!memory_store_has_journal(&beside.place));
	ck_assert_uint_eq(blockz_overlay_info(beside.overlay).image_size, 0);
	ck_assert_int_eq(blockz_overlay_refuse(beside.overlay, NULL), BLOCKZ_OK);
	ck_assert_int_eq(blockz_overlay_drop(beside.overlay, NULL), BLOCKZ_OK);
}
END_TEST

START_TEST(what_was_flushed_is_found_again)
{
	leave_some();
	struct blockz_overlay_info info = beside_look(&beside);
	ck_assert_int_eq(info.state, BLOCKZ_OVERLAY_OF_FILE);
	ck_assert_uint_eq(info.image_size, IMAGE_LEN);
	ck_assert_uint_eq(info.pages, 3);
	ck_assert_uint_eq(info.bytes, 3 * PAGE - 100);
	ck_assert(beside_has(&beside, 3, 'a') && beside_has(&beside, 4, 'b') && !overlay_holds(beside.overlay, 5));
	ck_assert(!overlay_holds(beside.overlay, UINT64_MAX));
}
END_TEST

START_TEST(runs_end_where_pages_or_the_image_end)
{
	struct blockz_range range;
	leave_some();
	beside_look(&beside);
	ck_assert(blockz_overlay_range_at(beside.overlay, 0, &range));
	ck_assert(range.start == 3 * PAGE && range.end == 5 * PAGE);
	ck_assert(blockz_overlay_range_at(beside.overlay, 3 * PAGE + 5, &range));
	ck_assert(range.start == 3 * PAGE + 5 && range.end == 5 * PAGE);
	ck_assert(blockz_overlay_range_at(beside.overlay, range.end, &range));
	ck_assert(range.start == (PAGES - 1) * PAGE && range.end == IMAGE_LEN);
	ck_assert(!blockz_overlay_range_at(beside.overlay, range.end, &range));
	ck_assert(!blockz_overlay_range_at(beside.overlay, UINT64_MAX, &range));
	bool held;
	ck_assert_uint_eq(overlay_run_end(beside.overlay, 10, 20 * PAGE, &held), 3 * PAGE);
	ck_assert(!held);
	ck_assert_uint_eq(overlay_run_end(beside.overlay, 3 * PAGE, 4 * PAGE + 1, &held), 4 * PAGE + 1);
	ck_assert(held);
}
END_TEST

START_TEST(a_source_has_held_bytes_alone)
{
	uint8_t bytes[3 * PAGE];
	size_t got = 0;
	leave_some();
	beside_look(&beside);
	const struct blockz_source source = blockz_overlay_source(beside.overlay);
	ck_assert_uint_eq(source.size, IMAGE_LEN);
	ck_assert_int_eq(source.ops->read(source.ctx, bytes, 2 * PAGE, 3 * PAGE, &got), 0);
	ck_assert(got == 2 * PAGE && bytes[0] == 'a' && bytes[PAGE - 1] == 'a' && bytes[PAGE] == 'b');
	ck_assert_int_eq(source.ops->read(source.ctx, bytes, 2 * PAGE + 1, 3 * PAGE, &got), EINVAL);
	ck_assert_int_eq(source.ops->read(source.ctx, bytes, 1, 0, &got), EINVAL);
	ck_assert_int_eq(source.ops->read(source.ctx, bytes, PAGE, (PAGES - 1) * PAGE, &got), 0);
	ck_assert_uint_eq(got, PAGE - 100);
}
END_TEST

/* Runs and bits against a model, across words and blocks. */
START_TEST(pages_are_as_in_a_model)
{
	static bool model[2 * OVERLAY_BLOCK_PAGES + 100];
	static const size_t counts[] = { 1, 63, 64, 65, OVERLAY_BLOCK_PAGES, 2 * OVERLAY_BLOCK_PAGES + 100 };
	size_t count = counts[_i];
	struct overlay_pages pages;
	ck_assert(overlay_pages_init(&pages, (uint64_t)count * PAGE - 1));
	ck_assert_uint_eq(pages.count, count);
	memset(model, 0, sizeof(model));
	for (int i = 0; i < 300; i++) {
		size_t page = (size_t)rnd_below(count);
		overlay_pages_add(&pages, page);
		model[page] = true;
	}
	uint64_t held = 0;
	for (size_t i = 0; i < count; i++) {
		held += model[i];
		ck_assert(overlay_pages_has(&pages, i) == model[i]);
	}
	ck_assert_uint_eq(pages.held, held);
	for (int i = 0; i < 2000; i++) {
		size_t from = (size_t)rnd_below(count + 1), end = from + (size_t)rnd_below(count + 1 - from), at = from;
		bool wanted = i % 2 == 0;
		while (at < end && model[at] != wanted)
			at++;
		ck_assert_uint_eq(overlay_pages_find(&pages, from, end, wanted), at);
	}
	overlay_pages_free(&pages);
}
END_TEST

/* ---- Whose it is ---- */

START_TEST(it_is_known_whose_it_is)
{
	leave_some();
	beside_look(&beside);
	struct overlay_identity next = identity_with(FILE_LEN, 1234);
	ck_assert_int_eq(overlay_set_next(beside.overlay, &next, NULL), BLOCKZ_OK);
	ck_assert_int_eq(beside_look(&beside).state, BLOCKZ_OVERLAY_OF_FILE);
	change_file();
	ck_assert_int_eq(beside_look(&beside).state, BLOCKZ_OVERLAY_OF_OTHER_FILE);
	ck_assert_int_eq(blockz_overlay_refuse(beside.overlay, &beside.fault), BLOCKZ_NEEDS_RECOVERY);
	ck_assert_int_eq(beside.fault.remedy, BLOCKZ_REMEDY_COMMIT);
	ck_assert_int_eq(overlay_begin(beside.overlay, IMAGE_LEN, NULL), BLOCKZ_NEEDS_RECOVERY);
	ck_assert_int_eq(overlay_set_next(beside.overlay, &next, NULL), BLOCKZ_NEEDS_RECOVERY);
	ck_assert(beside_has(&beside, 3, 'a'));
	ck_assert_int_eq(blockz_overlay_adopt(beside.overlay, NULL), BLOCKZ_OK);
	ck_assert_int_eq(beside_look(&beside).state, BLOCKZ_OVERLAY_OF_FILE);
	change_file();
	ck_assert_int_eq(beside_look(&beside).state, BLOCKZ_OVERLAY_OF_OTHER_FILE);
	ck_assert_int_eq(blockz_overlay_drop(beside.overlay, NULL), BLOCKZ_OK);
	ck_assert_int_eq(beside_look(&beside).state, BLOCKZ_OVERLAY_NONE);
}
END_TEST

/* Has the overlay belong to the file as it is now; returns what it knows of that. */
static struct overlay_identity adopt_file(void)
{
	struct overlay_header header;
	beside_look(&beside);
	ck_assert_int_eq(blockz_overlay_adopt(beside.overlay, NULL), BLOCKZ_OK);
	ck_assert_ptr_null(overlay_header_load(beside.place.journal.seen, &header));
	return header.base;
}

START_TEST(what_was_committed_is_known)
{
	leave_some();
	change_file();
	struct overlay_identity next = adopt_file();
	change_file();
	adopt_file();
	ck_assert_int_eq(overlay_set_next(beside.overlay, &next, NULL), BLOCKZ_OK);
	ck_assert_int_eq(beside_look(&beside).state, BLOCKZ_OVERLAY_OF_FILE);
	change_file();
	ck_assert_int_eq(beside_look(&beside).state, BLOCKZ_OVERLAY_COMMITTED);
	ck_assert_int_eq(blockz_overlay_refuse(beside.overlay, &beside.fault), BLOCKZ_NEEDS_RECOVERY);
	ck_assert_int_eq(beside.fault.remedy, BLOCKZ_REMEDY_RECOVER);
}
END_TEST

START_TEST(it_is_of_an_image_of_one_size)
{
	leave_some();
	beside_look(&beside);
	ck_assert_int_eq(overlay_begin(beside.overlay, IMAGE_LEN + 1, &beside.fault), BLOCKZ_NEEDS_RECOVERY);
	ck_assert_int_eq(beside.fault.remedy, BLOCKZ_REMEDY_DROP);
	ck_assert_int_eq(overlay_begin(beside.overlay, IMAGE_LEN, NULL), BLOCKZ_OK);
	ck_assert_int_eq(blockz_overlay_drop(beside.overlay, NULL), BLOCKZ_OK);
	ck_assert_int_eq(overlay_begin(beside.overlay, OVERLAY_IMAGE_MAX + 1, NULL), BLOCKZ_LIMIT);
}
END_TEST

START_TEST(after_a_drop_there_can_be_another)
{
	leave_some();
	beside_look(&beside);
	ck_assert_int_eq(overlay_begin(beside.overlay, IMAGE_LEN, NULL), BLOCKZ_OK);
	ck_assert_int_eq(blockz_overlay_drop(beside.overlay, NULL), BLOCKZ_OK);
	ck_assert(!overlay_holds(beside.overlay, 3) && !memory_store_has_journal(&beside.place));
	change_file();
	ck_assert_int_eq(beside_put(&beside, 9, 'c'), BLOCKZ_OK);
	ck_assert_int_eq(overlay_flush(beside.overlay, NULL), BLOCKZ_OK);
	ck_assert_int_eq(beside_look(&beside).state, BLOCKZ_OVERLAY_OF_FILE);
	ck_assert(beside_has(&beside, 9, 'c') && !overlay_holds(beside.overlay, 3));
}
END_TEST

START_TEST(one_that_is_read_is_not_changed)
{
	leave_some();
	change_file();
	ck_assert_int_eq(beside_open(&beside, BLOCKZ_OVERLAY_READ), BLOCKZ_OK);
	ck_assert_int_eq(blockz_overlay_adopt(beside.overlay, NULL), BLOCKZ_USAGE);
	ck_assert_int_eq(blockz_overlay_drop(beside.overlay, NULL), BLOCKZ_USAGE);
	change_file();
	ck_assert_int_eq(beside_open(&beside, BLOCKZ_OVERLAY_READ), BLOCKZ_OK);
	struct overlay_identity next = identity_with(FILE_LEN, 1);
	ck_assert_int_eq(overlay_set_next(beside.overlay, &next, NULL), BLOCKZ_USAGE);
	ck_assert_uint_eq(memory_store_count(&beside.place, STORE_JOURNAL_UNLINK), 0);
}
END_TEST

/* ---- Any bytes ---- */

/* True if it is not believed, and says why, and can be dropped. */
static void assert_untrusted(const char *why)
{
	struct blockz_overlay_info info = beside_look(&beside);
	ck_assert_msg(info.state == BLOCKZ_OVERLAY_UNTRUSTED && info.pages == 0 && info.note != NULL, "%s", why);
	ck_assert(!overlay_holds(beside.overlay, 3));
	ck_assert_int_eq(overlay_begin(beside.overlay, IMAGE_LEN, &beside.fault), BLOCKZ_NEEDS_RECOVERY);
	ck_assert_int_eq(beside.fault.remedy, BLOCKZ_REMEDY_DROP);
	ck_assert_int_eq(blockz_overlay_adopt(beside.overlay, NULL), BLOCKZ_NEEDS_RECOVERY);
}

static void reseal(uint8_t *slot)
{
	store_le64(slot + OVERLAY_SLOT_LEN - 8, XXH64(slot, OVERLAY_SLOT_LEN - 8, 0));
}

static const struct lie {
	const char *what;
	size_t off;
	uint64_t value;
	size_t len;
} lies[] = {
	{ "magic", 0, 'x', 1 },
	{ "version", 8, 2, 4 },
	{ "page size", 12, 512, 4 },
	{ "generation", 16, 1, 8 },
	{ "no image", 24, 0, 8 },
	{ "larger image", 24, IMAGE_LEN + PAGE, 8 },
	{ "smaller image", 24, IMAGE_LEN - PAGE, 8 },
	{ "huge image", 24, (UINT64_C(1) << 44) + 1, 8 },
	{ "image without end", 24, UINT64_MAX, 8 },
	{ "page behind the end", OVERLAY_HEADER_LEN + PAGES / 8, 1, 1 },
	{ "page far behind the end", OVERLAY_HEADER_LEN + OVERLAY_BLOCK_LEN - 1, 128, 1 },
};

START_TEST(lies_are_not_believed)
{
	const struct lie *lie = &lies[_i];
	leave_some();
	uint8_t *p = beside.place.journal.seen, value[8];
	store_le64(value, lie->value);
	memcpy(p + lie->off, value, lie->len);
	reseal(p);
	assert_untrusted(lie->what);
	ck_assert_int_eq(blockz_overlay_drop(beside.overlay, NULL), BLOCKZ_OK);
	ck_assert_int_eq(beside_look(&beside).state, BLOCKZ_OVERLAY_NONE);
}
END_TEST

START_TEST(a_torn_slot_leaves_the_other)
{
	leave_some();
	for (uint64_t change = 1; change < 4; change++) {
		beside_look(&beside);
		struct overlay_identity next = identity_with(FILE_LEN, change);
		ck_assert_int_eq(overlay_set_next(beside.overlay, &next, NULL), BLOCKZ_OK);
		uint8_t *slot = beside.place.journal.seen + change % 2 * OVERLAY_SLOT_ROOM, kept[OVERLAY_SLOT_LEN];
		memcpy(kept, slot, sizeof(kept));
		struct overlay_header header;
		for (size_t at = 0; at < OVERLAY_SLOT_LEN; at++) {
			slot[at] ^= 1;
			ck_assert_ptr_null(overlay_header_load(beside.place.journal.seen, &header));
			ck_assert_uint_eq(header.generation, change - 1);
			slot[at] ^= 1;
		}
		ck_assert_ptr_null(overlay_header_load(beside.place.journal.seen, &header));
		ck_assert_uint_eq(header.next.ends, change);
	}
	beside.place.journal.seen[0] ^= 1;
	beside.place.journal.seen[OVERLAY_SLOT_ROOM + 70] ^= 1;
	assert_untrusted("both slots");
}
END_TEST

START_TEST(slots_of_two_images_are_not_believed)
{
	leave_some();
	uint8_t *p = beside.place.journal.seen;
	memcpy(p + OVERLAY_SLOT_ROOM, p, OVERLAY_SLOT_LEN);
	assert_untrusted("a slot in the other's place");
	store_le64(p + OVERLAY_SLOT_ROOM + 16, 1);
	store_le64(p + OVERLAY_SLOT_ROOM + 24, IMAGE_LEN - 1);
	reseal(p + OVERLAY_SLOT_ROOM);
	assert_untrusted("another size");
}
END_TEST

START_TEST(one_of_another_length_is_not_believed)
{
	leave_some();
	struct bytes whole = { beside.place.journal.seen, beside.place.journal.size };
	whole = bytes_copy(whole);
	static const size_t lens[] = { 0, 1, OVERLAY_SLOT_LEN, OVERLAY_HEADER_LEN, OVERLAY_HEADER_LEN + 1, 40000 };
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		memory_store_put_journal(&beside.place, whole.data, lens[i]);
		assert_untrusted("short");
	}
	memory_store_put_journal(&beside.place, whole.data, whole.len - 1);
	assert_untrusted("a byte short");
	struct bytes longer = bytes_join(whole, bytes_new(1));
	memory_store_put_journal(&beside.place, longer.data, longer.len);
	assert_untrusted("a byte long");
	memory_store_put_journal(&beside.place, whole.data, whole.len);
	ck_assert_int_eq(beside_look(&beside).state, BLOCKZ_OVERLAY_OF_FILE);
}
END_TEST

START_TEST(one_of_somebody_else_is_not_believed)
{
	static const int errors[] = { EPERM, EINVAL, EACCES };
	leave_some();
	beside.place.untrusted = errors[_i];
	assert_untrusted("of somebody else");
}
END_TEST

START_TEST(one_that_is_locked_is_refused)
{
	leave_some();
	beside.place.untrusted = EWOULDBLOCK;
	ck_assert_int_eq(beside_open(&beside, BLOCKZ_OVERLAY_READ), BLOCKZ_LOCKED);
	beside.place.untrusted = EMFILE;
	ck_assert_int_eq(beside_open(&beside, BLOCKZ_OVERLAY_READ), BLOCKZ_FAILED);
}
END_TEST

int main(void)
{
	TCase *c = case_new("overlay");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, nothing_is_there_before_the_first_write);
	tcase_add_test(c, what_was_flushed_is_found_again);
	tcase_add_test(c, runs_end_where_pages_or_the_image_end);
	tcase_add_test(c, a_source_has_held_bytes_alone);
	tcase_add_loop_test(c, pages_are_as_in_a_model, 0, 6);
	tcase_add_test(c, it_is_known_whose_it_is);
	tcase_add_test(c, what_was_committed_is_known);
	tcase_add_test(c, it_is_of_an_image_of_one_size);
	tcase_add_test(c, after_a_drop_there_can_be_another);
	tcase_add_test(c, one_that_is_read_is_not_changed);
	tcase_add_loop_test(c, lies_are_not_believed, 0, sizeof(lies) / sizeof(lies[0]));
	tcase_add_test(c, a_torn_slot_leaves_the_other);
	tcase_add_test(c, slots_of_two_images_are_not_believed);
	tcase_add_test(c, one_of_another_length_is_not_believed);
	tcase_add_loop_test(c, one_of_somebody_else_is_not_believed, 0, 3);
	tcase_add_test(c, one_that_is_locked_is_refused);
	return case_run("overlay", c);
}
