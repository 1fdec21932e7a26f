/* SPDX-License-Identifier: BSD-3-Clause */
/* xdelta3 is a child without a shell, that reads and writes descriptors and dies with its parent. */
#include "deltas/xdelta.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/fault.h"

enum { POLL_MS = 100, EXIT_NO_EXEC = 127, SAID_MAX = 160 };

/* Where the child finds the source: by a path, as it has to seek in it. */
enum { SOURCE_FD = 3, ABOVE_FD = 10 };
#define SOURCE_PATH "/dev/fd/3"

/* No application header with file names, no decompression or compression by other programs. */
static const char *const encode_args[] = {
	"xdelta3", "-e", "-q", "-9", "-S", "djw", "-A=", "-D", "-c", "-s", SOURCE_PATH, NULL,
};
static const char *const decode_args[] = { "xdelta3", "-d", "-q", "-D", "-R", "-c", "-s", SOURCE_PATH, NULL };

struct child {
	pid_t pid;
	int said;            /* the read end of its stderr */
	char text[SAID_MAX]; /* what it said, the first line */
	size_t len;
	bool stopped;
};

/* ---- In the child */

/* Puts a descriptor at a place of its own; those it is moved from are closed by exec. */
static void place_fd(int fd, int at)
{
	if (dup2(fd, at) < 0)
		_exit(EXIT_NO_EXEC);
}

static _Noreturn void become(const char *const *args, int source, int in, int out, int said, pid_t parent)
{
	const struct rlimit limit = { (rlim_t)XDELTA_OUT_MAX_GIB << 30, (rlim_t)XDELTA_OUT_MAX_GIB << 30 };
	int fds[] = { in, out, said, source };
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_NO_EXEC);
	for (int i = 0; i < 4; i++)
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, ABOVE_FD);
	place_fd(fds[0], STDIN_FILENO);
	place_fd(fds[1], STDOUT_FILENO);
	place_fd(fds[2], STDERR_FILENO);
	place_fd(fds[3], SOURCE_FD);
	setrlimit(RLIMIT_FSIZE, &limit); /* fails where it is lower already */
	unsetenv("XDELTA");              /* holds options */
	execvp(args[0], (char *const *)(uintptr_t)args);
	dprintf(STDERR_FILENO, "%s", strerror(errno));
	_exit(EXIT_NO_EXEC);
}

/* ---- Here */

static enum blockz_status start_child(struct child *child, const char *const *args, int source, int in, int out,
				      struct blockz_fault *fault)
{
	int ends[2];
	pid_t parent = getpid();
	if (lseek(source, 0, SEEK_SET) < 0 || lseek(in, 0, SEEK_SET) < 0)
		return tool_fault_errno(fault, errno, "xdelta3: seek");
	if (pipe2(ends, O_CLOEXEC) < 0)
		return tool_fault_errno(fault, errno, "xdelta3: pipe");
	child->pid = fork();
	if (child->pid == 0)
		become(args, source, in, out, ends[1], parent);
	int error = errno;
	close(ends[1]);
	child->said = ends[0];
	if (child->pid > 0)
		return BLOCKZ_OK;
	close(ends[0]);
	return tool_fault_errno(fault, error, "xdelta3: fork");
}

static bool may_go_on(const struct blockz_work *work, int out)
{
	struct stat st;
	return work->progress == NULL || fstat(out, &st) < 0 ||
	       work->progress(work->progress_ctx, (uint64_t)st.st_size, (uint64_t)st.st_size);
}

/* Reads what the child says, of which the beginning is kept; false: it has closed its stderr, so it has ended. */
static bool listen_to(struct child *child)
{
	char bytes[512];
	ssize_t got = read(child->said, bytes, sizeof(bytes));
	if (got < 0)
		return errno == EINTR;
	size_t room = sizeof(child->text) - 1 - child->len;
	size_t kept = (size_t)got < room ? (size_t)got : room;
	memcpy(child->text + child->len, bytes, kept);
	child->len += kept;
	return got > 0;
}

static void wait_for(struct child *child, int out, const struct blockz_work *work)
{
	struct pollfd said = { .fd = child->said, .events = POLLIN };
	bool open = true;
	while (open) {
		int ready = poll(&said, 1, POLL_MS);
		if (ready > 0)
			open = listen_to(child);
		else if (ready < 0 && errno != EINTR)
			open = false;
		if (open && !child->stopped && !may_go_on(work, out)) {
			child->stopped = true;
			kill(child->pid, SIGKILL);
		}
	}
	close(child->said);
	/* The signal that stops this program may have ended that one. */
	child->stopped = child->stopped || !may_go_on(work, out);
	child->text[strcspn(child->text, "\n")] = '\0';
}

/* It ends with status 1 whatever happened; that the machine is at fault shows in its words alone. */
static bool blames_machine(const char *said)
{
	static const int errors[] = { ENOSPC, EDQUOT, EIO, EROFS, ENOMEM };
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (strstr(said, strerror(errors[i])) != NULL)
			return true;
	return false;
}

static enum blockz_status judge_child(const struct child *child, int status, enum blockz_status refusal,
				      struct blockz_fault *fault)
{
	const char *said = child->text[0] != '\0' ? child->text : "it said nothing";
	if (child->stopped)
		return tool_fault(fault, BLOCKZ_FAILED, "interrupted");
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ)
		return tool_fault(fault, BLOCKZ_LIMIT, "what xdelta3 makes has more than %d GiB, or than a limit of this user",
				  (int)XDELTA_OUT_MAX_GIB);
	if (WIFSIGNALED(status))
		return tool_fault(fault, BLOCKZ_FAILED, "xdelta3 was ended by signal %d (%s): %s", WTERMSIG(status),
				  strsignal(WTERMSIG(status)), said);
	if (WEXITSTATUS(status) == EXIT_NO_EXEC)
		return tool_fault(fault, BLOCKZ_FAILED, "the program xdelta3, which this format needs, cannot be run: %s",
				  said);
	if (WEXITSTATUS(status) != 0)
		return tool_fault(fault, blames_machine(said) ? BLOCKZ_FAILED : refusal,
				  "xdelta3 ended with status %d: %s", WEXITSTATUS(status), said);
	return BLOCKZ_OK;
}

static enum blockz_status run_xdelta(const char *const *args, int source, int in, int out, enum blockz_status refusal,
				     const struct blockz_work *work, struct blockz_fault *fault)
{
	struct child child = { 0 };
	int ended = 0;
	enum blockz_status status = start_child(&child, args, source, in, out, fault);
	if (status != BLOCKZ_OK)
		return status;
	wait_for(&child, out, work);
	while (waitpid(child.pid, &ended, 0) < 0)
		if (errno != EINTR)
			return tool_fault_errno(fault, errno, "xdelta3: wait");
	return judge_child(&child, ended, refusal, fault);
}

enum blockz_status xdelta_encode(int source, int target, int out, const struct blockz_work *work,
				 struct blockz_fault *fault)
{
	return run_xdelta(encode_args, source, target, out, BLOCKZ_FAILED, work, fault);
}

enum blockz_status xdelta_decode(int source, int vcdiff, int out, const struct blockz_work *work,
				 struct blockz_fault *fault)
{
	return run_xdelta(decode_args, source, vcdiff, out, BLOCKZ_DAMAGED, work, fault);
}
