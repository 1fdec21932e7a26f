/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file store: a compressed file under a lock, and its journal beside it as .NAME.blockz-journal.
 *
 * Writers take an OFD write lock over the whole file, which keeps out readers of ours and QEMU, and flock, which keeps
 * out what uses that.  Both go with the descriptor, so a killed program leaves none.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/export.h"
#include "base/fault.h"
#include "io/file.h"

#define JOURNAL_SUFFIX ".blockz-journal"
#define TEMPORARY_SUFFIX JOURNAL_SUFFIX ".tmp"

struct file_store {
	int dirfd; /* the caller's */
	int fd;
	int journal_fd; /* -1: none open */
	bool published; /* the journal under its final name is the one created last */
	uid_t owner;    /* of the file */
	char journal[2 * NAME_MAX], temporary[2 * NAME_MAX];
};

/* ---- The file ---- */

static int store_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	const struct file_store *self = ctx;
	return file_read(self->fd, buf, len, off, got_ret);
}

static int store_write(void *ctx, const void *buf, size_t len, uint64_t off)
{
	const struct file_store *self = ctx;
	return file_write(self->fd, buf, len, off);
}

static int store_sync(void *ctx)
{
	const struct file_store *self = ctx;
	return fdatasync(self->fd) < 0 ? errno : 0;
}

/* ---- The journal ---- */

