/* SPDX-License-Identifier: BSD-3-Clause */
#include "newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compressed.h"
#include "fault.h"

/* ---- Opening */

/* Takes the lock of the file to be replaced.  A journal beside it would be taken for one of the new file. */
static enum blockz_status lock_existing(struct newfile *newfile, struct blockz_fault *fault)
{
	uint64_t len;
	struct blockz_store *store = &newfile->existing;
	enum blockz_status status = blockz_store_open(newfile->dirfd, newfile->name, BLOCKZ_STORE_WRITE, store, fault);
	if (status != BLOCKZ_OK || store->ops->journal_find(store->ctx, &len) == ENOENT)
		return status;
	status = tool_fault(fault, BLOCKZ_NEEDS_RECOVERY, "an edit of it was interrupted: there is a journal");
	if (fault != NULL)
		fault->state = BLOCKZ_IMAGE_NEEDS_RECOVERY;
	return status;
}

/* The lock that the caller has is not in its own way. */
static bool is_held(const struct newfile *newfile, const struct blockz_store *held)
{
	struct blockz_store store;
	if (held == NULL || blockz_store_open(newfile->dirfd, newfile->name, BLOCKZ_STORE_READ, &store, NULL) != BLOCKZ_OK)
		return false;
	struct blockz_identity a = store.identity, b = held->identity;
	blockz_store_close(&store);
	return a.inode == b.inode && a.birth_sec == b.birth_sec && a.birth_nsec == b.birth_nsec;
}

/* Who may not read the old file may not read the new one, whose owner and group may be others where only root can choose. */
static enum blockz_status keep_mode(const struct newfile *newfile, const struct stat *old, struct blockz_fault *fault)
{
	struct stat now;
	mode_t mode = old->st_mode & 0777;
	if (fstat(newfile->fd, &now) < 0)
		return tool_fault_errno(fault, errno, "stat");
	bool other = old->st_uid != now.st_uid || old->st_gid != now.st_gid;
	if (other && fchown(newfile->fd, old->st_uid, old->st_gid) < 0 && fchown(newfile->fd, (uid_t)-1, old->st_gid) < 0)
		mode = (mode & 0707) | (mode & 07) << 3;
	if (mode != (now.st_mode & 0777) && fchmod(newfile->fd, mode) < 0)
		return tool_fault_errno(fault, errno, "mode of the file that it replaces");
	return BLOCKZ_OK;
}

static enum blockz_status check_existing(struct newfile *newfile, const struct blockz_store *held,
					 struct blockz_fault *fault)
{
	struct stat st;
	if (fstatat(newfile->dirfd, newfile->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? BLOCKZ_OK : tool_fault_errno(fault, errno, "stat");
	if (!S_ISREG(st.st_mode))
		return tool_fault(fault, BLOCKZ_UNSUPPORTED, "exists and is no regular file");
	if (!newfile->replace)
		return tool_fault(fault, BLOCKZ_FAILED, "exists already; --force replaces it");
	enum blockz_status status = is_held(newfile, held) ? BLOCKZ_OK : lock_existing(newfile, fault);
	return status == BLOCKZ_OK ? keep_mode(newfile, &st, fault) : status;
}

static enum blockz_status create_temporary(struct newfile *newfile, struct blockz_fault *fault)
{
	enum { TRIES = 16 };
	char *name = NULL;
	struct stat st;
	/* Beside an old file nobody may open it before it has that one's mode. */
	mode_t mode = fstatat(newfile->dirfd, newfile->name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? 0600 : 0666;
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

enum blockz_status newfile_open(struct newfile *newfile, const char *path, bool replace, const struct blockz_store *held,
				struct blockz_fault *fault)
{
	*newfile = (struct newfile){ .fd = -1, .dirfd = -1, .replace = replace };
	enum blockz_status status = path_split(path, &newfile->dirfd, &newfile->name, fault);
	/* The lock asks for a place for a journal, which a directory that takes no temporary file is not either. */
	if (status == BLOCKZ_OK)
		status = create_temporary(newfile, fault);
	if (status == BLOCKZ_OK)
		status = check_existing(newfile, held, fault);
	if (status != BLOCKZ_OK)
		newfile_close(newfile);
	return status;
}

/* ---- Completion */

enum blockz_status newfile_sync(struct newfile *newfile, struct blockz_fault *fault)
{
	if (fsync(newfile->fd) < 0)
		return tool_fault_errno(fault, errno, "sync");
	newfile->synced = true;
	return BLOCKZ_OK;
}

/* 0 or an errno value. */
static int give_name(const struct newfile *newfile)
{
	unsigned flags = newfile->replace ? 0 : RENAME_NOREPLACE;
	if (renameat2(newfile->dirfd, newfile->temporary, newfile->dirfd, newfile->name, flags) == 0)
		return 0;
	if (newfile->replace || (errno != EINVAL && errno != ENOSYS))
		return errno;
	/* A file system without RENAME_NOREPLACE: a link does not replace either. */
	if (linkat(newfile->dirfd, newfile->temporary, newfile->dirfd, newfile->name, 0) < 0 ||
	    unlinkat(newfile->dirfd, newfile->temporary, 0) < 0)
		return errno;
	return 0;
}

static int sync_directory(const struct newfile *newfile)
{
	int fd = openat(newfile->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error = fd < 0 || fsync(fd) < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
	return error;
}

enum blockz_status newfile_commit(struct newfile *newfile, struct blockz_fault *fault)
{
	enum blockz_status status = newfile->synced ? BLOCKZ_OK : newfile_sync(newfile, fault);
	if (status != BLOCKZ_OK)
		return status;
	int error = give_name(newfile);
	if (error != 0)
		return tool_fault_errno(fault, error, "giving it its name");
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
		close(newfile->dirfd);
	}
	blockz_store_close(&newfile->existing);
	free(newfile->temporary);
	free(newfile->name);
	*newfile = (struct newfile)NEWFILE_INIT;
}
