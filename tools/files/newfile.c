/* SPDX-License-Identifier: BSD-3-Clause */
/* A temporary file beside its place, synced, renamed, and its directory synced. */
#include "files/newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/fault.h"
#include "files/compressed.h"
#include "files/overlays.h"

/* ---- Opening */

/*
 * Takes the lock of the file to be replaced, where locks are known.  A journal or an overlay beside it would be taken for
 * one of the new file.  Of a file that may not be written, the lock of a reader: it keeps writers out as well.
 */
static enum blockz_status lock_existing(struct newfile *newfile, struct blockz_fault *fault)
{
	uint64_t len;
	struct blockz_store *store = &newfile->existing;
	bool writable = faccessat(newfile->dirfd, newfile->name, W_OK, AT_EACCESS) == 0;
	enum blockz_store_mode mode = writable ? BLOCKZ_STORE_WRITE_UNLOCKED : BLOCKZ_STORE_READ;
	enum blockz_status status = blockz_store_open(newfile->dirfd, newfile->name, mode, store, fault);
	if (status == BLOCKZ_OK)
		status = overlays_refuse(newfile->dirfd, newfile->name, store, fault);
	if (status != BLOCKZ_OK || !writable || store->ops->journal_find(store->ctx, &len) == ENOENT)
		return status;
	status = tool_fault(fault, BLOCKZ_NEEDS_RECOVERY, "an edit of it was interrupted: there is a journal");
	if (fault != NULL)
		fault->state = BLOCKZ_IMAGE_NEEDS_RECOVERY;
	return status;
}

/* The lock that the caller has is not in its own way. */
static enum blockz_status check_held(const struct newfile *newfile, const struct newfile_options *options,
				     struct blockz_fault *fault)
{
	return options->has_overlay ? BLOCKZ_OK : overlays_refuse(newfile->dirfd, newfile->name, options->held, fault);
}

