/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file store: a compressed file under a lock, and its journal beside it as .NAME.blockz-journal.
 *
 * Writers take an OFD write lock over the whole file, which keeps out readers of ours and QEMU, and flock, which keeps
 * out what uses that.  Both go with the descriptor, so a killed program leaves none.
 *
 * File systems differ in what they can: some know no locks, no RENAME_NOREPLACE, no hard links, no sync of a directory.
 * What cannot be promised there is said in the store's note, or refused where a mode has to ask for it.
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
#include "journal/recovery.h"

#define JOURNAL_SUFFIX ".blockz-journal"
#define TEMPORARY_SUFFIX JOURNAL_SUFFIX ".tmp"

struct file_store {
	int dirfd; /* the caller's */
	int fd;
	int synced_fd;  /* of what is synced for the directory; -1: opened to read only */
	int (*sync_by)(int fd); /* its sync */
	int journal_fd; /* -1: none open */
	int spare_fd;   /* kept for the journal, so that a write does not fail when descriptors are short; -1: in use */
	bool published; /* the journal under its final name is the one created last */
	mode_t mode;    /* of the file, as the next two */
	uid_t owner;
	gid_t group;
	char journal[2 * NAME_MAX], temporary[2 * NAME_MAX];
	char note[512];
};

/* Adds a sentence to what somebody should be told. */
static void add_note(struct file_store *self, const char *text)
{
	size_t len = strlen(self->note);
	snprintf(self->note + len, sizeof(self->note) - len, "%s%s", len > 0 ? "; " : "", text);
}

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

/* True for what a file system says that has no such call. */
static bool is_unknown_call(int error)
{
	return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP;
}

/* What cannot be synced alone is synced with its whole file system.  0 or an errno value. */
static int sync_alone(int (*call)(int fd), int fd)
{
	int error = call(fd) < 0 ? errno : 0;
	return is_unknown_call(error) && syncfs(fd) == 0 ? 0 : error;
}

static int store_sync(void *ctx)
{
	const struct file_store *self = ctx;
	return sync_alone(fdatasync, self->fd);
}

/* ---- The journal ---- */

/* True for what a file system says that cannot sync directories. */
static bool is_unknown_sync(int error)
{
	return is_unknown_call(error) || error == EBADF;
}

