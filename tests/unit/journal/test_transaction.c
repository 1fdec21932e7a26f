/* SPDX-License-Identifier: BSD-3-Clause */
/* Transactions on a store that shows what is done to it, and in which every call fails in turn. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "journal/journal.h"
#include "memory.h"
#include "transactions.h"

static struct sample sample;
static struct memory_store store;

/* 0: reads come back short.  A sanitizer sees the same in all the others. */
static const int errors[] = { EIO, 0, ENOSPC, EDQUOT, EROFS, EINTR, EACCES, ENOMEM };
enum { ERRORS = sizeof(errors) / sizeof(errors[0]), ERRORS_SANITIZED = 2 };

static void setup(void)
{
	sample_init(&sample);
	memory_store_init(&store, sample.old, sample.len);
}

static void teardown(void)
{
	sample_free(&sample);
	memory_store_free(&store);
}

static enum blockz_status run(struct blockz_fault *fault)
{
	return sample_run(&sample, &store, fault);
}

static enum blockz_status recover(enum blockz_recovery *recovery_ret, struct blockz_fault *fault)
{
	struct blockz_store table = memory_store(&store);
	return recovery_run(&table, BLOCKZ_REMEDY_RECOVER, recovery_ret, fault);
}

/* ---- What is written, and when ---- */

START_TEST(exactly_the_planned_bytes_are_written)
{
	ck_assert_int_eq(run(NULL), BLOCKZ_OK);
	ck_assert(sample_is_new(&sample, &store));
	ck_assert_uint_eq(memory_store_count(&store, STORE_WRITE), sample.count);
	size_t next = 0;
	for (size_t i = 0; i < store.step_count; i++) {
		if (store.steps[i].op != STORE_WRITE)
			continue;
		ck_assert_uint_eq(store.steps[i].off, sample.writes[next].file_off);
		ck_assert_uint_eq(store.steps[i].len, sample.writes[next].length);
		next++;
	}
}
END_TEST

START_TEST(steps_come_in_the_protocols_order)
{
	static const enum store_op expected[] = {
		STORE_JOURNAL_FIND,
		STORE_JOURNAL_CREATE, STORE_JOURNAL_RESERVE, STORE_JOURNAL_WRITE, STORE_JOURNAL_SYNC, /* barrier A */
		STORE_JOURNAL_RENAME, STORE_DIRECTORY_SYNC, /* B */
		STORE_WRITE, STORE_SYNC, /* C */
		STORE_JOURNAL_UNLINK, STORE_DIRECTORY_SYNC, /* D */
	};
	enum store_op last = STORE_READ;
	size_t next = 0;
	ck_assert_int_eq(run(NULL), BLOCKZ_OK);
	for (size_t i = 0; i < store.step_count; i++) {
		enum store_op op = store.steps[i].op;
		if (op == STORE_READ || (op == last && (op == STORE_WRITE || op == STORE_JOURNAL_WRITE)))
			continue;
		ck_assert_uint_lt(next, sizeof(expected) / sizeof(expected[0]));
		ck_assert_int_eq(op, expected[next++]);
		last = op;
	}
	ck_assert_uint_eq(next, sizeof(expected) / sizeof(expected[0]));
}
END_TEST

START_TEST(the_journal_has_a_record_for_each_changed_sector_and_no_other)
{
	uint64_t len = 0, reserved = 0;
	ck_assert_int_eq(run(NULL), BLOCKZ_OK);
	for (size_t i = 0; i < store.step_count; i++) {
		if (store.steps[i].op == STORE_JOURNAL_WRITE)
			len += store.steps[i].len;
		if (store.steps[i].op == STORE_JOURNAL_RESERVE)
			reserved = store.steps[i].len;
	}
	ck_assert_uint_eq(len, journal_len(sample_sectors(&sample)));
	ck_assert_uint_eq(reserved, len);
}
END_TEST

START_TEST(an_empty_plan_does_nothing_at_all)
{
	sample.count = 0;
	store.fail_at = 1;
	store.fail_from_then_on = true;
	ck_assert_int_eq(run(NULL), BLOCKZ_OK);
	ck_assert_uint_eq(store.step_count, 0);
	ck_assert_uint_eq(sample.fetches, 0);
}
END_TEST

START_TEST(changes_longer_than_any_buffer)
{
	sample_free(&sample);
	sample_init_large(&sample);
	for (size_t writes = 0; writes <= sample.count; writes += 10) {
		enum blockz_recovery recovery = BLOCKZ_RECOVERY_NONE;
		sample_interrupt(&sample, &store, writes);
		ck_assert_uint_eq(store.journal.size, journal_len(sample_sectors(&sample)));
		ck_assert_int_eq(recover(&recovery, NULL), BLOCKZ_OK);
		ck_assert_int_eq(recovery, writes == sample.count ? BLOCKZ_RECOVERY_FINISHED : BLOCKZ_RECOVERY_UNDONE);
		ck_assert(writes == sample.count ? sample_is_new(&sample, &store) : sample_is_old(&sample, &store));
	}
	memory_store_reset(&store, sample.old, sample.len);
	ck_assert_int_eq(run(NULL), BLOCKZ_OK);
	ck_assert(sample_is_new(&sample, &store));
	ck_assert_uint_eq(memory_store_count(&store, STORE_WRITE), sample.count);
}
END_TEST

