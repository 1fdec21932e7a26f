/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may read what an output is made from, which nobody else may read in the output.
 *
 * Permissions are those of regular files and block devices; a pipe has none, and shuts nobody out.  What an access control
 * list says beyond owner, group and others is not carried over: whoever it lets in or shuts out gains nothing.
 */
#ifndef FILES_AUDIENCE_H
#define FILES_AUDIENCE_H

#include <sys/types.h>

#include "blockz.h"
#include "files/compressed.h"

/* Starts as zeros. */
struct audience {
	size_t sources;   /* that have permissions */
	mode_t mode;      /* what all of them allow, of 0666 */
	uid_t owner;      /* of all, unless of_owners */
	gid_t group;      /* of all, unless of_groups */
	bool of_owners, of_groups; /* of several */
};

/* Adds a source by its descriptor. */
void audience_add(struct audience *self, int fd);

/* The same for a compressed file, which may be standard input. */
void audience_add_compressed(struct audience *self, const struct compressed *file);

/*
 * Gives a new file, which is for its owner alone so far, its permissions: those of the sources by umask.
 * replaced: the file that it is to replace, whose permissions, owner, group, access control list and extended attributes
 * it gets as far as that can be and nobody gains access by it; -1: there is none.  Without sources with permissions,
 * and nothing to replace, the file stays as it is.  A file system that keeps no permissions is no error.
 * Errors: BLOCKZ_FAILED.
 */
enum blockz_status audience_apply(const struct audience *self, int fd, int replaced, struct blockz_fault *fault);

#endif
