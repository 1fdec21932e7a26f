/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocks can be shared only where they lie alike in both files, which is seen to part by part.  Where they do not, the kernel
 * would copy each page in two parts; it is faster to write from a mapping of the file.
 */
#include "files/kernel_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int append(void *ctx, const void *buf, size_t len)
{
	struct kernel_sink *self = ctx;
	return self->plain.ops->write(self->plain.ctx, buf, len);
}

enum { BLOCK = 4096, PART = 64 << 20, MAPPED = 2 << 20 };

/* Blocks are shared whole: up to the first edge of one, and from there on apart. */
static ssize_t copy_alike(struct kernel_sink *self, uint64_t file_off, uint64_t len)
{
	off_t in = (off_t)file_off;
	uint64_t to_edge = (BLOCK - file_off % BLOCK) % BLOCK, part = len > BLOCK ? len - len % BLOCK : len;
	if (to_edge > 0 && to_edge < len)
		part = to_edge;
	return copy_file_range(self->from, &in, self->memory.fd, NULL, (size_t)(part < PART ? part : PART), 0);
}

/* Should the file have become shorter, the write says so, as nothing else touches the mapping. */
static ssize_t copy_shifted(struct kernel_sink *self, uint64_t file_off, uint64_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), skipped = file_off % page, part = (size_t)(len < MAPPED ? len : MAPPED);
	uint8_t *map = mmap(NULL, skipped + part, PROT_READ, MAP_SHARED, self->from, (off_t)(file_off - skipped));
	if (map == MAP_FAILED)
		return 0;
	madvise(map, skipped + part, MADV_POPULATE_READ); /* a page at a time where that is not known */
	ssize_t done = write(self->memory.fd, map + skipped, part);
	int error = errno;
	munmap(map, skipped + part);
	errno = error;
	return done;
}

static int copy_inside(void *ctx, uint64_t file_off, uint64_t len, uint64_t *done_ret)
{
	struct kernel_sink *self = ctx;
	bool alike = file_off % BLOCK == (self->memory.base + self->memory.len) % BLOCK;
	ssize_t done = alike ? copy_alike(self, file_off, len) : copy_shifted(self, file_off, len);
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
