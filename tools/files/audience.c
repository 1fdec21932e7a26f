/* SPDX-License-Identifier: BSD-3-Clause */
/* Permissions are read as the least that anybody has, and given as no more than that. */
#include "files/audience.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cli/fault.h"

#define ACL "system.posix_acl_access"

/* ---- Permissions of a file */

/* What an access control list allows the group; *named_ret: what it allows each user and group that it names. */
static mode_t group_of(const struct posix_acl_xattr_entry *entries, size_t count, mode_t *named_ret)
{
	mode_t group = 0, mask = 07, named = 07;
	bool names = false;
	for (size_t i = 0; i < count; i++) {
		unsigned tag = le16toh(entries[i].e_tag), allowed = le16toh(entries[i].e_perm);
		if (tag == ACL_MASK)
			mask = allowed;
		else if (tag == ACL_GROUP_OBJ)
			group = allowed;
		else if (tag == ACL_USER || tag == ACL_GROUP)
			named &= allowed;
		names = names || tag == ACL_USER || tag == ACL_GROUP;
	}
	*named_ret = names ? named & mask : 07;
	return group & mask;
}

/*
 * What a file allows, with nothing in it that only its access control list grants or denies.  With one, the group's bits
 * of st_mode are its mask.  Whom it shuts out by name is one of the group or of the others, so these get no more than
 * everyone who is named.
 */
static mode_t mode_of(int fd)
{
	enum { ENTRIES_MAX = 512 };
	struct {
		struct posix_acl_xattr_header header;
		struct posix_acl_xattr_entry entries[ENTRIES_MAX];
	} acl;
	struct stat st;
	mode_t named = 0;
	if (fstat(fd, &st) < 0)
		return 0600;
	ssize_t len = fgetxattr(fd, ACL, &acl, sizeof(acl));
	if (len < 0 && errno != ERANGE)
		return st.st_mode & 0777;
	if (len < (ssize_t)sizeof(acl.header))
		return st.st_mode & 0700;
	mode_t group = group_of(acl.entries, ((size_t)len - sizeof(acl.header)) / sizeof(acl.entries[0]), &named);
	return (st.st_mode & 0700) | (group & named) << 3 | (st.st_mode & named);
}

/* What a file that goes to another group may allow: that group what both the old one and others might. */
static mode_t regroup(mode_t mode)
{
	mode_t both = mode >> 3 & mode & 07;
	return (mode & 0700) | both << 3 | both;
}

/* ---- Sources */

static void add_source(struct audience *self, mode_t mode, uid_t owner, gid_t group)
{
	if (self->sources++ == 0) {
		self->mode = mode;
		self->owner = owner;
		self->group = group;
		return;
	}
	self->of_owners = self->of_owners || owner != self->owner;
	self->of_groups = self->of_groups || group != self->group;
	self->mode &= mode;
}

void audience_add(struct audience *self, int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		add_source(self, 0600, (uid_t)-1, (gid_t)-1);
	else if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))
		add_source(self, mode_of(fd) & 0666, st.st_uid, st.st_gid);
}

