/* SPDX-License-Identifier: BSD-3-Clause */
/* A plan: what an edit writes, as data.  Whoever carries it out knows no format, and need not ask what it means. */
#ifndef RANGE_PLAN_H
#define RANGE_PLAN_H

#include "blockz.h"
#include "range/map.h"

enum { PLAN_CHECK = UINT32_MAX };

/* One write of the field of a check, or of payload that is contiguous in image and file. */
struct plan_write {
	uint64_t file_off;
	uint64_t image_off; /* of a check: where its bytes start in fields */
	uint64_t delta; /* payload: the linear check over it, of the old bytes XOR of the new; of a check: CRC-32 likewise */
	uint32_t length;
	uint32_t edit;  /* index of the edit the bytes come from; PLAN_CHECK: they are in fields */
	uint32_t value; /* payload: CRC-32 of the new bytes, which are read again when they are written */
};

struct blockz_plan {
	uint64_t file_size;
	struct blockz_edit *edits;
	struct plan_write *writes; /* ascending by file offset, once the plan is complete */
	size_t write_count;
	uint64_t unchecked; /* bytes of payload without any check */
	uint8_t *fields; /* new bytes of checks */
	size_t fields_len;
};

/* An empty plan over a copy of the array of edits, whose sources stay the caller's; for blockz_plan_free().  NULL: no memory. */
struct blockz_plan *plan_new(uint64_t file_size, const struct blockz_edit *edits, size_t count);
/* Adds a write, in any order.  Errors: BLOCKZ_FAILED (no memory). */
enum blockz_status plan_add(struct blockz_plan *plan, const struct plan_write *write, struct blockz_fault *fault);
/* Adds the write of a check's field of len bytes, at most CHECK_LEN_MAX.  Errors: BLOCKZ_FAILED (no memory). */
enum blockz_status plan_add_field(struct blockz_plan *plan, uint64_t file_off, const uint8_t *old, const uint8_t *new,
				  size_t len, struct blockz_fault *fault);
/* Sorts the writes by file offset: the plan is complete. */
void plan_sort(struct blockz_plan *plan);

/* The first of count writes, sorted by image offset or, of_file, by file offset, at or behind off. */
size_t plan_first(const struct blockz_plan *plan, size_t count, bool of_file, uint64_t off);

/* What the first count writes, sorted as the check goes, do to a linear check: its old value XOR its new one. */
uint64_t plan_delta(const struct blockz_plan *plan, size_t count, const struct check *check);

#endif
