/* SPDX-License-Identifier: BSD-3-Clause */
/* The file store's journal in a real directory: left by a program that was killed, moved, planted, stale. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory.h"
#include "scratch.h"

enum { NOBODY = 65534 };

static struct scratch scratch;

static void setup(void)
{
	scratch_init(&scratch);
}

static void teardown(void)
{
	scratch_free(&scratch);
}

static struct transaction transaction;
static int fetches_left;

static enum blockz_status fetch_or_die(void *ctx, uint64_t index, void *buf, struct blockz_fault *reason)
{
	if (fetches_left-- == 0)
		_exit(0);
	return sample_transaction(&scratch.sample).fetch(ctx, index, buf, reason);
}

/* A program is killed when it has done so many of the writes. */
static void interrupt_edit(int writes)
{
	transaction = sample_transaction(&scratch.sample);
	transaction.fetch = fetch_or_die;
	fetches_left = (int)transaction.count + writes;
	pid_t child = fork();
	if (child == 0) {
		if (scratch_open(&scratch, BLOCKZ_STORE_WRITE) == BLOCKZ_OK)
			transaction_run(&transaction, &scratch.store, NULL);
		_exit(1);
	}
	int status = -1;
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert(scratch_exists(&scratch, SCRATCH_JOURNAL));
	ck_assert(!scratch_exists(&scratch, SCRATCH_TEMPORARY));
}

static enum blockz_status recover(enum blockz_recovery *recovery_ret)
{
	ck_assert_int_eq(scratch_open(&scratch, BLOCKZ_STORE_WRITE), BLOCKZ_OK);
	enum blockz_status status = blockz_recover(&scratch.store, BLOCKZ_REMEDY_RECOVER, recovery_ret, &scratch.fault);
	blockz_store_close(&scratch.store);
	return status;
}

static void assert_not_recovered(void)
{
	enum blockz_recovery recovery;
	ck_assert_int_eq(recover(&recovery), BLOCKZ_NEEDS_RECOVERY);
	ck_assert_int_eq(scratch.fault.state, BLOCKZ_IMAGE_NEEDS_RECOVERY);
	ck_assert(scratch_exists(&scratch, SCRATCH_JOURNAL));
}

START_TEST(an_edit_leaves_nothing_beside_the_file)
{
	transaction = sample_transaction(&scratch.sample);
	ck_assert_int_eq(scratch_open(&scratch, BLOCKZ_STORE_WRITE), BLOCKZ_OK);
	ck_assert_int_eq(transaction_run(&transaction, &scratch.store, &scratch.fault), BLOCKZ_OK);
	blockz_store_close(&scratch.store);
	ck_assert(scratch_is_new(&scratch));
	ck_assert_int_eq(scratch_entries(&scratch), 1);
}
END_TEST

START_TEST(an_interrupted_edit_is_found_and_undone)
{
	for (int writes = 1; writes < (int)scratch.sample.count; writes += 2) {
		struct stat st;
		enum blockz_recovery recovery = BLOCKZ_RECOVERY_NONE;
		interrupt_edit(writes);
		ck_assert(!scratch_is_old(&scratch));
		ck_assert_int_eq(fstatat(scratch.dir, SCRATCH_JOURNAL, &st, AT_SYMLINK_NOFOLLOW), 0);
		ck_assert(S_ISREG(st.st_mode) && (st.st_mode & 0777) == 0600);
		scratch_assert_refused(&scratch, BLOCKZ_STORE_READ, BLOCKZ_NEEDS_RECOVERY);
		ck_assert_int_eq(scratch.fault.state, BLOCKZ_IMAGE_NEEDS_RECOVERY);
		scratch_assert_refused(&scratch, BLOCKZ_STORE_WRITE_UNJOURNALLED, BLOCKZ_NEEDS_RECOVERY);
		ck_assert_int_eq(recover(&recovery), BLOCKZ_OK);
		ck_assert_int_eq(recovery, BLOCKZ_RECOVERY_UNDONE);
		ck_assert(scratch_is_old(&scratch));
		ck_assert_int_eq(scratch_entries(&scratch), 1);
		ck_assert_int_eq(recover(&recovery), BLOCKZ_OK);
		ck_assert_int_eq(recovery, BLOCKZ_RECOVERY_NONE);
	}
}
END_TEST

