/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SIGUSR1 and SIGUSR2, answered by a thread.
 *
 * They are caught, not blocked and waited for: a mask would be inherited by every process that nbdkit starts, such as
 * that of --run, and a handler is not.
 */
#ifndef NBDKIT_RAM_WATCH_H
#define NBDKIT_RAM_WATCH_H

/* Catches both.  To be called before nbdkit forks and writes its process id: a signal that comes early is kept. */
int watch_catch(void);

/*
 * Starts a thread, which calls first for SIGUSR1 and second for SIGUSR2, one call at a time; signals that come while
 * one is under way lead to one more.  To be called behind the fork.  0, or an errno value.
 */
int watch_start(void (*first)(void), void (*second)(void));

/*
 * Waits for the calls that signals have asked for so far, ends the thread and ignores both signals.  Fine where it was not
 * started.
 */
void watch_stop(void);

#endif
