/* SPDX-License-Identifier: BSD-3-Clause */
/* Faults of the tools' own making, and text that may hold anything made fit for a terminal. */
#ifndef CLI_FAULT_H
#define CLI_FAULT_H

#include <stdio.h>

#include "blockz.h"

/* Fills *fault (unless NULL) with a text that speaks of no file offset, and state unchanged.  Returns status. */
enum blockz_status tool_fault(struct blockz_fault *fault, enum blockz_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same with the error, ": strerror(error)" behind the text, and BLOCKZ_FAILED. */
enum blockz_status tool_fault_errno(struct blockz_fault *fault, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The errno value by which an NBD client learns of a fault: what is behind it if the protocol has a word for that, or EIO. */
int fault_nbd_errno(const struct blockz_fault *fault);

/*
 * Text with everything that is no UTF-8, or is not seen (unicode_is_visible()), as \xNN of each byte.  A text that is
 * all seen comes out as it was, so nothing is escaped twice.  The caller frees it; NULL: no memory.
 */
char *escape(const char *text);

/*
 * A file's name as a word that a shell understands, and no program takes for an option: as it is, or quoted where it must
 * be.  All of it is seen.  The caller frees it; NULL: no memory.
 */
char *shell_word(const char *name);

/* "offset N: text", escaped, without the offset where the fault speaks of none.  The caller frees it; NULL: no memory. */
char *fault_line(const struct blockz_fault *fault);

/* What a state means, in a sentence: "image unchanged". */
const char *state_text(enum blockz_state state);

/*
 * The same of a fault, where recovery is needed with the commands, for which file is a shell_word() (NULL: "FILE").  The caller
 * frees it; NULL: no memory.
 */
char *state_sentence(const struct blockz_fault *fault, const char *file);

/* Prints the escaped text; "?" where memory is short. */
void put_escaped(FILE *out, const char *text);

#endif