START_TEST(a_moved_file_takes_its_journal_along)
{
	enum blockz_recovery recovery = BLOCKZ_RECOVERY_NONE;
	interrupt_edit(5);
	ck_assert_int_eq(renameat(scratch.dir, SCRATCH_NAME, scratch.dir, "moved"), 0);
	ck_assert_int_eq(renameat(scratch.dir, SCRATCH_JOURNAL, scratch.dir, ".moved.blockz-journal"), 0);
	ck_assert_int_eq(blockz_store_open(scratch.dir, "moved", BLOCKZ_STORE_WRITE, &scratch.store, &scratch.fault),
			 BLOCKZ_OK);
	ck_assert_int_eq(blockz_recover(&scratch.store, BLOCKZ_REMEDY_RECOVER, &recovery, &scratch.fault), BLOCKZ_OK);
	blockz_store_close(&scratch.store);
	ck_assert_int_eq(recovery, BLOCKZ_RECOVERY_UNDONE);
	ck_assert(scratch_holds(&scratch, "moved", scratch.sample.old, scratch.sample.len));
}
END_TEST

/* Who edits without having recovered is refused, and the journal, which the file needs, stays as it is. */
START_TEST(an_edit_does_not_destroy_the_journal_of_an_earlier_one)
{
	interrupt_edit(5);
	transaction = sample_transaction(&scratch.sample);
	ck_assert_int_eq(scratch_open(&scratch, BLOCKZ_STORE_WRITE), BLOCKZ_OK);
	ck_assert_int_ne(transaction_run(&transaction, &scratch.store, &scratch.fault), BLOCKZ_OK);
	blockz_store_close(&scratch.store);
	ck_assert(scratch_exists(&scratch, SCRATCH_JOURNAL));
	enum blockz_recovery recovery;
	ck_assert_int_eq(recover(&recovery), BLOCKZ_OK);
	ck_assert(scratch_is_old(&scratch));
}
END_TEST

/* The same, from the store's side: what was not published by it is not its to drop. */
START_TEST(a_journal_that_cannot_be_published_leaves_the_one_that_is_there)
{
	interrupt_edit(5);
	ck_assert_int_eq(scratch_open(&scratch, BLOCKZ_STORE_WRITE), BLOCKZ_OK);
	const struct blockz_store_ops *ops = scratch.store.ops;
	ck_assert_int_eq(ops->journal_create(scratch.store.ctx, 100), 0);
	ck_assert_int_eq(ops->journal_write(scratch.store.ctx, scratch.sample.old, 100, 0), 0);
	ck_assert_int_eq(ops->journal_publish(scratch.store.ctx), EEXIST);
	ck_assert_int_eq(ops->journal_discard(scratch.store.ctx), 0);
	blockz_store_close(&scratch.store);
	ck_assert(!scratch_exists(&scratch, SCRATCH_TEMPORARY));
	enum blockz_recovery recovery = BLOCKZ_RECOVERY_NONE;
	ck_assert_int_eq(recover(&recovery), BLOCKZ_OK);
	ck_assert_int_eq(recovery, BLOCKZ_RECOVERY_UNDONE);
	ck_assert(scratch_is_old(&scratch));
}
END_TEST

START_TEST(stale_temporary_journals_are_removed_by_writers)
{
	scratch_write(&scratch, SCRATCH_TEMPORARY, scratch.sample.old, 10);
	scratch_assert_opens(&scratch, BLOCKZ_STORE_READ);
	ck_assert(scratch_exists(&scratch, SCRATCH_TEMPORARY));
	scratch_assert_opens(&scratch, BLOCKZ_STORE_WRITE);
	ck_assert(!scratch_exists(&scratch, SCRATCH_TEMPORARY));
	/* A link is removed, not what it stands for. */
	scratch_write(&scratch, "target", scratch.sample.old, 10);
	ck_assert_int_eq(symlinkat("target", scratch.dir, SCRATCH_TEMPORARY), 0);
	scratch_assert_opens(&scratch, BLOCKZ_STORE_WRITE);
	ck_assert(!scratch_exists(&scratch, SCRATCH_TEMPORARY));
	ck_assert(scratch_holds(&scratch, "target", scratch.sample.old, 10));
	ck_assert_int_eq(mkdirat(scratch.dir, SCRATCH_TEMPORARY, 0700), 0);
	scratch_assert_refused(&scratch, BLOCKZ_STORE_WRITE, BLOCKZ_FAILED);
}
END_TEST

