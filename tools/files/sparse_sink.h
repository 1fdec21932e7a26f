/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A sink that makes holes of the zeros in an image, and takes no more than a limit.  It hands on to another sink, and knows
 * nothing of the file behind that.
 */
#ifndef FILES_SPARSE_SINK_H
#define FILES_SPARSE_SINK_H

#include "blockz.h"

struct sparse_sink {
	struct blockz_fd_sink file;
	struct blockz_sink inner; /* over file */
	uint64_t len; /* appended so far, */
	uint64_t max; /* and at most */
	bool is_full; /* there would be more: each call fails with EFBIG from then on */
};

/* Appends to fd at its current position; self is the sink's memory.  max: bytes at most; BLOCKZ_UNKNOWN: no limit. */
struct blockz_sink sparse_sink_start(struct sparse_sink *self, int fd, uint64_t max);

#endif
