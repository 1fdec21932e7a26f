/* SPDX-License-Identifier: BSD-3-Clause */
/* The sink over a descriptor: files, pipes, descriptors in append mode, and what goes wrong with each. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "memory.h"

enum { PART = 4096, LARGE = 9 * MIB };

static struct blockz_fd_sink self;

static int new_file(void)
{
	int fd = memfd_create("sink", MFD_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static struct bytes pattern(size_t len)
{
	struct bytes bytes = bytes_new(len);
	for (size_t i = 0; i < len; i++)
		bytes.data[i] = (uint8_t)(1 + i % 251);
	return bytes;
}

static void assert_file(int fd, struct bytes expected)
{
	struct bytes found = bytes_new(expected.len + 1);
	ssize_t len = pread(fd, found.data, found.len, 0);
	ck_assert_int_eq(len, (ssize_t)expected.len);
	found.len = expected.len;
	assert_bytes(found, expected);
}

/* From here on no file may become longer; a write beyond it fails with EFBIG, since the signal is ignored. */
static void limit_files(rlim_t len)
{
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ len, len }), 0);
}

START_TEST(a_file_is_appended_to_and_rewritten)
{
	int fd = new_file();
	struct bytes before = pattern(10), data = pattern(LARGE), expected = bytes_join(before, data);
	ck_assert_int_eq(write(fd, before.data, before.len), (ssize_t)before.len);
	struct blockz_sink sink = blockz_sink_fd(&self, fd);
	for (size_t pos = 0; pos < LARGE; pos += MIB)
		ck_assert_int_eq(sink.ops->write(sink.ctx, data.data + pos, MIB), 0);
	ck_assert_uint_eq(self.len, LARGE);
	ck_assert_int_eq(sink.ops->rewrite(sink.ctx, "new", 3, 5), 0);
	memcpy(expected.data + before.len + 5, "new", 3);
	ck_assert_int_eq(sink.ops->write(sink.ctx, "end", 3), 0);
	assert_file(fd, bytes_join(expected, (struct bytes){ (uint8_t *)(uintptr_t)"end", 3 }));
	close(fd);
}
END_TEST

START_TEST(zeros_behind_the_end_are_a_hole)
{
	int fd = new_file();
	struct stat st;
	struct blockz_sink sink = blockz_sink_fd(&self, fd);
	ck_assert_int_eq(sink.ops->write(sink.ctx, "a", 1), 0);
	ck_assert_int_eq(sink.ops->zeros(sink.ctx, 100 * (uint64_t)MIB), 0);
	ck_assert_int_eq(sink.ops->write(sink.ctx, "b", 1), 0);
	ck_assert_uint_eq(self.len, 100 * MIB + 2);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, 100 * MIB + 2);
	ck_assert_int_lt(st.st_blocks, MIB / 512);
	close(fd);
}
END_TEST

START_TEST(zeros_over_old_content_are_written)
{
	int fd = new_file();
	struct bytes old = pattern(300000);
	ck_assert_int_eq(write(fd, old.data, old.len), (ssize_t)old.len);
	ck_assert_int_eq(lseek(fd, 100, SEEK_SET), 100);
	struct blockz_sink sink = blockz_sink_fd(&self, fd);
	ck_assert_int_eq(sink.ops->zeros(sink.ctx, 150000), 0);
	memset(old.data + 100, 0, 150000);
	assert_file(fd, old);
	/* Not beyond what a file may be. */
	limit_files(160000);
	ck_assert_int_eq(sink.ops->zeros(sink.ctx, 140000), EFBIG);
	close(fd);
}
END_TEST

START_TEST(a_file_that_cannot_grow)
{
	int fd = new_file();
	struct blockz_sink sink = blockz_sink_fd(&self, fd);
	ck_assert_int_eq(sink.ops->write(sink.ctx, "a", 1), 0);
	ck_assert_int_eq(sink.ops->zeros(sink.ctx, INT64_MAX), EINVAL); /* no offset is that large */
	limit_files(PART);
	ck_assert_int_eq(sink.ops->zeros(sink.ctx, PART), EFBIG);
	ck_assert_int_eq(sink.ops->write(sink.ctx, "a", 1), EFBIG);
	close(fd);
}
END_TEST