/* Under the journal's name something that is no journal of ours, though what it leads to is a good one. */
START_TEST(planted_journals_are_not_believed)
{
	interrupt_edit(5);
	ck_assert_int_eq(renameat(scratch.dir, SCRATCH_JOURNAL, scratch.dir, "good"), 0);
	uint8_t *torn = malloc(scratch.sample.len);
	int fd = openat(scratch.dir, SCRATCH_NAME, O_RDONLY);
	ck_assert_int_eq(read(fd, torn, scratch.sample.len), (ssize_t)scratch.sample.len);
	close(fd);
	for (int kind = 0; kind < 3; kind++) {
		int error = kind == 0   ? symlinkat("good", scratch.dir, SCRATCH_JOURNAL)
			    : kind == 1 ? mkdirat(scratch.dir, SCRATCH_JOURNAL, 0700)
					: mkfifoat(scratch.dir, SCRATCH_JOURNAL, 0600);
		ck_assert_int_eq(error, 0);
		scratch_assert_refused(&scratch, BLOCKZ_STORE_READ, BLOCKZ_NEEDS_RECOVERY);
		assert_not_recovered();
		ck_assert(scratch_holds(&scratch, SCRATCH_NAME, torn, scratch.sample.len));
		unlinkat(scratch.dir, SCRATCH_JOURNAL, kind == 1 ? AT_REMOVEDIR : 0);
	}
	free(torn);
}
END_TEST

/* Of the image's owner, of root, and of the caller; not of anybody else. */
START_TEST(journals_of_other_users_are_not_believed)
{
	enum blockz_recovery recovery;
	if (geteuid() != 0) {
		puts("skip journals_of_other_users_are_not_believed: only root can give files away");
		return;
	}
	interrupt_edit(5);
	ck_assert_int_eq(fchownat(scratch.dir, SCRATCH_JOURNAL, NOBODY, NOBODY, 0), 0);
	assert_not_recovered();
	ck_assert_int_eq(fchownat(scratch.dir, SCRATCH_NAME, NOBODY - 1, NOBODY, 0), 0);
	assert_not_recovered();
	ck_assert(!scratch_is_old(&scratch));
	ck_assert_int_eq(fchownat(scratch.dir, SCRATCH_NAME, NOBODY, NOBODY, 0), 0);
	ck_assert_int_eq(recover(&recovery), BLOCKZ_OK);
	ck_assert(scratch_is_old(&scratch));
}
END_TEST

/* Whoever can write to a journal, or gave it this name, decides what is written into the file. */
START_TEST(journals_that_others_can_change_are_not_believed)
{
	static const struct {
		mode_t journal, file;
		bool believed;
	} rows[] = {
		{ 0600, 0644, true }, { 0644, 0644, true }, { 0666, 0644, false }, { 0620, 0644, false },
		{ 0602, 0664, false }, { 0660, 0664, true }, { 0666, 0666, true },
	};
	enum blockz_recovery recovery;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		interrupt_edit(5);
		ck_assert_int_eq(fchmodat(scratch.dir, SCRATCH_JOURNAL, rows[i].journal, 0), 0);
		ck_assert_int_eq(fchmodat(scratch.dir, SCRATCH_NAME, rows[i].file, 0), 0);
		if (!rows[i].believed) {
			assert_not_recovered();
			ck_assert_int_eq(scratch.fault.remedy, BLOCKZ_REMEDY_DROP);
			scratch_assert_refused(&scratch, BLOCKZ_STORE_READ, BLOCKZ_NEEDS_RECOVERY);
			ck_assert_int_eq(fchmodat(scratch.dir, SCRATCH_JOURNAL, 0600, 0), 0);
		}
		ck_assert_int_eq(recover(&recovery), BLOCKZ_OK);
		ck_assert(scratch_is_old(&scratch));
	}
	/* Of another group than the file's. */
	if (geteuid() == 0) {
		interrupt_edit(5);
		ck_assert_int_eq(fchownat(scratch.dir, SCRATCH_JOURNAL, 0, NOBODY, 0), 0);
		ck_assert_int_eq(fchmodat(scratch.dir, SCRATCH_JOURNAL, 0660, 0), 0);
		assert_not_recovered();
	}
}
END_TEST

