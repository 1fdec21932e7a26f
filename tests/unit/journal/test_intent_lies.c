/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Intent journals that are whole, with every sum right, and say what cannot be; and what a reader makes of those that can.
 * They are written by intent_create(), which believes whoever calls it.
 */
#include <string.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "journal/intent_layout.h"
#include "journal/recovery.h"
#include "memory.h"
#include "random.h"
#include "stores.h"

/* Room for so many records that they are read in two parts. */
enum { LEN = 8192, FIELD = 6000, SECOND_FIELD = 6100, ROOM = 20000 };

static uint8_t file[LEN];
static struct memory_store store;

static void setup(void)
{
	rnd_fill(file, sizeof(file));
	memory_store_init(&store, file, sizeof(file));
}

static void teardown(void)
{
	memory_store_free(&store);
}

static struct intent_check check_of(uint64_t start, uint64_t end, enum check_method method, bool of_file)
{
	uint64_t field = of_file ? SECOND_FIELD : FIELD;
	return (struct intent_check){ .check = { start, end, field, method, of_file } };
}

static struct intent_unit unit_of(uint64_t start, uint64_t end, enum check_method method)
{
	return (struct intent_unit){ .span = { .start = start, .end = end, .file_off = 100 }, .method = method };
}

/* A file of len bytes with a journal of these checks and units. */
static void leave(size_t len, struct intent_check *checks, size_t check_count, const struct intent_unit *units,
		  size_t unit_count)
{
	struct intent intent = { .checks = checks, .check_count = check_count, .room = ROOM };
	bool harmless;
	memory_store_reset(&store, file, len);
	struct blockz_store table = memory_store(&store);
	ck_assert_int_eq(intent_load(&intent, &table, NULL), BLOCKZ_OK);
	ck_assert_int_eq(intent_create(&intent, &table, units, unit_count, &harmless, NULL), BLOCKZ_OK);
	memory_store_rewind(&store);
}

static enum blockz_status recover(enum blockz_remedy remedy, struct blockz_fault *fault)
{
	enum blockz_recovery recovery;
	struct blockz_store table = memory_store(&store);
	return recovery_run(&table, remedy, &recovery, fault);
}

static enum blockz_status look(enum recovery_journal *found)
{
	struct blockz_store table = memory_store(&store);
	return recovery_look(&table, found, NULL);
}

static void assert_refused(const char *why)
{
	struct blockz_fault fault = { .text = "" };
	enum recovery_journal found;
	ck_assert_int_eq(recover(BLOCKZ_REMEDY_RECOVER, &fault), BLOCKZ_NEEDS_RECOVERY);
	ck_assert_msg(strstr(fault.text, why) != NULL, "'%s' is not in: %s", why, fault.text);
	ck_assert_int_eq(fault.remedy, BLOCKZ_REMEDY_DROP);
	ck_assert_int_eq(look(&found), BLOCKZ_NEEDS_RECOVERY);
	ck_assert_uint_eq(memory_store_count(&store, STORE_WRITE), 0);
	ck_assert(memory_store_has_journal(&store));
}

/* ---- What can be ---- */

/* In one part, and cut by headers. */
START_TEST(a_truth_is_believed)
{
	struct intent_check check = check_of(0, 1000, CHECK_CRC32, false);
	struct intent_unit unit = unit_of(10, 500, CHECK_CRC32);
	enum recovery_journal found;
	unit.span.stride = _i == 0 ? 0 : 100;
	unit.span.header_len = _i == 0 ? 0 : 5;
	leave(LEN, &check, 1, &unit, 1);
	ck_assert_int_eq(look(&found), BLOCKZ_NEEDS_RECOVERY);
	ck_assert_int_eq(recover(BLOCKZ_REMEDY_UNDO, NULL), BLOCKZ_NEEDS_RECOVERY);
	ck_assert(memory_store_has_journal(&store));
	ck_assert_int_eq(recover(BLOCKZ_REMEDY_RECOVER, NULL), BLOCKZ_OK);
	ck_assert(!memory_store_has_journal(&store));
}
END_TEST

