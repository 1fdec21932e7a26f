/* SPDX-License-Identifier: BSD-3-Clause */
#include "compressed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"

/* An absolute path with links resolved; of a file that does not exist, with those of its directory. */
static char *resolve(const char *path)
{
	char *real = realpath(path, NULL);
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
	if (real != NULL || errno != ENOENT || *name == '\0')
		return real;
	char *parent = slash != NULL ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	char *dir = parent != NULL ? realpath(parent, NULL) : NULL;
	char *out = dir != NULL ? malloc(strlen(dir) + strlen(name) + 2) : NULL;
	if (out != NULL)
		stpcpy(stpcpy(stpcpy(out, dir), "/"), name);
	free(parent);
	free(dir);
	return out;
}

enum blockz_status path_split(const char *path, int *dirfd_ret, char **name_ret, struct blockz_fault *fault)
{
	char *real = resolve(path);
	if (real == NULL)
		return tool_fault_errno(fault, errno, "open");
	char *slash = strrchr(real, '/');
	char *name = strdup(slash + 1);
	slash[1] = '\0';
	int dirfd = name != NULL ? open(real, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	free(real);
	if (dirfd < 0) {
		free(name);
		return tool_fault_errno(fault, errno, "open of its directory");
	}
	*dirfd_ret = dirfd;
	*name_ret = name;
	return BLOCKZ_OK;
}

enum blockz_status compressed_open(struct compressed *self, const char *path, enum blockz_store_mode mode,
				   struct blockz_fault *fault)
{
	*self = (struct compressed){ .dirfd = -1 };
	if (mode == BLOCKZ_STORE_READ && strcmp(path, "-") == 0) {
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

void compressed_close(struct compressed *self)
{
	blockz_store_close(&self->store);
	if (self->name != NULL)
		close(self->dirfd);
	free(self->name);
	*self = (struct compressed){ .dirfd = -1 };
}
