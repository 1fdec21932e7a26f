/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Helpers: threads that stand by to do parts of what another thread has to do at once, while no more threads are at work
 * than there are CPUs for.  Callers, who may be many at the same time, work on their own parts meanwhile; helpers are
 * started when they are first of use.
 */
#ifndef PARALLEL_HELPERS_H
#define PARALLEL_HELPERS_H

#include "blockz.h"

struct helpers;

/*
 * Helpers of whom none is started yet.  threads: at work at a time, callers among them; 0 as pool_threads() has it.  NULL:
 * no memory.
 */
struct helpers *helpers_new(unsigned threads);
void helpers_free(struct helpers *helpers); /* Ends them; NULL is fine, and nobody may be in helpers_run() */

/*
 * Calls work(ctx, part, fault) for parts 0 to count - 1, from any thread, and returns when all are done.  They begin in order,
 * and none any more when one has failed: what is returned is what the first part that failed said.
 */
enum blockz_status helpers_run(struct helpers *helpers, size_t count,
			       enum blockz_status (*work)(void *ctx, size_t part, struct blockz_fault *fault), void *ctx,
			       struct blockz_fault *fault);

#endif