START_TEST(linked_journals_are_not_believed)
{
	enum blockz_recovery recovery;
	interrupt_edit(5);
	ck_assert_int_eq(linkat(scratch.dir, SCRATCH_JOURNAL, scratch.dir, "link", 0), 0);
	assert_not_recovered();
	ck_assert_int_eq(scratch.fault.remedy, BLOCKZ_REMEDY_DROP);
	scratch_assert_refused(&scratch, BLOCKZ_STORE_READ, BLOCKZ_NEEDS_RECOVERY);
	ck_assert(!scratch_is_old(&scratch));
	ck_assert_int_eq(unlinkat(scratch.dir, "link", 0), 0);
	ck_assert_int_eq(recover(&recovery), BLOCKZ_OK);
	ck_assert(scratch_is_old(&scratch));
}
END_TEST

static const char *note_of_reader(void)
{
	static char note[512];
	ck_assert_int_eq(scratch_open(&scratch, BLOCKZ_STORE_READ), BLOCKZ_OK);
	snprintf(note, sizeof(note), "%s", scratch.store.note != NULL ? scratch.store.note : "");
	blockz_store_close(&scratch.store);
	return note;
}

/* A file that the journal is not of can be read, by whoever looks at both; and is not written to. */
START_TEST(readers_are_told_of_journals_that_are_not_the_files)
{
	ck_assert_str_eq(note_of_reader(), "");
	interrupt_edit(5);
	scratch_assert_refused(&scratch, BLOCKZ_STORE_READ, BLOCKZ_NEEDS_RECOVERY);
	scratch.sample.old[30000] ^= 1;
	scratch_write(&scratch, SCRATCH_NAME, scratch.sample.old, scratch.sample.len);
	ck_assert_ptr_nonnull(strstr(note_of_reader(), "another file's"));
	scratch_assert_refused(&scratch, BLOCKZ_STORE_WRITE_UNJOURNALLED, BLOCKZ_NEEDS_RECOVERY);
	ck_assert_int_eq(scratch.fault.remedy, BLOCKZ_REMEDY_DROP);
	assert_not_recovered();
	scratch_write(&scratch, SCRATCH_NAME, scratch.sample.old, scratch.sample.len - 1);
	ck_assert_ptr_nonnull(strstr(note_of_reader(), "another file's"));
	if (geteuid() == 0) {
		ck_assert_int_eq(fchownat(scratch.dir, SCRATCH_JOURNAL, NOBODY, NOBODY, 0), 0);
		ck_assert_ptr_nonnull(strstr(note_of_reader(), "another user"));
	}
	ck_assert_int_eq(scratch_open(&scratch, BLOCKZ_STORE_WRITE), BLOCKZ_OK);
	enum blockz_recovery recovery;
	ck_assert_int_eq(blockz_recover(&scratch.store, BLOCKZ_REMEDY_DROP, &recovery, &scratch.fault), BLOCKZ_OK);
	ck_assert_int_eq(recovery, BLOCKZ_RECOVERY_DROPPED);
	blockz_store_close(&scratch.store);
	ck_assert_str_eq(note_of_reader(), "");
}
END_TEST

