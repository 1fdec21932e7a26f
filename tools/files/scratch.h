/* SPDX-License-Identifier: BSD-3-Clause */
/* Unnamed files: what has to lie somewhere for a while, and is gone when it is closed, or the program killed. */
#ifndef FILES_SCRATCH_H
#define FILES_SCRATCH_H

#include "blockz.h"

/*
 * Opens an unnamed file for reading and writing in the directory dirfd, which may be O_PATH; -1: in $TMPDIR, or
 * /var/tmp.  The caller closes it.  Errors: BLOCKZ_FAILED.
 */
enum blockz_status scratch_open(int dirfd, int *fd_ret, struct blockz_fault *fault);

/* Writes all that the file has to another descriptor.  Errors: BLOCKZ_FAILED. */
enum blockz_status scratch_copy(int fd, int to, struct blockz_fault *fault);

#endif
