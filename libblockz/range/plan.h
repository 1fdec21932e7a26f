/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A plan: what an edit makes of a file, as data.  Whoever carries it out knows no format, and need not ask what it means.
 *
 * It is a list of bytes that take the place of others.  Where each is as long as what it replaces, the plan is carried out
 * on the file itself; else it tells what a new file is made of: these, and all between them as it stands.
 */
#ifndef RANGE_PLAN_H
#define RANGE_PLAN_H

#include "blockz.h"
#include "range/map.h"

/* Where new bytes come from, if not from an edit. */
enum {
	PLAN_CHECK = UINT32_MAX,     /* the field of a check: bytes in fields */
	PLAN_PIECE = UINT32_MAX - 1, /* of a piece that was encoded again: bytes in the scratch */
	PLAN_INDEX = UINT32_MAX - 2, /* of what tells of pieces: bytes in the scratch */
	PLAN_EDITS_MAX = UINT32_MAX - 2,
};

/* Writes of new bytes are cut into such as a transaction takes. */
enum { PLAN_WRITE_MAX = 128 * 1024 };

/* One write of the field of a check, of payload that is contiguous in image and file, or of what else takes another's place. */
struct plan_write {
	uint64_t file_off;
	uint64_t image_off; /* of payload; of what is put in between, its place among such at the same file offset */
	uint64_t bytes_off; /* unless they come from an edit: where the new bytes start */
	uint64_t delta; /* payload: the linear check over it, of the old bytes XOR of the new; of a check: CRC-32 likewise */
	uint32_t length;
	uint32_t new_length; /* the same, unless the plan makes a file of another length */
	uint32_t edit;  /* index of the edit the bytes come from, or one of the above */
	uint32_t value; /* unless it is a check: CRC-32 of the new bytes, which are read again when they are written */
};

/* What changes of the image in a piece that is encoded again: delta as above. */
struct plan_change {
	uint64_t image_off, length, delta;
};

struct blockz_plan {
	uint64_t file_size;
	uint64_t image_size; /* that comes of it */
	struct blockz_edit *edits;
	struct plan_write *writes; /* ascending by file offset, once the plan is complete */
	size_t write_count;
	struct plan_change *changes; /* ascending; beside those of payload, which are in writes */
	size_t change_count;
	uint64_t unchecked; /* bytes of payload without any check */
	uint8_t *fields; /* new bytes of checks */
	size_t fields_len;
	const struct blockz_store *scratch; /* the caller's; NULL: no piece is encoded again */
	uint64_t scratch_len;
	uint64_t put_count; /* of what is put in between; of that, what was copied to the scratch last: */
	uint64_t put_off, put_len;
	bool is_splice; /* it makes a new file */
	struct blockz_plan_renewed renewed;
};

/* An empty plan over a copy of the array of edits, whose sources stay the caller's; for blockz_plan_free().  NULL: no memory. */
struct blockz_plan *plan_new(uint64_t file_size, const struct blockz_edit *edits, size_t count);
/* Adds a write, in any order.  Errors: BLOCKZ_FAILED (no memory). */
enum blockz_status plan_add(struct blockz_plan *plan, const struct plan_write *write, struct blockz_fault *fault);
/* Adds the write of a check's field of len bytes, at most CHECK_LEN_MAX.  Errors: BLOCKZ_FAILED (no memory). */
enum blockz_status plan_add_field(struct blockz_plan *plan, uint64_t file_off, const uint8_t *old, const uint8_t *new,
				  size_t len, struct blockz_fault *fault);
/*
 * Adds len bytes, copied to the scratch, that take the place of those in a range of the file; source: PLAN_PIECE or PLAN_INDEX.
 * As many as there are become writes of a transaction's length.  Errors: BLOCKZ_LIMIT (2^32 bytes), BLOCKZ_FAILED.
 */
enum blockz_status plan_add_new(struct blockz_plan *plan, struct blockz_range old, const uint8_t *bytes, size_t len,
				uint32_t source, struct blockz_fault *fault);
/*
 * Puts len bytes, at most 2^32 - 1, copied to the scratch, before the byte at a file offset, and behind what was put there
 * before.  Where those begin with the same bytes, as long runs of zeros do, they stand in the scratch once.
 * Errors: BLOCKZ_FAILED.
 */
enum blockz_status plan_put(struct blockz_plan *plan, uint64_t file_off, const uint8_t *bytes, size_t len,
			    struct blockz_fault *fault);
/* Leaves a range of the file out, behind what was put before it.  Errors: BLOCKZ_FAILED (no memory). */
enum blockz_status plan_leave_out(struct blockz_plan *plan, struct blockz_range old, struct blockz_fault *fault);
/* True if a write from one of the sources above replaces a byte in a range of the file. */
bool plan_replaces(const struct blockz_plan *plan, struct blockz_range range, uint32_t source);
/* Adds a change within pieces that are encoded again, behind those before.  Errors: BLOCKZ_FAILED (no memory). */
enum blockz_status plan_add_change(struct blockz_plan *plan, const struct plan_change *change, struct blockz_fault *fault);
/*
 * Forgets the writes from a source, one of those above, within ranges of the file, which something else takes the place of; the
 * ranges are united.
 */
void plan_drop(struct blockz_plan *plan, const struct blockz_range *ranges, size_t count, uint32_t source);
/* Sorts the writes by file offset: the plan is complete. */
void plan_sort(struct blockz_plan *plan);
/* Sorts those from the first-th on. */
void plan_sort_from(struct blockz_plan *plan, size_t first);

/* The length of the file that comes of it. */
uint64_t plan_file_size(const struct blockz_plan *plan);

/* The first of count writes, sorted by image offset or, of_file, by file offset, at or behind off. */
size_t plan_first(const struct blockz_plan *plan, size_t count, bool of_file, uint64_t off);

/* What the first count writes, sorted as the check goes, and the changes do to a linear check: its old value XOR its new one. */
uint64_t plan_delta(const struct blockz_plan *plan, size_t count, const struct check *check);

#endif
