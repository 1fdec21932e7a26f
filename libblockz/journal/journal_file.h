/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The journal of a file as another file beside it, .NAME.blockz-journal: created under a temporary name, published by a
 * rename, found again, removed.  Its bytes are nothing to this: journal/journal.h has those.  A journal tells its reader
 * what to write into the file, so one that somebody else could have written is not opened.
 *
 * An overlay lies beside its file in the same way (journal/overlay_file.h), and is a journal to this.
 */
#ifndef JOURNAL_JOURNAL_FILE_H
#define JOURNAL_JOURNAL_FILE_H

#include <limits.h>
#include <sys/stat.h>

#include "blockz.h"

#define JOURNAL_SUFFIX ".blockz-journal"
/* Behind the name that it has in the end. */
#define JOURNAL_TMP_SUFFIX ".tmp"

/* What lies beside a file. */
struct journal_file_kind {
	const char *suffix; /* of its name */
	bool is_sparse;     /* no room is taken for it when it is created */
	int found_flags;    /* how one that is found is opened: O_RDONLY or O_RDWR */
};

extern const struct journal_file_kind journal_file_kind; /* of a journal */

struct journal_file {
	const struct journal_file_kind *kind;
	int dirfd;     /* of the directory, the caller's */
	int fd;        /* of the journal; -1: none is open */
	int spare_fd;  /* kept for it, so that a write does not fail when descriptors are short; -1: in use */
	int synced_fd; /* of what is synced for the directory; -1: it is only looked at */
	int (*sync_by)(int fd); /* its sync */
	bool published; /* the journal under its final name is the one created last */
	/* Of the file that it is beside. */
	mode_t mode;
	uid_t owner;
	gid_t group;
	char name[2 * NAME_MAX], temporary[2 * NAME_MAX];
};

/* The journal of a file in a directory; nothing is opened yet, and journal_file_free() closes what will be. */
struct journal_file journal_file_of(int dirfd, const struct journal_file_kind *kind);
void journal_file_free(struct journal_file *self);

/* Sets the names that the journal of the file `name` has.  False: they would be too long, so it cannot have one. */
bool journal_file_set_name(struct journal_file *self, const char *name);

/* Whose the file is, and who may write to it: so much is allowed to the journal, too. */
void journal_file_set_owner(struct journal_file *self, const struct stat *file);

/*
 * Step 2 of a transaction: makes what the directory says about journals true on disk, and the journal's names its own to
 * change.  file_fd: of the file, which stands for a directory that cannot be read.  *durable_ret: false where the file
 * system cannot sync directories.  Errors: BLOCKZ_UNSUPPORTED (the directory cannot be written), BLOCKZ_FAILED.
 */
enum blockz_status journal_file_prepare(struct journal_file *self, int file_fd, bool *durable_ret,
					struct blockz_fault *fault);

/* Makes durable what the directory says about journals.  Returns 0 or an errno value. */
int journal_file_sync_absence(struct journal_file *self, int file_fd);

/* Closes the journal, if it is open. */
void journal_file_close(struct journal_file *self);

/* As the functions of struct blockz_store_ops that are called so. */
int journal_file_create(struct journal_file *self, uint64_t len);
int journal_file_write(const struct journal_file *self, const void *buf, size_t len, uint64_t off);
int journal_file_publish(struct journal_file *self);
int journal_file_sync(const struct journal_file *self);
int journal_file_discard(struct journal_file *self);
int journal_file_find(struct journal_file *self, uint64_t *len_ret);
int journal_file_read(const struct journal_file *self, void *buf, size_t len, uint64_t off, size_t *got_ret);
int journal_file_remove(struct journal_file *self);

#endif
