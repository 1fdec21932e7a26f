/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rule by which a journal is believed, tried on everything that can lie beside it: a small file with three edited
 * places, one of them its check, in which each byte that the edit changes is the old one, the new one or another one.
 * Among all these files are each state that a crash can leave, and each good file that somebody can have copied there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "check/crc.h"
#include "journal/journal.h"
#include "memory.h"
#include "random.h"
#include "transactions.h"

/* Two bytes at two places, in sectors of their own, and a CRC-32 of all that is before it, in a third. */
enum { LEN = 2048, PAYLOAD = 1600, PLACES = 4, CHECK_OFF = PAYLOAD, CHECK_LEN = 4, VALUES = 3 };
static const size_t places[PLACES] = { 100, 101, 700, 701 };

enum value { OLD, NEW, OTHER };

static struct sample sample;
static struct memory_store store;
static uint8_t *journal;
static size_t journal_size;
static bool checked;

static uint32_t sum_of(const uint8_t *file)
{
	return crc32_update(0, file, PAYLOAD);
}

static void setup_edit(bool with_check)
{
	checked = with_check;
	sample = (struct sample){ .len = LEN, .old = malloc(LEN), .new = malloc(LEN), .unchecked = !checked };
	rnd_fill(sample.old, LEN);
	if (checked)
		store_le32(sample.old + CHECK_OFF, sum_of(sample.old));
	memcpy(sample.new, sample.old, LEN);
	for (size_t i = 0; i < PLACES; i++)
		sample.new[places[i]] = (uint8_t)~sample.old[places[i]];
	sample.writes[sample.count++] = (struct transaction_write){ places[0], 2 };
	sample.writes[sample.count++] = (struct transaction_write){ places[2], 2 };
	if (checked) {
		store_le32(sample.new + CHECK_OFF, sum_of(sample.new));
		sample.writes[sample.count++] = (struct transaction_write){ CHECK_OFF, CHECK_LEN };
	}
	memory_store_init(&store, sample.old, LEN);
	sample_interrupt(&sample, &store, 0);
	journal_size = store.journal.size;
	journal = malloc(journal_size);
	memcpy(journal, store.journal.seen, journal_size);
}

static void teardown(void)
{
	sample_free(&sample);
	memory_store_free(&store);
	free(journal);
}

/* ---- Files */

/* A byte that is neither of the two. */
static uint8_t another(size_t off)
{
	uint8_t byte = 0x11;
	while (byte == sample.old[off] || byte == sample.new[off])
		byte++;
	return byte;
}

static uint8_t byte_of(size_t off, enum value value)
{
	return value == OLD ? sample.old[off] : value == NEW ? sample.new[off] : another(off);
}

/* Each edited byte of the file gets the value of one ternary digit of number; those of the check come last. */
static void compose(uint8_t *file, unsigned number)
{
	memcpy(file, sample.old, LEN);
	for (size_t i = 0; i < PLACES; i++, number /= VALUES)
		file[places[i]] = byte_of(places[i], (enum value)(number % VALUES));
	for (size_t i = 0; checked && i < CHECK_LEN; i++, number /= VALUES)
		file[CHECK_OFF + i] = byte_of(CHECK_OFF + i, (enum value)(number % VALUES));
}

static unsigned how_many(void)
{
	unsigned count = 1;
	for (int i = 0; i < PLACES + (checked ? CHECK_LEN : 0); i++)
		count *= VALUES;
	return count;
}

/* Each edited byte is one of the two: what a kill, or any tear by the power, leaves. */
static bool is_crash_state(const uint8_t *file)
{
	for (size_t i = 0; i < LEN; i++)
		if (file[i] != sample.old[i] && file[i] != sample.new[i])
			return false;
	return true;
}

static bool is_old_or_new(const uint8_t *file)
{
	return memcmp(file, sample.old, LEN) == 0 || memcmp(file, sample.new, LEN) == 0;
}

static void put(const uint8_t *file, bool copied)
{
	memory_store_reset(&store, file, LEN);
	memory_store_put_journal(&store, journal, journal_size);
	store.identity.inode += copied;
}

static bool is_untouched(const uint8_t *file)
{
	return memory_store_count(&store, STORE_WRITE) == 0 && memcmp(store.file.seen, file, LEN) == 0 &&
	       memory_store_has_journal(&store);
}

static enum blockz_status run(enum blockz_remedy remedy, struct blockz_fault *fault)
{
	enum blockz_recovery recovery;
	struct blockz_store table = memory_store(&store);
	return recovery_run(&table, remedy, &recovery, fault);
}

