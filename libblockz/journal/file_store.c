/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file store: a compressed file under a lock, and its journal beside it (journal/journal_file.h).
 *
 * Writers take an OFD write lock over the whole file, which keeps out readers of ours and QEMU, and flock, which keeps
 * out what uses that.  Both go with the descriptor, so a killed program leaves none.
 *
 * What cannot be promised on a file system is said in the store's note, or refused where a mode has to ask for it.
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
#include "journal/file_calls.h"
#include "journal/journal_file.h"
#include "journal/recovery.h"

struct file_store {
	int dirfd; /* the caller's */
	int fd;
	struct journal_file journal;
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

static int store_sync(void *ctx)
{
	const struct file_store *self = ctx;
	return sync_alone(fdatasync, self->fd);
}

/* ---- Its journal ---- */

static int journal_create(void *ctx, uint64_t len)
{
	struct file_store *self = ctx;
	return journal_file_create(&self->journal, len);
}

static int journal_write(void *ctx, const void *buf, size_t len, uint64_t off)
{
	const struct file_store *self = ctx;
	return journal_file_write(&self->journal, buf, len, off);
}

static int journal_publish(void *ctx)
{
	struct file_store *self = ctx;
	return journal_file_publish(&self->journal);
}

static int journal_sync(void *ctx)
{
	const struct file_store *self = ctx;
	return journal_file_sync(&self->journal);
}

static int journal_discard(void *ctx)
{
	struct file_store *self = ctx;
	return journal_file_discard(&self->journal);
}

static int journal_find(void *ctx, uint64_t *len_ret)
{
	struct file_store *self = ctx;
	return journal_file_find(&self->journal, len_ret);
}

static int journal_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	const struct file_store *self = ctx;
	return journal_file_read(&self->journal, buf, len, off, got_ret);
}

static int journal_remove(void *ctx)
{
	struct file_store *self = ctx;
	return journal_file_remove(&self->journal);
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
static int lock_file(const struct file_store *self, bool write)
{
	struct flock lock = { .l_type = write ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET };
	if (fcntl(self->fd, F_OFD_SETLK, &lock) < 0)
		return errno;
	return write && flock(self->fd, LOCK_EX | LOCK_NB) < 0 ? errno : 0;
}

static enum blockz_status take_locks(struct file_store *self, enum blockz_store_mode mode, struct blockz_fault *fault)
{
	bool write = for_writing(mode);
	int error = lock_file(self, write);
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
	if (write && st->st_nlink > 1)
		return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN,
				 "has %lu hard links; a journal beside one of them would not be found beside the others",
				 (unsigned long)st->st_nlink);
	return BLOCKZ_OK;
}

static enum blockz_status prepare_journal(struct file_store *self, struct blockz_fault *fault)
{
	bool durable = true;
	enum blockz_status status = journal_file_prepare(&self->journal, self->fd, &durable, fault);
	if (!durable)
		add_note(self, "its directory cannot be synced on this file system: an edit survives a kill, but perhaps not "
			       "a power failure");
	return status;
}

/* Who reads a file is refused in the middle of an edit; a journal that is not its own is only spoken of. */
static enum blockz_status look_for_journal(struct file_store *self, const struct blockz_store *store,
					   enum recovery_journal *journal_ret, struct blockz_fault *fault)
{
	enum blockz_status status = recovery_look(store, journal_ret, fault);
	journal_file_close(&self->journal);
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
	if (status != BLOCKZ_OK)
		return status;
	if (journal != RECOVERY_NO_JOURNAL) {
		fault_set(fault, BLOCKZ_NEEDS_RECOVERY, BLOCKZ_UNKNOWN, "there is a journal beside it that is not its own");
		return fault_remedy(fault, BLOCKZ_REMEDY_DROP);
	}
	/* Where that cannot be made durable, nobody can have removed a journal either. */
	journal_file_sync_absence(&self->journal, self->fd);
	return BLOCKZ_OK;
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
	journal_file_set_owner(&self->journal, st);
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
	if (status != BLOCKZ_OK)
		return status;
	bool named = journal_file_set_name(&self->journal, name);
	if (!named && has_journal(mode))
		return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN,
				 "name too long: with " JOURNAL_SUFFIX JOURNAL_TMP_SUFFIX " its journal's would have more than %d bytes",
				 NAME_MAX);
	status = take_locks(self, mode, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = still_there(self, name, &st, fault);
	if (status != BLOCKZ_OK)
		return status;
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
	self->fd = -1;
	self->journal = journal_file_of(dirfd, &journal_file_kind);
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
	journal_file_free(&self->journal);
	close_fd(&self->fd);
	free(self);
	store->ctx = NULL;
}
