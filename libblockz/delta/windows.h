/* SPDX-License-Identifier: BSD-3-Clause */
/* Matching one text with another in as much memory as there is: OLD in windows, NEW in chunks. */
#ifndef DELTA_WINDOWS_H
#define DELTA_WINDOWS_H

#include "delta/differ/differ.h"
#include "delta/stages.h"
#include "delta/text.h"

/*
 * Finds matches of `new` in `old`; offsets are those of the texts.  memory: bytes for both and the differ's index.
 * *windows_ret: in how many windows OLD was looked at.
 * Errors: BLOCKZ_LIMIT (memory is too little for one block of each), BLOCKZ_FAILED, BLOCKZ_DAMAGED.
 */
enum blockz_status windows_match(const struct text *old, const struct text *new, const struct codec_env *env,
				 uint64_t memory, struct stages *stages, struct matches *matches_ret,
				 unsigned *windows_ret, struct blockz_fault *fault);

#endif
