/* SPDX-License-Identifier: BSD-3-Clause */
/* Offsets in an intent journal, for the two that write and read it; journal/intent.h has the whole. */
#ifndef JOURNAL_INTENT_LAYOUT_H
#define JOURNAL_INTENT_LAYOUT_H

#include "journal/intent.h"
#include "journal/journal.h"

enum {
	INTENT_BLANKS_OFF = JOURNAL_HEADER_LEN,
	INTENT_ROOM_OFF = INTENT_BLANKS_OFF + 8,
	INTENT_HEADER_LEN = INTENT_ROOM_OFF + 8,
	INTENT_BLANK_LEN = 16,
	INTENT_BLANKS_MAX = 2 * JOURNAL_ENDS, /* they do not touch */
};

/* Where the records start.  Counts are within their limits. */
static inline uint64_t intent_records_off(uint64_t blank_count, uint64_t check_count)
{
	uint64_t len = INTENT_HEADER_LEN + blank_count * INTENT_BLANK_LEN + check_count * INTENT_CHECK_LEN + JOURNAL_SUM_LEN;
	return (len + JOURNAL_SECTOR - 1) / JOURNAL_SECTOR * JOURNAL_SECTOR;
}

/* The digest of the file's ends without what the journal says can change. */
enum blockz_status intent_ends(const struct intent *intent, const struct blockz_store *store, uint64_t *ends_ret,
			       struct blockz_fault *fault);

#endif
