/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The intent journal: how a file that is written to for longer stays one that can be made valid.
 *
 * Bytes of raw payload are overwritten whenever somebody writes; a commit makes the checks over them right, later.  In
 * between, the journal holds what recovery needs to do that in its place:
 *
 *   - every check over bytes that can be written, with its field as the last commit left it
 *   - for each unit of payload that was written to since, where it is, and the check of its old bytes.  Its record is
 *     durable before the first write into it.
 *
 * A linear check moves by shift(old ^ now) of each of its units, where `now` is the check of what the unit holds when
 * somebody looks.  Nothing depends on how much of what was written has reached the disk: after a power failure a unit
 * holds some mixture of old and new sectors, and the check is moved to exactly that.  A check that is not linear is
 * made anew over its unit, which is all that it covers.  A commit is the same computation, and recovery after a crash
 * in the middle of one starts again from the fields in the journal, whatever stands in the file.
 *
 * Worked example, CRC-32 over 3 MiB of payload in units of 1 MiB: the field is F.  A write goes to the middle unit: its
 * record says old = crc(1 MiB as it was).  The power fails when half of the write is on the disk.  Recovery reads the
 * unit, now = crc(what is there), and writes F ^ shift(old ^ now, 1 MiB) to the field.  The other units are not read:
 * had one been damaged, F would have shown it before, and shows it still.
 *
 * Little-endian.  The head is durable when the journal is published, records are appended later:
 *
 *    0  header as in journal/journal.h: kind 2; count of checks; ends: the blanks and the fields are taken as zeros
 *   64  count of blanks u64, 72 how many records there can be u64
 *   80  blanks: start and end u64 of payload at the file's ends, ascending
 *       checks: start u64, end u64, offset of the field u64, method u32 (enum check_method), of_file u32, the field's
 *       bytes, 32
 *       XXH64 u64 of all that, zeros up to a multiple of 512
 *       records: start u64, end u64 (image), file offset u64, stride u32, header length u16, method u16, old check u64,
 *       index of the first record that was appended with it u64, zero u64, XXH64 u64 (seed: that of the head)
 *
 * A record that is missing or torn was not durable, so its unit was not written; the only such ones are among the last
 * that were appended together, and any other shows that the journal is damaged.
 */
#ifndef JOURNAL_INTENT_H
#define JOURNAL_INTENT_H

#include "range/map.h"

enum {
	INTENT_CHECK_LEN = 64,
	INTENT_RECORD_LEN = 64,
	INTENT_UNIT_MAX = 32 << 20, /* image bytes in a unit */
	INTENT_RECORDS_MAX = 1 << 22,
};

struct intent_check {
	struct check check;
	uint8_t field[CHECK_LEN_MAX]; /* as the last commit left it */
	uint8_t now[CHECK_LEN_MAX];   /* what intent_compute() makes of it */
	bool covers;                  /* units that were written to, or their checks */
};

/* Payload that may have changed since the last commit. */
struct intent_unit {
	struct span span;
	enum check_method method; /* of the checks over it, not CHECK_NONE; if it is not linear, they cover it exactly */
	uint64_t old;             /* a linear check of its old bytes */
};

struct intent {
	struct intent_check *checks; /* those over file bytes last */
	uint64_t check_count;
	struct blockz_range *blanks; /* of the file */
	uint64_t blank_count;
	uint64_t room;  /* records */
	uint64_t ends;
	/* Of the journal that is there. */
	uint64_t records_off, records, sum;
};

/* Frees what an intent holds; not the struct. */
void intent_free(struct intent *intent);

/* Reads the fields of the checks from the file, and the ends.  Errors: BLOCKZ_FAILED. */
enum blockz_status intent_load(struct intent *intent, const struct blockz_store *store, struct blockz_fault *fault);

/*
 * Makes and publishes a journal whose first records are those of `count` units.  *harmless_ret: where it fails, nothing
 * is left of it, and another try is allowed.  Errors: BLOCKZ_FAILED.
 */
enum blockz_status intent_create(struct intent *intent, const struct blockz_store *store,
				 const struct intent_unit *units, size_t count, bool *harmless_ret,
				 struct blockz_fault *fault);

/* Appends records and makes them durable.  Errors: BLOCKZ_FAILED. */
enum blockz_status intent_append(struct intent *intent, const struct blockz_store *store,
				 const struct intent_unit *units, size_t count, struct blockz_fault *fault);

/*
 * Computes what the fields have to be, from what the units, ascending by image offset, hold now.  renew: their bytes
 * are written once more.  Errors: BLOCKZ_FAILED.
 */
enum blockz_status intent_compute(struct intent *intent, const struct blockz_store *store,
				  const struct intent_unit *units, size_t count, bool renew, struct blockz_fault *fault);

/*
 * Writes the fields that intent_compute() found; all: also those whose value is that of the last commit.
 * Errors: BLOCKZ_FAILED.
 */
enum blockz_status intent_write(const struct intent *intent, const struct blockz_store *store, bool all,
				struct blockz_fault *fault);

/* What was written is durable, and the journal gone. */
void intent_committed(struct intent *intent);

struct journal_header;

/*
 * Recovery by the store's journal of len bytes, of which the header was read: *recovery_ret is
 * BLOCKZ_RECOVERY_FINISHED.  What is not ours is recognised by the file's size and ends, and by its fields: each must
 * be as the last commit left it or as this recovery would write it.  Inode and birth time would not tell another file
 * that was copied over this one.  Who may write the journal is not asked again: the store believes none but the
 * owner's, root's and the caller's.
 */
enum blockz_status intent_recover(const struct blockz_store *store, uint64_t len, const struct journal_header *header,
				  enum blockz_recovery *recovery_ret, struct blockz_fault *fault);

/* Tells whether the store's journal of len bytes is another file's, by the same signs, and writes nothing.  Errors: as above. */
enum blockz_status intent_look(const struct blockz_store *store, uint64_t len, const struct journal_header *header,
			       bool *foreign_ret, struct blockz_fault *fault);

#endif
