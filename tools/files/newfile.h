/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file that takes its place under its name only when it is complete.
 *
 *	newfile_open() ... write to newfile.fd ... newfile_sync() ... look at it ... newfile_commit()
 *	newfile_close() in any case
 *
 * Any number can be open at a time.  Who is killed leaves the temporary file, see output.h.
 */
#ifndef FILES_NEWFILE_H
#define FILES_NEWFILE_H

#include "blockz.h"
#include "files/audience.h"

struct newfile {
	int fd;    /* open for reading and writing */
	int dirfd; /* of its directory, O_PATH */
	char *temporary; /* its name in dirfd; NULL: there is none, or none any more */
	/* Private. */
	bool synced, replace;
	char *name;
	const struct audience *audience;
	int replaced;                 /* the file to be replaced; -1: there is none */
	struct blockz_store existing; /* the same, locked */
};

/* One that is closed. */
#define NEWFILE_INIT { .fd = -1, .dirfd = -1, .replaced = -1 }

struct newfile_options {
	/* A regular file at path may be replaced.  It is locked until newfile_close(). */
	bool replace;
	/* A store that the caller has open, perhaps of this very file, which then cannot be another program's; NULL: none. */
	const struct blockz_store *held;
	/* The new file has what is in the overlay of the held one, which has to be at path, and is refused otherwise. */
	bool has_overlay;
	/* Of all that it is made from: known by newfile_sync(), must live as long. */
	const struct audience *audience;
};

/*
 * Creates a temporary file beside path, for its owner alone.  Permissions come with newfile_sync(): those of the audience by
 * umask; of a file that is replaced its own, with its owner, group, access control list and extended attributes as far as
 * that can be and nobody gains access by it that is not of the audience.  A file system that keeps no permissions
 * gives its own.  Where no source has any, as of a pipe, the umask alone decides.
 * Errors: BLOCKZ_FAILED (also: path exists, without replace), BLOCKZ_UNSUPPORTED (not a file that can be replaced, name
 * too long for a temporary one beside it), BLOCKZ_LOCKED, BLOCKZ_NEEDS_RECOVERY (path has a journal, or
 * an overlay).
 */
enum blockz_status newfile_open(struct newfile *newfile, const char *path, const struct newfile_options *options,
				struct blockz_fault *fault);

/* Gives the file its permissions and makes it durable.  Errors: BLOCKZ_FAILED. */
enum blockz_status newfile_sync(struct newfile *newfile, struct blockz_fault *fault);

/*
 * Syncs if that was not done, gives the file its name, durably where the file system can sync a directory.
 * Errors: BLOCKZ_FAILED; the state is "updated" where the file has its name already.  Where it cannot be given, the
 * temporary file stays, and the text says so.
 */
enum blockz_status newfile_commit(struct newfile *newfile, struct blockz_fault *fault);

/* Removes a file that was not committed, and closes.  Fine twice. */
void newfile_close(struct newfile *newfile);

#endif
