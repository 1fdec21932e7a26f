/* SPDX-License-Identifier: BSD-3-Clause */
/* By sharing blocks, by copying inside the kernel, or byte by byte: the first that can be done. */
#include "patch/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- A store over the output: no journal, since a copy that is not complete is dropped */

struct written {
	struct blockz_sink sink;
	struct blockz_source source; /* what it holds so far */
};

static int written_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	const struct written *self = ctx;
	return self->source.ops->read(self->source.ctx, buf, len, off, got_ret);
}

static int written_write(void *ctx, const void *buf, size_t len, uint64_t off)
{
	const struct written *self = ctx;
	return self->sink.ops->rewrite(self->sink.ctx, buf, len, off);
}

/* output_commit() syncs. */
static int sync_later(void *ctx)
{
	(void)ctx;
	return 0;
}

/* Copies inside the kernel; false: these file systems cannot. */
static bool copy_blocks(int from, int to, uint64_t size)
{
	enum { PART = 64 << 20 };
	off_t in = 0, out = 0;
	while ((uint64_t)in < size) {
		uint64_t left = size - (uint64_t)in;
		ssize_t done = copy_file_range(from, &in, to, &out, left < PART ? (size_t)left : PART, 0);
		if (done <= 0 && (done == 0 || errno != EINTR))
			return false;
	}
	return (uint64_t)in == size;
}

/* Makes the output a copy of the file, which shares its blocks where that is possible; false: it is none. */
static bool clone_file(const struct compressed *file, const struct output *output)
{
	struct stat st;
	if (file->name == NULL)
		return false;
	int fd = openat(file->dirfd, file->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	bool cloned = fd >= 0 && fstat(fd, &st) == 0 && st.st_ino == file->store.identity.inode &&
		      (ioctl(output->fd, FICLONE, fd) == 0 || copy_blocks(fd, output->fd, file->source.size));
	if (fd >= 0)
		close(fd);
	return cloned;
}

static enum blockz_status apply_to(const struct blockz_plan *plan, const struct compressed *file,
				   struct output *output, struct blockz_fault *fault)
{
	static const struct blockz_store_ops ops = {
		.read = written_read, .write = written_write, .sync = sync_later,
	};
	struct blockz_fd_sink memory;
	struct written self = { .sink = blockz_sink_fd(&memory, output->fd) };
	const struct blockz_store store = { .ops = &ops, .ctx = &self, .size = file->source.size };
	enum blockz_status status = blockz_source_fd(output->fd, &self.source, fault);
	if (status == BLOCKZ_OK)
		status = blockz_plan_apply(plan, &store, fault);
	if (status != BLOCKZ_OK && fault != NULL) {
		fault->subject = BLOCKZ_ABOUT_OUTPUT;
		fault->state = BLOCKZ_IMAGE_UNCHANGED;
	}
	return status;
}

/* ---- The copy, byte by byte */

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
	if (sha256_ret == NULL && !output->is_stream && clone_file(file, output))
		return apply_to(plan, file, output, fault);
	struct blockz_sink sink = blockz_sink_fd(&memory, output->fd);
	if (sha256_ret == NULL)
		return blockz_plan_copy(plan, &file->source, &sink, fault);
	return copy_hashed(plan, file, sink, sha256_ret, fault);
}