/* Of another file: its ends are others, or a field is neither what it was nor what it would become. */
START_TEST(another_file_can_be_read)
{
	static const size_t offs[] = { 7000, FIELD + 1 };
	struct intent_check check = check_of(0, 1000, CHECK_CRC32, false);
	struct intent_unit unit = unit_of(10, 500, CHECK_CRC32);
	enum recovery_journal found = RECOVERY_NO_JOURNAL;
	leave(LEN, &check, 1, &unit, 1);
	store.file.seen[offs[_i]] ^= 0x5a;
	ck_assert_int_eq(look(&found), BLOCKZ_OK);
	ck_assert_int_eq(found, RECOVERY_OF_OTHER_FILE);
	ck_assert_int_eq(recover(BLOCKZ_REMEDY_RECOVER, NULL), BLOCKZ_NEEDS_RECOVERY);
	ck_assert_int_eq(recover(BLOCKZ_REMEDY_DROP, NULL), BLOCKZ_OK);
	ck_assert(!memory_store_has_journal(&store));
}
END_TEST

/* ---- What cannot be ---- */

START_TEST(checks_lie_in_the_file)
{
	struct intent_check beyond = check_of(0, LEN + 1, CHECK_CRC32, true);
	leave(LEN, &beyond, 1, NULL, 0);
	assert_refused("a check does not lie in the file");
	struct intent_check small = check_of(0, 2, CHECK_CRC32, false);
	small.check.field_off = 0;
	leave(4, &small, 1, NULL, 0);
	/* The same head beside a file that has no room for the field. */
	size_t head = INTENT_HEADER_LEN + INTENT_CHECK_LEN;
	store.file.size = store.file.durable_size = 3;
	store.journal.seen[16] = 3;
	store_le64(store.journal.seen + head, XXH64(store.journal.seen, head, 0));
	assert_refused("a check does not lie in the file");
}
END_TEST

START_TEST(checks_over_file_bytes_are_linear)
{
	struct intent_check check = check_of(0, 1000, CHECK_XXH64_LOW32, true);
	leave(LEN, &check, 1, NULL, 0);
	assert_refused("a check does not lie in the file, or is of no known kind");
}
END_TEST

START_TEST(checks_are_in_order)
{
	struct intent_check mixed[] = { check_of(0, 1000, CHECK_CRC32, true), check_of(0, 1000, CHECK_CRC32, false) };
	leave(LEN, mixed, 2, NULL, 0);
	assert_refused("a check does not lie in the file");
	struct intent_check backwards[] = {
		check_of(1000, 2000, CHECK_CRC32, false), check_of(0, 1000, CHECK_CRC32, false),
	};
	leave(LEN, backwards, 2, NULL, 0);
	assert_refused("checks are not in order");
}
END_TEST

START_TEST(units_and_checks_agree)
{
	struct intent_check check = check_of(0, 500, CHECK_XXH64_LOW32, false);
	const struct intent_unit units[] = {
		unit_of(0, 500, CHECK_CRC32), unit_of(1, 500, CHECK_XXH64_LOW32), unit_of(0, 499, CHECK_XXH64_LOW32),
	};
	leave(LEN, &check, 1, &units[_i], 1);
	assert_refused("a record and the check over it do not agree");
}
END_TEST

/* Some checks have no unit over them, and some units lie before the first check. */
START_TEST(units_need_not_meet_checks)
{
	struct intent_check checks[] = {
		check_of(1000, 2000, CHECK_CRC32, false), check_of(3000, 4000, CHECK_CRC32, false),
		check_of(5000, 5100, CHECK_CRC32, true), check_of(5200, 5300, CHECK_CRC32, true),
	};
	const struct intent_unit units[] = { unit_of(0, 500, CHECK_CRC32), unit_of(2000, 2500, CHECK_CRC32) };
	leave(LEN, checks, 4, units, 2);
	ck_assert_int_eq(recover(BLOCKZ_REMEDY_RECOVER, NULL), BLOCKZ_OK);
}
END_TEST

