/* SPDX-License-Identifier: BSD-3-Clause */
/* Edits that may overlap, as parts that do not. */
#ifndef RANGE_EDIT_PARTS_H
#define RANGE_EDIT_PARTS_H

#include "blockz.h"

struct edit_part {
	uint64_t start, end; /* image offsets */
	uint32_t edit;       /* the last edit that covers it */
};

/* Ascending parts that cover what the edits cover; *parts_ret is the caller's to free.  Errors: BLOCKZ_FAILED. */
enum blockz_status edit_parts_make(const struct blockz_edit *edits, size_t count, struct edit_part **parts_ret,
				size_t *count_ret, struct blockz_fault *fault);

#endif
