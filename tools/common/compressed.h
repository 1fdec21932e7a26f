/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening a compressed file by its path. */
#ifndef COMMON_COMPRESSED_H
#define COMMON_COMPRESSED_H

#include "blockz.h"

/* Must not be moved while it is open: source points into it. */
struct compressed {
	struct blockz_store store;
	struct blockz_source source; /* of the file's bytes */
	int dirfd;
	char *name;                  /* in dirfd; no symbolic link, no slash */
};

/*
 * Splits a path into a descriptor (O_PATH) of its directory and a name in it, symbolic links resolved.  Where the
 * file does not exist only those of its directory are.  The caller closes and frees.  Errors: BLOCKZ_FAILED.
 */
enum blockz_status path_split(const char *path, int *dirfd_ret, char **name_ret, struct blockz_fault *fault);

/*
 * Opens the compressed file at path as blockz_store_open() does.  For reading, "-" is standard input, and must be a
 * regular file; then nothing is locked, and store.ops is NULL.  Errors: those of blockz_store_open().
 */
enum blockz_status compressed_open(struct compressed *self, const char *path, enum blockz_store_mode mode,
				   struct blockz_fault *fault);

/* Fine for zeros, and twice. */
void compressed_close(struct compressed *self);

#endif
