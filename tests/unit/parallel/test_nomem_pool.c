/* SPDX-License-Identifier: BSD-3-Clause */
/* The pool where each of its allocations fails in turn: nothing is taken then, and nothing is left. */
#include <stdatomic.h>
#include <stdlib.h>

#include "memory.h"
#include "parallel/pool.h"
#include "short_memory.h"

enum { JOBS = 40 };

static unsigned threads;
static int taken, given, alive; /* alive: jobs that hold something */
static atomic_int wrong;

struct job {
	void *held;
};

static enum blockz_status take(const struct pool_call *call, bool *done_ret)
{
	struct job *job = call->job;
	*done_ret = taken == JOBS;
	if (*done_ret)
		return BLOCKZ_OK;
	taken++;
	if (job->held == NULL) {
		job->held = &alive;
		alive++;
	}
	return BLOCKZ_OK;
}

static enum blockz_status work(const struct pool_call *call)
{
	const struct job *job = call->job;
	wrong += job->held == NULL;
	return BLOCKZ_OK;
}

static enum blockz_status give(const struct pool_call *call)
{
	const struct job *job = call->job;
	wrong += job->held == NULL;
	given++;
	return BLOCKZ_OK;
}

static void release(void *memory)
{
	const struct job *job = memory;
	alive -= job->held != NULL;
}

static void prepare(void)
{
	taken = given = alive = 0;
}

static enum blockz_status run_jobs(struct blockz_fault *fault)
{
	const struct pool_jobs jobs = {
		.job_size = sizeof(struct job), .job_release = release, .take = take, .work = work, .give = give,
	};
	return pool_run(&jobs, threads, fault);
}

static bool all_are_given(void)
{
	return taken == JOBS && given == JOBS && alive == 0 && wrong == 0;
}

static bool nothing_is_taken(void)
{
	return taken == 0 && given == 0 && alive == 0;
}

START_TEST(memory_for_jobs_is_short)
{
	static const unsigned thread_counts[] = { 1, 2, 3, 8 };
	const struct operation operation = {
		.name = "run jobs", .prepare = prepare, .run = run_jobs, .is_right = all_are_given, .is_clean = nothing_is_taken,
	};
	threads = thread_counts[_i];
	fail_allocations(&operation, "a pool", false);
	fail_allocations(&operation, "a pool", true);
}
END_TEST

int main(void)
{
	TCase *c = case_new("nomem_pool");
	tcase_add_loop_test(c, memory_for_jobs_is_short, 0, 4);
	return case_run("nomem_pool", c);
}
