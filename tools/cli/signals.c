/* SPDX-License-Identifier: BSD-3-Clause */
/* The handler does what is safe in one: it writes, unlinks, and lets the program die. */
#include "cli/signals.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/fault.h"

/* A handler reaches nothing but globals. */
static volatile sig_atomic_t held, noted, line_begun;

static struct doomed {
	volatile sig_atomic_t armed;
	int dirfd;
	const char *name;
} doomed[3];

/* What is said at the end by each signal; made ready, since a handler cannot.  SIGPIPE is no matter for words. */
static struct ending {
	int number;
	char text[200];
} endings[] = {
	{ SIGHUP, "" }, { SIGINT, "" }, { SIGQUIT, "" }, { SIGPIPE, "" }, { SIGTERM, "" }, { SIGXCPU, "" }, { SIGXFSZ, "" },
};

enum { ENDINGS = sizeof(endings) / sizeof(endings[0]), DOOMED = sizeof(doomed) / sizeof(doomed[0]) };

static const char *tool_name = "";

/* ---- The end */

static void die_of(int number)
{
	sigset_t set;
	signal(number, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, number);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	raise(number);
}

static void say_text(const char *text)
{
	size_t len = strlen(text);
	if (len > 0 && line_begun && write(STDERR_FILENO, "\n", 1) < 0)
		return;
	if (len > 0 && write(STDERR_FILENO, text, len) < 0)
		return;
}

static void end_by(int number)
{
	for (struct doomed *each = doomed; each < doomed + DOOMED; each++)
		if (each->armed)
			unlinkat(each->dirfd, each->name, 0);
	for (const struct ending *each = endings; each < endings + ENDINGS; each++)
		if (each->number == number)
			say_text(each->text);
	die_of(number);
}

static void on_signal(int number)
{
	if (held)
		noted = number;
	else
		end_by(number);
}

/* ---- When */

void signals_state(enum blockz_state state)
{
	for (struct ending *each = endings; each < endings + ENDINGS; each++)
		if (each->number != SIGPIPE)
			snprintf(each->text, sizeof(each->text), "%s: interrupted: %s\n%s\n", tool_name, strsignal(each->number),
				 state_text(state));
}

void signals_start(const char *tool)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART }, old;
	tool_name = tool;
	signals_state(BLOCKZ_IMAGE_UNCHANGED);
	sigfillset(&action.sa_mask);
	for (size_t i = 0; i < ENDINGS; i++)
		if (sigaction(endings[i].number, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(endings[i].number, &action, NULL);
}

void signals_hold(void)
{
	held = 1;
}

void signals_release(void)
{
	held = 0;
	if (noted != 0)
		end_by(noted);
}

int signals_noted(void)
{
	return noted;
}

void signals_die_if_noted(void)
{
	if (noted != 0)
		die_of(noted);
}

void signals_line_begun(bool begun)
{
	line_begun = begun;
}

/* ---- What is removed */

void signals_doom(int dirfd, const char *name)
{
	struct doomed *slot = doomed;
	while (slot < doomed + DOOMED - 1 && slot->armed)
		slot++;
	slot->dirfd = dirfd;
	slot->name = name;
	slot->armed = 1;
}

void signals_spare(const char *name)
{
	for (struct doomed *each = doomed; each < doomed + DOOMED; each++)
		if (each->armed && each->name == name)
			each->armed = 0;
}
