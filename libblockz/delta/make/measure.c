/* SPDX-License-Identifier: BSD-3-Clause */
/* A script is made of each open block, as it would be written, only to be priced. */
#include "delta/make/measure.h"

#include <stdlib.h>

#include "base/fault.h"
#include "delta/make/price.h"
#include "delta/make/script.h"
#include "parallel/pool.h"

enum { PAYS_BELOW = 90 }; /* of 100 of a block's encoded bytes */

struct measuring {
	const struct findings *findings;
	const struct blockz_work *work;
	struct walk walk;
	uint64_t done;
	struct selection *selection;
	uint64_t *prices;
};

struct job {
	struct item item;
	struct script script;
	uint64_t price;
};

struct thread {
	struct scripter *scripter;
	struct pricer *pricer;
};

static void job_release(void *memory)
{
	struct job *job = memory;
	script_free(&job->script);
}

static void thread_free(void *memory)
{
	struct thread *thread = memory;
	scripter_free(thread->scripter);
	pricer_free(thread->pricer);
	free(thread);
}

static void *thread_new(void *ctx)
{
	const struct measuring *measuring = ctx;
	struct thread *thread = calloc(1, sizeof(*thread));
	if (thread == NULL)
		return NULL;
	thread->scripter = scripter_new(measuring->findings);
	thread->pricer = pricer_new();
	if (thread->scripter == NULL || thread->pricer == NULL) {
		thread_free(thread);
		return NULL;
	}
	return thread;
}

uint64_t measure_memory(uint64_t old_longest, uint64_t new_longest)
{
	return scripter_memory(old_longest, new_longest) + pricer_memory(new_longest);
}

static enum blockz_status take_item(const struct pool_call *call, bool *done_ret)
{
	struct measuring *measuring = call->ctx;
	struct job *job = call->job;
	*done_ret = !walk_next(measuring->findings, &measuring->walk, &job->item);
	return BLOCKZ_OK;
}

static enum blockz_status price_item(const struct pool_call *call)
{
	struct thread *thread = call->thread;
	struct job *job = call->job;
	if (!item_is_open_block(&job->item))
		return BLOCKZ_OK;
	enum blockz_status status = script_make(thread->scripter, &job->item, &job->script, call->fault);
	if (status != BLOCKZ_OK)
		return status;
	return price_script(thread->pricer, &job->script, &job->price, call->fault);
}

static void judge_block(struct measuring *measuring, const struct job *job)
{
	const struct block *block = &measuring->findings->new->blocks.items[job->item.block];
	measuring->prices[job->item.block] = job->price;
	bool pays = job->price * 100 < (uint64_t)block->file_len * PAYS_BELOW || block->codec == CODEC_STORED;
	if (!pays || job->script.cost > DELTA_SECTION_COST_MAX)
		selection_demote(measuring->selection, job->item.block);
}

static enum blockz_status judge_item(const struct pool_call *call)
{
	struct measuring *measuring = call->ctx;
	const struct job *job = call->job;
	if (item_is_open_block(&job->item))
		judge_block(measuring, job);
	measuring->done += job->item.file_len;
	return pool_progress(measuring->work, measuring->done, 0, call->fault);
}

enum blockz_status measure_blocks(const struct findings *findings, struct selection *selection, uint64_t *prices,
				  const struct blockz_work *work, struct blockz_fault *fault)
{
	struct measuring measuring = { .findings = findings, .work = work, .selection = selection, .prices = prices };
	const struct pool_jobs jobs = {
		.ctx = &measuring, .job_size = sizeof(struct job), .job_release = job_release,
		.thread_new = thread_new, .thread_free = thread_free,
		.take = take_item, .work = price_item, .give = judge_item,
	};
	return pool_run(&jobs, work->threads, fault);
}
