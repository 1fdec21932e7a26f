/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The journal: what a file holds before and after an edit, so that the edit can be undone.  journal/intent.h has that of serving,
 * and blockz-journal(5) both, with examples.
 *
 * Little-endian.  A header, a record for each 512-byte sector of the file that changes, by ascending offset, and XXH64
 * (seed 0) of all that.
 *
 *    0  magic "blockzJ1"
 *    8  version u32: 2; that of serving: 1
 *   12  kind u32: 1, patch; 2, serving
 *   16  size of the file u64
 *   24  inode u64, 32 birth time: seconds i64, 40 nanoseconds u32
 *   44  flags u32: 1, the file has no check over some of the bytes that change
 *   48  count of records u64
 *   56  ends u64: XXH64 of the first and last 64 KiB of the file, the sectors of the records taken as zeros
 *   64  records: offset in the file u64; the sector's old and its new content, 512 bytes each, zeros behind the end of
 *       the file
 *   -8  XXH64 u64
 *
 * Version 1, which release 0.1.0 left, has other records: offset u64; XXH64 of the old and of the new content, u64 each;
 * the old content.  It is read for good.
 */
#ifndef JOURNAL_JOURNAL_H
#define JOURNAL_JOURNAL_H

#include "blockz.h"

enum {
	JOURNAL_SECTOR = 512,
	JOURNAL_HEADER_LEN = 64,
	JOURNAL_RECORD_LEN = 8 + 2 * JOURNAL_SECTOR,
	JOURNAL_RECORD_LEN_1 = 24 + JOURNAL_SECTOR, /* of version 1 */
	JOURNAL_SUM_LEN = 8,
	JOURNAL_ENDS = 65536,
};

enum journal_kind { JOURNAL_PATCH = 1, JOURNAL_INTENT = 2 };

struct journal_header {
	/* These are set by reading, and mean nothing to writing. */
	enum journal_kind kind;
	uint32_t version;
	uint8_t bytes[JOURNAL_HEADER_LEN]; /* all of it, for the journal's checksum */

	uint64_t file_size;
	struct blockz_identity identity;
	bool unchecked;
	uint64_t count;
	uint64_t ends;
};

/* One changed sector; contents have JOURNAL_SECTOR bytes. */
struct journal_record {
	uint64_t file_off;
	const uint8_t *old, *new; /* new NULL, in version 1: known by its digest alone */
	uint64_t new_digest;      /* where new is NULL */
};

/* What a sector of a file holds, by the record of it. */
enum journal_sector {
	JOURNAL_SECTOR_SAME, /* old and new content are the same, and it has that */
	JOURNAL_SECTOR_OLD,
	JOURNAL_SECTOR_NEW,
	JOURNAL_SECTOR_MIXED,   /* each byte is the old or the new one, as any tear leaves it */
	JOURNAL_SECTOR_UNKNOWN, /* something else */
};

/* What the len bytes of a sector are, by its record. */
enum journal_sector journal_compare(const struct journal_record *record, const uint8_t *sector, size_t len);

/* True if each byte is that of a or that of b: what any tear leaves, by a kill or by a power failure. */
bool journal_is_mixture(const uint8_t *found, const uint8_t *a, const uint8_t *b, size_t len);

/* Bytes of a journal of the version that is written, with so many records. */
uint64_t journal_len(uint64_t count);
/* XXH64 with seed 0. */
uint64_t journal_digest(const uint8_t *bytes, size_t len);

/* Length of the sector at file_off of a file of that size. */
size_t journal_sector_len(uint64_t file_off, uint64_t file_size);

/* ---- What journals of both kinds have in common ---- */

/* Writes JOURNAL_HEADER_LEN bytes. */
void journal_header_store(uint8_t *p, enum journal_kind kind, const struct journal_header *header);

/* Reads the header of the store's journal of len bytes, whatever file it is of.  Errors: BLOCKZ_NEEDS_RECOVERY, BLOCKZ_FAILED. */
enum blockz_status journal_read_header(const struct blockz_store *store, uint64_t len,
				       struct journal_header *header_ret, struct blockz_fault *fault);

/* Reads exactly len bytes of the store's journal.  Errors: BLOCKZ_NEEDS_RECOVERY, BLOCKZ_FAILED. */
enum blockz_status journal_read_part(const struct blockz_store *store, void *buf, size_t len, uint64_t off,
				     struct blockz_fault *fault);

/* BLOCKZ_NEEDS_RECOVERY: what is wrong with a journal, which can only be dropped. */
enum blockz_status journal_damaged(struct blockz_fault *fault, const char *what);

/* True if the journal was made beside this file, and not beside one that this is a copy of. */
bool journal_is_of(const struct journal_header *header, const struct blockz_store *store);

/* An interrupted edit has to be seen to before the next one.  Errors: BLOCKZ_NEEDS_RECOVERY, BLOCKZ_FAILED. */
enum blockz_status journal_refuse(const struct blockz_store *store, struct blockz_fault *fault);

/*
 * The journal has done its work: `state` holds from now on.  Where only its directory's sync fails, a power failure may
 * bring the journal back, and recovery then finds it complete or undone; the next edit starts with that sync.
 */
enum blockz_status journal_drop(const struct blockz_store *store, enum blockz_state state,
				struct blockz_fault *fault);

/* ---- Writing: the store's journal, created and of journal_len(header->count) bytes, in order ---- */

struct journal_writer;

/* The writer is the caller's to free.  Errors, of the next three too: BLOCKZ_FAILED. */
enum blockz_status journal_writer_new(const struct blockz_store *store, const struct journal_header *header,
				      struct journal_writer **writer_ret, struct blockz_fault *fault);
void journal_writer_free(struct journal_writer *writer);
/* Appends a record. */
enum blockz_status journal_put(struct journal_writer *writer, const struct journal_record *record,
			       struct blockz_fault *fault);
/* Appends the checksum, behind the last record. */
enum blockz_status journal_finish(struct journal_writer *writer, struct blockz_fault *fault);

/* ---- Reading: any bytes that somebody left as a journal ---- */

/* Called for each record, in order. */
typedef enum blockz_status (*journal_visit)(void *ctx, const struct journal_record *record,
					    struct blockz_fault *fault);

/*
 * Reads the store's journal of len bytes, of which the header was read, and shows each record to visit.  Whoever writes by
 * it reads it twice: only the end of the first time tells that it is whole.
 * Errors: BLOCKZ_NEEDS_RECOVERY for one that is damaged, of another version, or out of bounds; those of visit;
 * BLOCKZ_FAILED.
 */
enum blockz_status journal_read(const struct blockz_store *store, uint64_t len, const struct journal_header *header,
				journal_visit visit, void *ctx, struct blockz_fault *fault);

/* ---- The ends of a file, by which it is known again ---- */

struct journal_ends {
	uint64_t file_size;
	uint8_t first[JOURNAL_ENDS], last[JOURNAL_ENDS];
	size_t first_len, last_len;
};

/* Reads them.  Errors: BLOCKZ_FAILED. */
enum blockz_status journal_ends_read(struct journal_ends *ends, const struct blockz_store *store,
				     struct blockz_fault *fault);
/* Takes [start, end) of the file as zeros. */
void journal_ends_blank(struct journal_ends *ends, uint64_t start, uint64_t end);
/* The digest that a journal's header keeps of them. */
uint64_t journal_ends_digest(const struct journal_ends *ends);

#endif