static enum blockz_status check_existing(struct newfile *newfile, const struct newfile_options *options,
					 struct blockz_fault *fault)
{
	struct stat st;
	bool held = options->held != NULL && store_is_at(options->held, newfile->dirfd, newfile->name);
	if (options->has_overlay && !held)
		return tool_fault(fault, BLOCKZ_FAILED, "is gone, or another file has taken its place since it was opened");
	if (fstatat(newfile->dirfd, newfile->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? BLOCKZ_OK : tool_fault_errno(fault, errno, "stat");
	if (!S_ISREG(st.st_mode))
		return tool_fault(fault, BLOCKZ_UNSUPPORTED, "exists and is no regular file");
	if (!newfile->replace)
		return tool_fault(fault, BLOCKZ_FAILED, "exists already; --force replaces it");
	enum blockz_status status = held ? check_held(newfile, options, fault) : lock_existing(newfile, fault);
	if (status != BLOCKZ_OK)
		return status;
	newfile->replaced = openat(newfile->dirfd, newfile->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return newfile->replaced >= 0 ? BLOCKZ_OK : tool_fault_errno(fault, errno, "open");
}

/* Where nothing shuts anybody out, the umask and the directory's default access control list do what they always do. */
static mode_t first_mode(const struct newfile *newfile)
{
	struct stat st;
	bool exists = fstatat(newfile->dirfd, newfile->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	return exists || newfile->audience->sources > 0 ? 0600 : 0666;
}

static enum blockz_status create_temporary(struct newfile *newfile, struct blockz_fault *fault)
{
	enum { TRIES = 16 };
	char *name = NULL;
	mode_t mode = first_mode(newfile);
	int error = EEXIST;
	for (int i = 0; i < TRIES && error == EEXIST; i++) {
		uint32_t number;
		free(name);
		name = NULL;
		if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number) ||
		    asprintf(&name, ".%s.%08x.tmp", newfile->name, number) < 0)
			return tool_fault_errno(fault, errno, "name of a temporary file");
		newfile->fd = openat(newfile->dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
		error = newfile->fd < 0 ? errno : 0;
	}
	size_t len = strlen(name);
	if (error == 0) {
		newfile->temporary = name;
		return BLOCKZ_OK;
	}
	free(name);
	if (error == ENAMETOOLONG)
		return tool_fault(fault, BLOCKZ_UNSUPPORTED,
				  "name too long: that of a temporary file beside it would have %zu bytes", len);
	return tool_fault_errno(fault, error, "temporary file beside it");
}

enum blockz_status newfile_open(struct newfile *newfile, const char *path, const struct newfile_options *options,
				struct blockz_fault *fault)
{
	*newfile = (struct newfile)NEWFILE_INIT;
	newfile->replace = options->replace;
	newfile->audience = options->audience;
	enum blockz_status status = path_split(path, &newfile->dirfd, &newfile->name, fault);
	/* The lock asks for a place for a journal, which a directory that takes no temporary file is not either. */
	if (status == BLOCKZ_OK)
		status = create_temporary(newfile, fault);
	if (status == BLOCKZ_OK)
		status = check_existing(newfile, options, fault);
	if (status != BLOCKZ_OK)
		newfile_close(newfile);
	return status;
}

/* ---- Completion */

/* Errors of file systems that know no such sync. */
static bool is_no_matter(int error)
{
	return error == EINVAL || error == EBADF || error == EOPNOTSUPP || error == ENOSYS;
}

/* What cannot be synced alone is synced with its whole file system, as far as that can be.  0 or an errno value. */
static int sync_fd(int fd)
{
	int error = fsync(fd) < 0 ? errno : 0;
	if (is_no_matter(error))
		error = syncfs(fd) < 0 ? errno : 0;
	return is_no_matter(error) ? 0 : error;
}

enum blockz_status newfile_sync(struct newfile *newfile, struct blockz_fault *fault)
{
	enum blockz_status status = audience_apply(newfile->audience, newfile->fd, newfile->replaced, fault);
	if (status != BLOCKZ_OK)
		return status;
	int error = sync_fd(newfile->fd);
	if (error != 0)
		return tool_fault_errno(fault, error, "sync");
	newfile->synced = true;
	return BLOCKZ_OK;
}

/* 0 or an errno value. */
static int rename_over(const struct newfile *newfile)
{
	return renameat(newfile->dirfd, newfile->temporary, newfile->dirfd, newfile->name) < 0 ? errno : 0;
}

/* Gives a name that nobody has.  0 or an errno value. */
static int give_free_name(const struct newfile *newfile)
{
	struct stat st;
	if (renameat2(newfile->dirfd, newfile->temporary, newfile->dirfd, newfile->name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
		return errno;
	/* A file system without RENAME_NOREPLACE: a link does not replace either.  It may know no links. */
	if (linkat(newfile->dirfd, newfile->temporary, newfile->dirfd, newfile->name, 0) == 0) {
		unlinkat(newfile->dirfd, newfile->temporary, 0);
		return 0;
	}
	if (errno == EEXIST)
		return EEXIST;
	/* What another program gives this name between these two calls is replaced: nothing better can be had here. */
	if (fstatat(newfile->dirfd, newfile->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return EEXIST;
	return errno == ENOENT ? rename_over(newfile) : errno;
}

static int sync_directory(const struct newfile *newfile)
{
	int fd = openat(newfile->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* A directory may be writable and not readable. */
	if (fd < 0)
		return syncfs(newfile->fd) < 0 && !is_no_matter(errno) ? errno : 0;
	int error = sync_fd(fd);
	close(fd);
	return error;
}

/* It may be the work of hours. */
static enum blockz_status keep_temporary(struct newfile *newfile, int error, struct blockz_fault *fault)
{
	tool_fault(fault, BLOCKZ_FAILED, "giving it its name: %s; it is complete, and stays beside it as %s",
		   error == EEXIST ? "one was made meanwhile" : strerror(error), newfile->temporary);
	free(newfile->temporary);
	newfile->temporary = NULL;
	return BLOCKZ_FAILED;
}

enum blockz_status newfile_commit(struct newfile *newfile, struct blockz_fault *fault)
{
	enum blockz_status status = newfile->synced ? BLOCKZ_OK : newfile_sync(newfile, fault);
	if (status != BLOCKZ_OK)
		return status;
	int error = newfile->replace ? rename_over(newfile) : give_free_name(newfile);
	if (error != 0)
		return keep_temporary(newfile, error, fault);
	free(newfile->temporary);
	newfile->temporary = NULL;
	error = sync_directory(newfile);
	if (error == 0)
		return BLOCKZ_OK;
	tool_fault_errno(fault, error, "sync of its directory");
	if (fault != NULL)
		fault->state = BLOCKZ_IMAGE_UPDATED;
	return BLOCKZ_FAILED;
}

void newfile_close(struct newfile *newfile)
{
	if (newfile->temporary != NULL)
		unlinkat(newfile->dirfd, newfile->temporary, 0);
	if (newfile->name != NULL) {
		if (newfile->fd >= 0)
			close(newfile->fd);
		if (newfile->replaced >= 0)
			close(newfile->replaced);
		close(newfile->dirfd);
	}
	blockz_store_close(&newfile->existing);
	free(newfile->temporary);
	free(newfile->name);
	*newfile = (struct newfile)NEWFILE_INIT;
}