static int sync_directory(const struct file_store *self)
{
	return self->sync_by(self->synced_fd) < 0 && !is_unknown_sync(errno) ? errno : 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Of those who only read, nobody waits for a journal. */
static void keep_spare(struct file_store *self)
{
	if (self->synced_fd >= 0 && self->spare_fd < 0)
		self->spare_fd = fcntl(self->synced_fd, F_DUPFD_CLOEXEC, 0);
}

static void close_journal(struct file_store *self)
{
	close_fd(&self->journal_fd);
	keep_spare(self);
}

/* Opens the journal under one of its names, in the place of the spare descriptor.  Returns 0 or an errno value. */
static int open_journal(struct file_store *self, const char *name, int flags)
{
	close_fd(&self->journal_fd);
	close_fd(&self->spare_fd);
	self->journal_fd = openat(self->dirfd, name, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
	int error = self->journal_fd < 0 ? errno : 0;
	if (error != 0)
		keep_spare(self);
	return error;
}

static int journal_create(void *ctx, uint64_t len)
{
	struct file_store *self = ctx;
	self->published = false;
	int error = open_journal(self, self->temporary, O_RDWR | O_CREAT | O_EXCL);
	if (error != 0)
		return error;
	/* Not posix_fallocate(): where the file system cannot reserve room, that would write it twice. */
	int result;
	do
		result = fallocate(self->journal_fd, 0, 0, (off_t)len);
	while (result < 0 && errno == EINTR);
	if (result < 0 && is_unknown_call(errno))
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
	return sync_alone(fdatasync, self->journal_fd);
}

/* Gives the journal its name where rename cannot be told not to replace: a link does not replace either. */
static int link_journal(struct file_store *self)
{
	struct stat st;
	if (linkat(self->dirfd, self->temporary, self->dirfd, self->journal, 0) == 0) {
		self->published = true;
		return unlinkat(self->dirfd, self->temporary, 0) < 0 ? errno : 0;
	}
	if (!is_unknown_call(errno) && errno != EPERM)
		return errno;
	/* Neither is known.  Whoever has the lock is the only one to make journals, and there is none. */
	if (fstatat(self->dirfd, self->journal, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return EEXIST;
	return errno != ENOENT || renameat(self->dirfd, self->temporary, self->dirfd, self->journal) < 0 ? errno : 0;
}

static int journal_publish(void *ctx)
{
	struct file_store *self = ctx;
	int error = sync_alone(fsync, self->journal_fd);
	if (error != 0)
		return error;
	if (renameat2(self->dirfd, self->temporary, self->dirfd, self->journal, RENAME_NOREPLACE) < 0) {
		error = is_unknown_call(errno) ? link_journal(self) : errno;
		if (error != 0)
			return error;
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

/* A journal tells us to write into the file, so whoever could have written it must be allowed to. */
static bool is_somebody_elses(const struct file_store *self, const struct stat *st)
{
	return st->st_uid != self->owner && st->st_uid != 0 && st->st_uid != geteuid();
}

static bool is_open_to_others(const struct file_store *self, const struct stat *st)
{
	mode_t granted = self->mode & (st->st_gid == self->group ? S_IWGRP | S_IWOTH : S_IWOTH);
	return (st->st_mode & (S_IWGRP | S_IWOTH) & ~granted) != 0;
}

/* 0, EPERM or EINVAL, as journal_find() says it. */
static int judge_journal(const struct file_store *self, const struct stat *st)
{
	if (is_somebody_elses(self, st))
		return EPERM;
	/* With a second link, it may be another than its owner who gave it this name. */
	return !S_ISREG(st->st_mode) || st->st_nlink != 1 || is_open_to_others(self, st) ? EINVAL : 0;
}

static int journal_find(void *ctx, uint64_t *len_ret)
{
	struct file_store *self = ctx;
	struct stat st;
	close_journal(self);
	if (fstatat(self->dirfd, self->journal, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno;
	int error = judge_journal(self, &st);
	if (error != 0)
		return error;
	error = open_journal(self, self->journal, O_RDONLY | O_NONBLOCK);
	if (error != 0)
		return error == EPERM || error == EINVAL ? EACCES : error; /* these two are ours to say */
	/* It may have been another one a moment ago. */
	error = fstat(self->journal_fd, &st) < 0 ? errno : judge_journal(self, &st);
	if (error != 0)
		close_journal(self);
	else
		*len_ret = (uint64_t)st.st_size;
	return error;
}

static int journal_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	const struct file_store *self = ctx;
	return file_read(self->journal_fd, buf, len, off, got_ret);
}

static int journal_remove(void *ctx)
{
	struct file_store *self = ctx;
	if (unlinkat(self->dirfd, self->journal, 0) < 0 && errno != ENOENT) {
		/* What somebody put there may be a directory. */
		if (errno != EISDIR || unlinkat(self->dirfd, self->journal, AT_REMOVEDIR) < 0)
			return errno;
	}
	close_journal(self);
	return sync_directory(self);
}

/* ---- Opening ---- */

static bool for_writing(enum blockz_store_mode mode)
{
	return mode != BLOCKZ_STORE_READ;
}

static bool has_journal(enum blockz_store_mode mode)
{
	return mode == BLOCKZ_STORE_WRITE || mode == BLOCKZ_STORE_WRITE_UNLOCKED;
}

static bool needs_lock(enum blockz_store_mode mode)
{
	return mode == BLOCKZ_STORE_WRITE || mode == BLOCKZ_STORE_WRITE_UNJOURNALLED;
}

/* 0 or an errno value. */
static int lock(const struct file_store *self, bool write)
{
	struct flock lock = { .l_type = write ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET };
	if (fcntl(self->fd, F_OFD_SETLK, &lock) < 0)
		return errno;
	return write && flock(self->fd, LOCK_EX | LOCK_NB) < 0 ? errno : 0;
}

static enum blockz_status take_locks(struct file_store *self, enum blockz_store_mode mode, struct blockz_fault *fault)
{
	bool write = for_writing(mode);
	int error = lock(self, write);
	if (error == EAGAIN || error == EACCES || error == EWOULDBLOCK)
		return fault_set(fault, BLOCKZ_LOCKED, BLOCKZ_UNKNOWN, "locked: another program %s it",
				 write ? "has opened" : "writes");
	if (error != 0 && write && error != ENOLCK && !is_unknown_call(error))
		return fault_errno(fault, error, BLOCKZ_UNKNOWN, "lock");
	if (error != 0 && needs_lock(mode))
		return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN,
				 "cannot be locked on this file system (%s), so another program that writes it would not be "
				 "kept out; use --output, or --no-lock if there is none", strerror(error));
	if (error != 0)
		add_note(self, write ? "no locks on this file system: other programs are not kept out"
				     : "no locks on this file system: a program that writes it now goes unnoticed");
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
	if (!S_ISREG(st->st_mode) && (write || !S_ISBLK(st->st_mode)))
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

/* Makes durable what the directory says about journals.  0 or an errno value. */
static int sync_absence(struct file_store *self)
{
	/* The caller's descriptor may be one of O_PATH, which cannot be synced. */
	self->synced_fd = openat(self->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	self->sync_by = fsync;
	if (self->synced_fd < 0 && errno == EACCES) {
		/* It may be written, and not read: then all of the file system is synced. */
		self->synced_fd = fcntl(self->fd, F_DUPFD_CLOEXEC, 0);
		self->sync_by = syncfs;
	}
	return self->synced_fd < 0 || self->sync_by(self->synced_fd) < 0 ? errno : 0;
}

static enum blockz_status refuse_directory(const struct file_store *self, int error, struct blockz_fault *fault)
{
	struct stat st;
	if (fstatat(self->dirfd, self->journal, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN,
				 "its directory cannot be written, so its journal cannot be removed: %s; copies of both can be "
				 "recovered elsewhere", strerror(error));
	return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN,
			 "its directory cannot be written, so there is no place for a journal: %s; use --output, or "
			 "--no-journal and a backup", strerror(error));
}

/* Step 2 of the protocol: what the directory says about journals is true on disk, and ours alone to change. */
static enum blockz_status prepare_journal(struct file_store *self, struct blockz_fault *fault)
{
	if (faccessat(self->dirfd, ".", W_OK | X_OK, AT_EACCESS) < 0)
		return refuse_directory(self, errno, fault);
	if (unlinkat(self->dirfd, self->temporary, 0) < 0 && errno != ENOENT)
		return fault_errno(fault, errno, BLOCKZ_UNKNOWN, "removing .FILE" TEMPORARY_SUFFIX ", left of an edit");
	int error = sync_absence(self);
	if (error != 0 && (self->synced_fd < 0 || !is_unknown_sync(error)))
		return fault_errno(fault, error, BLOCKZ_UNKNOWN, "sync of the directory");
	if (error != 0)
		add_note(self, "its directory cannot be synced on this file system: an edit survives a kill, but perhaps not "
			       "a power failure");
	keep_spare(self);
	return BLOCKZ_OK;
}

/* Who reads a file is refused in the middle of an edit; a journal that is not its own is only spoken of. */
static enum blockz_status look_for_journal(struct file_store *self, const struct blockz_store *store,
					   enum recovery_journal *journal_ret, struct blockz_fault *fault)
{
	enum blockz_status status = recovery_look(store, journal_ret, fault);
	close_journal(self);
	if (status == BLOCKZ_OK && *journal_ret == RECOVERY_OF_OTHER_FILE)
		add_note(self, "the journal beside it is another file's, and is ignored");
	else if (status == BLOCKZ_OK && *journal_ret == RECOVERY_OF_OTHER_USER)
		add_note(self, "what is under the name of its journal was put there by another user, and is ignored");
	return status;
}

/* Who writes without a journal must not leave one that speaks of other bytes. */
static enum blockz_status prepare_unjournalled(struct file_store *self, const struct blockz_store *store,
					       struct blockz_fault *fault)
{
	enum recovery_journal journal = RECOVERY_NO_JOURNAL;
	enum blockz_status status = look_for_journal(self, store, &journal, fault);
	if (status == BLOCKZ_OK && journal != RECOVERY_NO_JOURNAL) {
		fault_set(fault, BLOCKZ_NEEDS_RECOVERY, BLOCKZ_UNKNOWN, "there is a journal beside it that is not its own");
		return fault_remedy(fault, BLOCKZ_REMEDY_DROP);
	}
	/* Where that cannot be made durable, nobody can have removed a journal either. */
	if (status == BLOCKZ_OK)
		sync_absence(self);
	return status;
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

static enum blockz_status open_named(struct file_store *self, const char *name, bool write, struct stat *st,
				     struct blockz_fault *fault)
{
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
	self->mode = st->st_mode;
	self->owner = st->st_uid;
	self->group = st->st_gid;
	return check_file(st, write, fault);
}

static enum blockz_status find_size(const struct file_store *self, const struct stat *st, struct blockz_store *store,
				    struct blockz_fault *fault)
{
	off_t size = S_ISREG(st->st_mode) ? st->st_size : lseek(self->fd, 0, SEEK_END);
	if (size < 0)
		return fault_errno(fault, errno, BLOCKZ_UNKNOWN, "lseek");
	store->size = (uint64_t)size;
	store->identity = identity_of(self->fd);
	return BLOCKZ_OK;
}

static enum blockz_status open_file(struct file_store *self, const char *name, enum blockz_store_mode mode,
				    struct blockz_store *store, struct blockz_fault *fault)
{
	struct stat st;
	enum blockz_status status = open_named(self, name, for_writing(mode), &st, fault);
	bool named = make_names(self, name);
	if (status == BLOCKZ_OK && !named && has_journal(mode))
		status = fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN,
				   "name too long: with " TEMPORARY_SUFFIX " its journal's would have more than %d bytes",
				   NAME_MAX);
	if (status == BLOCKZ_OK)
		status = take_locks(self, mode, fault);
	if (status == BLOCKZ_OK)
		status = still_there(self, name, &st, fault);
	if (status == BLOCKZ_OK)
		status = find_size(self, &st, store, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (has_journal(mode))
		return prepare_journal(self, fault);
	if (!named || !S_ISREG(st.st_mode))
		return BLOCKZ_OK;
	enum recovery_journal journal;
	return for_writing(mode) ? prepare_unjournalled(self, store, fault)
				 : look_for_journal(self, store, &journal, fault);
}

static const struct blockz_store_ops journalled = {
	.read = store_read, .write = store_write, .sync = store_sync,
	.journal_create = journal_create, .journal_write = journal_write, .journal_publish = journal_publish,
	.journal_sync = journal_sync, .journal_discard = journal_discard, .journal_find = journal_find,
	.journal_read = journal_read, .journal_remove = journal_remove,
};

/* Where a file cannot be opened to write, as on read-only media, it may still be in the middle of an edit. */
static void tell_of_journal(int dirfd, const char *name, struct blockz_fault *fault)
{
	struct blockz_store store;
	struct blockz_fault why;
	enum blockz_status status = blockz_store_open(dirfd, name, BLOCKZ_STORE_READ, &store, &why);
	if (status == BLOCKZ_OK)
		blockz_store_close(&store);
	else if (fault != NULL && status == BLOCKZ_NEEDS_RECOVERY) {
		fault->state = why.state;
		fault->remedy = why.remedy;
	}
}

EXPORT enum blockz_status blockz_store_open(int dirfd, const char *name, enum blockz_store_mode mode,
					    struct blockz_store *store_ret, struct blockz_fault *fault)
{
	static const struct blockz_store_ops plain = { .read = store_read, .write = store_write, .sync = store_sync };
	struct file_store *self = calloc(1, sizeof(*self));
	if (self == NULL)
		return fault_nomem(fault);
	self->dirfd = dirfd;
	self->fd = self->journal_fd = self->synced_fd = self->spare_fd = -1;
	struct blockz_store store = { .ops = &journalled, .ctx = self };
	enum blockz_status status = open_file(self, name, mode, &store, fault);
	if (status != BLOCKZ_OK) {
		blockz_store_close(&store);
		if (for_writing(mode))
			tell_of_journal(dirfd, name, fault);
		return status;
	}
	if (!has_journal(mode))
		store.ops = &plain;
	if (self->note[0] != '\0')
		store.note = self->note;
	*store_ret = store;
	return BLOCKZ_OK;
}

EXPORT void blockz_store_close(struct blockz_store *store)
{
	struct file_store *self = store->ctx;
	if (self == NULL)
		return;
	close_fd(&self->synced_fd);
	close_fd(&self->spare_fd);
	close_fd(&self->journal_fd);
	close_fd(&self->fd);
	free(self);
	store->ctx = NULL;
}
