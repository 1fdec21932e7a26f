/* SPDX-License-Identifier: BSD-3-Clause */
/* stderr is that of who started the server, until it goes to the background. */
#include "say.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

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
