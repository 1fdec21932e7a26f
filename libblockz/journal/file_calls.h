/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls that not every file system knows, and what is done in their place.  They return 0 or an errno value. */
#ifndef JOURNAL_FILE_CALLS_H
#define JOURNAL_FILE_CALLS_H

#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

/* True for what a file system says that has no such call. */
static inline bool is_unknown_call(int error)
{
	return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP;
}

/* Syncs by fsync() or fdatasync(); what cannot be synced alone is synced with its whole file system. */
static inline int sync_alone(int (*call)(int fd), int fd)
{
	int error = call(fd) < 0 ? errno : 0;
	return is_unknown_call(error) && syncfs(fd) == 0 ? 0 : error;
}

static inline void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

#endif
