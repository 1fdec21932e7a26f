/* SPDX-License-Identifier: BSD-3-Clause */
/* A sink that compares what is appended with what should be. */
#ifndef FILES_COMPARISON_H
#define FILES_COMPARISON_H

#include "blockz.h"

struct comparison {
	const struct blockz_source *wanted; /* of known size; the caller's to keep as long */
	uint64_t off;                       /* bytes appended so far */
	bool differs;                       /* somewhere in front of off; from then on each write fails with EILSEQ */
};

/* Readies *self, which must live as long as the sink. */
struct blockz_sink comparison_start(struct comparison *self, const struct blockz_source *wanted);

/* Once all is appended: whether it is the same, and not shorter. */
bool comparison_is_equal(const struct comparison *self);

#endif
