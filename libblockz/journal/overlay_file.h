/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An overlay as a file beside another, .NAME.blockz-overlay, by the rules of a journal (journal/journal_file.h).  It is locked
 * as long as it is open.
 */
#ifndef JOURNAL_OVERLAY_FILE_H
#define JOURNAL_OVERLAY_FILE_H

#include "blockz_disk.h"

struct overlay_file;

/*
 * That of the file `name`, which need not be there; nothing is opened yet.  For BLOCKZ_OVERLAY_WRITE a temporary one that was
 * left is removed, and the directory synced.  *file_ret is for overlay_file_free().
 * Errors: BLOCKZ_UNSUPPORTED (the directory cannot be written, the name is too long), BLOCKZ_FAILED.
 */
enum blockz_status overlay_file_new(int dirfd, const char *name, enum blockz_overlay_mode mode,
				    struct overlay_file **file_ret, struct blockz_fault *fault);
void overlay_file_free(struct overlay_file *file); /* NULL is fine */

/*
 * A store, of which the overlay is the journal: it has no other operations.  Finding one that is locked is an error,
 * EWOULDBLOCK.  NULL: the name is so long that there can be none.  Valid as long as the file.
 */
const struct blockz_store *overlay_file_place(const struct overlay_file *file);

#endif
