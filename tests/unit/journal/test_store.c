/* SPDX-License-Identifier: BSD-3-Clause */
/* The file store in a real directory: what it opens, and what it locks. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
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

/* ---- Opening ---- */

START_TEST(a_store_reads_and_writes_the_file)
{
	uint8_t bytes[100];
	size_t got = 0;
	ck_assert_int_eq(scratch_open(&scratch, BLOCKZ_STORE_WRITE), BLOCKZ_OK);
	ck_assert_uint_eq(scratch.store.size, scratch.sample.len);
	ck_assert_int_eq(scratch.store.ops->write(scratch.store.ctx, "written", 7, 1000), 0);
	ck_assert_int_eq(scratch.store.ops->sync(scratch.store.ctx), 0);
	struct blockz_source source = blockz_store_source(&scratch.store);
	ck_assert_uint_eq(source.size, scratch.sample.len);
	ck_assert_int_eq(source.ops->read(source.ctx, bytes, 7, 1000, &got), 0);
	ck_assert(got == 7 && memcmp(bytes, "written", 7) == 0);
	ck_assert_int_eq(source.ops->read(source.ctx, bytes, sizeof(bytes), scratch.sample.len - 10, &got), 0);
	ck_assert_uint_eq(got, 10);
	blockz_store_close(&scratch.store);
	memcpy(scratch.sample.old + 1000, "written", 7);
	ck_assert(scratch_is_old(&scratch));
	ck_assert_int_eq(scratch_entries(&scratch), 1);
}
END_TEST

START_TEST(identities_tell_a_file_from_its_copy)
{
	ck_assert_int_eq(scratch_open(&scratch, BLOCKZ_STORE_READ), BLOCKZ_OK);
	struct blockz_identity first = scratch.store.identity;
	blockz_store_close(&scratch.store);
	ck_assert_int_eq(scratch_open(&scratch, BLOCKZ_STORE_WRITE), BLOCKZ_OK);
	ck_assert_uint_eq(first.inode, scratch.store.identity.inode);
	ck_assert_int_eq(first.birth_sec, scratch.store.identity.birth_sec);
	ck_assert_uint_eq(first.birth_nsec, scratch.store.identity.birth_nsec);
	blockz_store_close(&scratch.store);
	scratch_write(&scratch, "copy", scratch.sample.old, scratch.sample.len);
	renameat(scratch.dir, "copy", scratch.dir, SCRATCH_NAME);
	ck_assert_int_eq(scratch_open(&scratch, BLOCKZ_STORE_READ), BLOCKZ_OK);
	ck_assert_uint_ne(first.inode, scratch.store.identity.inode);
	blockz_store_close(&scratch.store);
}
END_TEST

static const enum blockz_store_mode modes[] = {
	BLOCKZ_STORE_READ, BLOCKZ_STORE_WRITE, BLOCKZ_STORE_WRITE_UNJOURNALLED,
};
enum { MODES = 3 };

START_TEST(what_is_no_regular_file_is_refused)
{
	unlinkat(scratch.dir, SCRATCH_NAME, 0);
	scratch_assert_refused(&scratch, modes[_i], BLOCKZ_FAILED); /* there is none */
	ck_assert_int_eq(mkfifoat(scratch.dir, SCRATCH_NAME, 0600), 0);
	scratch_assert_refused(&scratch, modes[_i], BLOCKZ_UNSUPPORTED);
	unlinkat(scratch.dir, SCRATCH_NAME, 0);
	scratch_write(&scratch, "target", scratch.sample.old, scratch.sample.len);
	ck_assert_int_eq(symlinkat("target", scratch.dir, SCRATCH_NAME), 0);
	scratch_assert_refused(&scratch, modes[_i], BLOCKZ_UNSUPPORTED);
	unlinkat(scratch.dir, SCRATCH_NAME, 0);
	ck_assert_int_eq(mkdirat(scratch.dir, SCRATCH_NAME, 0700), 0);
	scratch_assert_refused(&scratch, modes[_i], BLOCKZ_UNSUPPORTED);
}
END_TEST

