/* SPDX-License-Identifier: BSD-3-Clause */
#define NBDKIT_API_VERSION 2
#include "say.h"

#include <errno.h>
#include <nbdkit-plugin.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "cli/fault.h"

/* Set before there are threads. */
static struct stat before;
static bool to_syslog;

void say_start(void)
{
	if (fstat(STDERR_FILENO, &before) < 0)
		before = (struct stat){ 0 };
}

void say_after_fork(void)
{
	struct stat now = { 0 };
	if (fstat(STDERR_FILENO, &now) < 0)
		now = (struct stat){ 0 };
	to_syslog = now.st_dev != before.st_dev || now.st_ino != before.st_ino;
}

void say(const char *format, ...)
{
	char line[512];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (to_syslog)
		syslog(LOG_DAEMON | LOG_INFO, "blockz-ram: %s", line);
	else
		fprintf(stderr, "nbdkit: blockz-ram: %s\n", line);
}

void say_fault(const char *label, const struct blockz_fault *fault)
{
	char *line = fault_line(fault);
	nbdkit_error("%s: %s", label, line != NULL ? line : "?");
	free(line);
}

int errno_of_fault(const struct blockz_fault *fault)
{
	if (fault->status == BLOCKZ_LIMIT)
		return ENOSPC;
	if (fault->status == BLOCKZ_USAGE)
		return EINVAL;
	return fault_nbd_errno(fault);
}
