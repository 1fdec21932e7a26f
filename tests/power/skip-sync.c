/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * To be preloaded: leaves one barrier of a program out.  Call number SKIP_SYNC of fsync() and fdatasync(), counted from
 * 1 over both, does nothing and succeeds.  The file SYNC_LOG gets a line for each call: the name of what it is to sync.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void note(int fd)
{
	char link[64], target[4096] = "";
	FILE *log = fopen(getenv("SYNC_LOG"), "a");
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (log == NULL || readlink(link, target, sizeof(target) - 1) < 0)
		abort();
	fprintf(log, "%s\n", strrchr(target, '/') + 1);
	fclose(log);
}

static int sync_unless_skipped(long call, int fd)
{
	static int calls;
	note(fd);
	return ++calls == atoi(getenv("SKIP_SYNC")) ? 0 : (int)syscall(call, fd);
}

int fsync(int fd)
{
	return sync_unless_skipped(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return sync_unless_skipped(SYS_fdatasync, fd);
}
