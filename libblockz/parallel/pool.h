/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ordered parallel work: jobs are taken one at a time in order, worked on by any thread, and given back one at a time
 * in the same order.  What take and give see is the same for any number of threads, and so is the failure that is
 * reported: that of the first job that failed.
 *
 * The pool knows nothing of what jobs are; it holds no lock while it calls back.
 */
#ifndef PARALLEL_POOL_H
#define PARALLEL_POOL_H

#include "blockz.h"

/* What a callback gets. */
struct pool_call {
	void *ctx;    /* of the jobs */
	void *job;    /* its memory */
	void *thread; /* what thread_new() made for the thread that calls */
	struct blockz_fault *fault; /* to be filled by what fails; never NULL */
};

/* Callbacks may be NULL but for take and work: then there is nothing to do. */
struct pool_jobs {
	void *ctx;
	/* Memory of one job under way: zeros at first, later what the job before left in it, whichever that was. */
	size_t job_size;
	void (*job_release)(void *job); /* frees what the job has allocated, but not the job */
	/* What a thread keeps between jobs.  NULL is returned where there is no memory. */
	void *(*thread_new)(void *ctx);
	void (*thread_free)(void *thread);
	/* Fills a job with the next one, which the same thread then works on.  *done_ret, false before: there was none. */
	enum blockz_status (*take)(const struct pool_call *call, bool *done_ret);
	enum blockz_status (*work)(const struct pool_call *call);
	enum blockz_status (*give)(const struct pool_call *call);
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

/* The plain case: calls work(ctx, i, fault) for i from 0 to count - 1, begun in this order; all else as pool_run() has it. */
enum blockz_status pool_each(size_t count, enum blockz_status (*work)(void *ctx, size_t i, struct blockz_fault *fault), void *ctx,
			     unsigned threads, struct blockz_fault *fault);

/* Tells work->progress how much is done.  Returns BLOCKZ_FAILED, "interrupted", if the work is to stop. */
enum blockz_status pool_progress(const struct blockz_work *work, uint64_t image_done, uint64_t file_done,
				 struct blockz_fault *fault);

#endif
