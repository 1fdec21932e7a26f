/* SPDX-License-Identifier: BSD-3-Clause */
/* Sources over memory, over files that can be read anywhere, and over streams that can be read once. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/export.h"
#include "base/fault.h"
#include "io/file.h"

/* ---- Memory ---- */

static int read_memory(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	const struct blockz_memory *memory = ctx;
	size_t left = off < memory->len ? memory->len - (size_t)off : 0;
	*got_ret = len < left ? len : left;
	if (*got_ret > 0)
		memcpy(buf, (const uint8_t *)memory->bytes + off, *got_ret);
	return 0;
}

EXPORT struct blockz_source blockz_source_memory(const struct blockz_memory *self)
{
	static const struct blockz_source_ops ops = { .read = read_memory };
	return (struct blockz_source){ &ops, (void *)(uintptr_t)self, self->len };
}

/* ---- Files that can be read anywhere; ctx is the descriptor ---- */

static int descriptor(void *ctx)
{
	return (int)(intptr_t)ctx;
}

/* off NULL: from where the descriptor stands. */
static int read_all(int fd, void *buf, size_t len, const uint64_t *off, size_t *got_ret)
{
	size_t got = 0;
	while (got < len) {
		uint8_t *to = (uint8_t *)buf + got;
		ssize_t n = off == NULL ? read(fd, to, len - got) : pread(fd, to, len - got, (off_t)(*off + got));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	*got_ret = got;
	return 0;
}

int file_read(int fd, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	return read_all(fd, buf, len, &off, got_ret);
}

int file_write(int fd, const void *buf, size_t len, uint64_t off)
{
	size_t done = 0;
	while (done < len) {
		ssize_t n = pwrite(fd, (const uint8_t *)buf + done, len - done, (off_t)(off + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		if (n == 0)
			return EIO;
		done += (size_t)n;
	}
	return 0;
}

static int read_anywhere(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	return file_read(descriptor(ctx), buf, len, off, got_ret);
}

static int next_data(void *ctx, uint64_t off, uint64_t *start_ret, uint64_t *end_ret)
{
	int fd = descriptor(ctx);
	off_t end = lseek(fd, 0, SEEK_END);
	if (end < 0)
		return errno;
	off_t start = lseek(fd, (off_t)off, SEEK_DATA), stop = end;
	if (start < 0 && errno == ENXIO) {
		start = end; /* nothing but a hole from here on */
	} else if (start < 0) {
		start = (off_t)off; /* a file system, or a device, that does not know */
	} else {
		stop = lseek(fd, start, SEEK_HOLE);
		if (stop < 0)
			stop = end;
	}
	*start_ret = (uint64_t)start;
	*end_ret = (uint64_t)stop;
	return 0;
}

/* ---- Streams ---- */

static int read_on(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	(void)off;
	return read_all(descriptor(ctx), buf, len, NULL, got_ret);
}

EXPORT enum blockz_status blockz_source_fd(int fd, struct blockz_source *source_ret, struct blockz_fault *fault)
{
	static const struct blockz_source_ops anywhere = { .read = read_anywhere, .next_data = next_data };
	static const struct blockz_source_ops stream = { .read = read_on };
	struct stat st;
	if (fstat(fd, &st) < 0)
		return fault_errno(fault, errno, BLOCKZ_UNKNOWN, "fstat");
	if (S_ISDIR(st.st_mode))
		return fault_errno(fault, EISDIR, BLOCKZ_UNKNOWN, "open");
	struct blockz_source source = { &stream, (void *)(intptr_t)fd, BLOCKZ_UNKNOWN };
	if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) {
		off_t end = lseek(fd, 0, SEEK_END);
		if (end < 0)
			return fault_errno(fault, errno, BLOCKZ_UNKNOWN, "lseek");
		source.ops = &anywhere;
		source.size = (uint64_t)end;
	}
	*source_ret = source;
	return BLOCKZ_OK;
}

static int read_store(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	const struct blockz_store *store = ctx;
	return store->ops->read(store->ctx, buf, len, off, got_ret);
}

EXPORT struct blockz_source blockz_store_source(const struct blockz_store *store)
{
	static const struct blockz_source_ops ops = { .read = read_store };
	return (struct blockz_source){ &ops, (void *)(uintptr_t)store, store->size };
}
