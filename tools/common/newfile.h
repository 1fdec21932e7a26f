/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file that takes its place under its name only when it is complete.
 *
 *	newfile_open() ... write to newfile.fd ... newfile_sync() ... look at it ... newfile_commit()
 *	newfile_close() in any case
 *
 * Any number can be open at a time.  Who is killed leaves the temporary file, see output.h.
 */
#ifndef COMMON_NEWFILE_H
#define COMMON_NEWFILE_H

#include "blockz.h"

struct newfile {
	int fd;    /* open for reading and writing */
	int dirfd; /* of its directory, O_PATH */
	char *temporary; /* its name in dirfd; NULL: there is none, or none any more */
	/* Private. */
	bool synced, replace;
	char *name;
	struct blockz_store existing; /* the file to be replaced, locked */
};

/* One that is closed. */
#define NEWFILE_INIT { .fd = -1, .dirfd = -1 }

/*
 * Creates a temporary file beside path, its mode by umask.
 * replace: a regular file at path may be replaced, which hands down its mode and, as far as that can be, its owner and
 * group.  It is locked until newfile_close(), unless held, which may be NULL, is a store that the caller has open of this
 * very file: then it cannot be another program's.
 * Errors: BLOCKZ_FAILED (also: path exists, without replace), BLOCKZ_UNSUPPORTED (not a file that can be replaced, name
 * too long for a temporary one beside it), BLOCKZ_LOCKED, BLOCKZ_NEEDS_RECOVERY (path has a journal).
 */
enum blockz_status newfile_open(struct newfile *newfile, const char *path, bool replace, const struct blockz_store *held,
				struct blockz_fault *fault);

/* Makes the content durable.  Errors: BLOCKZ_FAILED. */
enum blockz_status newfile_sync(struct newfile *newfile, struct blockz_fault *fault);

/*
 * Syncs if that was not done, gives the file its name, durably.  Errors: BLOCKZ_FAILED; the state is "updated" where the
 * file has its name already.
 */
enum blockz_status newfile_commit(struct newfile *newfile, struct blockz_fault *fault);

/* Removes a file that was not committed, and closes.  Fine twice. */
void newfile_close(struct newfile *newfile);

#endif
