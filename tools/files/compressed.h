/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening a compressed file by its path. */
#ifndef FILES_COMPRESSED_H
#define FILES_COMPRESSED_H

#include <sys/stat.h>

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
 * file does not exist only those of its directory are.  A link that may be a trap is not followed.  The caller closes and
 * frees.  Errors: BLOCKZ_FAILED, BLOCKZ_UNSUPPORTED (a directory).
 */
enum blockz_status path_split(const char *path, int *dirfd_ret, char **name_ret, struct blockz_fault *fault);

/*
 * Whether a link, or a FIFO, in dirfd may be a trap: where many may make files and none may remove another's (sticky), one
 * that is neither ours nor of the directory's owner, as Linux has it with fs.protected_symlinks.
 */
bool path_is_trap(int dirfd, const struct stat *st);

/*
 * Opens the compressed file at path as blockz_store_open() does.  For reading, "-" is standard input, and must be a
 * regular file; then nothing is locked, and store.ops is NULL.  Errors: those of blockz_store_open().
 */
enum blockz_status compressed_open(struct compressed *self, const char *path, enum blockz_store_mode mode,
				   struct blockz_fault *fault);

/* Fine for zeros, and twice. */
void compressed_close(struct compressed *self);

#endif
