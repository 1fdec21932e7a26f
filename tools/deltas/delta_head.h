/* SPDX-License-Identifier: BSD-3-Clause */
/* The first bytes of a delta, which tell whose it is and what for. */
#ifndef DELTAS_DELTA_HEAD_H
#define DELTAS_DELTA_HEAD_H

#include "blockz_delta.h"

enum { DELTA_HEAD_LEN = 4096 }; /* what a delta says of itself stands in so many bytes */

struct delta_head {
	uint8_t bytes[DELTA_HEAD_LEN];
	size_t len;
	bool is_squashdelta;
	/* Private. */
	struct blockz_source rest;
};

/*
 * Reads them.  A stream is as new afterwards: *delta becomes a source over self, which is the caller's to keep as long, that gives
 * the same bytes.  Errors: BLOCKZ_FAILED.
 */
enum blockz_status delta_head_read(struct delta_head *self, struct blockz_source *delta, struct blockz_fault *fault);

#endif