/* ---- The model: all contents, in place and copied */

/* The reader refuses whatever may be in the middle of an edit, and says nothing of a file that the journal is not of. */
static void assert_looked(const uint8_t *file, enum blockz_status recovered)
{
	struct blockz_store table = memory_store(&store);
	enum recovery_journal found = RECOVERY_NO_JOURNAL;
	struct blockz_fault fault = { .status = BLOCKZ_OK };
	bool has_new = false;
	for (size_t sector = 0; sector < LEN; sector += JOURNAL_SECTOR)
		has_new = has_new || (memcmp(file + sector, sample.old + sector, JOURNAL_SECTOR) != 0 &&
				      memcmp(file + sector, sample.new + sector, JOURNAL_SECTOR) == 0);
	enum blockz_status status = recovery_look(&table, &found, &fault);
	if (!is_crash_state(file) && !has_new) {
		ck_assert_int_eq(status, BLOCKZ_OK);
		ck_assert_int_eq(found, RECOVERY_OF_OTHER_FILE);
	} else {
		ck_assert_int_eq(status, BLOCKZ_NEEDS_RECOVERY);
		ck_assert_int_eq(fault.state, BLOCKZ_IMAGE_NEEDS_RECOVERY);
		ck_assert_int_eq(fault.remedy, recovered == BLOCKZ_OK ? BLOCKZ_REMEDY_RECOVER : BLOCKZ_REMEDY_UNDO);
	}
	ck_assert(is_untouched(file));
}

static void assert_ruled(const uint8_t *file, bool copied)
{
	struct blockz_fault fault = { .status = BLOCKZ_OK };
	bool certain = is_old_or_new(file) || (checked && is_crash_state(file));
	put(file, copied);
	assert_looked(file, certain ? BLOCKZ_OK : BLOCKZ_NEEDS_RECOVERY);
	enum blockz_status status = run(BLOCKZ_REMEDY_RECOVER, &fault);
	if (certain) {
		ck_assert_int_eq(status, BLOCKZ_OK);
		bool is_new = memcmp(file, sample.new, LEN) == 0;
		ck_assert(is_new ? sample_is_new(&sample, &store) : sample_is_old(&sample, &store));
		ck_assert(!memory_store_has_journal(&store));
		return;
	}
	ck_assert_int_eq(status, BLOCKZ_NEEDS_RECOVERY);
	ck_assert_int_eq(fault.remedy, BLOCKZ_REMEDY_UNDO);
	ck_assert(is_untouched(file));
	/* Both commands that the message names do what they say. */
	ck_assert_int_eq(run(BLOCKZ_REMEDY_DROP, NULL), BLOCKZ_OK);
	ck_assert(memcmp(store.file.seen, file, LEN) == 0 && !memory_store_has_journal(&store));
	put(file, copied);
	ck_assert_int_eq(run(BLOCKZ_REMEDY_UNDO, NULL), BLOCKZ_OK);
	ck_assert(sample_is_old(&sample, &store) && !memory_store_has_journal(&store));
}

START_TEST(every_content_is_ruled_on)
{
	uint8_t *file = malloc(LEN);
	setup_edit(_i == 0);
	for (unsigned number = 0; number < how_many(); number++) {
		compose(file, number);
		assert_ruled(file, false);
		assert_ruled(file, true);
	}
	free(file);
	teardown();
}
END_TEST

/* Every good file whose edited bytes are any mixture: the check over them is right, and that is what gives it away. */
START_TEST(no_good_file_is_ever_touched)
{
	uint8_t *file = malloc(LEN);
	unsigned good = 0;
	setup_edit(true);
	for (unsigned number = 0; number < 81; number++) {
		compose(file, number);
		store_le32(file + CHECK_OFF, sum_of(file));
		if (is_old_or_new(file))
			continue;
		for (int copied = 0; copied < 2; copied++) {
			put(file, copied);
			ck_assert_int_eq(run(BLOCKZ_REMEDY_RECOVER, NULL), BLOCKZ_NEEDS_RECOVERY);
			ck_assert(is_untouched(file));
		}
		good++;
	}
	ck_assert_uint_eq(good, 79);
	free(file);
	teardown();
}
END_TEST

/* ---- Ends, sizes, and journals of which nothing can be known */

