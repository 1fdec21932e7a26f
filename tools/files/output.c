/* SPDX-License-Identifier: BSD-3-Clause */
/* Streams are told from files by what stands at the path, and signals are held where a file changes its name. */
#include "files/output.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/fault.h"
#include "cli/signals.h"
#include "cli/stream.h"
#include "files/compressed.h"
#include "files/room.h"
#include "files/scratch.h"

/* ---- Streams */

/* The descriptor that a path names, or -1. */
static int descriptor_of(const char *path)
{
	static const char *const folders[] = { "/dev/fd/", "/proc/self/fd/" };
	if (is_stream(path) || strcmp(path, "/dev/stdout") == 0)
		return STDOUT_FILENO;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		size_t len = strlen(folders[i]);
		if (strncmp(path, folders[i], len) == 0 && isdigit((unsigned char)path[len]) && strlen(path + len) < 8)
			return atoi(path + len);
	}
	return -1;
}

const char *output_name(const char *path)
{
	return descriptor_of(path) == STDOUT_FILENO ? "-" : path;
}

/* A device is no place for bytes of which some may come and some not; to a terminal they are no use. */
static enum blockz_status refuse(int fd, const struct stat *st, struct blockz_fault *fault)
{
	if (S_ISBLK(st->st_mode))
		return tool_fault(fault, BLOCKZ_UNSUPPORTED, "is a block device; write to -, and let dd write to the device");
	if (isatty(fd))
		return tool_fault(fault, BLOCKZ_UNSUPPORTED, "is a terminal");
	return BLOCKZ_OK;
}

static enum blockz_status open_special(const char *path, int *fd_ret, struct blockz_fault *fault)
{
	struct stat st;
	char *name = NULL;
	int dirfd = -1;
	enum blockz_status status = path_split(path, &dirfd, &name, fault);
	if (status != BLOCKZ_OK)
		return status;
	bool trap = fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISFIFO(st.st_mode) && path_is_trap(dirfd, &st);
	int fd = trap ? -1 : openat(dirfd, name, O_WRONLY | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
	int error = trap ? EACCES : fd < 0 ? errno : 0;
	close(dirfd);
	free(name);
	if (fd < 0)
		return tool_fault_errno(fault, error, "open");
	*fd_ret = fd;
	return refuse(fd, &st, fault);
}

/* Leaves output->is_stream false where path is, or is to be, a regular file. */
static enum blockz_status open_stream(struct output *output, const char *path, struct blockz_fault *fault)
{
	struct stat st;
	int number = descriptor_of(path);
	if (number < 0 && (stat(path, &st) < 0 || !(S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode) || S_ISBLK(st.st_mode))))
		return BLOCKZ_OK;
	output->is_stream = true;
	if (number == STDOUT_FILENO)
		output->stream = STDOUT_FILENO;
	else if (number >= 0)
		output->stream = fcntl(number, F_DUPFD_CLOEXEC, 3);
	else if (S_ISBLK(st.st_mode))
		return refuse(-1, &st, fault);
	else
		return open_special(path, &output->stream, fault);
	return output->stream >= 0 ? BLOCKZ_OK : tool_fault_errno(fault, errno, "open");
}

/* ---- Opening */

/* The signal that comes between the two would find a file that it does not know of. */
enum blockz_status output_open_file(struct output *output, const char *path, const struct newfile_options *options,
				    struct blockz_fault *fault)
{
	*output = (struct output)OUTPUT_INIT;
	signals_hold();
	enum blockz_status status = newfile_open(&output->file, path, options, fault);
	if (status == BLOCKZ_OK)
		signals_doom(output->file.dirfd, output->file.temporary);
	signals_release();
	output->fd = output->file.fd;
	return status;
}

enum blockz_status output_open(struct output *output, const char *path, bool force, const struct audience *audience,
			       struct blockz_fault *fault)
{
	*output = (struct output)OUTPUT_INIT;
	const struct newfile_options options = { .replace = force, .audience = audience };
	enum blockz_status status = open_stream(output, path, fault);
	if (status == BLOCKZ_OK && !output->is_stream)
		return output_open_file(output, path, &options, fault);
	output->fd = output->stream;
	return status;
}

enum blockz_status output_open_whole(struct output *output, const char *path, bool force, const struct audience *audience,
				     struct blockz_fault *fault)
{
	enum blockz_status status = output_open(output, path, force, audience, fault);
	if (status == BLOCKZ_OK && output->is_stream) {
		output->fd = -1;
		output->is_whole = true;
		status = scratch_open(-1, &output->fd, fault);
	}
	return status;
}

/* ---- Completion */

enum blockz_status output_reserve(struct output *output, uint64_t len, struct blockz_fault *fault)
{
	return output->is_stream ? BLOCKZ_OK : room_take(output->fd, len, fault);
}

enum blockz_status output_sync(struct output *output, struct blockz_fault *fault)
{
	return output->is_stream ? BLOCKZ_OK : newfile_sync(&output->file, fault);
}

enum blockz_status output_hold(struct output *output, struct blockz_fault *fault)
{
	enum blockz_status status = output_sync(output, fault);
	if (status == BLOCKZ_OK)
		signals_hold();
	return status;
}

enum blockz_status output_commit(struct output *output, struct blockz_fault *fault)
{
	if (output->is_whole)
		return scratch_copy(output->fd, output->stream, fault);
	if (output->is_stream)
		return BLOCKZ_OK;
	enum blockz_status status = output->file.synced ? BLOCKZ_OK : newfile_sync(&output->file, fault);
	if (status != BLOCKZ_OK)
		return status;
	const char *temporary = output->file.temporary;
	signals_hold();
	signals_spare(temporary);
	return newfile_commit(&output->file, fault);
}

void output_close(struct output *output)
{
	/* What is closed here without its name failed: nothing but a message comes behind it. */
	signals_hold();
	signals_spare(output->file.temporary);
	newfile_close(&output->file);
	if (output->is_whole && output->fd >= 0)
		close(output->fd);
	if (output->stream > STDOUT_FILENO)
		close(output->stream);
	*output = (struct output)OUTPUT_INIT;
}
