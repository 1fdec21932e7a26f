/* SPDX-License-Identifier: BSD-3-Clause */
/* A path is followed component by component, so that nobody can exchange a directory, or lay a link, on the way. */
#include "files/compressed.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/fault.h"
#include "cli/stream.h"
#include "files/overlays.h"

/* ---- Paths */

/* A path that is followed component by component. */
struct walk {
	int dirfd;           /* where it has come to, O_PATH */
	char rest[PATH_MAX]; /* what is still to be followed from there */
	unsigned links;      /* followed */
	bool keep_last;      /* a link that is the last component is not followed */
};

/* Takes the next component off the rest; false: there is none. */
static bool next_component(struct walk *walk, char name_ret[NAME_MAX + 1])
{
	const char *start = walk->rest + strspn(walk->rest, "/");
	size_t len = strcspn(start, "/"), slashes = strspn(start + len, "/");
	if (len > NAME_MAX)
		len = NAME_MAX; /* then there is no such file */
	memcpy(name_ret, start, len);
	name_ret[len] = '\0';
	memmove(walk->rest, start + len + slashes, strlen(start + len + slashes) + 1);
	return len > 0;
}

/* 0 or an errno value. */
static int enter(struct walk *walk, const char *name)
{
	int fd = openat(walk->dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno;
	close(walk->dirfd);
	walk->dirfd = fd;
	return 0;
}

/* Goes on with the target of a link.  0 or an errno value. */
static int follow(struct walk *walk, int link)
{
	enum { LINKS_MAX = 40 };
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t len = readlinkat(link, "", target, sizeof(target) - 1);
	if (len <= 0)
		return len < 0 ? errno : ENOENT;
	target[len] = '\0';
	if (++walk->links > LINKS_MAX)
		return ELOOP;
	strcpy(rest, walk->rest);
	if ((size_t)snprintf(walk->rest, sizeof(walk->rest), "%s%s%s", target, rest[0] != '\0' ? "/" : "", rest) >=
	    sizeof(walk->rest))
		return ENAMETOOLONG;
	return target[0] == '/' ? enter(walk, "/") : 0;
}

bool path_is_trap(int dirfd, const struct stat *st)
{
	struct stat dir;
	if (st->st_uid == geteuid() || fstat(dirfd, &dir) < 0 || st->st_uid == dir.st_uid)
		return false;
	return (dir.st_mode & S_ISVTX) != 0 && (dir.st_mode & (S_IWOTH | S_IWGRP)) != 0;
}

/* One step; *last_ret: name is the last component, in walk->dirfd. */
static enum blockz_status step(struct walk *walk, const char *name, bool *last_ret, struct blockz_fault *fault)
{
	struct stat st;
	bool last = walk->rest[0] == '\0', known = false;
	int error = 0, fd = openat(walk->dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		return tool_fault_errno(fault, errno, "open");
	if (fd >= 0)
		known = fstat(fd, &st) == 0;
	bool link = known && S_ISLNK(st.st_mode) && !(last && walk->keep_last);
	bool trap = link && path_is_trap(walk->dirfd, &st);
	if (link && !trap)
		error = follow(walk, fd);
	else if (!link && !last)
		error = enter(walk, name);
	if (fd >= 0)
		close(fd);
	if (trap)
		return tool_fault(fault, BLOCKZ_FAILED, "'%s' is a link of another user, in a directory where anybody can make "
				  "links: it is not followed", name);
	if (last && fd < 0 && !walk->keep_last)
		return tool_fault(fault, BLOCKZ_UNSUPPORTED, "is a stream, or a file that has no name any more");
	*last_ret = last && !link;
	return error == 0 ? BLOCKZ_OK : tool_fault_errno(fault, error, "open");
}

static enum blockz_status walk_path(struct walk *walk, char name_ret[NAME_MAX + 1], struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	bool last = false;
	while (status == BLOCKZ_OK && !last) {
		if (!next_component(walk, name_ret))
			return tool_fault(fault, BLOCKZ_UNSUPPORTED, "is no regular file");
		status = step(walk, name_ret, &last, fault);
	}
	if (status == BLOCKZ_OK && (strcmp(name_ret, ".") == 0 || strcmp(name_ret, "..") == 0))
		return tool_fault(fault, BLOCKZ_UNSUPPORTED, "is no regular file");
	return status;
}

/* What stat says first: a file that is not there may still be made, a name with a slash behind it cannot. */
static enum blockz_status start_walk(struct walk *walk, const char *path, struct blockz_fault *fault)
{
	struct stat st;
	size_t len = strlen(path);
	bool exists = stat(path, &st) == 0;
	if (!exists && (errno != ENOENT || len == 0 || path[len - 1] == '/'))
		return tool_fault_errno(fault, errno, "open");
	if (len >= sizeof(walk->rest))
		return tool_fault_errno(fault, ENAMETOOLONG, "open");
	walk->keep_last = !exists;
	strcpy(walk->rest, path);
	walk->dirfd = open(path[0] == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return walk->dirfd >= 0 ? BLOCKZ_OK : tool_fault_errno(fault, errno, "open of the current directory");
}

enum blockz_status path_split(const char *path, int *dirfd_ret, char **name_ret, struct blockz_fault *fault)
{
	char name[NAME_MAX + 1];
	struct walk walk = { .dirfd = -1 };
	enum blockz_status status = start_walk(&walk, path, fault);
	if (status == BLOCKZ_OK)
		status = walk_path(&walk, name, fault);
	char *copy = status == BLOCKZ_OK ? strdup(name) : NULL;
	if (status == BLOCKZ_OK && copy == NULL)
		status = tool_fault_errno(fault, ENOMEM, "open");
	if (status != BLOCKZ_OK && walk.dirfd >= 0)
		close(walk.dirfd);
	if (status != BLOCKZ_OK)
		return status;
	*dirfd_ret = walk.dirfd;
	*name_ret = copy;
	return BLOCKZ_OK;
}

/* ---- Files */

static enum blockz_status open_file(struct compressed *self, const char *path, enum blockz_store_mode mode,
				    struct blockz_fault *fault)
{
	*self = (struct compressed){ .dirfd = -1 };
	if (mode == BLOCKZ_STORE_READ && is_stream(path)) {
		enum blockz_status status = blockz_source_fd(STDIN_FILENO, &self->source, fault);
		if (status == BLOCKZ_OK && self->source.size == BLOCKZ_UNKNOWN)
			return tool_fault(fault, BLOCKZ_UNSUPPORTED, "is a stream; a compressed file is read at many offsets");
		return status;
	}
	enum blockz_status status = path_split(path, &self->dirfd, &self->name, fault);
	if (status == BLOCKZ_OK)
		status = blockz_store_open(self->dirfd, self->name, mode, &self->store, fault);
	if (status == BLOCKZ_OK)
		self->source = blockz_store_source(&self->store);
	else
		compressed_close(self);
	return status;
}

static void note_overlay(struct compressed *self)
{
	char overlay[sizeof(self->note) / 2];
	if (self->store.ops == NULL || !overlays_note(self->dirfd, self->name, &self->store, overlay, sizeof(overlay)))
		return;
	bool noted = self->store.note != NULL;
	snprintf(self->note, sizeof(self->note), "%s%s%s", noted ? self->store.note : "", noted ? "; " : "", overlay);
	self->store.note = self->note;
}

enum blockz_status compressed_open(struct compressed *self, const char *path, enum blockz_store_mode mode,
				   struct blockz_fault *fault)
{
	enum blockz_status status = open_file(self, path, mode, fault);
	if (status == BLOCKZ_OK && mode == BLOCKZ_STORE_READ)
		note_overlay(self);
	return status;
}

enum blockz_status compressed_open_overlaid(struct compressed *self, const char *path, struct blockz_fault *fault)
{
	enum blockz_status status = open_file(self, path, BLOCKZ_STORE_READ, fault);
	if (status == BLOCKZ_OK && self->store.ops != NULL)
		status = overlays_open(self->dirfd, self->name, &self->store, &self->overlay, fault);
	if (status != BLOCKZ_OK)
		compressed_close(self);
	return status;
}

bool store_is_at(const struct blockz_store *store, int dirfd, const char *name)
{
	struct statx st;
	if (statx(dirfd, name, AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &st) < 0 || st.stx_ino != store->identity.inode)
		return false;
	bool has_birth = (st.stx_mask & STATX_BTIME) != 0;
	return (has_birth ? st.stx_btime.tv_sec : 0) == store->identity.birth_sec &&
	       (has_birth ? st.stx_btime.tv_nsec : 0) == store->identity.birth_nsec;
}

void compressed_close(struct compressed *self)
{
	blockz_overlay_close(self->overlay);
	blockz_store_close(&self->store);
	if (self->name != NULL)
		close(self->dirfd);
	free(self->name);
	*self = (struct compressed){ .dirfd = -1 };
}
