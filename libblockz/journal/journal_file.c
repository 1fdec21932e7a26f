/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * File systems differ in what they can: some know no RENAME_NOREPLACE, no hard links, no sync of a directory.  Each step
 * has another way there, and what is lost by it is told.
 */
#include "journal/journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "io/file.h"
#include "journal/file_calls.h"

const struct journal_file_kind journal_file_kind = { .suffix = JOURNAL_SUFFIX, .found_flags = O_RDONLY };

struct journal_file journal_file_of(int dirfd, const struct journal_file_kind *kind)
{
	return (struct journal_file){ .kind = kind, .dirfd = dirfd, .fd = -1, .spare_fd = -1, .synced_fd = -1 };
}

void journal_file_free(struct journal_file *self)
{
	close_fd(&self->synced_fd);
	close_fd(&self->spare_fd);
	close_fd(&self->fd);
}

void journal_file_set_owner(struct journal_file *self, const struct stat *file)
{
	self->mode = file->st_mode;
	self->owner = file->st_uid;
	self->group = file->st_gid;
}

bool journal_file_set_name(struct journal_file *self, const char *name)
{
	const char *suffix = self->kind->suffix;
	if (strlen(name) + strlen(suffix) + strlen("." JOURNAL_TMP_SUFFIX) > NAME_MAX)
		return false;
	snprintf(self->temporary, sizeof(self->temporary), ".%s%s%s", name, suffix, JOURNAL_TMP_SUFFIX);
	snprintf(self->name, sizeof(self->name), ".%s%s", name, suffix);
	return true;
}

/* ---- The directory ---- */

/* True for what a file system says that cannot sync directories. */
static bool is_unknown_sync(int error)
{
	return is_unknown_call(error) || error == EBADF;
}

static int sync_directory(const struct journal_file *self)
{
	return self->sync_by(self->synced_fd) < 0 && !is_unknown_sync(errno) ? errno : 0;
}