START_TEST(hard_links_are_for_readers_only)
{
	ck_assert_int_eq(linkat(scratch.dir, SCRATCH_NAME, scratch.dir, "other", 0), 0);
	scratch_assert_opens(&scratch, BLOCKZ_STORE_READ);
	scratch_assert_refused(&scratch, BLOCKZ_STORE_WRITE, BLOCKZ_UNSUPPORTED);
	scratch_assert_refused(&scratch, BLOCKZ_STORE_WRITE_UNJOURNALLED, BLOCKZ_UNSUPPORTED);
	unlinkat(scratch.dir, "other", 0);
	scratch_assert_opens(&scratch, BLOCKZ_STORE_WRITE);
}
END_TEST

START_TEST(names_too_long_for_a_journal_are_for_readers_only)
{
	char name[NAME_MAX + 1];
	size_t longest = NAME_MAX - strlen(".") - strlen(".blockz-journal.tmp");
	for (size_t len = longest; len <= NAME_MAX; len += len == longest ? 1 : NAME_MAX - longest - 1) {
		memset(name, 'n', len);
		name[len] = '\0';
		scratch_write(&scratch, name, scratch.sample.old, scratch.sample.len);
		for (int i = 0; i < MODES; i++) {
			bool refused = modes[i] == BLOCKZ_STORE_WRITE && len > longest;
			ck_assert_int_eq(blockz_store_open(scratch.dir, name, modes[i], &scratch.store, &scratch.fault),
					 refused ? BLOCKZ_UNSUPPORTED : BLOCKZ_OK);
			if (refused)
				ck_assert_ptr_nonnull(strstr(scratch.fault.text, "too long"));
			else
				blockz_store_close(&scratch.store);
		}
	}
}
END_TEST

START_TEST(a_directory_descriptor_that_cannot_be_read_will_do)
{
	int place = scratch.dir;
	scratch.dir = open(scratch.path, O_PATH | O_DIRECTORY);
	scratch_assert_opens(&scratch, BLOCKZ_STORE_READ);
	scratch_assert_opens(&scratch, BLOCKZ_STORE_WRITE);
	close(scratch.dir);
	scratch.dir = place;
}
END_TEST

/* A directory that cannot be written has no place for a journal. */
START_TEST(a_directory_that_cannot_be_written_is_for_readers_only)
{
	uid_t user = geteuid();
	ck_assert_int_eq(fchmodat(scratch.dir, SCRATCH_NAME, 0666, 0), 0);
	ck_assert_int_eq(fchmod(scratch.dir, 0555), 0);
	if (user == 0)
		ck_assert_int_eq(seteuid(NOBODY), 0);
	scratch_assert_refused(&scratch, BLOCKZ_STORE_WRITE, BLOCKZ_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(scratch.fault.text, "--output"));
	ck_assert_ptr_nonnull(strstr(scratch.fault.text, "--no-journal"));
	scratch_assert_opens(&scratch, BLOCKZ_STORE_READ);
	scratch_assert_opens(&scratch, BLOCKZ_STORE_WRITE_UNJOURNALLED);
	ck_assert_int_eq(seteuid(user), 0);
	ck_assert_int_eq(fchmod(scratch.dir, 0700), 0);
}
END_TEST

/* ---- Locks ---- */

START_TEST(one_writer_or_any_number_of_readers)
{
	struct blockz_store first;
	for (int held = 0; held < MODES; held++) {
		for (int wanted = 0; wanted < MODES; wanted++) {
			bool both_read = modes[held] == BLOCKZ_STORE_READ && modes[wanted] == BLOCKZ_STORE_READ;
			ck_assert_int_eq(scratch_open(&scratch, modes[held]), BLOCKZ_OK);
			first = scratch.store;
			if (both_read)
				scratch_assert_opens(&scratch, modes[wanted]);
			else
				scratch_assert_refused(&scratch, modes[wanted], BLOCKZ_LOCKED);
			blockz_store_close(&first);
			scratch_assert_opens(&scratch, modes[wanted]);
		}
	}
}
END_TEST

