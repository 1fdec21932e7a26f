/* SPDX-License-Identifier: BSD-3-Clause */
/* O_TMPFILE, or a file that is unlinked at once. */
#include "files/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "cli/fault.h"
#include "cli/signals.h"
#include "files/copying.h"

/*
 * For file systems that have no files without a name: it has one for a moment, in which no signal ends the program.  The
 * descriptor, or -1 with errno.
 */
static int open_unlinked(int dirfd)
{
	enum { TRIES = 16 };
	int fd = -1;
	errno = EEXIST;
	for (int i = 0; i < TRIES && fd < 0 && errno == EEXIST; i++) {
		char name[32];
		uint32_t number;
		if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
			return -1;
		snprintf(name, sizeof(name), ".blockz.%08" PRIx32 ".tmp", number);
		signals_hold();
		fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd >= 0)
			unlinkat(dirfd, name, 0);
		int error = errno;
		signals_release();
		errno = error;
	}
	return fd;
}

static enum blockz_status open_in(int dirfd, int *fd_ret, struct blockz_fault *fault)
{
	int fd = openat(dirfd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
		fd = open_unlinked(dirfd);
	if (fd < 0)
		return tool_fault_errno(fault, errno, "unnamed temporary file");
	*fd_ret = fd;
	return BLOCKZ_OK;
}

enum blockz_status scratch_open(int dirfd, int *fd_ret, struct blockz_fault *fault)
{
	if (dirfd >= 0)
		return open_in(dirfd, fd_ret, fault);
	const char *dir = getenv("TMPDIR");
	dir = dir != NULL && dir[0] != '\0' ? dir : "/var/tmp";
	dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return tool_fault_errno(fault, errno, "temporary directory %s", dir);
	enum blockz_status status = open_in(dirfd, fd_ret, fault);
	close(dirfd);
	return status;
}

enum blockz_status scratch_copy(int fd, int to, struct blockz_fault *fault)
{
	struct blockz_source source;
	uint64_t copied = 0;
	enum blockz_status status = blockz_source_fd(fd, &source, fault);
	if (status != BLOCKZ_OK)
		return status;
	int error = copy_bytes(&source, 0, source.size, to, &copied);
	if (error == 0 && copied < source.size)
		error = EIO;
	return error == 0 ? BLOCKZ_OK : tool_fault_errno(fault, error, "write");
}