/* ---- Calls that fail ---- */

/* The file is opened again, in a store that works: it is old or new, and has no journal. */
static void assert_recoverable(void)
{
	enum blockz_recovery recovery;
	struct blockz_fault fault;
	memory_store_reopen(&store);
	ck_assert_msg(recover(&recovery, &fault) == BLOCKZ_OK, "%s", fault.text);
	ck_assert(sample_is_old(&sample, &store) || sample_is_new(&sample, &store));
	ck_assert(!memory_store_has_journal(&store));
}

static bool failed_at_the_journals_name(void)
{
	for (size_t i = 0; i < store.step_count; i++) {
		enum store_op op = store.steps[i].op;
		bool failed = i + 1 == store.fail_at || i + 1 == store.fail_again_at ||
			      (store.fail_from_then_on && i + 1 > store.fail_at);
		if (failed && (op == STORE_JOURNAL_FIND || op == STORE_JOURNAL_UNLINK || op == STORE_TEMPORARY_UNLINK))
			return true;
	}
	return false;
}

/* What the state says is so, for whoever reads the file now, and after the power has gone. */
static void assert_truth(const struct blockz_fault *fault)
{
	bool new = fault->state == BLOCKZ_IMAGE_UPDATED;
	if (fault->state == BLOCKZ_IMAGE_NEEDS_RECOVERY) {
		/* Only who could not look may say so of a file without a journal. */
		ck_assert(memory_store_has_journal(&store) || failed_at_the_journals_name());
		assert_recoverable();
		return;
	}
	ck_assert(!memory_store_has_journal(&store));
	ck_assert(new ? sample_is_new(&sample, &store) : sample_is_old(&sample, &store));
	memory_store_cut(&store, STORE_CUT_RANDOM);
	assert_recoverable();
	ck_assert(new ? sample_is_new(&sample, &store) : sample_is_old(&sample, &store));
}

/* Runs with the n-th call failing, and another; returns how many calls there were. */
static size_t run_failing(size_t n, size_t again, int error, bool from_then_on)
{
	struct blockz_fault fault = { .status = BLOCKZ_OK };
	memory_store_reset(&store, sample.old, sample.len);
	store.fail_at = n;
	store.fail_again_at = again;
	store.error = error;
	store.fail_from_then_on = from_then_on;
	enum blockz_status status = run(&fault);
	size_t calls = store.step_count;
	if (status == BLOCKZ_OK) {
		/* A short read fails only where something is read. */
		ck_assert(calls < n || error == 0);
		ck_assert(sample_is_new(&sample, &store) && !memory_store_has_journal(&store));
		memory_store_cut(&store, STORE_CUT_LOSE);
		ck_assert(sample_is_new(&sample, &store) && !memory_store_has_journal(&store));
		return calls;
	}
	ck_assert_int_eq(status, BLOCKZ_FAILED);
	ck_assert_int_eq(fault.status, BLOCKZ_FAILED);
	if (error != 0)
		ck_assert_int_eq(fault.error, error);
	assert_truth(&fault);
	return calls;
}

START_TEST(each_call_fails_once)
{
	size_t n = 1;
	while (run_failing(n, 0, errors[_i], false) >= n)
		n++;
	ck_assert_uint_gt(n, sample.count + 10);
}
END_TEST

START_TEST(all_calls_fail_from_one_on)
{
	size_t n = 1;
	while (run_failing(n, 0, errors[_i], true) >= n)
		n++;
	ck_assert_uint_gt(n, sample.count + 10);
}
END_TEST

START_TEST(any_two_calls_fail)
{
	size_t pairs = 0;
	for (size_t n = 1; run_failing(n, 0, EIO, false) >= n; n += few_rounds ? 3 : 1)
		for (size_t again = n + 1; run_failing(n, again, EIO, false) >= again; again++)
			pairs++;
	ck_assert_uint_gt(pairs, sample.count * 10 / (few_rounds ? 3 : 1));
}
END_TEST

