/* SPDX-License-Identifier: BSD-3-Clause */
#include "delta/make/memory_budget.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/fault.h"
#include "blockz_delta.h"
#include "delta/differ/differ.h"
#include "delta/make/coverage.h"
#include "delta/make/plain_text.h"
#include "delta/make/windows.h"
#include "delta/file/stream_write.h"
#include "parallel/pool.h"

enum {
	MIB = 1 << 20,
	PROCESS = 8 * MIB,     /* libraries' data, stacks, buffers for files */
	OF_BLOCK = 256,        /* bytes in all lists there are of blocks */
	CONTEXTS = 2 * MIB,    /* of a thread: decoders, without what grows with blocks; an encoder for prices */
	SECTION = DELTA_SECTION_DIFF_MAX + DELTA_SECTION_COST_MAX,
	SECTION_LISTS = 4 * MIB, /* ops, and columns of numbers */
	/* Of a byte of text that is matched, an eighth of a byte goes to lists of matches: there is one for some 400 bytes. */
	OF_MATCHES = 8,
	READERS_MAX = 16,
	READERS_SHARE = 8, /* of the memory, one part */
	MERGING = 48 * MIB, /* a section, its decoders, parts and blocks of OLD: see delta/apply/merge.c */
};

static uint64_t half_of_memory(void)
{
	return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 2;
}

/* The longest of the wanted blocks and of the parts between blocks; *plain_ret: all of them. */
static uint64_t longest(const struct blocks *blocks, const bool *wanted, uint64_t *plain_ret)
{
	uint64_t len = 1, plain = 0, between = blocks->size;
	for (size_t i = 0; i < blocks->count; i++) {
		const struct block *block = &blocks->items[i];
		between -= block->file_len;
		if (!wanted[i])
			continue;
		len = block->plain_len > len ? block->plain_len : len;
		plain += block->plain_len;
	}
	*plain_ret = plain + between;
	uint64_t part = min(between, TEXT_PART_MAX);
	return part > len ? part : len;
}

static uint64_t encoder_memory(const struct blocks *blocks, uint64_t len)
{
	uint64_t most = 3 * len;
	for (size_t i = 0; i < blocks->candidate_count; i++) {
		uint64_t memory = codec_encoder_memory(&blocks->candidates[i], (uint32_t)min(len, CODEC_BLOCK_MAX));
		most = memory > most ? memory : most;
	}
	return most;
}

/* ---- What a thread takes: blocks as they stand in the file and decoded, and decoders, which hold a block once more ---- */

static uint64_t longer(const struct budget *budget)
{
	return budget->old_longest > budget->new_longest ? budget->old_longest : budget->new_longest;
}

static uint64_t look_each(const struct budget *budget)
{
	return 3 * longer(budget) + CONTEXTS;
}

static uint64_t prove_each(const struct budget *budget)
{
	return budget->encoder + 2 * budget->new_longest + CONTEXTS;
}

/* Also what is compared, what it costs, and the block of OLD that is in use; beside it jobs with differences and new content. */
static uint64_t write_each(const struct budget *budget)
{
	return 5 * budget->new_longest + 3 * budget->old_longest + CONTEXTS;
}

static uint64_t job_memory(const struct budget *budget)
{
	return 2 * budget->new_longest;
}

/* ---- What steps take ---- */

static uint64_t looking(const struct budget *budget, unsigned threads)
{
	return budget->kept + budget->coverage + threads * look_each(budget);
}

static uint64_t proving(const struct budget *budget, unsigned threads)
{
	return budget->kept + threads * prove_each(budget);
}

static uint64_t matching(const struct budget *budget, uint64_t new_len)
{
	return budget->kept + new_len / OF_MATCHES;
}

static unsigned readers(const struct budget *budget)
{
	uint64_t count = budget->limit / READERS_SHARE / look_each(budget);
	return count < 1 ? 1 : (unsigned)min(count, READERS_MAX);
}

uint64_t budget_for_windows(const struct budget *budget, uint64_t new_len)
{
	uint64_t beside = matching(budget, new_len) + readers(budget) * look_each(budget);
	return budget->limit > beside ? budget->limit - beside : 0;
}

