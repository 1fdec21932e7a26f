/* SPDX-License-Identifier: BSD-3-Clause */
/* Stages follow each other, so the one that takes most decides.  For each: what it takes on so many threads. */
#include "delta/make/memory_budget.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/fault.h"
#include "codec/prove.h"
#include "delta/differ/differ.h"
#include "delta/file/proved_blocks.h"
#include "delta/file/write.h"
#include "delta/make/coverage.h"
#include "delta/make/measure.h"
#include "delta/make/plain_text.h"
#include "delta/make/script.h"
#include "delta/make/sections.h"
#include "delta/make/unpack.h"
#include "delta/make/windows.h"
#include "parallel/pool.h"

enum {
	MIB = 1 << 20,
	PROCESS = 8 * MIB, /* libraries' data, stacks, buffers for files */
	OF_BLOCK = 256,    /* bytes in all lists there are of blocks */
	READERS_MAX = 16,
	READERS_SHARE = 8, /* of the memory, one part */
};

static uint64_t half_of_memory(void)
{
	return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 2;
}

/* ---- What stages take ---- */

static uint64_t looking(const struct memory_budget *budget, unsigned threads)
{
	return budget->kept + budget->coverage + threads * budget->reader;
}

static uint64_t proving(const struct memory_budget *budget, unsigned threads)
{
	return budget->kept + threads * budget->prover;
}

/* Without windows, and those who read them. */
static uint64_t matching(const struct memory_budget *budget, uint64_t new_len)
{
	return budget->kept + differ_matches_memory(new_len);
}

/* Measuring blocks, and then writing sections, which takes less of a thread. */
static uint64_t writing(const struct memory_budget *budget, size_t match_count, unsigned threads, unsigned sections)
{
	const struct client_load *load = &budget->load;
	return budget->kept + match_count * sizeof(struct match) +
	       threads * measure_memory(load->old_longest, load->new_longest) +
	       pool_jobs_max(threads) * script_memory(load->new_longest) +
	       sections_memory(load->new_len, threads, sections);
}

static uint64_t merging(const struct memory_budget *budget, unsigned threads)
{
	return PROCESS + budget->proved + client_memory(&budget->load, threads);
}

/* With one thread. */
static uint64_t least_memory(const struct memory_budget *budget)
{
	const struct client_load *load = &budget->load;
	const uint64_t stages[] = {
		looking(budget, 1), proving(budget, 1), writing(budget, 0, 1, 1), merging(budget, 1),
		matching(budget, 0) + budget->reader + windows_memory(load->old_longest, load->new_longest),
	};
	uint64_t most = 0;
	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++)
		most = stages[i] > most ? stages[i] : most;
	return (most + MIB - 1) / MIB * MIB;
}

/* ---- What they get ---- */

static unsigned readers(const struct memory_budget *budget)
{
	uint64_t count = budget->limit / READERS_SHARE / budget->reader;
	return count < 1 ? 1 : (unsigned)min(count, READERS_MAX);
}

uint64_t memory_budget_for_windows(const struct memory_budget *budget, uint64_t new_len)
{
	uint64_t beside = matching(budget, new_len) + readers(budget) * budget->reader;
	return budget->limit > beside ? budget->limit - beside : 0;
}

uint64_t memory_budget_limit_for(const struct memory_budget *budget, uint64_t new_len, uint64_t for_windows)
{
	uint64_t others = matching(budget, new_len) + for_windows;
	uint64_t reading = min(READERS_MAX * budget->reader, others / (READERS_SHARE - 1) + 1);
	return others + (reading > budget->reader ? reading : budget->reader);
}

static unsigned most_threads(const struct memory_budget *budget,
			     uint64_t (*stage)(const struct memory_budget *budget, unsigned threads))
{
	unsigned threads = budget->threads;
	while (threads > 1 && stage(budget, threads) > budget->limit)
		threads--;
	return threads;
}

/* Rather fewer sections than fewer threads. */
struct writing_share memory_budget_for_writing(const struct memory_budget *budget, size_t match_count)
{
	struct writing_share share = { .threads = budget->threads, .sections = DELTA_SECTIONS_AT_ONCE };
	while (writing(budget, match_count, share.threads, share.sections) > budget->limit) {
		if (share.sections > 1)
			share.sections--;
		else if (share.threads == 1)
			break;
		else
			share = (struct writing_share){ .threads = share.threads - 1, .sections = DELTA_SECTIONS_AT_ONCE };
	}
	uint64_t taken = writing(budget, match_count, share.threads, share.sections);
	share.cache = taken < budget->limit ? budget->limit - taken : 0;
	return share;
}

static enum blockz_status too_little(const struct memory_budget *budget, uint64_t least, struct blockz_fault *fault)
{
	fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN,
		  "memory of %" PRIu64 " bytes is too little for these images, expected at least %" PRIu64, budget->limit, least);
	return fault_about(fault, BLOCKZ_LIMIT, BLOCKZ_ABOUT_MEMORY);
}

static struct memory_budget sum_up(const struct image images[2], const struct selection *selection)
{
	const struct blocks *old = &images[0].blocks, *new = &images[1].blocks;
	const struct text_bounds old_bounds = plain_text_bounds(old, selection->old_wanted);
	const struct text_bounds new_bounds = plain_text_bounds(new, selection->open);
	uint64_t longest = old_bounds.longest > new_bounds.longest ? old_bounds.longest : new_bounds.longest;
	return (struct memory_budget){
		.kept = PROCESS + OF_BLOCK * (uint64_t)(old->count + new->count),
		.load = {
			.old_longest = old_bounds.longest, .new_longest = new_bounds.longest, .new_len = new_bounds.len,
			.encoder = blocks_encoder_memory(new, new_bounds.longest),
		},
		.coverage = coverage_memory(old_bounds.len),
		.reader = unpacker_memory(longest),
		.prover = prove_memory(new, new_bounds.longest),
		.proved = proved_blocks_memory(new->count),
	};
}

enum blockz_status memory_budget_make(struct memory_budget *budget, const struct image images[2],
				      const struct selection *selection, const struct blockz_delta_options *options,
				      struct blockz_fault *fault)
{
	*budget = sum_up(images, selection);
	budget->limit = options->memory != 0 ? options->memory : half_of_memory();
	budget->threads = pool_threads(options->work.threads);
	uint64_t least = least_memory(budget);
	if (budget->limit < least)
		return too_little(budget, least, fault);
	budget->look_threads = most_threads(budget, looking);
	budget->read_threads = (unsigned)min(budget->threads, readers(budget));
	budget->prove_threads = most_threads(budget, proving);
	budget->merge_threads = most_threads(budget, merging);
	return BLOCKZ_OK;
}
