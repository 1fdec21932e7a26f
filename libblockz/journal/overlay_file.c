/* SPDX-License-Identifier: BSD-3-Clause */
/* The lock is taken when the file is open, and goes with the descriptor. */
#include "journal/overlay_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "journal/file_calls.h"
#include "journal/journal_file.h"

#define SUFFIX ".blockz-overlay"

struct overlay_file {
	struct journal_file file;
	bool writing, can_be;
	struct blockz_store place;
};

/* ---- The operations ---- */

/* 0 or an errno value; where locks are not known, that of the image has said so. */
static int take_lock(const struct overlay_file *self)
{
	struct flock lock = { .l_type = self->writing ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET };
	if (fcntl(self->file.fd, F_OFD_SETLK, &lock) == 0 || errno == ENOLCK || is_unknown_call(errno))
		return 0;
	return errno == EACCES ? EWOULDBLOCK : errno;
}

static int overlay_find(void *ctx, uint64_t *len_ret)
{
	struct overlay_file *self = ctx;
	int error = journal_file_find(&self->file, len_ret);
	if (error == 0)
		error = take_lock(self);
	return error;
}

static int overlay_create(void *ctx, uint64_t len)
{
	struct overlay_file *self = ctx;
	int error = journal_file_create(&self->file, len);
	return error == 0 ? take_lock(self) : error;
}

static int overlay_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	const struct overlay_file *self = ctx;
	return journal_file_read(&self->file, buf, len, off, got_ret);
}

static int overlay_write(void *ctx, const void *buf, size_t len, uint64_t off)
{
	const struct overlay_file *self = ctx;
	return journal_file_write(&self->file, buf, len, off);
}

static int overlay_publish(void *ctx)
{
	struct overlay_file *self = ctx;
	return journal_file_publish(&self->file);
}

static int overlay_sync(void *ctx)
{
	const struct overlay_file *self = ctx;
	return journal_file_sync(&self->file);
}

static int overlay_discard(void *ctx)
{
	struct overlay_file *self = ctx;
	return journal_file_discard(&self->file);
}

static int overlay_remove(void *ctx)
{
	struct overlay_file *self = ctx;
	return journal_file_remove(&self->file);
}

static const struct blockz_store_ops operations = {
	.journal_create = overlay_create, .journal_write = overlay_write, .journal_publish = overlay_publish,
	.journal_sync = overlay_sync, .journal_discard = overlay_discard, .journal_find = overlay_find,
	.journal_read = overlay_read, .journal_remove = overlay_remove,
};

/* ---- The file ---- */

/* What is learnt of the file that it is beside. */
static enum blockz_status look_at_owner(struct overlay_file *self, int dirfd, const char *name, struct blockz_fault *fault)
{
	struct stat st;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fault_errno(fault, errno, BLOCKZ_UNKNOWN, "stat");
	journal_file_set_owner(&self->file, &st);
	return BLOCKZ_OK;
}

static enum blockz_status prepare(struct overlay_file *self, int dirfd, const char *name, struct blockz_fault *fault)
{
	bool durable; /* the store of the image has said what cannot be promised */
	if (!self->can_be)
		return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN,
				 "name too long: with " SUFFIX JOURNAL_TMP_SUFFIX " its overlay's would have more than %d bytes",
				 NAME_MAX);
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return fault_errno(fault, errno, BLOCKZ_UNKNOWN, "open");
	enum blockz_status status = journal_file_prepare(&self->file, fd, &durable, fault);
	close(fd);
	return status;
}

enum blockz_status overlay_file_new(int dirfd, const char *name, enum blockz_overlay_mode mode,
				    struct overlay_file **file_ret, struct blockz_fault *fault)
{
	static const struct journal_file_kind read = { .suffix = SUFFIX, .found_flags = O_RDONLY };
	static const struct journal_file_kind written = { .suffix = SUFFIX, .is_sparse = true, .found_flags = O_RDWR };
	struct overlay_file *self = calloc(1, sizeof(*self));
	if (self == NULL)
		return fault_nomem(fault);
	self->writing = mode == BLOCKZ_OVERLAY_WRITE;
	self->file = journal_file_of(dirfd, self->writing ? &written : &read);
	self->can_be = journal_file_set_name(&self->file, name);
	self->place = (struct blockz_store){ .ops = &operations, .ctx = self };
	enum blockz_status status = look_at_owner(self, dirfd, name, fault);
	if (status == BLOCKZ_OK && self->writing)
		status = prepare(self, dirfd, name, fault);
	if (status == BLOCKZ_OK)
		*file_ret = self;
	else
		overlay_file_free(self);
	return status;
}

void overlay_file_free(struct overlay_file *self)
{
	if (self == NULL)
		return;
	journal_file_free(&self->file);
	free(self);
}

const struct blockz_store *overlay_file_place(const struct overlay_file *self)
{
	return self->can_be ? &self->place : NULL;
}
