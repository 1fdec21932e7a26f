/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A store in memory, with a journal, in which everything can be seen and can go wrong.
 *
 * Each step that the file store would take is an operation of its own: publishing a journal is three.  All are counted
 * from 1 and recorded.  One or two of them, or all from one on, can fail; one can be the last before the power goes;
 * and a barrier can be left out, to show that somebody needs it.
 *
 * Stores that share a power lose it at the same operation, of those that change anything, whichever of them takes it.
 *
 * What is durable is kept apart from what a reader sees, sector by sector.  A sync that failed has given up on what was
 * written before: a later one that succeeds does not make it durable, as with the page cache of Linux.
 */
#ifndef STORES_H
#define STORES_H

#include "blockz.h"

enum { STORE_SECTOR = 512 };

enum store_op {
	STORE_READ,
	STORE_WRITE,
	STORE_SYNC,
	STORE_JOURNAL_CREATE,
	STORE_JOURNAL_RESERVE,
	STORE_JOURNAL_WRITE,
	STORE_JOURNAL_SYNC,
	STORE_JOURNAL_RENAME,
	STORE_TEMPORARY_UNLINK,
	STORE_JOURNAL_UNLINK,
	STORE_DIRECTORY_SYNC,
	STORE_JOURNAL_FIND,
	STORE_JOURNAL_READ,
	STORE_RENAME, /* of another file over it */
};

struct store_step {
	enum store_op op;
	uint64_t off, len;
};

/* One sector as it was left by a write that is not durable. */
struct store_sector {
	uint64_t off;
	bool given_up; /* a sync has failed since */
	uint8_t bytes[STORE_SECTOR];
};

struct memory_file {
	uint8_t *seen, *durable; /* of size and durable_size bytes; what lies behind in room is zero */
	size_t size, durable_size, room;
	struct store_sector *pending; /* in the order of the writes */
	size_t pending_count, pending_room;
};

/* Names of the journal: it has one at most. */
enum journal_name { JOURNAL_NONE, JOURNAL_TEMPORARY, JOURNAL_PUBLISHED };

struct memory_power {
	size_t steps, cut_at; /* 0: never */
	bool dead;
};

struct memory_store {
	struct memory_file file, journal;
	struct memory_file replaced; /* what had the file's name until a rename that is not durable; room 0: none */
	enum journal_name names[64]; /* the durable name first, then what it became since */
	size_t name_count;
	struct store_step *steps;
	size_t step_count, step_room;
	bool dead;
	/* For the test to set. */
	struct blockz_identity identity;
	size_t fail_at, fail_again_at; /* 0: never */
	bool fail_from_then_on;
	int error;        /* what failing operations answer; 0: reads come back with half their bytes, others say EIO */
	size_t cut_at;    /* the operation during which the power goes; what follows does nothing and fails */
	unsigned ignored; /* set of 1 << op: does nothing, successfully */
	struct memory_power *power; /* NULL: its own */
	int untrusted;    /* what looking for the journal answers, as it is not to be believed; 0: it is */
};

void memory_store_init(struct memory_store *self, const uint8_t *bytes, size_t len);
void memory_store_free(struct memory_store *self);

/* Back to these bytes, all durable, no journal, nothing to go wrong. */
void memory_store_reset(struct memory_store *self, const uint8_t *bytes, size_t len);

/* The table of operations; self must outlive it. */
struct blockz_store memory_store(struct memory_store *self);

/* Another file, all durable, takes the file's name, which is durable after a sync of the directory.  Returns as the operations. */
int memory_store_rename_over(struct memory_store *self, const uint8_t *bytes, size_t len);
int memory_store_sync_directory(struct memory_store *self);

/* Forgets the record and what was to go wrong; content stays. */
void memory_store_rewind(struct memory_store *self);

/* What of the writes that are not durable survives when the power goes. */
enum store_cut { STORE_CUT_LOSE, STORE_CUT_KEEP, STORE_CUT_PREFIX, STORE_CUT_RANDOM };

/* The power went, and is back. */
void memory_store_cut(struct memory_store *self, enum store_cut cut);

/* What opening a file for writing does: a stale temporary journal is removed, the directory synced.  And a rewind. */
void memory_store_reopen(struct memory_store *self);

bool memory_store_has_journal(const struct memory_store *self);

/* Leaves these bytes as a published journal. */
void memory_store_put_journal(struct memory_store *self, const uint8_t *bytes, size_t len);

/* How many steps of a kind were recorded. */
size_t memory_store_count(const struct memory_store *self, enum store_op op);

#endif