START_TEST(a_failed_sync_is_not_retried_and_what_it_lost_is_undone)
{
	enum blockz_recovery recovery;
	struct blockz_fault fault;
	ck_assert_int_eq(run(NULL), BLOCKZ_OK);
	size_t n = 0;
	while (store.steps[n].op != STORE_SYNC)
		n++;
	for (int round = 0; round < 20; round++) {
		memory_store_reset(&store, sample.old, sample.len);
		store.fail_at = n + 1;
		ck_assert_int_eq(run(&fault), BLOCKZ_FAILED);
		ck_assert_int_eq(fault.state, BLOCKZ_IMAGE_NEEDS_RECOVERY);
		ck_assert_uint_eq(memory_store_count(&store, STORE_SYNC), 1);
		ck_assert(memory_store_has_journal(&store));
		memory_store_reopen(&store);
		ck_assert_int_eq(recover(&recovery, &fault), BLOCKZ_OK);
		/* The power goes when the journal is gone. */
		memory_store_cut(&store, round == 0 ? STORE_CUT_LOSE : STORE_CUT_RANDOM);
		assert_recoverable();
	}
}
END_TEST

START_TEST(new_bytes_that_cannot_be_had_change_nothing)
{
	struct blockz_fault fault;
	ck_assert_int_eq(run(NULL), BLOCKZ_OK);
	size_t fetches = sample.fetches;
	ck_assert_uint_gt(fetches, sample.count);
	for (size_t n = 1; n <= fetches; n++) {
		memory_store_reset(&store, sample.old, sample.len);
		sample.fetches = 0;
		sample.fail_fetch_at = n;
		ck_assert_int_eq(run(&fault), BLOCKZ_FAILED);
		ck_assert_str_eq(fault.text, "new bytes are gone");
		bool written = memory_store_count(&store, STORE_WRITE) > 0;
		ck_assert_int_eq(fault.state, written ? BLOCKZ_IMAGE_ROLLED_BACK : BLOCKZ_IMAGE_UNCHANGED);
		assert_truth(&fault);
	}
}
END_TEST

START_TEST(messages_name_what_failed_and_why)
{
	struct blockz_fault fault;
	ck_assert_int_eq(run(NULL), BLOCKZ_OK);
	size_t n = 0;
	while (store.steps[n].op != STORE_WRITE)
		n++;
	memory_store_reset(&store, sample.old, sample.len);
	store.fail_at = n + 1;
	store.error = ENOSPC;
	ck_assert_int_eq(run(&fault), BLOCKZ_FAILED);
	ck_assert_uint_eq(fault.offset, sample.writes[0].file_off);
	ck_assert_ptr_nonnull(strstr(fault.text, "write"));
	ck_assert_msg(strstr(fault.text, strerror(ENOSPC)) != NULL, "the text is \"%s\"", fault.text);
}
END_TEST

/* ---- Recovery in which calls fail ---- */

static bool recover_failing(size_t writes, size_t n, int error, bool from_then_on)
{
	struct blockz_fault fault = { .status = BLOCKZ_OK };
	enum blockz_recovery recovery = (enum blockz_recovery)99;
	sample_interrupt(&sample, &store, writes);
	store.fail_at = n;
	store.error = error;
	store.fail_from_then_on = from_then_on;
	enum blockz_status status = recover(&recovery, &fault);
	bool reached = store.step_count >= n;
	if (status != BLOCKZ_OK) {
		ck_assert_int_eq(recovery, 99);
		ck_assert_int_ne(fault.state, BLOCKZ_IMAGE_UNCHANGED);
		assert_truth(&fault);
	} else {
		ck_assert(!reached || error == 0);
		ck_assert_int_eq(recovery, writes == sample.count ? BLOCKZ_RECOVERY_FINISHED : BLOCKZ_RECOVERY_UNDONE);
		memory_store_cut(&store, STORE_CUT_LOSE);
		ck_assert(!memory_store_has_journal(&store));
		ck_assert(writes == sample.count ? sample_is_new(&sample, &store) : sample_is_old(&sample, &store));
	}
	return reached;
}

START_TEST(each_call_of_a_recovery_fails)
{
	for (size_t writes = 0; writes <= sample.count; writes += few_rounds ? sample.count : 1)
		for (int from_then_on = 0; from_then_on < 2; from_then_on++)
			for (size_t n = 1; recover_failing(writes, n, errors[_i], from_then_on); n++)
				ck_assert_uint_lt(n, 1000);
}
END_TEST

/* A journal longer than its buffer: each of its writes fails. */
START_TEST(each_part_of_a_long_journal_fails)
{
	sample_free(&sample);
	sample_init_large(&sample);
	memory_store_reset(&store, sample.old, sample.len);
	ck_assert_int_eq(run(NULL), BLOCKZ_OK);
	size_t parts = memory_store_count(&store, STORE_JOURNAL_WRITE), failed = 0;
	ck_assert_uint_gt(parts, 2);
	size_t steps = store.step_count;
	struct store_step *record = malloc(steps * sizeof(*record));
	memcpy(record, store.steps, steps * sizeof(*record));
	for (size_t n = 0; n < steps; n++) {
		struct blockz_fault fault;
		if (record[n].op != STORE_JOURNAL_WRITE)
			continue;
		memory_store_reset(&store, sample.old, sample.len);
		store.fail_at = n + 1;
		ck_assert_int_eq(run(&fault), BLOCKZ_FAILED);
		assert_truth(&fault);
		failed++;
	}
	ck_assert_uint_eq(failed, parts);
	free(record);
}
END_TEST

