/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections are found among the descriptors of the process, and shut for reading. */
#include "servers/hangup.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* Who comes in while the server ends is found by looking again. */
enum { LOOK_MS = 100, ANSWER_MS = 3000 };

static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };
enum { NUMBERS = sizeof(numbers) / sizeof(numbers[0]) };

/* A handler reaches nothing but globals. */
static struct {
	struct sigaction before[NUMBERS];
	int (*leave)(void);
	int wake;
	DIR *descriptors; /* opened early: at a limit of descriptors there may be none left for it */
	atomic_bool end;
	pthread_t thread;
	bool started;
} hangup;

/* ---- Signals */

static void wake(void)
{
	ssize_t written = write(hangup.wake, &(uint64_t){ 1 }, sizeof(uint64_t));
	(void)written; /* it fails where the thread is awake already */
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	int error = errno;
	for (size_t i = 0; i < NUMBERS; i++) {
		const struct sigaction *before = &hangup.before[i];
		if (numbers[i] == number && (before->sa_flags & SA_SIGINFO) != 0)
			before->sa_sigaction(number, info, context);
		else if (numbers[i] == number)
			before->sa_handler(number);
	}
	wake();
	errno = error;
}

/* A signal that nobody catches does not lead to an end that anything could be done before. */
static int catch_signals(void)
{
	for (size_t i = 0; i < NUMBERS; i++) {
		struct sigaction *before = &hangup.before[i];
		if (sigaction(numbers[i], NULL, before) < 0)
			return errno;
		bool is_caught = (before->sa_flags & SA_SIGINFO) != 0 ||
				 (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN);
		struct sigaction action = *before;
		action.sa_sigaction = on_signal;
		action.sa_flags |= SA_SIGINFO;
		if (is_caught && sigaction(numbers[i], &action, NULL) < 0)
			return errno;
	}
	return 0;
}

static void do_nothing(int number)
{
	(void)number;
}

/* A file that may not grow fails the write, and does not kill a disk in memory.  Children do not inherit a handler. */
static int outlive_file_limit(void)
{
	struct sigaction before, action = { .sa_handler = do_nothing, .sa_flags = SA_RESTART };
	if (sigaction(SIGXFSZ, NULL, &before) < 0)
		return errno;
	return before.sa_handler == SIG_DFL && sigaction(SIGXFSZ, &action, NULL) < 0 ? errno : 0;
}

static void release_signals(void)
{
	for (size_t i = 0; i < NUMBERS; i++)
		sigaction(numbers[i], &hangup.before[i], NULL);
}

/* ---- Connections */

/* Standard streams may be connected too, to who reads the log. */
static bool is_connection(int fd)
{
	int type;
	socklen_t len = sizeof(type);
	struct sockaddr_storage peer;
	socklen_t peer_len = sizeof(peer);
	return fd > STDERR_FILENO && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM &&
	       getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0;
}

/* Only nothing more is read, so that answers are still sent: nbdkit 1.32 aborts where several of them cannot be. */
static void hang_up(void)
{
	const struct dirent *entry;
	rewinddir(hangup.descriptors);
	while ((entry = readdir(hangup.descriptors)) != NULL) {
		int fd = atoi(entry->d_name);
		if (is_connection(fd))
			shutdown(fd, SHUT_RD);
	}
}

static void leave_process(void)
{
	int status = hangup.leave();
	fflush(NULL);
	_exit(status);
}

static void *end_connections(void *unused)
{
	struct pollfd told = { .fd = hangup.wake, .events = POLLIN };
	(void)unused;
	while (poll(&told, 1, -1) < 0)
		;
	for (int waited = 0; !atomic_load(&hangup.end) && waited < ANSWER_MS; waited += LOOK_MS) {
		uint64_t count;
		ssize_t got = read(hangup.wake, &count, sizeof(count));
		(void)got; /* there may be nothing to read */
		hang_up();
		poll(&told, 1, LOOK_MS);
	}
	if (!atomic_load(&hangup.end))
		leave_process();
	return NULL;
}

/* ---- Start and end */

static void close_all(void)
{
	if (hangup.descriptors != NULL)
		closedir(hangup.descriptors);
	close(hangup.wake);
}

int hangup_start(int (*leave_with)(void))
{
	hangup.leave = leave_with;
	hangup.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (hangup.wake < 0)
		return errno;
	hangup.descriptors = opendir("/proc/self/fd");
	int error = hangup.descriptors == NULL ? errno : pthread_create(&hangup.thread, NULL, end_connections, NULL);
	hangup.started = error == 0;
	if (error != 0)
		close_all();
	if (error == 0)
		error = catch_signals();
	return error == 0 ? outlive_file_limit() : error;
}

void hangup_stop(void)
{
	if (!hangup.started)
		return;
	release_signals();
	atomic_store(&hangup.end, true);
	wake();
	pthread_join(hangup.thread, NULL);
	close_all();
	hangup.started = false;
}
