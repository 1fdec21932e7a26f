/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks can be shared only where they lie alike in both files, which is seen to part by part. */
#include "files/kernel_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int append(void *ctx, const void *buf, size_t len)
{
	struct kernel_sink *self = ctx;
	return self->plain.ops->write(self->plain.ctx, buf, len);
}

/* Blocks are shared whole: up to the first edge of one where it is at an edge in both files, and from there on apart. */
static uint64_t first_part(uint64_t file_off, uint64_t position, uint64_t len)
{
	enum { BLOCK = 4096, PART = 64 << 20 };
	uint64_t to_edge = (BLOCK - file_off % BLOCK) % BLOCK;
	if (file_off % BLOCK == position % BLOCK && to_edge > 0 && to_edge < len)
		return to_edge;
	if (len > PART)
		return PART;
	return len > BLOCK ? len - len % BLOCK : len;
}

static int copy_inside(void *ctx, uint64_t file_off, uint64_t len, uint64_t *done_ret)
{
	struct kernel_sink *self = ctx;
	off_t in = (off_t)file_off;
	size_t part = (size_t)first_part(file_off, self->memory.base + self->memory.len, len);
	ssize_t done = copy_file_range(self->from, &in, self->memory.fd, NULL, part, 0);
	if (done < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG || errno == EIO))
		return errno;
	*done_ret = done > 0 ? (uint64_t)done : 0;
	self->memory.len += *done_ret;
	return 0;
}

/* The descriptor of a file that was opened by its name; -1: it has none, or it is another's now. */
static int open_again(const struct compressed *file)
{
	struct stat st;
	if (file->name == NULL)
		return -1;
	int fd = openat(file->dirfd, file->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_ino == file->store.identity.inode)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

void kernel_sink_open(struct kernel_sink *self, const struct compressed *file, int to)
{
	static const struct blockz_sink_ops ops = { .write = append, .copy = copy_inside };
	*self = (struct kernel_sink){ .from = open_again(file) };
	self->plain = blockz_sink_fd(&self->memory, to);
	self->sink = self->from >= 0 ? (struct blockz_sink){ &ops, self } : self->plain;
}

void kernel_sink_close(struct kernel_sink *self)
{
	if (self->from >= 0)
		close(self->from);
}
