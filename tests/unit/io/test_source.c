/* SPDX-License-Identifier: BSD-3-Clause */
/* Sources over memory and descriptors: files with holes, pipes, what is neither, and what goes wrong with each. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include "io/access.h"
#include "io/file.h"
#include "memory.h"

/* ---- What no file here does by itself: these stand in the place of the C library's. ---- */

static struct {
	int interrupted; /* so many reads and writes fail with EINTR first */
	bool byte_by_byte;
	bool full;          /* writes take nothing */
	int failing_whence; /* lseek() by this fails with EINVAL; -1: none does */
} odd = { .failing_whence = -1 };

static bool is_interrupted(void)
{
	if (odd.interrupted == 0)
		return false;
	odd.interrupted--;
	errno = EINTR;
	return true;
}

ssize_t pread(int fd, void *buf, size_t len, off_t off)
{
	const struct iovec part = { buf, odd.byte_by_byte && len > 1 ? 1 : len };
	return is_interrupted() ? -1 : preadv(fd, &part, 1, off);
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t off)
{
	const struct iovec part = { (void *)(uintptr_t)buf, odd.full ? 0 : odd.byte_by_byte && len > 1 ? 1 : len };
	return is_interrupted() ? -1 : pwritev(fd, &part, 1, off);
}

off_t lseek(int fd, off_t off, int whence)
{
	off_t (*real)(int, off_t, int);
	if (whence == odd.failing_whence) {
		errno = EINVAL;
		return -1;
	}
	*(void **)&real = dlsym(RTLD_NEXT, "lseek64");
	return real(fd, off, whence);
}

/* ---- Helpers ---- */

