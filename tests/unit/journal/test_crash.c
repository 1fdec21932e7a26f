/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Crashes at every operation of a transaction and of its recovery: the program is killed, or the power goes and writes
 * since the last sync are lost, kept in part, or reordered, a sector at a time.  That the barriers are what saves the
 * file is shown by leaving each of them out.
 */
#include <string.h>

#include "memory.h"
#include "random.h"
#include "transactions.h"

static struct sample sample;
static struct memory_store store, saved;

static void setup(void)
{
	sample_init(&sample);
	memory_store_init(&store, sample.old, sample.len);
	memory_store_init(&saved, sample.old, sample.len);
}

static void teardown(void)
{
	sample_free(&sample);
	memory_store_free(&store);
	memory_store_free(&saved);
}

/* Different ways to lose some of what was not durable. */
static const enum store_cut cuts[] = {
	STORE_CUT_LOSE, STORE_CUT_KEEP, STORE_CUT_PREFIX, STORE_CUT_RANDOM, STORE_CUT_PREFIX, STORE_CUT_RANDOM,
	STORE_CUT_RANDOM, STORE_CUT_PREFIX, STORE_CUT_RANDOM, STORE_CUT_RANDOM,
};
enum { CUTS = sizeof(cuts) / sizeof(cuts[0]) };

static enum blockz_status recover(enum blockz_recovery *recovery_ret)
{
	struct blockz_store table = memory_store(&store);
	return recovery_run(&table, BLOCKZ_REMEDY_RECOVER, recovery_ret, NULL);
}

static bool is_whole(void)
{
	return (sample_is_old(&sample, &store) || sample_is_new(&sample, &store)) && !memory_store_has_journal(&store);
}

/* Runs until operation n, where the power goes; false if the transaction ends before that. */
static bool crash_at(size_t n, unsigned ignored)
{
	memory_store_reset(&store, sample.old, sample.len);
	store.cut_at = n;
	store.ignored = ignored;
	sample_run(&sample, &store, NULL);
	return store.dead;
}

/*
 * Opens the file again and recovers; reports whether it is as before or as after the edit, now and after one more power
 * failure.
 */
static bool recovers(void)
{
	enum blockz_recovery recovery;
	memory_store_reopen(&store);
	if (recover(&recovery) != BLOCKZ_OK || !is_whole())
		return false;
	bool old = sample_is_old(&sample, &store);
	memory_store_cut(&store, STORE_CUT_LOSE);
	return is_whole() && sample_is_old(&sample, &store) == old;
}

START_TEST(the_power_goes_at_each_operation)
{
	size_t n = 1;
	for (; crash_at(n, 0); n++) {
		for (size_t i = 0; i < CUTS; i++) {
			ck_assert(crash_at(n, 0));
			memory_store_cut(&store, cuts[i]);
			ck_assert_msg(recovers(), "operation %zu, cut %zu", n, i);
		}
	}
	ck_assert_uint_gt(n, sample.count + 9);
}
END_TEST

START_TEST(the_program_is_killed_at_each_operation)
{
	for (size_t n = 1; crash_at(n, 0); n++)
		ck_assert_msg(recovers(), "operation %zu", n);
}
END_TEST

START_TEST(what_was_reported_as_done_stays_done)
{
	ck_assert(!crash_at(0, 0));
	for (size_t i = 0; i < CUTS; i++) {
		memory_store_cut(&store, cuts[i]);
		ck_assert(sample_is_new(&sample, &store));
		ck_assert(!memory_store_has_journal(&store));
	}
}
END_TEST

/* ---- Crashes of the recovery, too ---- */

/* The state of a store whose power has just come back: all of it is durable. */
static void save(void)
{
	memory_store_reset(&saved, store.file.seen, store.file.size);
	if (memory_store_has_journal(&store))
		memory_store_put_journal(&saved, store.journal.seen, store.journal.size);
}

static void restore(void)
{
	memory_store_reset(&store, saved.file.seen, saved.file.size);
	if (memory_store_has_journal(&saved))
		memory_store_put_journal(&store, saved.journal.seen, saved.journal.size);
}

static bool recovery_crashes_at(size_t n)
{
	enum blockz_recovery recovery;
	restore();
	store.cut_at = n;
	recover(&recovery);
	return store.dead;
}

/* From the saved state on: the power goes again at each operation of the recovery. */
static size_t crash_recovery_everywhere(void)
{
	size_t n = 1;
	for (; recovery_crashes_at(n); n++) {
		static const enum store_cut again[] = { STORE_CUT_LOSE, STORE_CUT_KEEP, STORE_CUT_RANDOM };
		for (size_t i = 0; i < 3; i++) {
			ck_assert(recovery_crashes_at(n));
			memory_store_cut(&store, again[i]);
			ck_assert_msg(recovers(), "operation %zu of the recovery, cut %zu", n, i);
		}
	}
	return n;
}

