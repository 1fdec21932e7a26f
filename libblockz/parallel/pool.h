/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ordered parallel work: jobs are taken one at a time in order, worked on by any thread, and given back one at a time
 * in the same order.  What take and give see is the same for any number of threads, and so is the failure that is
 * reported: that of the first job that failed.
 */
#ifndef PARALLEL_POOL_H
#define PARALLEL_POOL_H

#include "blockz.h"

struct pool_jobs {
	void *ctx;
	/* Memory of one job under way, and what one thread keeps between jobs.  NULL: no memory. */
	void *(*job_new)(void *ctx);
	void (*job_free)(void *job);
	void *(*thread_new)(void *ctx);
	void (*thread_free)(void *thread);
	/* Fills a job with the next one, which the same thread then works on.  *done_ret: there was none. */
	enum blockz_status (*take)(void *ctx, void *job, void *thread, bool *done_ret, struct blockz_fault *fault);
	enum blockz_status (*work)(void *ctx, void *job, void *thread, struct blockz_fault *fault);
	enum blockz_status (*give)(void *ctx, void *job, void *thread, struct blockz_fault *fault);
};

/* How many threads a request for `threads` means: 0 is one for each CPU that this process may use. */
unsigned pool_threads(unsigned threads);

/* How many jobs are under way at most, on so many threads. */
size_t pool_jobs_max(unsigned threads);

/*
 * Runs all jobs on up to `threads` threads (0 as above), the caller's among them; with one thread none is started.
 * At most pool_jobs_max() jobs are under way.  Returns when every thread has ended.
 */
enum blockz_status pool_run(const struct pool_jobs *jobs, unsigned threads, struct blockz_fault *fault);

#endif
