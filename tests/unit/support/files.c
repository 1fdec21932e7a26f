/* SPDX-License-Identifier: BSD-3-Clause */
/* Each command has a folder of its own, below the tests' one, which goes when the command has ended. */
#include "files.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct bytes load(const char *path)
{
	struct stat facts;
	FILE *file = fopen(path, "rb");
	ck_assert_msg(file != NULL, "%s", path);
	ck_assert_int_eq(fstat(fileno(file), &facts), 0);
	struct bytes bytes = bytes_new((size_t)facts.st_size);
	ck_assert_uint_eq(fread(bytes.data, 1, bytes.len, file), bytes.len);
	fclose(file);
	return bytes;
}

struct bytes image_by(const char *command, struct bytes content)
{
	char folder[PATH_MAX / 2], path[PATH_MAX], line[2 * PATH_MAX];
	const char *parent = getenv("BLOCKZ_TEST_TMP");
	snprintf(folder, sizeof(folder), "%s/image.XXXXXX", parent != NULL ? parent : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/tree", folder);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/tree/content", folder);
	FILE *file = fopen(path, "wb");
	ck_assert_uint_eq(fwrite(content.data, 1, content.len, file), content.len);
	ck_assert_int_eq(fclose(file), 0);
	snprintf(line, sizeof(line), "cd '%s' && %s >&2", folder, command);
	ck_assert_msg(system(line) == 0, "%s", line);
	snprintf(path, sizeof(path), "%s/image", folder);
	struct bytes image = load(path);
	snprintf(line, sizeof(line), "rm -r '%s'", folder);
	ck_assert_int_eq(system(line), 0);
	return image;
}
