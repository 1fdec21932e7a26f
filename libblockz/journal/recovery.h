/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the journal beside a file means, and what is done about it.
 *
 * Called by the store when it opens a file, by transactions that fail, and by blockz_recover().  Nothing here trusts a
 * journal that it has not compared with the file first.
 */
#ifndef JOURNAL_RECOVERY_H
#define JOURNAL_RECOVERY_H

#include "blockz.h"

enum recovery_journal {
	RECOVERY_NO_JOURNAL,
	RECOVERY_OF_OTHER_FILE,
	RECOVERY_OF_OTHER_USER, /* of somebody who is not to be believed */
};

/*
 * For whoever wants to read: BLOCKZ_OK where no journal says that the file is in the middle of an edit.  Touches nothing.
 * Errors: BLOCKZ_NEEDS_RECOVERY (fault->remedy says what helps), BLOCKZ_FAILED.
 */
enum blockz_status recovery_look(const struct blockz_store *store, enum recovery_journal *journal_ret,
				 struct blockz_fault *fault);

/* Does what blockz_recover() does, and returns what that does. */
enum blockz_status recovery_run(const struct blockz_store *store, enum blockz_remedy remedy,
				enum blockz_recovery *recovery_ret, struct blockz_fault *fault);

/* Step R: writes the old content of all sectors of the journal of len bytes back, and syncs.  Errors: of both. */
enum blockz_status recovery_undo(const struct blockz_store *store, uint64_t len, struct blockz_fault *fault);

#endif
