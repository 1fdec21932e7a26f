/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stages of making a delta that take time, the threads that each gets, and how far through all of them one is: as bytes of
 * NEW, for a caller's progress function.  Knows nothing of what stages do.
 */
#ifndef DELTA_MAKE_STAGES_H
#define DELTA_MAKE_STAGES_H

#include "blockz.h"

enum stage {
	STAGE_LOOK_OLD,
	STAGE_LOOK_NEW,
	STAGE_PROVE,
	STAGE_RUNS,
	STAGE_MATCH,
	STAGE_MEASURE,
	STAGE_WRITE,
	STAGE_COUNT,
};

struct stages {
	const struct blockz_work *outer;
	uint64_t size; /* of NEW */
	unsigned threads[STAGE_COUNT]; /* of each; 0: as many as the caller's */
	/* Of the stage under way: where it begins, of 100; its share of 100; what its work counts up to. */
	unsigned begin, share;
	uint64_t total;
};

/* The work to hand to a stage, which counts up to total.  Valid until the next call, as long as stages. */
struct blockz_work stages_next(struct stages *stages, enum stage stage, uint64_t total);

#endif