START_TEST(a_file_with_other_ends_is_never_undone)
{
	struct blockz_fault fault;
	uint8_t *file = malloc(LEN);
	setup_edit(true);
	memcpy(file, sample.new, LEN);
	file[places[0]] = sample.old[places[0]];
	file[1200] ^= 1;
	for (int remedy = BLOCKZ_REMEDY_RECOVER; remedy <= BLOCKZ_REMEDY_UNDO; remedy++) {
		put(file, false);
		ck_assert_int_eq(run((enum blockz_remedy)remedy, &fault), BLOCKZ_NEEDS_RECOVERY);
		ck_assert_int_eq(fault.remedy, BLOCKZ_REMEDY_DROP);
		ck_assert(is_untouched(file));
	}
	ck_assert_int_eq(run(BLOCKZ_REMEDY_DROP, &fault), BLOCKZ_OK);
	ck_assert(!memory_store_has_journal(&store));
	ck_assert_int_eq(run(BLOCKZ_REMEDY_DROP, &fault), BLOCKZ_OK);
	free(file);
	teardown();
}
END_TEST

START_TEST(what_can_only_be_dropped_is_said_to_be)
{
	struct blockz_fault fault;
	enum recovery_journal found;
	setup_edit(true);
	for (int kind = 0; kind < 3; kind++) {
		put(sample.old, false);
		struct blockz_store table = memory_store(&store);
		if (kind == 0)
			memory_store_put_journal(&store, (const uint8_t *)"garbage", 7);
		else
			store.untrusted = kind == 1 ? EPERM : EINVAL;
		ck_assert_int_eq(recovery_run(&table, BLOCKZ_REMEDY_RECOVER, &(enum blockz_recovery){ 0 }, &fault),
				 BLOCKZ_NEEDS_RECOVERY);
		ck_assert_int_eq(fault.remedy, BLOCKZ_REMEDY_DROP);
		/* What another user has put there keeps nobody from reading. */
		enum blockz_status status = recovery_look(&table, &found, &fault);
		ck_assert_int_eq(status, kind == 1 ? BLOCKZ_OK : BLOCKZ_NEEDS_RECOVERY);
		ck_assert(kind != 1 || found == RECOVERY_OF_OTHER_USER);
		ck_assert_int_eq(run(BLOCKZ_REMEDY_DROP, &fault), BLOCKZ_OK);
		ck_assert(!memory_store_has_journal(&store));
	}
	teardown();
}
END_TEST

START_TEST(a_file_of_another_size_is_read)
{
	enum recovery_journal found = RECOVERY_NO_JOURNAL;
	setup_edit(true);
	memory_store_reset(&store, sample.old, LEN - 1);
	memory_store_put_journal(&store, journal, journal_size);
	struct blockz_store table = memory_store(&store);
	ck_assert_int_eq(recovery_look(&table, &found, NULL), BLOCKZ_OK);
	ck_assert_int_eq(found, RECOVERY_OF_OTHER_FILE);
	ck_assert_int_eq(run(BLOCKZ_REMEDY_RECOVER, NULL), BLOCKZ_NEEDS_RECOVERY);
	ck_assert_int_eq(run(BLOCKZ_REMEDY_UNDO, NULL), BLOCKZ_NEEDS_RECOVERY);
	teardown();
}
END_TEST

/* A sector whose old and new content are the same says nothing of either. */
START_TEST(a_sector_that_does_not_change_is_no_evidence)
{
	uint8_t *file = malloc(LEN);
	setup_edit(true);
	memory_store_reset(&store, sample.old, LEN);
	sample.count = 0;
	sample.writes[sample.count++] = (struct transaction_write){ places[0], PAYLOAD - places[0] };
	sample_interrupt(&sample, &store, 0);
	struct blockz_store table = memory_store(&store);
	enum recovery_journal found = RECOVERY_NO_JOURNAL;
	for (int value = OLD; value <= OTHER; value++) {
		memcpy(store.file.seen, sample.old, LEN);
		for (size_t i = 0; i < PLACES; i++)
			store.file.seen[places[i]] = byte_of(places[i], (enum value)value);
		enum blockz_status status = recovery_look(&table, &found, NULL);
		ck_assert_int_eq(status, value == OTHER ? BLOCKZ_OK : BLOCKZ_NEEDS_RECOVERY);
	}
	memcpy(store.file.seen, sample.new, LEN);
	ck_assert_int_eq(run(BLOCKZ_REMEDY_RECOVER, NULL), BLOCKZ_NEEDS_RECOVERY); /* its check is not the journal's */
	free(file);
	teardown();
}
END_TEST

