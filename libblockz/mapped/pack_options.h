/* SPDX-License-Identifier: BSD-3-Clause */
/* What blockz_pack() is asked for: checked, and with what it leaves open filled in. */
#ifndef MAPPED_PACK_OPTIONS_H
#define MAPPED_PACK_OPTIONS_H

#include "mapped/pack.h"

/*
 * A copy of raw ranges, united, that the caller frees.  Errors: BLOCKZ_USAGE (one does not lie in the image, of size
 * BLOCKZ_UNKNOWN for a stream), BLOCKZ_FAILED.
 */
enum blockz_status pack_raw(const struct blockz_range *raw, size_t count, uint64_t image_size,
			    struct blockz_range **united_ret, size_t *count_ret, struct blockz_fault *fault);

/* Fills a task's format, params but for raw_count, and threads; its sink is known.  Errors: BLOCKZ_USAGE, BLOCKZ_LIMIT. */
enum blockz_status pack_options_check(const struct blockz_pack_options *options, uint64_t image_size,
				      struct pack_task *task, struct blockz_fault *fault);

#endif
