/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening a compressed file by its path. */
#ifndef FILES_COMPRESSED_H
#define FILES_COMPRESSED_H

#include <sys/stat.h>

#include "blockz_disk.h"

/* Must not be moved while it is open: source points into it. */
struct compressed {
	struct blockz_store store;
	struct blockz_source source; /* of the file's bytes */
	int dirfd;
	char *name;                  /* in dirfd; no symbolic link, no slash */
	struct blockz_overlay *overlay; /* NULL: there is none, or the file is read without it */
	char note[1024];             /* private: of the store, and of the overlay */
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
 * regular file; then nothing is locked, and store.ops is NULL.  Who reads a file that has an overlay is told so in
 * store.note: what was written to a served disk and lies there is not read.  Errors: those of blockz_store_open().
 */
enum blockz_status compressed_open(struct compressed *self, const char *path, enum blockz_store_mode mode,
				   struct blockz_fault *fault);

/*
 * The same for reading, with the overlay beside it, where that is the file's own: overlay is NULL where there is none.
 * Errors: those of blockz_overlay_open() too; BLOCKZ_NEEDS_RECOVERY: it is another file's, or not to be trusted.
 */
enum blockz_status compressed_open_overlaid(struct compressed *self, const char *path, struct blockz_fault *fault);

/* Whether a name in a directory means the very file that a store has opened. */
bool store_is_at(const struct blockz_store *store, int dirfd, const char *name);

/* Fine for zeros, and twice. */
void compressed_close(struct compressed *self);

#endif