START_TEST(a_store_without_a_journal_has_none_to_drop)
{
	enum blockz_recovery recovery = BLOCKZ_RECOVERY_UNDONE;
	enum recovery_journal found = RECOVERY_OF_OTHER_FILE;
	setup_edit(true);
	memory_store_reset(&store, sample.old, LEN);
	struct blockz_store table = memory_store(&store);
	ck_assert_int_eq(recovery_look(&table, &found, NULL), BLOCKZ_OK);
	ck_assert_int_eq(found, RECOVERY_NO_JOURNAL);
	struct blockz_store_ops plain = { .read = table.ops->read, .write = table.ops->write, .sync = table.ops->sync };
	table.ops = &plain;
	ck_assert_int_eq(recovery_run(&table, BLOCKZ_REMEDY_DROP, &recovery, NULL), BLOCKZ_OK);
	ck_assert_int_eq(recovery, BLOCKZ_RECOVERY_NONE);
	teardown();
}
END_TEST

/* No edit begins beside a journal, whatever it is. */
START_TEST(an_edit_beside_a_journal_is_refused)
{
	static const int found[] = { 0, EPERM, EINVAL };
	struct blockz_fault fault;
	setup_edit(true);
	put(sample.old, false);
	store.untrusted = found[_i];
	ck_assert_int_eq(sample_run(&sample, &store, &fault), BLOCKZ_NEEDS_RECOVERY);
	ck_assert_int_eq(fault.state, BLOCKZ_IMAGE_NEEDS_RECOVERY);
	ck_assert(is_untouched(sample.old));
	teardown();
}
END_TEST

/* A journal that somebody else keeps to himself. */
START_TEST(a_journal_that_may_not_be_read_is_there)
{
	struct blockz_fault fault;
	enum recovery_journal found;
	setup_edit(true);
	put(sample.old, false);
	store.untrusted = EACCES;
	struct blockz_store table = memory_store(&store);
	ck_assert_int_eq(recovery_look(&table, &found, &fault), BLOCKZ_NEEDS_RECOVERY);
	ck_assert_int_eq(fault.remedy, BLOCKZ_REMEDY_RECOVER);
	teardown();
}
END_TEST

/* ---- Calls that fail */

/* Whatever fails, a file that needs recovery is not said to be unchanged, and nobody is told that it can be read. */
START_TEST(each_call_fails)
{
	uint8_t *file = malloc(LEN);
	setup_edit(true);
	compose(file, 1);
	for (size_t n = 1;; n++) {
		enum recovery_journal found = RECOVERY_NO_JOURNAL;
		struct blockz_fault fault = { .status = BLOCKZ_OK };
		put(file, false);
		store.fail_at = n;
		struct blockz_store table = memory_store(&store);
		ck_assert_int_ne(recovery_look(&table, &found, &fault), BLOCKZ_OK);
		ck_assert_int_eq(fault.state, BLOCKZ_IMAGE_NEEDS_RECOVERY);
		if (store.step_count < n)
			break;
	}
	for (size_t n = 1;; n++) {
		struct blockz_fault fault = { .status = BLOCKZ_OK };
		put(file, false);
		store.fail_at = n;
		enum blockz_status status = run(BLOCKZ_REMEDY_DROP, &fault);
		ck_assert_int_eq(fault.state, BLOCKZ_IMAGE_UNCHANGED);
		ck_assert(memcmp(store.file.seen, file, LEN) == 0);
		ck_assert(status == BLOCKZ_FAILED || !memory_store_has_journal(&store));
		if (store.step_count < n)
			break;
	}
	free(file);
	teardown();
}
END_TEST

int main(void)
{
	TCase *c = case_new("recovery");
	tcase_add_loop_test(c, every_content_is_ruled_on, 0, 2);
	tcase_add_test(c, no_good_file_is_ever_touched);
	tcase_add_test(c, a_file_with_other_ends_is_never_undone);
	tcase_add_test(c, what_can_only_be_dropped_is_said_to_be);
	tcase_add_test(c, a_file_of_another_size_is_read);
	tcase_add_test(c, a_sector_that_does_not_change_is_no_evidence);
	tcase_add_test(c, a_store_without_a_journal_has_none_to_drop);
	tcase_add_loop_test(c, an_edit_beside_a_journal_is_refused, 0, 3);
	tcase_add_test(c, a_journal_that_may_not_be_read_is_there);
	tcase_add_test(c, each_call_fails);
	return case_run("recovery", c);
}