static int sync_directory(const struct file_store *self)
{
	/* The caller's descriptor may be one of O_PATH, which cannot be synced. */
	int fd = openat(self->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	int error = fsync(fd) < 0 ? errno : 0;
	close(fd);
	return error;
}

static void close_journal(struct file_store *self)
{
	if (self->journal_fd >= 0)
		close(self->journal_fd);
	self->journal_fd = -1;
}

static int journal_create(void *ctx, uint64_t len)
{
	struct file_store *self = ctx;
	close_journal(self);
	self->published = false;
	self->journal_fd = openat(self->dirfd, self->temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (self->journal_fd < 0)
		return errno;
	/* Not posix_fallocate(): where the file system cannot reserve room, that would write it twice. */
	int result;
	do
		result = fallocate(self->journal_fd, 0, 0, (off_t)len);
	while (result < 0 && errno == EINTR);
	if (result < 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
		result = ftruncate(self->journal_fd, (off_t)len);
	return result < 0 ? errno : 0;
}

static int journal_write(void *ctx, const void *buf, size_t len, uint64_t off)
{
	const struct file_store *self = ctx;
	return file_write(self->journal_fd, buf, len, off);
}

static int journal_sync(void *ctx)
{
	const struct file_store *self = ctx;
	return fdatasync(self->journal_fd) < 0 ? errno : 0;
}

static int journal_publish(void *ctx)
{
	struct file_store *self = ctx;
	if (fsync(self->journal_fd) < 0)
		return errno;
	if (renameat2(self->dirfd, self->temporary, self->dirfd, self->journal, RENAME_NOREPLACE) < 0) {
		if (errno != EINVAL && errno != ENOSYS)
			return errno;
		/* A file system without RENAME_NOREPLACE: a link does not replace either. */
		if (linkat(self->dirfd, self->temporary, self->dirfd, self->journal, 0) < 0)
			return errno;
		self->published = true;
		if (unlinkat(self->dirfd, self->temporary, 0) < 0)
			return errno;
	}
	self->published = true;
	return sync_directory(self);
}

static int journal_discard(void *ctx)
{
	struct file_store *self = ctx;
	int error = 0;
	if (self->journal_fd < 0)
		return 0; /* never created */
	close_journal(self);
	if (unlinkat(self->dirfd, self->temporary, 0) < 0 && errno != ENOENT)
		error = errno;
	if (self->published && unlinkat(self->dirfd, self->journal, 0) < 0 && errno != ENOENT)
		error = errno;
	return error;
}

/* A journal tells us to write into the file, so whoever could have made it must be allowed to. */
static bool trusted(const struct file_store *self, const struct stat *st)
{
	return S_ISREG(st->st_mode) && (st->st_uid == self->owner || st->st_uid == 0 || st->st_uid == geteuid());
}

static int journal_find(void *ctx, uint64_t *len_ret)
{
	struct file_store *self = ctx;
	struct stat st;
	close_journal(self);
	int fd = openat(self->dirfd, self->journal, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ELOOP ? EPERM : errno;
	if (fstat(fd, &st) < 0 || !trusted(self, &st)) {
		close(fd);
		return EPERM;
	}
	self->journal_fd = fd;
	*len_ret = (uint64_t)st.st_size;
	return 0;
}

static int journal_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	const struct file_store *self = ctx;
	return file_read(self->journal_fd, buf, len, off, got_ret);
}

static int journal_remove(void *ctx)
{
	struct file_store *self = ctx;
	if (unlinkat(self->dirfd, self->journal, 0) < 0 && errno != ENOENT)
		return errno;
	close_journal(self);
	return sync_directory(self);
}

/* ---- Opening ---- */

static enum blockz_status take_locks(const struct file_store *self, bool write, struct blockz_fault *fault)
{
	struct flock lock = { .l_type = write ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET };
	if (fcntl(self->fd, F_OFD_SETLK, &lock) < 0 || (write && flock(self->fd, LOCK_EX | LOCK_NB) < 0)) {
		if (errno == EAGAIN || errno == EACCES || errno == EWOULDBLOCK)
			return fault_set(fault, BLOCKZ_LOCKED, BLOCKZ_UNKNOWN, "locked: another program %s it",
					 write ? "has opened" : "writes");
		return fault_errno(fault, errno, BLOCKZ_UNKNOWN, "lock");
	}
	return BLOCKZ_OK;
}

/* Where the file was replaced between open and lock, the lock is on the wrong one. */
static enum blockz_status still_there(const struct file_store *self, const char *name, struct stat *st,
				      struct blockz_fault *fault)
{
	struct stat now;
	if (fstatat(self->dirfd, name, &now, AT_SYMLINK_NOFOLLOW) < 0)
		return fault_errno(fault, errno, BLOCKZ_UNKNOWN, "stat");
	if (now.st_dev != st->st_dev || now.st_ino != st->st_ino)
		return fault_set(fault, BLOCKZ_LOCKED, BLOCKZ_UNKNOWN, "locked: it was replaced while being opened");
	*st = now; /* its size before it was locked means nothing */
	return BLOCKZ_OK;
}

static enum blockz_status check_file(const struct stat *st, bool write, struct blockz_fault *fault)
{
	if (!S_ISREG(st->st_mode))
		return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN, "not a regular file");
	if (write && st->st_nlink != 1)
		return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN,
				 "has %lu hard links; a journal beside one of them would not be found beside the others",
				 (unsigned long)st->st_nlink);
	return BLOCKZ_OK;
}

/* False where the names would be too long: such a file cannot have a journal. */
static bool make_names(struct file_store *self, const char *name)
{
	if (strlen(name) + strlen("." TEMPORARY_SUFFIX) > NAME_MAX)
		return false;
	snprintf(self->temporary, sizeof(self->temporary), ".%s%s", name, TEMPORARY_SUFFIX);
	snprintf(self->journal, sizeof(self->journal), ".%s%s", name, JOURNAL_SUFFIX);
	return true;
}

/* Step 2 of the protocol: what the directory says about journals is true on disk, and ours alone to change. */
static enum blockz_status prepare_journal(const struct file_store *self, struct blockz_fault *fault)
{
	if (faccessat(self->dirfd, ".", W_OK | X_OK, AT_EACCESS) < 0)
		return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN,
				 "its directory cannot be written, so there is no place for a journal: %s; use --output, "
				 "or --no-journal and a backup", strerror(errno));
	if (unlinkat(self->dirfd, self->temporary, 0) < 0 && errno != ENOENT)
		return fault_errno(fault, errno, BLOCKZ_UNKNOWN, "removing a stale journal");
	int error = sync_directory(self);
	return error == 0 ? BLOCKZ_OK : fault_errno(fault, error, BLOCKZ_UNKNOWN, "sync of the directory");
}

static enum blockz_status refuse_journal(struct file_store *self, struct blockz_fault *fault)
{
	struct stat st;
	if (fstatat(self->dirfd, self->journal, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? BLOCKZ_OK : fault_errno(fault, errno, BLOCKZ_UNKNOWN, "stat of the journal");
	fault_set(fault, BLOCKZ_NEEDS_RECOVERY, BLOCKZ_UNKNOWN, "an edit was interrupted: its journal is beside the file");
	if (fault != NULL)
		fault->state = BLOCKZ_IMAGE_NEEDS_RECOVERY;
	return BLOCKZ_NEEDS_RECOVERY;
}

static struct blockz_identity identity_of(int fd)
{
	struct statx stx;
	struct blockz_identity identity = { 0 };
	if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &stx) == 0) {
		identity.inode = stx.stx_ino;
		if (stx.stx_mask & STATX_BTIME) {
			identity.birth_sec = stx.stx_btime.tv_sec;
			identity.birth_nsec = stx.stx_btime.tv_nsec;
		}
	}
	return identity;
}