/* Another program's lock, of either kind. */
START_TEST(locks_of_others_count)
{
	struct flock record = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = openat(scratch.dir, SCRATCH_NAME, O_RDWR);
	ck_assert_int_eq(flock(fd, LOCK_SH), 0);
	scratch_assert_refused(&scratch, BLOCKZ_STORE_WRITE, BLOCKZ_LOCKED);
	ck_assert_int_eq(flock(fd, LOCK_UN), 0);
	scratch_assert_opens(&scratch, BLOCKZ_STORE_WRITE);
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &record), 0);
	scratch_assert_refused(&scratch, BLOCKZ_STORE_WRITE, BLOCKZ_LOCKED);
	scratch_assert_refused(&scratch, BLOCKZ_STORE_READ, BLOCKZ_LOCKED);
	close(fd);
	scratch_assert_opens(&scratch, BLOCKZ_STORE_WRITE);
}
END_TEST

START_TEST(a_killed_writer_leaves_no_lock)
{
	int ready[2];
	uint8_t byte;
	ck_assert_int_eq(pipe(ready), 0);
	pid_t child = fork();
	if (child == 0) {
		enum blockz_status status = scratch_open(&scratch, BLOCKZ_STORE_WRITE);
		if (write(ready[1], &(uint8_t){ (uint8_t)status }, 1) == 1)
			pause();
		_exit(1);
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_int_eq(byte, BLOCKZ_OK);
	scratch_assert_refused(&scratch, BLOCKZ_STORE_WRITE, BLOCKZ_LOCKED);
	scratch_assert_refused(&scratch, BLOCKZ_STORE_READ, BLOCKZ_LOCKED);
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	scratch_assert_opens(&scratch, BLOCKZ_STORE_WRITE);
	close(ready[0]);
	close(ready[1]);
}
END_TEST

/* Without a journal, which would only make it slower. */
static bool opens_plain(void)
{
	return blockz_store_open(scratch.dir, SCRATCH_NAME, BLOCKZ_STORE_WRITE_UNJOURNALLED, &scratch.store, NULL) ==
	       BLOCKZ_OK;
}

/* Replaces the file for as long as it is alive, each time as its one writer. */
static void replace_on_and_on(void)
{
	for (;;) {
		if (!opens_plain())
			continue;
		int fd = openat(scratch.dir, "new", O_WRONLY | O_CREAT | O_TRUNC, 0644);
		close(fd);
		renameat(scratch.dir, "new", scratch.dir, SCRATCH_NAME);
		blockz_store_close(&scratch.store);
	}
}

/* Nobody replaces a file that is locked, so whoever has the lock has the file that the name stands for. */
START_TEST(a_lock_is_on_the_file_that_the_name_stands_for)
{
	struct stat st;
	unsigned opened = 0, other = 0;
	pid_t child = fork();
	if (child == 0)
		replace_on_and_on();
	while (opened < 1000) {
		if (!opens_plain())
			continue;
		opened++;
		other += fstatat(scratch.dir, SCRATCH_NAME, &st, 0) != 0 || st.st_ino != scratch.store.identity.inode;
		blockz_store_close(&scratch.store);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	ck_assert_uint_eq(other, 0);
}
END_TEST

int main(void)
{
	TCase *c = case_new("store");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, a_store_reads_and_writes_the_file);
	tcase_add_test(c, identities_tell_a_file_from_its_copy);
	tcase_add_loop_test(c, what_is_no_regular_file_is_refused, 0, MODES);
	tcase_add_test(c, hard_links_are_for_readers_only);
	tcase_add_test(c, names_too_long_for_a_journal_are_for_readers_only);
	tcase_add_test(c, a_directory_descriptor_that_cannot_be_read_will_do);
	tcase_add_test(c, a_directory_that_cannot_be_written_is_for_readers_only);
	tcase_add_test(c, one_writer_or_any_number_of_readers);
	tcase_add_test(c, locks_of_others_count);
	tcase_add_test(c, a_killed_writer_leaves_no_lock);
	tcase_add_test(c, a_lock_is_on_the_file_that_the_name_stands_for);
	return case_run("store", c);
}