int journal_file_sync_absence(struct journal_file *self, int file_fd)
{
	/* The caller's descriptor may be one of O_PATH, which cannot be synced. */
	self->synced_fd = openat(self->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	self->sync_by = fsync;
	if (self->synced_fd < 0 && errno == EACCES) {
		/* It may be written, and not read: then all of the file system is synced. */
		self->synced_fd = fcntl(file_fd, F_DUPFD_CLOEXEC, 0);
		self->sync_by = syncfs;
	}
	return self->synced_fd < 0 || self->sync_by(self->synced_fd) < 0 ? errno : 0;
}

/* Of those who only read, nobody waits for a journal. */
static void keep_spare(struct journal_file *self)
{
	if (self->synced_fd >= 0 && self->spare_fd < 0)
		self->spare_fd = fcntl(self->synced_fd, F_DUPFD_CLOEXEC, 0);
}

void journal_file_close(struct journal_file *self)
{
	close_fd(&self->fd);
	keep_spare(self);
}

/* Opens the journal under one of its names, in the place of the spare descriptor.  Returns 0 or an errno value. */
static int open_journal(struct journal_file *self, const char *name, int flags)
{
	close_fd(&self->fd);
	close_fd(&self->spare_fd);
	self->fd = openat(self->dirfd, name, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
	int error = self->fd < 0 ? errno : 0;
	if (error != 0)
		keep_spare(self);
	return error;
}

static enum blockz_status refuse_directory(const struct journal_file *self, int error, struct blockz_fault *fault)
{
	struct stat st;
	if (fstatat(self->dirfd, self->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN,
				 "its directory cannot be written, so its journal cannot be removed: %s; copies of both can be "
				 "recovered elsewhere", strerror(error));
	return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN,
			 "its directory cannot be written, so there is no place for a journal: %s; use --output, or "
			 "--no-journal and a backup", strerror(error));
}

static enum blockz_status refuse_temporary(const struct journal_file *self, int error, struct blockz_fault *fault)
{
	char what[80];
	snprintf(what, sizeof(what), "removing .FILE%s" JOURNAL_TMP_SUFFIX ", left of an edit", self->kind->suffix);
	return fault_errno(fault, error, BLOCKZ_UNKNOWN, what);
}

enum blockz_status journal_file_prepare(struct journal_file *self, int file_fd, bool *durable_ret,
					struct blockz_fault *fault)
{
	if (faccessat(self->dirfd, ".", W_OK | X_OK, AT_EACCESS) < 0)
		return refuse_directory(self, errno, fault);
	if (unlinkat(self->dirfd, self->temporary, 0) < 0 && errno != ENOENT)
		return refuse_temporary(self, errno, fault);
	int error = journal_file_sync_absence(self, file_fd);
	if (error != 0 && (self->synced_fd < 0 || !is_unknown_sync(error)))
		return fault_errno(fault, error, BLOCKZ_UNKNOWN, "sync of the directory");
	*durable_ret = error == 0;
	keep_spare(self);
	return BLOCKZ_OK;
}

/* ---- Making one ---- */

/* Not posix_fallocate(): where the file system cannot reserve room, that would write it twice. */
static int reserve(int fd, uint64_t len)
{
	int result;
	do
		result = fallocate(fd, 0, 0, (off_t)len);
	while (result < 0 && errno == EINTR);
	return result < 0 && is_unknown_call(errno) ? ftruncate(fd, (off_t)len) : result;
}

int journal_file_create(struct journal_file *self, uint64_t len)
{
	self->published = false;
	int error = open_journal(self, self->temporary, O_RDWR | O_CREAT | O_EXCL);
	if (error != 0)
		return error;
	int result = self->kind->is_sparse ? ftruncate(self->fd, (off_t)len) : reserve(self->fd, len);
	return result < 0 ? errno : 0;
}

int journal_file_write(const struct journal_file *self, const void *buf, size_t len, uint64_t off)
{
	return file_write(self->fd, buf, len, off);
}

int journal_file_sync(const struct journal_file *self)
{
	return sync_alone(fdatasync, self->fd);
}

/* Gives the journal its name where rename cannot be told not to replace: a link does not replace either. */
static int link_journal(struct journal_file *self)
{
	struct stat st;
	if (linkat(self->dirfd, self->temporary, self->dirfd, self->name, 0) == 0) {
		self->published = true;
		return unlinkat(self->dirfd, self->temporary, 0) < 0 ? errno : 0;
	}
	if (!is_unknown_call(errno) && errno != EPERM)
		return errno;
	/* Neither is known.  Whoever has the lock is the only one to make journals, and there is none. */
	if (fstatat(self->dirfd, self->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return EEXIST;
	return errno != ENOENT || renameat(self->dirfd, self->temporary, self->dirfd, self->name) < 0 ? errno : 0;
}

int journal_file_publish(struct journal_file *self)
{
	int error = sync_alone(fsync, self->fd);
	if (error != 0)
		return error;
	if (renameat2(self->dirfd, self->temporary, self->dirfd, self->name, RENAME_NOREPLACE) < 0) {
		error = is_unknown_call(errno) ? link_journal(self) : errno;
		if (error != 0)
			return error;
	}
	self->published = true;
	return sync_directory(self);
}

int journal_file_discard(struct journal_file *self)
{
	int error = 0;
	if (self->fd < 0)
		return 0; /* never created */
	journal_file_close(self);
	if (unlinkat(self->dirfd, self->temporary, 0) < 0 && errno != ENOENT)
		error = errno;
	if (self->published && unlinkat(self->dirfd, self->name, 0) < 0 && errno != ENOENT)
		error = errno;
	return error;
}

/* ---- Finding one ---- */

/* A journal tells us to write into the file, so whoever could have written it must be allowed to. */
static bool is_somebody_elses(const struct journal_file *self, const struct stat *st)
{
	return st->st_uid != self->owner && st->st_uid != 0 && st->st_uid != geteuid();
}

static bool is_open_to_others(const struct journal_file *self, const struct stat *st)
{
	mode_t granted = self->mode & (st->st_gid == self->group ? S_IWGRP | S_IWOTH : S_IWOTH);
	return (st->st_mode & (S_IWGRP | S_IWOTH) & ~granted) != 0;
}

/* 0, EPERM or EINVAL, as journal_find() of struct blockz_store_ops says it. */
static int judge_journal(const struct journal_file *self, const struct stat *st)
{
	if (is_somebody_elses(self, st))
		return EPERM;
	/* With a second link, it may be another than its owner who gave it this name. */
	return !S_ISREG(st->st_mode) || st->st_nlink != 1 || is_open_to_others(self, st) ? EINVAL : 0;
}

int journal_file_find(struct journal_file *self, uint64_t *len_ret)
{
	struct stat st;
	journal_file_close(self);
	if (fstatat(self->dirfd, self->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno;
	int error = judge_journal(self, &st);
	if (error != 0)
		return error;
	error = open_journal(self, self->name, self->kind->found_flags | O_NONBLOCK);
	if (error != 0)
		return error == EPERM || error == EINVAL ? EACCES : error; /* these two are ours to say */
	/* It may have been another one a moment ago. */
	error = fstat(self->fd, &st) < 0 ? errno : judge_journal(self, &st);
	if (error != 0)
		journal_file_close(self);
	else
		*len_ret = (uint64_t)st.st_size;
	return error;
}

int journal_file_read(const struct journal_file *self, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	return file_read(self->fd, buf, len, off, got_ret);
}

int journal_file_remove(struct journal_file *self)
{
	if (unlinkat(self->dirfd, self->name, 0) < 0 && errno != ENOENT) {
		/* What somebody put there may be a directory. */
		if (errno != EISDIR || unlinkat(self->dirfd, self->name, AT_REMOVEDIR) < 0)
			return errno;
	}
	journal_file_close(self);
	return sync_directory(self);
}