static enum blockz_status open_file(struct file_store *self, const char *name, enum blockz_store_mode mode,
				    struct stat *st, struct blockz_fault *fault)
{
	bool write = mode != BLOCKZ_STORE_READ;
	if (strchr(name, '/') != NULL)
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "a name with a slash");
	/* O_NONBLOCK: a FIFO must not make us wait before it is refused. */
	self->fd = openat(self->dirfd, name,
			  (write ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (self->fd < 0 && errno == ELOOP)
		return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN, "a symbolic link");
	if (self->fd < 0 && (errno == EISDIR || errno == ENXIO)) /* a directory, a socket */
		return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN, "not a regular file");
	if (self->fd < 0)
		return fault_errno(fault, errno, BLOCKZ_UNKNOWN, "open");
	if (fstat(self->fd, st) < 0)
		return fault_errno(fault, errno, BLOCKZ_UNKNOWN, "fstat");
	self->owner = st->st_uid;
	enum blockz_status status = check_file(st, write, fault);
	bool named = make_names(self, name);
	if (status == BLOCKZ_OK && !named && mode == BLOCKZ_STORE_WRITE)
		status = fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN,
				   "name too long: with " TEMPORARY_SUFFIX " its journal's would have more than %d bytes",
				   NAME_MAX);
	if (status == BLOCKZ_OK)
		status = take_locks(self, write, fault);
	if (status == BLOCKZ_OK)
		status = still_there(self, name, st, fault);
	if (status == BLOCKZ_OK && mode == BLOCKZ_STORE_WRITE)
		return prepare_journal(self, fault);
	if (status == BLOCKZ_OK && named)
		status = refuse_journal(self, fault);
	/* Where that cannot be made durable, nobody can have removed a journal either. */
	if (status == BLOCKZ_OK && mode == BLOCKZ_STORE_WRITE_UNJOURNALLED)
		sync_directory(self);
	return status;
}

EXPORT enum blockz_status blockz_store_open(int dirfd, const char *name, enum blockz_store_mode mode,
					    struct blockz_store *store_ret, struct blockz_fault *fault)
{
	static const struct blockz_store_ops journalled = {
		.read = store_read, .write = store_write, .sync = store_sync,
		.journal_create = journal_create, .journal_write = journal_write, .journal_publish = journal_publish,
		.journal_sync = journal_sync, .journal_discard = journal_discard, .journal_find = journal_find, .journal_read = journal_read,
		.journal_remove = journal_remove,
	};
	static const struct blockz_store_ops plain = { .read = store_read, .write = store_write, .sync = store_sync };
	struct stat st;
	struct file_store *self = calloc(1, sizeof(*self));
	if (self == NULL)
		return fault_nomem(fault);
	self->dirfd = dirfd;
	self->fd = self->journal_fd = -1;
	struct blockz_store store = { .ops = mode == BLOCKZ_STORE_WRITE ? &journalled : &plain, .ctx = self };
	enum blockz_status status = open_file(self, name, mode, &st, fault);
	if (status != BLOCKZ_OK) {
		blockz_store_close(&store);
		return status;
	}
	store.size = (uint64_t)st.st_size;
	store.identity = identity_of(self->fd);
	*store_ret = store;
	return BLOCKZ_OK;
}

EXPORT void blockz_store_close(struct blockz_store *store)
{
	struct file_store *self = store->ctx;
	if (self == NULL)
		return;
	close_journal(self);
	if (self->fd >= 0)
		close(self->fd);
	free(self);
	store->ctx = NULL;
}

static int source_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	const struct blockz_store *store = ctx;
	return store->ops->read(store->ctx, buf, len, off, got_ret);
}

EXPORT struct blockz_source blockz_store_source(const struct blockz_store *store)
{
	static const struct blockz_source_ops ops = { .read = source_read };
	return (struct blockz_source){ &ops, (void *)(uintptr_t)store, store->size };
}
