/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a program ends by a signal: SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM, SIGXCPU and SIGXFSZ, unless it was ignored when
 * the program started.
 *
 * At most times it ends at once: the handler removes temporary files, says what the state of the image is, and lets the
 * program die of that very signal, so that a shell's loop ends with it.  Between signals_hold() and signals_release() the
 * signal is noted, and the work goes on.
 *
 * What is being completed when a signal comes is completed.  From the moment that a file is given its name the program
 * ends as if no signal had come, unless it still has a report to make that takes long, or an edit in place was under way:
 * then it says what was done, and dies of the signal nevertheless.
 */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

#include "blockz.h"

/* Catches them from now on.  tool: its name, must live as long. */
void signals_start(const char *tool);

/* From now on a signal is noted only.  Not counted: fine twice. */
void signals_hold(void);

/* Ends the program if a signal came since; from now on one ends it at once. */
void signals_release(void);

/* What became of the image so far, as it is said at the end: "unchanged" at first. */
void signals_state(enum blockz_state state);

/* The signal that was noted, or 0. */
int signals_noted(void);

/* Ends the program by the signal that was noted; returns if there was none. */
void signals_die_if_noted(void);

/* A file that is removed if the program is ended, at most three at a time; both parameters must live as long. */
void signals_doom(int dirfd, const char *name);
/* Not any more; name: the same pointer.  Fine for one that was not doomed. */
void signals_spare(const char *name);

/* Whether a line on stderr was begun, as by a progress bar, which a message should not continue. */
void signals_line_begun(bool begun);

#endif