/* What is read as the journal of an edit is one. */
START_TEST(a_served_disks_journal_is_not_that_of_an_edit)
{
	struct journal_header header = { .file_size = sample.len, .count = 1 };
	uint8_t bytes[JOURNAL_HEADER_LEN + JOURNAL_RECORD_LEN + JOURNAL_SUM_LEN] = { 0 };
	uint64_t len = 0;
	journal_header_store(bytes, JOURNAL_INTENT, &header);
	memory_store_put_journal(&store, bytes, sizeof(bytes));
	struct blockz_store table = memory_store(&store);
	ck_assert_int_eq(table.ops->journal_find(table.ctx, &len), 0);
	ck_assert_int_eq(recovery_undo(&table, len, NULL), BLOCKZ_NEEDS_RECOVERY);
	ck_assert(sample_is_old(&sample, &store));
}
END_TEST

/* ---- Stores without a journal ---- */

START_TEST(a_store_without_a_journal_is_written_and_synced)
{
	struct transaction transaction = sample_transaction(&sample);
	struct blockz_store table = memory_store(&store);
	struct blockz_store_ops plain = { .read = table.ops->read, .write = table.ops->write, .sync = table.ops->sync };
	struct blockz_fault fault;
	enum blockz_recovery recovery = BLOCKZ_RECOVERY_UNDONE;
	table.ops = &plain;
	ck_assert_int_eq(transaction_run(&transaction, &table, &fault), BLOCKZ_OK);
	ck_assert_uint_eq(store.step_count, sample.count + 1);
	memory_store_cut(&store, STORE_CUT_LOSE);
	ck_assert(sample_is_new(&sample, &store));
	for (size_t n = 1; n <= sample.count + 1; n++) {
		memory_store_reset(&store, sample.old, sample.len);
		store.fail_at = n;
		ck_assert_int_eq(transaction_run(&transaction, &table, &fault), BLOCKZ_FAILED);
		ck_assert_int_eq(fault.state, BLOCKZ_IMAGE_TORN);
	}
	/* New bytes that cannot be had are noticed before the first is written. */
	for (size_t n = 1; n <= 2 * sample.count; n++) {
		memory_store_reset(&store, sample.old, sample.len);
		sample.fetches = 0;
		sample.fail_fetch_at = n;
		ck_assert_int_eq(transaction_run(&transaction, &table, &fault), BLOCKZ_FAILED);
		ck_assert_int_eq(fault.state, n <= sample.count ? BLOCKZ_IMAGE_UNCHANGED : BLOCKZ_IMAGE_TORN);
		ck_assert_int_eq(memory_store_count(&store, STORE_WRITE) > 0, n > sample.count + 1);
	}
	ck_assert_int_eq(recovery_run(&table, BLOCKZ_REMEDY_RECOVER, &recovery, &fault), BLOCKZ_OK);
	ck_assert_int_eq(recovery, BLOCKZ_RECOVERY_NONE);
}
END_TEST

int main(void)
{
	int kinds = sanitized ? ERRORS_SANITIZED : ERRORS;
	TCase *c = case_new("transaction");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, exactly_the_planned_bytes_are_written);
	tcase_add_test(c, steps_come_in_the_protocols_order);
	tcase_add_test(c, the_journal_has_a_record_for_each_changed_sector_and_no_other);
	tcase_add_test(c, an_empty_plan_does_nothing_at_all);
	tcase_add_test(c, changes_longer_than_any_buffer);
	tcase_add_loop_test(c, each_call_fails_once, 0, kinds);
	tcase_add_loop_test(c, all_calls_fail_from_one_on, 0, kinds);
	tcase_add_test(c, any_two_calls_fail);
	tcase_add_test(c, a_failed_sync_is_not_retried_and_what_it_lost_is_undone);
	tcase_add_test(c, new_bytes_that_cannot_be_had_change_nothing);
	tcase_add_test(c, messages_name_what_failed_and_why);
	tcase_add_loop_test(c, each_call_of_a_recovery_fails, 0, kinds);
	tcase_add_test(c, each_part_of_a_long_journal_fails);
	tcase_add_test(c, a_served_disks_journal_is_not_that_of_an_edit);
	tcase_add_test(c, a_store_without_a_journal_is_written_and_synced);
	return case_run("transaction", c);
}