static int new_file(void)
{
	int fd = memfd_create("source", MFD_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static struct blockz_source source_of(int fd)
{
	struct blockz_source source = { .size = 0 };
	ck_assert_int_eq(blockz_source_fd(fd, &source, NULL), BLOCKZ_OK);
	return source;
}

static void assert_reads(struct blockz_source source, uint64_t off, size_t len, const char *expected)
{
	char buf[64];
	size_t got = 99;
	ck_assert_int_eq(source.ops->read(source.ctx, buf, len, off, &got), 0);
	ck_assert_uint_eq(got, strlen(expected));
	ck_assert_mem_eq(buf, expected, got);
}

static void assert_fails(struct blockz_source source, int expected)
{
	char buf[4];
	size_t got = 99;
	ck_assert_int_eq(source.ops->read(source.ctx, buf, sizeof(buf), 0, &got), expected);
	ck_assert_uint_eq(got, 99);
}

static void assert_data(struct blockz_source source, uint64_t off, uint64_t start, uint64_t end)
{
	uint64_t found_start = 0, found_end = 0;
	ck_assert_int_eq(source.ops->next_data(source.ctx, off, &found_start, &found_end), 0);
	ck_assert_uint_eq(found_start, start);
	ck_assert_uint_eq(found_end, end);
}

static void assert_finds(const struct blockz_source *source, uint64_t off, uint64_t start, uint64_t end)
{
	uint64_t found_start = 0, found_end = 0;
	ck_assert_int_eq(find_data(source, off, &found_start, &found_end), 0);
	ck_assert_uint_eq(found_start, start);
	ck_assert_uint_eq(found_end, end);
}

/* ---- Tests ---- */

START_TEST(memory)
{
	const struct blockz_memory self = { "0123456789", 10 };
	struct blockz_source source = blockz_source_memory(&self);
	ck_assert_uint_eq(source.size, 10);
	assert_reads(source, 0, 3, "012");
	assert_reads(source, 8, 3, "89");
	assert_reads(source, 10, 3, "");
	assert_reads(source, UINT64_MAX, 3, "");
}
END_TEST

START_TEST(a_file)
{
	int fd = new_file();
	ck_assert_int_eq(write(fd, "0123456789", 10), 10);
	struct blockz_source source = source_of(fd);
	ck_assert_uint_eq(source.size, 10);
	assert_reads(source, 2, 3, "234");
	assert_reads(source, 8, 3, "89");
	assert_reads(source, 99, 3, "");
	odd.byte_by_byte = true;
	odd.interrupted = 3;
	assert_reads(source, 2, 5, "23456");
	ck_assert_int_eq(odd.interrupted, 0);
	close(fd);
	uint64_t start, end;
	assert_fails(source, EBADF);
	ck_assert_int_eq(source.ops->next_data(source.ctx, 0, &start, &end), EBADF);
}
END_TEST

START_TEST(a_file_with_holes)
{
	enum { HOLE = MIB, SIZE = 3 * MIB };
	int fd = new_file();
	ck_assert_int_eq(ftruncate(fd, SIZE), 0);
	ck_assert_int_eq(pwrite(fd, "x", 1, HOLE), 1);
	struct blockz_source source = source_of(fd);
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	assert_data(source, 0, HOLE, HOLE + page);
	assert_data(source, HOLE + page, SIZE, SIZE); /* a hole to the end */
	assert_data(source, SIZE, SIZE, SIZE);
	/* File systems that know nothing of holes, or of their ends. */
	odd.failing_whence = SEEK_HOLE;
	assert_data(source, 0, HOLE, SIZE);
	odd.failing_whence = SEEK_DATA;
	assert_data(source, 7, 7, SIZE);
	close(fd);
}
END_TEST

START_TEST(data_that_is_looked_for)
{
	enum { SIZE = 2 * MIB };
	const struct blockz_memory self = { "0123456789", 10 };
	const struct blockz_source plain = blockz_source_memory(&self);
	int fd = new_file();
	ck_assert_int_eq(ftruncate(fd, SIZE), 0);
	ck_assert_int_eq(pwrite(fd, "x", 1, MIB), 1);
	const struct blockz_source file = source_of(fd);
	assert_finds(&plain, 8, 8, 10);
	assert_finds(&file, 0, MIB, MIB + (uint64_t)sysconf(_SC_PAGESIZE));
	assert_finds(&file, SIZE - 1, SIZE, SIZE);
	/* What it has lost since is to be read, so that this shows. */
	ck_assert_int_eq(ftruncate(fd, MIB), 0);
	assert_finds(&file, MIB, MIB, SIZE);
	assert_finds(&file, MIB + 7, MIB + 7, SIZE);
	close(fd);
	uint64_t start = 1, end = 2;
	ck_assert_int_eq(find_data(&file, 0, &start, &end), EBADF);
	ck_assert_uint_eq(start, 1);
	ck_assert_uint_eq(end, 2);
}
END_TEST

START_TEST(writing_to_a_file)
{
	int fd = new_file();
	struct blockz_source source;
	odd.byte_by_byte = true;
	odd.interrupted = 3;
	ck_assert_int_eq(file_write(fd, "0123456789", 10, 5), 0);
	source = source_of(fd);
	assert_reads(source, 5, 20, "0123456789");
	odd.full = true;
	ck_assert_int_eq(file_write(fd, "x", 1, 0), EIO);
	close(fd);
	ck_assert_int_eq(file_write(fd, "x", 1, 0), EBADF);
}
END_TEST

/* What a signal's handler writes into the pipe is what a blocked read has to go on with. */
static int fed;

static void feed(int number)
{
	(void)number;
	if (write(fed, "data", 4) == 4)
		close(fed);
}

START_TEST(a_pipe)
{
	int pipes[2];
	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	struct blockz_source source = source_of(pipes[0]);
	ck_assert_uint_eq(source.size, BLOCKZ_UNKNOWN);
	ck_assert_ptr_null(source.ops->next_data);
	ck_assert_int_eq(write(pipes[1], "0123", 4), 4);
	assert_reads(source, 0, 4, "0123");
	fed = pipes[1];
	struct sigaction action = { .sa_handler = feed };
	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	const struct itimerval soon = { { 0, 0 }, { 0, 100000 } };
	ck_assert_int_eq(setitimer(ITIMER_REAL, &soon, NULL), 0);
	assert_reads(source, 4, 10, "data"); /* and then its end */
	close(pipes[0]);
	assert_fails(source, EBADF);
}
END_TEST

static void assert_refused(int fd, const char *text)
{
	struct blockz_source source;
	struct blockz_fault fault;
	ck_assert_int_eq(blockz_source_fd(fd, &source, &fault), BLOCKZ_FAILED);
	ck_assert_msg(strstr(fault.text, text) != NULL, "%s", fault.text);
}

/* A block device by its name alone: nothing can be read by such a descriptor, nor its size be told. */
static void refuse_device(void)
{
	char dir[] = "/tmp/blockz-source.XXXXXX", path[64];
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/device", dir);
	if (mknod(path, S_IFBLK | 0600, makedev(7, 0)) == 0) { /* root may, outside of some containers */
		int fd = open(path, O_PATH | O_CLOEXEC);
		ck_assert_int_ge(fd, 0);
		assert_refused(fd, "lseek");
		close(fd);
		unlink(path);
	}
	rmdir(dir);
}

START_TEST(what_is_no_source)
{
	int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), path = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	assert_refused(dir, strerror(EISDIR));
	assert_refused(path, "lseek");
	refuse_device();
	close(dir);
	close(path);
	assert_refused(dir, "fstat");
}
END_TEST

int main(void)
{
	TCase *c = case_new("source");
	tcase_add_test(c, memory);
	tcase_add_test(c, a_file);
	tcase_add_test(c, a_file_with_holes);
	tcase_add_test(c, data_that_is_looked_for);
	tcase_add_test(c, writing_to_a_file);
	tcase_add_test(c, a_pipe);
	tcase_add_test(c, what_is_no_source);
	return case_run("source", c);
}
