/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a limit on memory is kept by the steps of making a delta: by fewer threads, fewer sections and a smaller cache, which
 * change nothing of the delta, and by windows of OLD.  What a step takes is counted as if its blocks were all as long as the
 * longest, and its streams as long as they may be.
 */
#ifndef DELTA_MAKE_MEMORY_BUDGET_H
#define DELTA_MAKE_MEMORY_BUDGET_H

#include "blockz_delta.h"
#include "delta/make/select.h"

struct budget {
	uint64_t limit;
	uint64_t kept; /* from begin to end: lists of blocks, and what a process takes anyhow */
	unsigned threads; /* that were asked for */
	/* Of blocks of OLD that are not in NEW, and the other way round, and of what is between blocks: the longest, decoded. */
	uint64_t old_longest, new_longest;
	uint64_t encoder; /* of a block of NEW, the block included */
	uint64_t new_plain; /* what NEW has beside OLD's blocks, decoded */
	uint64_t coverage;
	unsigned look_threads, read_threads, prove_threads;
	unsigned merge_threads; /* of blockz_merge(), so that it keeps to the limit as well */
};

/*
 * images: OLD, NEW; of the selection counts which blocks are open and wanted.
 * Errors: BLOCKZ_LIMIT, about memory, with a text that tells the least that works.
 */
enum blockz_status budget_make(struct budget *budget, const struct image images[2], const struct selection *selection,
			       const struct blockz_delta_options *options, struct blockz_fault *fault);

/*
 * What is left for windows while new_len bytes of NEW are matched and threads read texts: as many as find room in a part of the
 * memory, whether there are so many or not, since windows make a difference to the delta.
 */
uint64_t budget_for_windows(const struct budget *budget, uint64_t new_len);
/* The limit that would leave so much. */
uint64_t budget_limit_for(const struct budget *budget, uint64_t new_len, uint64_t for_windows);

struct budget_writing {
	unsigned threads, sections; /* that are coded at once */
	uint64_t cache;             /* of decoded blocks of OLD */
};

struct budget_writing budget_writing(const struct budget *budget, size_t match_count);

#endif