START_TEST(units_are_no_longer_than_the_file)
{
	struct intent_check check = check_of(0, 3 * LEN, CHECK_CRC32, false);
	const struct intent_unit units[] = { unit_of(0, LEN - 100, CHECK_CRC32), unit_of(LEN, 2 * LEN - 100, CHECK_CRC32) };
	leave(LEN, &check, 1, units, 2);
	assert_refused("records of more bytes than the file has");
	struct intent_unit headers = unit_of(0, LEN / 4 * 3, CHECK_CRC32);
	headers.span.stride = 6;
	headers.span.header_len = 5;
	leave(LEN, &check, 1, &headers, 1);
	assert_refused("a record does not lie in the file");
}
END_TEST

/* ---- Calls that fail ---- */

START_TEST(each_call_of_a_look_fails)
{
	struct intent_check check = check_of(0, 1000, CHECK_CRC32, false);
	struct intent_unit unit = unit_of(10, 500, CHECK_CRC32);
	for (size_t n = 1;; n++) {
		enum recovery_journal found;
		leave(LEN, &check, 1, &unit, 1);
		store.fail_at = n;
		ck_assert_int_ne(look(&found), BLOCKZ_OK);
		if (store.step_count < n)
			break;
	}
}
END_TEST

START_TEST(each_call_of_a_recovery_fails)
{
	struct intent_check check = check_of(0, 1000, CHECK_CRC32, false);
	struct intent_unit unit = unit_of(10, 500, CHECK_CRC32);
	for (size_t n = 1;; n++) {
		struct blockz_fault fault = { .status = BLOCKZ_OK };
		leave(LEN, &check, 1, &unit, 1);
		store.fail_at = n;
		enum blockz_status status = recover(BLOCKZ_REMEDY_RECOVER, &fault);
		if (store.step_count < n)
			break;
		ck_assert_int_eq(status, BLOCKZ_FAILED);
		ck_assert_int_eq(fault.state, memory_store_has_journal(&store) ? BLOCKZ_IMAGE_NEEDS_RECOVERY : BLOCKZ_IMAGE_UPDATED);
	}
}
END_TEST

/* A commit writes no field that stays as it is; a recovery does, as it may be right in memory alone. */
START_TEST(fields_that_stay_are_written_by_recoveries_alone)
{
	struct intent_check check = check_of(0, 1000, CHECK_CRC32, false);
	const struct intent intent = { .checks = &check, .check_count = 1 };
	struct blockz_store table = memory_store(&store);
	check.covers = true;
	ck_assert_int_eq(intent_write(&intent, &table, false, NULL), BLOCKZ_OK);
	ck_assert_uint_eq(memory_store_count(&store, STORE_WRITE), 0);
	ck_assert_int_eq(intent_write(&intent, &table, true, NULL), BLOCKZ_OK);
	ck_assert_uint_eq(memory_store_count(&store, STORE_WRITE), 1);
}
END_TEST

int main(void)
{
	TCase *c = case_new("intent_lies");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, a_truth_is_believed, 0, 2);
	tcase_add_loop_test(c, another_file_can_be_read, 0, 2);
	tcase_add_test(c, checks_lie_in_the_file);
	tcase_add_test(c, checks_over_file_bytes_are_linear);
	tcase_add_test(c, checks_are_in_order);
	tcase_add_loop_test(c, units_and_checks_agree, 0, 3);
	tcase_add_test(c, units_need_not_meet_checks);
	tcase_add_test(c, units_are_no_longer_than_the_file);
	tcase_add_test(c, each_call_of_a_look_fails);
	tcase_add_test(c, each_call_of_a_recovery_fails);
	tcase_add_test(c, fields_that_stay_are_written_by_recoveries_alone);
	return case_run("intent_lies", c);
}
