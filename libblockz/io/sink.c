/* SPDX-License-Identifier: BSD-3-Clause */
/* A sink that appends to a descriptor: a file, in which zeros become holes, or a pipe. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/export.h"
#include "blockz.h"
#include "io/file.h"

enum { WRITEBACK_PART = 8 << 20 };

static int append_to_fd(void *ctx, const void *buf, size_t len)
{
	struct blockz_fd_sink *self = ctx;
	size_t done = 0;
	while (done < len) {
		ssize_t n = write(self->fd, (const uint8_t *)buf + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		done += (size_t)n;
	}
	self->len += len;
	return 0;
}

/* Lets the disk begin to write what was appended, so that a sync at the end finds little left; no more than a hint. */
static int append_to_file(void *ctx, const void *buf, size_t len)
{
	struct blockz_fd_sink *self = ctx;
	uint64_t before = self->len / WRITEBACK_PART;
	int error = append_to_fd(ctx, buf, len);
	uint64_t now = self->len / WRITEBACK_PART;
	if (error == 0 && now > before)
		sync_file_range(self->fd, (off_t)(self->base + before * WRITEBACK_PART),
				(off_t)((now - before) * WRITEBACK_PART), SYNC_FILE_RANGE_WRITE);
	return error;
}

static int rewrite(void *ctx, const void *buf, size_t len, uint64_t off)
{
	const struct blockz_fd_sink *self = ctx;
	return file_write(self->fd, buf, len, self->base + off);
}

/* Behind the end of the file zeros become a hole; over old content they have to be written. */
static int zeros(void *ctx, uint64_t len)
{
	struct blockz_fd_sink *self = ctx;
	static const uint8_t block[65536];
	struct stat st;
	if (fstat(self->fd, &st) < 0)
		return errno;
	off_t pos = lseek(self->fd, 0, SEEK_CUR);
	if (pos < 0)
		return errno;
	if (pos >= st.st_size) {
		off_t end = lseek(self->fd, (off_t)len, SEEK_CUR);
		if (end < 0 || ftruncate(self->fd, end) < 0)
			return errno;
		self->len += len;
		return 0;
	}
	int error = 0;
	while (len > 0 && error == 0) {
		size_t part = len < sizeof(block) ? (size_t)len : sizeof(block);
		error = append_to_fd(ctx, block, part);
		len -= part;
	}
	return error;
}

EXPORT struct blockz_sink blockz_sink_fd(struct blockz_fd_sink *self, int fd)
{
	static const struct blockz_sink_ops file = { .write = append_to_file, .rewrite = rewrite, .zeros = zeros };
	static const struct blockz_sink_ops stream = { .write = append_to_fd };
	struct stat st = { 0 };
	fstat(fd, &st); /* what is no descriptor at all fails when it is written to */
	off_t base = lseek(fd, 0, SEEK_CUR);
	bool anywhere = base >= 0 && S_ISREG(st.st_mode) && (fcntl(fd, F_GETFL) & O_APPEND) == 0;
	*self = (struct blockz_fd_sink){ .fd = fd, .base = anywhere ? (uint64_t)base : 0 };
	return (struct blockz_sink){ anywhere ? &file : &stream, self };
}