void audience_add_compressed(struct audience *self, const struct compressed *file)
{
	if (file->name == NULL) {
		audience_add(self, STDIN_FILENO);
		return;
	}
	int fd = openat(file->dirfd, file->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	audience_add(self, fd);
	if (fd >= 0)
		close(fd);
}

/* ---- What they allow */

/* Whether everybody may read all of it. */
static bool is_public(const struct audience *self)
{
	return self->sources == 0 || (self->mode & 044) == 044;
}

/* Whether an output may belong to this user. */
static bool has_owner(const struct audience *self, uid_t owner)
{
	return is_public(self) || (!self->of_owners && self->owner == owner);
}

/* The most that an output of this group may allow, of 0666. */
static mode_t mode_for(const struct audience *self, gid_t group)
{
	if (self->sources == 0)
		return 0666;
	return self->of_groups || group != self->group ? regroup(self->mode) : self->mode;
}

/* ---- Giving permissions */

static bool copy_attribute(int from, int to, const char *name)
{
	ssize_t len = fgetxattr(from, name, NULL, 0);
	char *value = len >= 0 ? malloc((size_t)len + 1) : NULL;
	bool done = value != NULL && fgetxattr(from, name, value, (size_t)len) == len &&
		    fsetxattr(to, name, value, (size_t)len, 0) == 0;
	free(value);
	return done;
}

/* What users and security modules have attached to a file, but for what vouches for its content. */
static bool is_handed_down(const char *name)
{
	if (strcmp(name, "security.ima") == 0 || strcmp(name, "security.evm") == 0)
		return false;
	return strncmp(name, "user.", 5) == 0 || strncmp(name, "security.", 9) == 0;
}

static void copy_attributes(int from, int to)
{
	ssize_t len = flistxattr(from, NULL, 0);
	char *names = len > 0 ? malloc((size_t)len + 1) : NULL;
	if (names != NULL)
		len = flistxattr(from, names, (size_t)len);
	for (ssize_t off = 0; names != NULL && off < len; off += (ssize_t)strlen(names + off) + 1)
		if (is_handed_down(names + off))
			copy_attribute(from, to, names + off);
	free(names);
}

/* What a file that is replaced may go on to allow: classes that may read all that the new one is made from. */
static mode_t classes_of(mode_t readers)
{
	return 0700 | (readers & 040 ? 070 : 0) | (readers & 04 ? 07 : 0);
}

/* Whether the new file is of the old one's group then.  Only root gives files away. */
static bool take_owner(const struct audience *self, int fd, const struct stat *old, const struct stat *now)
{
	if (old->st_uid != now->st_uid && has_owner(self, old->st_uid) && fchown(fd, old->st_uid, old->st_gid) == 0)
		return true;
	return old->st_gid == now->st_gid || fchown(fd, (uid_t)-1, old->st_gid) == 0;
}

/* Hands down what the old file has; *mode_ret: what the new one is to have then.  Returns whether it has an access control list. */
static bool take_over(const struct audience *self, int fd, int replaced, const struct stat *now, mode_t *mode_ret)
{
	struct stat old;
	if (fstat(replaced, &old) < 0)
		old = *now;
	bool grouped = take_owner(self, fd, &old, now);
	copy_attributes(replaced, fd);
	*mode_ret = old.st_mode & 0777;
	if (grouped && is_public(self) && copy_attribute(replaced, fd, ACL))
		return true;
	mode_t mode = grouped ? mode_of(replaced) : regroup(mode_of(replaced));
	*mode_ret = mode & classes_of(mode_for(self, grouped ? old.st_gid : now->st_gid));
	return false;
}

static mode_t current_umask(void)
{
	mode_t mask = umask(0777);
	umask(mask);
	return mask;
}

enum blockz_status audience_apply(const struct audience *self, int fd, int replaced, struct blockz_fault *fault)
{
	struct stat now;
	bool has_acl = false;
	if (replaced < 0 && self->sources == 0)
		return BLOCKZ_OK;
	if (fstat(fd, &now) < 0)
		return tool_fault_errno(fault, errno, "stat");
	mode_t mode = mode_for(self, now.st_gid) & ~current_umask();
	if (replaced >= 0)
		has_acl = take_over(self, fd, replaced, &now, &mode);
	/* What the directory's default list names would be let in by the group's bits, which are its mask. */
	if (!has_acl && fremovexattr(fd, ACL) < 0 && errno != ENODATA && errno != EOPNOTSUPP && errno != ENOSYS)
		mode &= 0700;
	/* Where it cannot be done, the file stays for its owner alone, as it was created: no reason to give it up. */
	fchmod(fd, mode);
	return BLOCKZ_OK;
}