START_TEST(a_file_that_is_gone)
{
	int fd = new_file(), path = open("/", O_PATH | O_CLOEXEC);
	struct blockz_sink sink = blockz_sink_fd(&self, fd);
	ck_assert_int_eq(dup2(path, fd), fd); /* what fstat(2) still takes, but lseek(2) does not */
	ck_assert_int_eq(sink.ops->zeros(sink.ctx, 1), EBADF);
	close(fd);
	close(path);
	ck_assert_int_eq(sink.ops->zeros(sink.ctx, 1), EBADF);
	ck_assert_int_eq(sink.ops->write(sink.ctx, "a", 1), EBADF);
	ck_assert_int_eq(sink.ops->rewrite(sink.ctx, "a", 1, 0), EBADF);
}
END_TEST

/* ---- What can only be appended to ---- */

static void assert_stream(struct blockz_sink sink)
{
	ck_assert_ptr_null(sink.ops->rewrite);
	ck_assert_ptr_null(sink.ops->zeros);
}

START_TEST(what_is_no_file_is_a_stream)
{
	int pipes[2], full = open("/dev/full", O_WRONLY | O_CLOEXEC), fd = new_file();
	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	assert_stream(blockz_sink_fd(&self, pipes[1]));
	struct blockz_sink sink = blockz_sink_fd(&self, full);
	assert_stream(sink);
	ck_assert_int_eq(sink.ops->write(sink.ctx, "a", 1), ENOSPC);
	ck_assert_uint_eq(self.len, 0);
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_APPEND), 0);
	assert_stream(blockz_sink_fd(&self, fd));
	close(fd);
	sink = blockz_sink_fd(&self, fd);
	assert_stream(sink);
	ck_assert_int_eq(sink.ops->write(sink.ctx, "a", 1), EBADF);
	signal(SIGPIPE, SIG_IGN);
	close(pipes[0]);
	sink = blockz_sink_fd(&self, pipes[1]);
	ck_assert_int_eq(sink.ops->write(sink.ctx, "a", 1), EPIPE);
	close(pipes[1]);
	close(full);
}
END_TEST

/* The pipe is emptied by a signal's handler and nobody else, so that a write to a full one is interrupted before it can go on. */
static int drained;
static volatile sig_atomic_t alarms;

static void drain(int number)
{
	static uint8_t buf[1 << 20];
	(void)number;
	alarms += read(drained, buf, sizeof(buf)) > 0;
}

START_TEST(a_write_that_is_interrupted_goes_on)
{
	int pipes[2];
	struct bytes data = pattern(PART);
	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	drained = pipes[0];
	ck_assert_int_eq(fcntl(drained, F_SETFL, O_NONBLOCK), 0);
	struct sigaction action = { .sa_handler = drain };
	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	const struct itimerval often = { { 0, 10000 }, { 0, 10000 } }, never = { { 0, 0 }, { 0, 0 } };
	ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
	struct blockz_sink sink = blockz_sink_fd(&self, pipes[1]);
	while (alarms < 3)
		ck_assert_int_eq(sink.ops->write(sink.ctx, data.data, data.len), 0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
	close(pipes[0]);
	close(pipes[1]);
}
END_TEST

int main(void)
{
	TCase *c = case_new("sink");
	tcase_add_test(c, a_file_is_appended_to_and_rewritten);
	tcase_add_test(c, zeros_behind_the_end_are_a_hole);
	tcase_add_test(c, zeros_over_old_content_are_written);
	tcase_add_test(c, a_file_that_cannot_grow);
	tcase_add_test(c, a_file_that_is_gone);
	tcase_add_test(c, what_is_no_file_is_a_stream);
	tcase_add_test(c, a_write_that_is_interrupted_goes_on);
	return case_run("sink", c);
}
