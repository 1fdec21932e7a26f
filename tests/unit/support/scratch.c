/* SPDX-License-Identifier: BSD-3-Clause */
/* What is in the directory is looked at from outside, as another program would. */
#include "scratch.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_descriptors(void)
{
	int count = 0;
	for (int fd = 0; fd < 1000; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

void scratch_init(struct scratch *self)
{
	const char *parent = getenv("BLOCKZ_TEST_TMP");
	*self = (struct scratch){ 0 };
	snprintf(self->path, sizeof(self->path), "%s/scratch.XXXXXX", parent != NULL ? parent : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(self->path));
	self->dir = open(self->path, O_RDONLY | O_DIRECTORY);
	ck_assert_int_ge(self->dir, 0);
	sample_init(&self->sample);
	scratch_write(self, SCRATCH_NAME, self->sample.old, self->sample.len);
	self->descriptors = open_descriptors();
}

/* Counts the names in the directory, and removes what they stand for. */
static int visit(const struct scratch *self, bool remove)
{
	int count = 0;
	DIR *listing = fdopendir(openat(self->dir, ".", O_RDONLY | O_DIRECTORY));
	ck_assert_ptr_nonnull(listing);
	for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		count++;
		if (remove && unlinkat(self->dir, entry->d_name, 0) < 0)
			unlinkat(self->dir, entry->d_name, AT_REMOVEDIR);
	}
	closedir(listing);
	return count;
}

int scratch_entries(const struct scratch *self)
{
	return visit(self, false);
}

void scratch_free(struct scratch *self)
{
	ck_assert_int_eq(open_descriptors(), self->descriptors);
	visit(self, true);
	close(self->dir);
	rmdir(self->path);
	sample_free(&self->sample);
}

void scratch_write(const struct scratch *self, const char *name, const uint8_t *bytes, size_t len)
{
	int fd = openat(self->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0644);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
	close(fd);
}

bool scratch_holds(const struct scratch *self, const char *name, const uint8_t *bytes, size_t len)
{
	uint8_t *found = malloc(len + 1);
	int fd = openat(self->dir, name, O_RDONLY);
	ck_assert_int_ge(fd, 0);
	bool same = read(fd, found, len + 1) == (ssize_t)len && memcmp(found, bytes, len) == 0;
	close(fd);
	free(found);
	return same;
}

bool scratch_is_old(const struct scratch *self)
{
	return scratch_holds(self, SCRATCH_NAME, self->sample.old, self->sample.len);
}

bool scratch_is_new(const struct scratch *self)
{
	return scratch_holds(self, SCRATCH_NAME, self->sample.new, self->sample.len);
}

bool scratch_exists(const struct scratch *self, const char *name)
{
	struct stat st;
	return fstatat(self->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

enum blockz_status scratch_open(struct scratch *self, enum blockz_store_mode mode)
{
	self->fault = (struct blockz_fault){ .status = BLOCKZ_OK };
	enum blockz_status status = blockz_store_open(self->dir, SCRATCH_NAME, mode, &self->store, &self->fault);
	ck_assert_int_eq(self->fault.status, status);
	ck_assert(status == BLOCKZ_OK || self->fault.text[0] != '\0');
	return status;
}

void scratch_assert_opens(struct scratch *self, enum blockz_store_mode mode)
{
	ck_assert_msg(scratch_open(self, mode) == BLOCKZ_OK, "%s", self->fault.text);
	blockz_store_close(&self->store);
	ck_assert_ptr_null(self->store.ctx);
}

void scratch_assert_refused(struct scratch *self, enum blockz_store_mode mode, enum blockz_status expected)
{
	enum blockz_status status = scratch_open(self, mode);
	ck_assert_msg(status == expected, "status %d instead of %d: %s", status, expected, self->fault.text);
}