uint64_t budget_limit_for(const struct budget *budget, uint64_t new_len, uint64_t for_windows)
{
	uint64_t each = look_each(budget), others = matching(budget, new_len) + for_windows;
	uint64_t reading = min(READERS_MAX * each, others / (READERS_SHARE - 1) + 1);
	return others + (reading > each ? reading : each);
}

/* A section has two long streams; no stream is longer than NEW, and no section much. */
static uint64_t writing(const struct budget *budget, size_t match_count, unsigned threads, unsigned sections)
{
	uint64_t section = min(SECTION, budget->new_plain + budget->new_plain / 4) + min(SECTION_LISTS, budget->new_plain);
	uint64_t coder = streams_coder_memory(min(DELTA_SECTION_DIFF_MAX, budget->new_plain));
	return budget->kept + match_count * sizeof(struct match) + threads * write_each(budget) +
	       pool_jobs_max(threads) * job_memory(budget) + sections * section + min(threads, 2 * sections) * coder;
}

static uint64_t merging(const struct budget *budget, unsigned threads)
{
	uint64_t shared = min(MERGING, 2 * budget->new_plain + 4 * longer(budget));
	return PROCESS + shared + 2 * budget->old_longest + threads * (budget->encoder + CONTEXTS);
}

/* With one thread. */
static uint64_t least_memory(const struct budget *budget)
{
	const uint64_t steps[] = {
		looking(budget, 1), proving(budget, 1), writing(budget, 0, 1, 1), merging(budget, 1),
		matching(budget, 0) + look_each(budget) + windows_memory(budget->old_longest, budget->new_longest),
	};
	uint64_t most = 0;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		most = steps[i] > most ? steps[i] : most;
	return (most + MIB - 1) / MIB * MIB;
}

static unsigned most_threads(const struct budget *budget, uint64_t (*step)(const struct budget *budget, unsigned threads))
{
	unsigned threads = budget->threads;
	while (threads > 1 && step(budget, threads) > budget->limit)
		threads--;
	return threads;
}

struct budget_writing budget_writing(const struct budget *budget, size_t match_count)
{
	struct budget_writing share = { .threads = budget->threads, .sections = DELTA_SECTIONS_AT_ONCE };
	while (writing(budget, match_count, share.threads, share.sections) > budget->limit) {
		if (share.sections > 1)
			share.sections--;
		else if (share.threads == 1)
			break;
		else
			share = (struct budget_writing){ .threads = share.threads - 1, .sections = DELTA_SECTIONS_AT_ONCE };
	}
	uint64_t taken = writing(budget, match_count, share.threads, share.sections);
	share.cache = taken < budget->limit ? budget->limit - taken : 0;
	return share;
}

static enum blockz_status too_little(const struct budget *budget, uint64_t least, struct blockz_fault *fault)
{
	fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN,
		  "memory of %" PRIu64 " bytes is too little for these images, expected at least %" PRIu64, budget->limit, least);
	return fault_about(fault, BLOCKZ_LIMIT, BLOCKZ_ABOUT_MEMORY);
}

enum blockz_status budget_make(struct budget *budget, const struct image images[2], const struct selection *selection,
			       const struct blockz_delta_options *options, struct blockz_fault *fault)
{
	const struct blocks *old = &images[0].blocks, *new = &images[1].blocks;
	uint64_t old_plain;
	*budget = (struct budget){
		.limit = options->memory != 0 ? options->memory : half_of_memory(),
		.threads = pool_threads(options->work.threads),
		.kept = PROCESS + OF_BLOCK * (uint64_t)(old->count + new->count),
	};
	budget->old_longest = longest(old, selection->old_wanted, &old_plain);
	budget->new_longest = longest(new, selection->open, &budget->new_plain);
	budget->encoder = encoder_memory(new, budget->new_longest);
	budget->coverage = coverage_memory(old_plain);
	uint64_t least = least_memory(budget);
	if (budget->limit < least)
		return too_little(budget, least, fault);
	budget->look_threads = most_threads(budget, looking);
	budget->read_threads = (unsigned)min(budget->threads, readers(budget));
	budget->prove_threads = most_threads(budget, proving);
	budget->merge_threads = most_threads(budget, merging);
	return BLOCKZ_OK;
}
