/* SPDX-License-Identifier: BSD-3-Clause */
/* The new bytes of a plan's writes, wherever they come from. */
#ifndef EDIT_PATCH_H
#define EDIT_PATCH_H

#include "range/plan.h"

/* Reads len of the new bytes of a write, from the at-th on.  Errors: BLOCKZ_FAILED. */
enum blockz_status patch_read_new(const struct blockz_plan *plan, const struct plan_write *write, uint64_t at, void *buf,
				  size_t len, struct blockz_fault *fault);

/* New bytes that are read once more have to be what the checks were computed for; crc is theirs.  Errors: BLOCKZ_FAILED. */
enum blockz_status patch_check_new(const struct plan_write *write, uint32_t crc, struct blockz_fault *fault);

#endif