/* Whatever somebody has put under the name can be dropped. */
START_TEST(a_planted_directory_is_dropped)
{
	enum blockz_recovery recovery;
	ck_assert_int_eq(mkdirat(scratch.dir, SCRATCH_JOURNAL, 0700), 0);
	ck_assert_int_eq(mkdirat(scratch.dir, SCRATCH_JOURNAL "/full", 0700), 0);
	ck_assert_int_eq(scratch_open(&scratch, BLOCKZ_STORE_WRITE), BLOCKZ_OK);
	ck_assert_int_eq(blockz_recover(&scratch.store, BLOCKZ_REMEDY_DROP, &recovery, &scratch.fault), BLOCKZ_FAILED);
	ck_assert_int_eq(scratch.fault.state, BLOCKZ_IMAGE_UNCHANGED);
	ck_assert_int_eq(unlinkat(scratch.dir, SCRATCH_JOURNAL "/full", AT_REMOVEDIR), 0);
	ck_assert_int_eq(blockz_recover(&scratch.store, BLOCKZ_REMEDY_DROP, &recovery, &scratch.fault), BLOCKZ_OK);
	blockz_store_close(&scratch.store);
	ck_assert(!scratch_exists(&scratch, SCRATCH_JOURNAL));
}
END_TEST

/* A file that cannot be opened to write is not said to be unchanged while its journal is there. */
START_TEST(a_failure_to_open_tells_of_the_journal)
{
	interrupt_edit(5);
	ck_assert_int_eq(linkat(scratch.dir, SCRATCH_NAME, scratch.dir, "link", 0), 0);
	scratch_assert_refused(&scratch, BLOCKZ_STORE_WRITE, BLOCKZ_UNSUPPORTED);
	ck_assert_int_eq(scratch.fault.state, BLOCKZ_IMAGE_NEEDS_RECOVERY);
	ck_assert_int_eq(blockz_store_open(scratch.dir, SCRATCH_NAME, BLOCKZ_STORE_WRITE, &scratch.store, NULL),
			 BLOCKZ_UNSUPPORTED);
	ck_assert_int_eq(unlinkat(scratch.dir, SCRATCH_JOURNAL, 0), 0);
	scratch_assert_refused(&scratch, BLOCKZ_STORE_WRITE, BLOCKZ_UNSUPPORTED);
	ck_assert_int_eq(scratch.fault.state, BLOCKZ_IMAGE_UNCHANGED);
}
END_TEST

/* A descriptor is kept for the journal: an edit that has begun does not fail for want of one. */
START_TEST(a_journal_needs_no_new_descriptor)
{
	struct rlimit before, few;
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_int_eq(scratch_open(&scratch, BLOCKZ_STORE_WRITE), BLOCKZ_OK);
	int next = dup(0);
	close(next);
	few = (struct rlimit){ (rlim_t)next, before.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	ck_assert_int_lt(dup(0), 0);
	transaction = sample_transaction(&scratch.sample);
	for (int round = 0; round < 2; round++)
		ck_assert_int_eq(transaction_run(&transaction, &scratch.store, &scratch.fault), BLOCKZ_OK);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	blockz_store_close(&scratch.store);
	ck_assert(scratch_is_new(&scratch));
}
END_TEST

int main(void)
{
	TCase *c = case_new("store_journal");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, an_edit_leaves_nothing_beside_the_file);
	tcase_add_test(c, an_interrupted_edit_is_found_and_undone);
	tcase_add_test(c, a_moved_file_takes_its_journal_along);
	tcase_add_test(c, an_edit_does_not_destroy_the_journal_of_an_earlier_one);
	tcase_add_test(c, a_journal_that_cannot_be_published_leaves_the_one_that_is_there);
	tcase_add_test(c, stale_temporary_journals_are_removed_by_writers);
	tcase_add_test(c, planted_journals_are_not_believed);
	tcase_add_test(c, journals_of_other_users_are_not_believed);
	tcase_add_test(c, journals_that_others_can_change_are_not_believed);
	tcase_add_test(c, linked_journals_are_not_believed);
	tcase_add_test(c, readers_are_told_of_journals_that_are_not_the_files);
	tcase_add_test(c, a_planted_directory_is_dropped);
	tcase_add_test(c, a_failure_to_open_tells_of_the_journal);
	tcase_add_test(c, a_journal_needs_no_new_descriptor);
	return case_run("store_journal", c);
}
