/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a limit on memory is kept by the stages of making a delta: by fewer threads, fewer sections and a smaller cache, which
 * change nothing of the delta, and by windows of OLD.  Each module tells what it takes; here it is only summed up, as if blocks
 * were all as long as the longest and streams as long as they may be, and decided.  Allocates nothing itself.
 */
#ifndef DELTA_MAKE_MEMORY_BUDGET_H
#define DELTA_MAKE_MEMORY_BUDGET_H

#include "blockz_delta.h"
#include "delta/file/client.h"
#include "delta/make/selection.h"

struct memory_budget {
	uint64_t limit;
	uint64_t kept; /* from begin to end: lists of blocks, and what a process takes anyhow */
	unsigned threads; /* that were asked for */
	/* Of blocks of OLD that are not in NEW, and the other way round, and of what is between blocks. */
	struct client_load load;
	uint64_t coverage;
	uint64_t reader, prover; /* a thread that reads texts, or proves blocks */
	uint64_t proved; /* what is kept of proofs until the delta was applied */
	unsigned look_threads, read_threads, prove_threads;
	unsigned merge_threads; /* of blockz_merge(), so that it keeps to the limit as well */
};

/*
 * images: OLD, NEW; of the selection counts which blocks are open and wanted.
 * Errors: BLOCKZ_LIMIT, about memory, with a text that tells the least that works.
 */
enum blockz_status memory_budget_make(struct memory_budget *budget, const struct image images[2],
				      const struct selection *selection, const struct blockz_delta_options *options,
				      struct blockz_fault *fault);

/*
 * What is left for windows while new_len bytes of NEW are matched and threads read texts: as many as find room in a part of the
 * memory, whether there are so many or not, since windows make a difference to the delta.
 */
uint64_t memory_budget_for_windows(const struct memory_budget *budget, uint64_t new_len);
/* The limit that would leave so much. */
uint64_t memory_budget_limit_for(const struct memory_budget *budget, uint64_t new_len, uint64_t for_windows);

/* What measuring and writing get. */
struct writing_share {
	unsigned threads, sections; /* that are coded at once */
	uint64_t cache;             /* of decoded blocks of OLD */
};

struct writing_share memory_budget_for_writing(const struct memory_budget *budget, size_t match_count);

#endif
