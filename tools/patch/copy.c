/* SPDX-License-Identifier: BSD-3-Clause */
/* What stays as it is of a file is copied inside the kernel, which shares blocks where the file system can. */
#include "patch/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* A sink that gets parts of a file by the kernel, and all else by write. */
struct kernel_sink {
	struct blockz_fd_sink memory;
	struct blockz_sink sink;
	int from; /* the file */
};

static int append(void *ctx, const void *buf, size_t len)
{
	struct kernel_sink *self = ctx;
	return self->sink.ops->write(self->sink.ctx, buf, len);
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

static enum blockz_status copy_by_kernel(const struct blockz_plan *plan, const struct compressed *file, int from, int to,
					 struct blockz_fault *fault)
{
	static const struct blockz_sink_ops ops = { .write = append, .copy = copy_inside };
	struct kernel_sink self = { .from = from };
	self.sink = blockz_sink_fd(&self.memory, to);
	const struct blockz_sink sink = { &ops, &self };
	return blockz_plan_copy(plan, &file->source, &sink, fault);
}

static enum blockz_status copy_hashed(const struct blockz_plan *plan, const struct compressed *file,
				      struct blockz_sink sink, char sha256_ret[DIGEST_HEX], struct blockz_fault *fault)
{
	struct digest_sink digest = { 0 };
	struct blockz_sink hashed;
	enum blockz_status status = digest_sink_start(&digest, &sink, &hashed, fault);
	if (status == BLOCKZ_OK)
		status = blockz_plan_copy(plan, &file->source, &hashed, fault);
	if (status == BLOCKZ_OK)
		status = digest_finish(&digest.digest, sha256_ret, fault);
	digest_free(&digest.digest);
	return status;
}

enum blockz_status copy_patched(const struct blockz_plan *plan, const struct compressed *file, struct output *output,
				char sha256_ret[DIGEST_HEX], struct blockz_fault *fault)
{
	struct blockz_fd_sink memory;
	int from = sha256_ret == NULL && !output->is_stream ? open_again(file) : -1;
	if (from >= 0) {
		enum blockz_status status = copy_by_kernel(plan, file, from, output->fd, fault);
		close(from);
		return status;
	}
	struct blockz_sink sink = blockz_sink_fd(&memory, output->fd);
	if (sha256_ret == NULL)
		return blockz_plan_copy(plan, &file->source, &sink, fault);
	return copy_hashed(plan, file, sink, sha256_ret, fault);
}