START_TEST(the_power_goes_at_each_operation_of_the_recovery)
{
	size_t longest = 0;
	for (size_t n = 1; crash_at(n, 0); n += few_rounds ? 3 : 1) {
		memory_store_cut(&store, n % 4 == 0 ? STORE_CUT_KEEP : STORE_CUT_RANDOM);
		save();
		size_t operations = crash_recovery_everywhere();
		longest = operations > longest ? operations : longest;
	}
	ck_assert_uint_gt(longest, sample_sectors(&sample));
}
END_TEST

/* ---- Barriers left out ---- */

static size_t violations_without(enum store_op barrier)
{
	size_t violations = 0;
	for (size_t n = 1; crash_at(n, 1U << barrier); n++) {
		for (size_t i = 0; i < CUTS; i++) {
			ck_assert(crash_at(n, 1U << barrier));
			memory_store_cut(&store, cuts[i]);
			violations += !recovers();
		}
	}
	return violations;
}

START_TEST(each_barrier_is_needed)
{
	static const enum store_op barriers[] = { STORE_JOURNAL_SYNC, STORE_DIRECTORY_SYNC, STORE_SYNC };
	ck_assert_uint_gt(violations_without(barriers[_i]), 0);
}
END_TEST

/* ---- Other files, other damage ---- */

START_TEST(random_transactions_survive_random_crashes)
{
	for (int round = 0; round < 150; round++) {
		struct sample other = sample;
		sample_init_random(&sample, (size_t)(1 + rnd_below(round % 2 == 0 ? 3000 : 200000)));
		size_t operations = 0;
		if (!crash_at(0, 0))
			operations = store.step_count;
		ck_assert(sample_is_new(&sample, &store));
		ck_assert_uint_eq(memory_store_count(&store, STORE_WRITE), sample.count);
		for (int i = 0; i < 5 && operations > 0; i++) {
			size_t n = (size_t)(1 + rnd_below(operations));
			ck_assert(crash_at(n, 0));
			memory_store_cut(&store, STORE_CUT_RANDOM);
			ck_assert_msg(recovers(), "round %d, operation %zu of %zu", round, n, operations);
		}
		sample_free(&sample);
		sample = other;
	}
}
END_TEST

/* The file and its journal were copied after the crash: the copy has another inode. */
START_TEST(a_copy_of_a_crashed_file_is_recovered_or_refused)
{
	enum blockz_recovery recovery;
	size_t undone = 0, finished = 0;
	for (size_t n = 1; crash_at(n, 0); n++) {
		memory_store_cut(&store, n % 2 == 0 ? STORE_CUT_KEEP : STORE_CUT_RANDOM);
		memory_store_reopen(&store);
		store.identity.inode++;
		enum blockz_status status = recover(&recovery);
		if (status == BLOCKZ_OK) {
			ck_assert(is_whole());
			undone += recovery == BLOCKZ_RECOVERY_UNDONE;
			finished += recovery == BLOCKZ_RECOVERY_FINISHED;
			continue;
		}
		ck_assert_int_eq(status, BLOCKZ_NEEDS_RECOVERY);
		ck_assert_uint_eq(memory_store_count(&store, STORE_WRITE), 0);
		store.identity.inode--;
		ck_assert_msg(recovers(), "operation %zu", n);
	}
	ck_assert(undone > 0 && finished > 0);
}
END_TEST

/*
 * A disk that tears sectors into something else leaves what is neither old nor new, and so does somebody who copies another
 * file over this one, which keeps the inode: nothing is touched before somebody says which of the two it was.
 */
START_TEST(torn_sectors_are_undone_in_the_file_itself_alone)
{
	enum blockz_recovery recovery;
	for (int copied = 0; copied < 2; copied++) {
		sample_interrupt(&sample, &store, 5);
		for (size_t i = 70000; i < 73000; i += 2)
			store.file.seen[i] ^= 0x55;
		store.identity.birth_nsec += (uint32_t)copied;
		ck_assert_int_eq(recover(&recovery), BLOCKZ_NEEDS_RECOVERY);
		ck_assert_uint_eq(memory_store_count(&store, STORE_WRITE), 0);
		ck_assert(memory_store_has_journal(&store));
		struct blockz_store table = memory_store(&store);
		ck_assert_int_eq(recovery_run(&table, BLOCKZ_REMEDY_UNDO, &recovery, NULL), BLOCKZ_OK);
		ck_assert_int_eq(recovery, BLOCKZ_RECOVERY_UNDONE);
		ck_assert(sample_is_old(&sample, &store));
	}
}
END_TEST

int main(void)
{
	TCase *c = case_new("crash");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, the_power_goes_at_each_operation);
	tcase_add_test(c, the_program_is_killed_at_each_operation);
	tcase_add_test(c, what_was_reported_as_done_stays_done);
	tcase_add_test(c, the_power_goes_at_each_operation_of_the_recovery);
	tcase_add_loop_test(c, each_barrier_is_needed, 0, 3);
	tcase_add_test(c, random_transactions_survive_random_crashes);
	tcase_add_test(c, a_copy_of_a_crashed_file_is_recovered_or_refused);
	tcase_add_test(c, torn_sectors_are_undone_in_the_file_itself_alone);
	return case_run("crash", c);
}
