/* SPDX-License-Identifier: BSD-3-Clause */
/* What a server tells its user that is no error, for which nbdkit has no function. */
#ifndef NBDKIT_RAM_SAY_H
#define NBDKIT_RAM_SAY_H

/* Notes where stderr leads.  To be called before nbdkit forks; a server in the background has lost it. */
void say_start(void);

/* To be called behind the fork: from now on lines go to stderr, or to syslog where that was lost. */
void say_after_fork(void);

/* A line, in one piece, without newline.  Any thread may call it. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
