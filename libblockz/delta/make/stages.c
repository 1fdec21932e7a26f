/* SPDX-License-Identifier: BSD-3-Clause */
/* Each stage counts what it likes; a fixed share of the whole makes bytes of NEW of it. */
#include "delta/make/stages.h"

/* Parts of a hundred of the time that a delta between two file systems takes. */
static const unsigned char shares[STAGE_COUNT] = {
	[STAGE_LOOK_OLD] = 3, [STAGE_LOOK_NEW] = 3, [STAGE_PROVE] = 34, [STAGE_RUNS] = 5, [STAGE_MATCH] = 35,
	[STAGE_MEASURE] = 5,  [STAGE_WRITE] = 15,
};

static bool progress(void *ctx, uint64_t done, uint64_t file_done)
{
	(void)file_done;
	const struct stages *stages = ctx;
	double within = stages->total == 0 || done > stages->total ? 1 : (double)done / (double)stages->total;
	double all = (stages->begin + stages->share * within) / 100;
	return stages->outer->progress(stages->outer->progress_ctx, (uint64_t)(all * (double)stages->size), 0);
}

struct blockz_work stages_next(struct stages *stages, enum stage stage, uint64_t total)
{
	stages->begin = 0;
	for (unsigned i = 0; i < stage; i++)
		stages->begin += shares[i];
	stages->share = shares[stage];
	stages->total = total;
	return (struct blockz_work){
		.threads = stages->threads[stage] != 0 ? stages->threads[stage] : stages->outer->threads,
		.progress = stages->outer->progress == NULL ? NULL : progress,
		.progress_ctx = stages,
	};
}
