/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kill-at SIGNAL CALL COUNT COMMAND [ARGUMENT]...: runs a command, and sends it the signal of this number as it enters the
 * COUNT-th system call of the number CALL, counted over all its threads.  The kernel lets all other calls pass without a
 * stop, which strace(1) cannot have it do where it injects signals.  Exit status: 137 if SIGNAL is that which kills and
 * was sent, else that of the command; 125: not run.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void give_up(const char *what)
{
	fprintf(stderr, "kill-at: %s: %s\n", what, strerror(errno));
	_exit(125);
}

/* In the command's process: stops for the tracer at calls of this number from now on. */
static void filter_calls(uint32_t number)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		give_up("seccomp");
}

static pid_t start_traced(uint32_t number, char **command)
{
	pid_t pid = fork();
	if (pid < 0)
		give_up("fork");
	if (pid > 0)
		return pid;
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		give_up("ptrace");
	raise(SIGSTOP);
	filter_calls(number);
	execvp(command[0], command);
	give_up(command[0]);
}

/* The signal with which a thread that has stopped is to go on: none where the tracer alone is meant. */
static int signal_of(int status)
{
	int signal = WSTOPSIG(status);
	return status >> 16 != 0 || signal == SIGTRAP || signal == SIGSTOP ? 0 : signal;
}

int main(int argc, char **argv)
{
	if (argc < 5) {
		fprintf(stderr, "usage: kill-at SIGNAL CALL COUNT COMMAND [ARGUMENT]...\n");
		return 125;
	}
	int signal = atoi(argv[1]), status;
	unsigned long left = strtoul(argv[3], NULL, 10);
	pid_t pid = start_traced((uint32_t)strtoul(argv[2], NULL, 10), argv + 4), thread;
	bool killed = false;
	if (waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, pid, NULL,
		   PTRACE_O_EXITKILL | PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC) < 0 ||
	    ptrace(PTRACE_CONT, pid, NULL, NULL) < 0)
		give_up("ptrace");
	while ((thread = waitpid(-1, &status, __WALL)) > 0) {
		if (!WIFSTOPPED(status)) {
			if (thread == pid)
				break;
			continue;
		}
		if (status >> 8 == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8) && --left == 0)
			killed = kill(pid, signal) == 0 && signal == SIGKILL;
		if (!killed)
			ptrace(PTRACE_CONT, thread, NULL, (void *)(intptr_t)signal_of(status));
	}
	if (killed)
		return 128 + SIGKILL;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
