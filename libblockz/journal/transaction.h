/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All-or-nothing changes of a store through its journal; journal/recovery.h has what is done about interrupted ones.  Steps
 * are those of libblockz/ARCHITECTURE, section "The transaction, step by step".
 */
#ifndef JOURNAL_TRANSACTION_H
#define JOURNAL_TRANSACTION_H

#include "blockz.h"
#include "range/plan.h"

/* One write, of a length that a buffer has room for. */
struct transaction_write {
	uint64_t file_off;
	uint64_t length; /* > 0, at most TRANSACTION_WRITE_MAX */
};

enum { TRANSACTION_WRITE_MAX = PLAN_WRITE_MAX };

/* The writes of a transaction: ascending by file offset, not overlapping, within the store's size. */
struct transaction {
	void *ctx;
	uint64_t count;
	bool unchecked; /* some of the new bytes are payload that no check in the file covers */
	struct transaction_write (*at)(void *ctx, uint64_t index);
	/* The new bytes of one write into buf.  Asked for more than once; fails if they are no longer the same. */
	enum blockz_status (*fetch)(void *ctx, uint64_t index, void *buf, struct blockz_fault *fault);
};

/*
 * Steps 5 to 12 and R of ARCHITECTURE, "The transaction, step by step": writes the old and the new content of every
 * 512-byte sector that changes to the journal, publishes it, writes the new bytes in ascending order, syncs, removes the
 * journal.  Without a journal in the store: fetch everything, write and sync.  Nothing is written where count is 0.
 * Memory: a few buffers, whatever the count.
 * Errors: of fetch, before the first byte is written, or rolled back; BLOCKZ_FAILED.  fault->state says what is left.
 */
enum blockz_status transaction_run(const struct transaction *transaction, const struct blockz_store *store,
				   struct blockz_fault *fault);

#endif
