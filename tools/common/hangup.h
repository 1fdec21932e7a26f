/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A server that is told to end hangs up on its clients.
 *
 * nbdkit waits for them when a signal tells it to end, and a client that has nothing to ask waits for nothing: what a disk
 * still has to save would be lost to whoever loses patience with the two of them.
 */
#ifndef COMMON_HANGUP_H
#define COMMON_HANGUP_H

/*
 * From now on SIGTERM, SIGINT, SIGHUP and SIGQUIT go to who catches them already, and a thread ends all connections:
 * what a client has asked for is still done and answered, within some seconds, and then it has gone.  To be called behind
 * the fork.  SIGXFSZ does not end the server any more: what would grow a file too far fails.  0, or an errno value.
 */
int hangup_start(void);

/* Ends the thread; to be called when there are no connections any more.  Fine where it was not started. */
void hangup_stop(void);

#endif
