/* SPDX-License-Identifier: BSD-3-Clause */
#include "output.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "fault.h"
#include "scratch.h"

enum { SECONDS_TO_STOP = 2 };

/* ---- The end that does not wait: the work is stuck in a read or write of a pipe */

enum { OUTPUTS_MAX = 2 };

/* What the handler removes; a handler reaches nothing but globals. */
static struct doomed {
	volatile sig_atomic_t armed;
	int dirfd;
	const char *name;
} doomed[OUTPUTS_MAX];

static void on_alarm(int number)
{
	static const char text[] = "interrupted\nimage unchanged\n";
	int removed = 0;
	(void)number;
	for (struct doomed *each = doomed; each < doomed + OUTPUTS_MAX; each++) {
		if (!each->armed)
			continue;
		unlinkat(each->dirfd, each->name, 0);
		removed++;
	}
	if (removed == 0)
		return;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(BLOCKZ_FAILED);
	signal(cli_signal(), SIG_DFL);
	raise(cli_signal());
}

static void disarm(const struct output *output)
{
	for (struct doomed *each = doomed; each < doomed + OUTPUTS_MAX; each++)
		if (each->armed && each->name == output->file.temporary)
			each->armed = 0;
}

static void arm(const struct output *output)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct doomed *slot = doomed;
	sigemptyset(&action.sa_mask);
	while (slot < doomed + OUTPUTS_MAX - 1 && slot->armed)
		slot++;
	slot->dirfd = output->file.dirfd;
	slot->name = output->file.temporary;
	slot->armed = 1;
	sigaction(SIGALRM, &action, NULL);
	cli_catch_signals(SECONDS_TO_STOP);
}

/* ---- Opening */

enum blockz_status output_open(struct output *output, const char *path, bool force, struct blockz_fault *fault)
{
	*output = (struct output)OUTPUT_INIT;
	if (strcmp(path, "-") == 0) {
		output->fd = STDOUT_FILENO;
		output->is_stdout = true;
		return BLOCKZ_OK;
	}
	enum blockz_status status = newfile_open(&output->file, path, force, NULL, fault);
	if (status != BLOCKZ_OK)
		return status;
	output->fd = output->file.fd;
	arm(output);
	return BLOCKZ_OK;
}

enum blockz_status output_open_whole(struct output *output, const char *path, bool force, struct blockz_fault *fault)
{
	enum blockz_status status = output_open(output, path, force, fault);
	if (status == BLOCKZ_OK && output->is_stdout) {
		output->fd = -1;
		output->is_whole = true;
		status = scratch_open(-1, &output->fd, fault);
	}
	return status;
}

/* ---- Completion */

enum blockz_status output_sync(struct output *output, struct blockz_fault *fault)
{
	return output->is_stdout ? BLOCKZ_OK : newfile_sync(&output->file, fault);
}

enum blockz_status output_hold(struct output *output, struct blockz_fault *fault)
{
	enum blockz_status status = output_sync(output, fault);
	if (status == BLOCKZ_OK && cli_signal() != 0)
		status = tool_fault(fault, BLOCKZ_FAILED, "interrupted");
	if (status != BLOCKZ_OK)
		return status;
	disarm(output);
	output->held = true;
	return BLOCKZ_OK;
}

enum blockz_status output_commit(struct output *output, struct blockz_fault *fault)
{
	if (output->is_whole)
		return scratch_copy(output->fd, STDOUT_FILENO, fault);
	if (output->is_stdout)
		return BLOCKZ_OK;
	enum blockz_status status = output->file.synced ? BLOCKZ_OK : newfile_sync(&output->file, fault);
	if (status != BLOCKZ_OK)
		return status;
	disarm(output);
	if (cli_signal() != 0 && !output->held)
		return tool_fault(fault, BLOCKZ_FAILED, "interrupted");
	return newfile_commit(&output->file, fault);
}

void output_close(struct output *output)
{
	disarm(output);
	newfile_close(&output->file);
	if (output->is_whole && output->fd >= 0)
		close(output->fd);
	*output = (struct output)OUTPUT_INIT;
}
