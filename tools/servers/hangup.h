/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A server that is told to end hangs up on its clients.
 *
 * nbdkit waits for them when a signal tells it to end, and a client that has nothing to ask waits for nothing: what a disk
 * still has to save would be lost to whoever loses patience with the two of them.
 */
#ifndef SERVERS_HANGUP_H
#define SERVERS_HANGUP_H

/*
 * From now on SIGTERM, SIGINT, SIGHUP and SIGQUIT go to who catches them already, and a thread ends all connections:
 * what a client has asked for is still done and answered, and then it has gone.  Where one does not take its answers within
 * some seconds, or cannot be hung up on as it is on a pipe, leave() has to do what usually follows hangup_stop(); then the
 * process ends with the exit status that it returns.
 * SIGXFSZ does not end the server any more: what would grow a file too far fails.
 * To be called behind the fork.  0, or an errno value.
 */
int hangup_start(int (*leave)(void));

/* Ends the thread; to be called when there are no connections any more.  Fine where it was not started. */
void hangup_stop(void);

#endif
