/* SPDX-License-Identifier: BSD-3-Clause */
/* Fills a caller's struct blockz_fault, and returns the status with it, so that a function can end in one line. */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include "blockz.h"

/*
 * Describes a failure in *fault, unless fault is NULL, and returns status.  offset: the file offset the text speaks
 * of, or BLOCKZ_UNKNOWN.  The subject is set to BLOCKZ_ABOUT_FILE, the state to BLOCKZ_IMAGE_UNCHANGED, the remedy to
 * BLOCKZ_REMEDY_RECOVER, the error to none.
 */
enum blockz_status fault_set(struct blockz_fault *fault, enum blockz_status status, uint64_t offset,
			     const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Appends to a text in room bytes, its NUL included.  What does not fit, here and in fault_set(), ends in "...". */
void fault_append(char *text, size_t room, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* BLOCKZ_FAILED with this error and "what: strerror(error)". */
enum blockz_status fault_errno(struct blockz_fault *fault, int error, uint64_t offset, const char *what);

/* Says what a failure is about, where that is not known yet: unless the subject is BLOCKZ_ABOUT_FILE it stays.  Returns status. */
enum blockz_status fault_about(struct blockz_fault *fault, enum blockz_status status, enum blockz_subject subject);

/* BLOCKZ_FAILED for a failed allocation; the subject is memory. */
enum blockz_status fault_nomem(struct blockz_fault *fault);

/* BLOCKZ_NEEDS_RECOVERY, and what blockz_recover() has to be told. */
enum blockz_status fault_remedy(struct blockz_fault *fault, enum blockz_remedy remedy);

/* Says what a failure, if status is one, has left behind, and returns status. */
enum blockz_status fault_state(struct blockz_fault *fault, enum blockz_status status, enum blockz_state state);

#endif
