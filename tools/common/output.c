/* SPDX-License-Identifier: BSD-3-Clause */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "compressed.h"
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
		if (each->armed && each->name == output->temporary)
			each->armed = 0;
}

static void arm(const struct output *output)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct doomed *slot = doomed;
	sigemptyset(&action.sa_mask);
	while (slot < doomed + OUTPUTS_MAX - 1 && slot->armed)
		slot++;
	slot->dirfd = output->dirfd;
	slot->name = output->temporary;
	slot->armed = 1;
	sigaction(SIGALRM, &action, NULL);
	cli_catch_signals(SECONDS_TO_STOP);
}

/* ---- Opening */

/* Takes the lock of the file to be replaced.  A journal beside it would be taken for one of the new file. */
static enum blockz_status lock_existing(struct output *output, struct blockz_fault *fault)
{
	uint64_t len;
	struct blockz_store *store = &output->existing;
	enum blockz_status status = blockz_store_open(output->dirfd, output->name, BLOCKZ_STORE_WRITE, store, fault);
	if (status != BLOCKZ_OK || store->ops->journal_find(store->ctx, &len) == ENOENT)
		return status;
	status = tool_fault(fault, BLOCKZ_NEEDS_RECOVERY, "an edit of it was interrupted: there is a journal");
	if (fault != NULL)
		fault->state = BLOCKZ_IMAGE_NEEDS_RECOVERY;
	return status;
}

static enum blockz_status check_existing(struct output *output, struct blockz_fault *fault)
{
	struct stat st;
	if (fstatat(output->dirfd, output->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? BLOCKZ_OK : tool_fault_errno(fault, errno, "stat");
	if (!S_ISREG(st.st_mode))
		return tool_fault(fault, BLOCKZ_UNSUPPORTED, "exists and is no regular file");
	if (!output->replace)
		return tool_fault(fault, BLOCKZ_FAILED, "exists already; --force replaces it");
	return lock_existing(output, fault);
}

static enum blockz_status create_temporary(struct output *output, struct blockz_fault *fault)
{
	enum { TRIES = 16 };
	char *name = NULL;
	int error = EEXIST;
	for (int i = 0; i < TRIES && error == EEXIST; i++) {
		uint32_t number;
		free(name);
		name = NULL;
		if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number) ||
		    asprintf(&name, ".%s.%08x.tmp", output->name, number) < 0)
			return tool_fault_errno(fault, errno, "name of a temporary file");
		output->fd = openat(output->dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
		error = output->fd < 0 ? errno : 0;
	}
	size_t len = strlen(name);
	if (error == 0) {
		output->temporary = name;
		return BLOCKZ_OK;
	}
	free(name);
	if (error == ENAMETOOLONG)
		return tool_fault(fault, BLOCKZ_UNSUPPORTED,
				  "name too long: that of a temporary file beside it would have %zu bytes", len);
	return tool_fault_errno(fault, error, "temporary file beside it");
}

enum blockz_status output_open(struct output *output, const char *path, bool force, struct blockz_fault *fault)
{
	*output = (struct output){ .fd = -1, .dirfd = -1, .replace = force };
	if (strcmp(path, "-") == 0) {
		output->fd = STDOUT_FILENO;
		output->is_stdout = true;
		return BLOCKZ_OK;
	}
	enum blockz_status status = path_split(path, &output->dirfd, &output->name, fault);
	/* The lock asks for a place for a journal, which a directory that takes no temporary file is not either. */
	if (status == BLOCKZ_OK)
		status = create_temporary(output, fault);
	if (status == BLOCKZ_OK)
		status = check_existing(output, fault);
	if (status == BLOCKZ_OK)
		arm(output);
	else
		output_close(output);
	return status;
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
	if (!output->is_stdout && fsync(output->fd) < 0)
		return tool_fault_errno(fault, errno, "sync");
	output->synced = true;
	return BLOCKZ_OK;
}

/* 0 or an errno value. */
static int give_name(const struct output *output)
{
	unsigned flags = output->replace ? 0 : RENAME_NOREPLACE;
	if (renameat2(output->dirfd, output->temporary, output->dirfd, output->name, flags) == 0)
		return 0;
	if (output->replace || (errno != EINVAL && errno != ENOSYS))
		return errno;
	/* A file system without RENAME_NOREPLACE: a link does not replace either. */
	if (linkat(output->dirfd, output->temporary, output->dirfd, output->name, 0) < 0 ||
	    unlinkat(output->dirfd, output->temporary, 0) < 0)
		return errno;
	return 0;
}

static int sync_directory(const struct output *output)
{
	int fd = openat(output->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error = fd < 0 || fsync(fd) < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
	return error;
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
	enum blockz_status status = output->synced ? BLOCKZ_OK : output_sync(output, fault);
	if (status == BLOCKZ_OK && output->is_whole)
		return scratch_copy(output->fd, STDOUT_FILENO, fault);
	if (status != BLOCKZ_OK || output->is_stdout)
		return status;
	disarm(output);
	if (cli_signal() != 0 && !output->held)
		return tool_fault(fault, BLOCKZ_FAILED, "interrupted");
	int error = give_name(output);
	if (error != 0)
		return tool_fault_errno(fault, error, "giving it its name");
	free(output->temporary);
	output->temporary = NULL;
	error = sync_directory(output);
	if (error == 0)
		return BLOCKZ_OK;
	tool_fault_errno(fault, error, "sync of its directory");
	if (fault != NULL)
		fault->state = BLOCKZ_IMAGE_UPDATED;
	return BLOCKZ_FAILED;
}

void output_close(struct output *output)
{
	disarm(output);
	if (output->temporary != NULL)
		unlinkat(output->dirfd, output->temporary, 0);
	if (output->fd >= 0 && (output->name != NULL || output->is_whole))
		close(output->fd);
	if (output->name != NULL)
		close(output->dirfd);
	blockz_store_close(&output->existing);
	free(output->temporary);
	free(output->name);
	*output = (struct output){ .fd = -1, .dirfd = -1 };
}
