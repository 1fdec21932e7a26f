/* SPDX-License-Identifier: BSD-3-Clause */
/* Tasks stand in a queue: helpers do parts of the oldest, and each caller parts of its own. */
#include "parallel/helpers.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "parallel/pool.h"

/* What one caller has to do; it lies on the caller's stack. */
struct task {
	enum blockz_status (*work)(void *ctx, size_t part, struct blockz_fault *fault);
	void *ctx;
	size_t count, next; /* parts; the first that nobody has begun */
	unsigned helpers;   /* at work on it */
	pthread_cond_t left; /* by the last of them */
	/* The first part that failed, count if none has, and what it returned and said. */
	size_t failed;
	enum blockz_status status;
	struct blockz_fault fault;
	struct task *older, *newer; /* among those with parts to begin */
};

struct helpers {
	unsigned threads;
	pthread_mutex_t lock; /* of all below, and of tasks */
	pthread_cond_t wanted; /* a task has parts to begin and there is a CPU for it; or the end */
	unsigned busy; /* at work: callers and helpers */
	struct task *oldest, *newest;
	bool ends;
	unsigned count;
	pthread_t ids[]; /* threads - 1 */
};

/* ---- Tasks; the lock is held ---- */

static void append_task(struct helpers *helpers, struct task *task)
{
	task->older = helpers->newest;
	*(helpers->newest != NULL ? &helpers->newest->newer : &helpers->oldest) = task;
	helpers->newest = task;
}

/* Nobody begins any more of its parts from now on. */
static void withdraw_task(struct helpers *helpers, struct task *task)
{
	if (task->next == task->count)
		return;
	task->next = task->count;
	*(task->older != NULL ? &task->older->newer : &helpers->oldest) = task->newer;
	*(task->newer != NULL ? &task->newer->older : &helpers->newest) = task->older;
}

/* Does a part, of which there is one to begin; the lock is released meanwhile. */
static void do_part(struct helpers *helpers, struct task *task)
{
	struct blockz_fault fault = { 0 };
	size_t part = task->next;
	if (part + 1 == task->count)
		withdraw_task(helpers, task);
	else
		task->next++;
	pthread_mutex_unlock(&helpers->lock);
	enum blockz_status status = task->work(task->ctx, part, &fault);
	pthread_mutex_lock(&helpers->lock);
	if (status == BLOCKZ_OK)
		return;
	withdraw_task(helpers, task);
	if (part < task->failed) {
		task->failed = part;
		task->status = status;
		task->fault = fault;
	}
}

/* ---- Helpers ---- */

static void *helper_main(void *memory)
{
	struct helpers *helpers = memory;
	pthread_mutex_lock(&helpers->lock);
	while (!helpers->ends) {
		struct task *task = helpers->oldest;
		if (task == NULL || helpers->busy >= helpers->threads) {
			pthread_cond_wait(&helpers->wanted, &helpers->lock);
			continue;
		}
		helpers->busy++;
		task->helpers++;
		while (task->next < task->count && helpers->busy <= helpers->threads)
			do_part(helpers, task);
		if (--task->helpers == 0)
			pthread_cond_signal(&task->left);
		helpers->busy--;
	}
	pthread_mutex_unlock(&helpers->lock);
	return NULL;
}

/* Starts one more, to which none of the program's signals come; where there can be none the others do the work. */
static void start_helper(struct helpers *helpers)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&helpers->ids[helpers->count], NULL, helper_main, helpers) == 0)
		helpers->count++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* The lock is held.  Wakes as many as have a CPU, and a part beside the caller's. */
static void call_helpers(struct helpers *helpers, size_t parts)
{
	unsigned free = helpers->threads > helpers->busy ? helpers->threads - helpers->busy : 0;
	unsigned wanted = parts < free ? (unsigned)parts : free;
	if (helpers->count < wanted)
		start_helper(helpers);
	for (unsigned i = 0; i < wanted; i++)
		pthread_cond_signal(&helpers->wanted);
}

/* ---- The whole ---- */

struct helpers *helpers_new(unsigned threads)
{
	threads = pool_threads(threads);
	struct helpers *helpers = calloc(1, sizeof(*helpers) + (threads - 1) * sizeof(helpers->ids[0]));
	if (helpers == NULL)
		return NULL;
	helpers->threads = threads;
	pthread_mutex_init(&helpers->lock, NULL);
	pthread_cond_init(&helpers->wanted, NULL);
	return helpers;
}

void helpers_free(struct helpers *helpers)
{
	if (helpers == NULL)
		return;
	pthread_mutex_lock(&helpers->lock);
	helpers->ends = true;
	pthread_cond_broadcast(&helpers->wanted);
	pthread_mutex_unlock(&helpers->lock);
	for (unsigned i = 0; i < helpers->count; i++)
		pthread_join(helpers->ids[i], NULL);
	pthread_cond_destroy(&helpers->wanted);
	pthread_mutex_destroy(&helpers->lock);
	free(helpers);
}

enum blockz_status helpers_run(struct helpers *helpers, size_t count,
			       enum blockz_status (*work)(void *ctx, size_t part, struct blockz_fault *fault), void *ctx,
			       struct blockz_fault *fault)
{
	struct task task = { .work = work, .ctx = ctx, .count = count, .failed = count };
	if (count == 0)
		return BLOCKZ_OK;
	pthread_cond_init(&task.left, NULL);
	pthread_mutex_lock(&helpers->lock);
	helpers->busy++;
	append_task(helpers, &task);
	call_helpers(helpers, count - 1);
	while (task.next < task.count)
		do_part(helpers, &task);
	helpers->busy--;
	if (helpers->oldest != NULL)
		pthread_cond_signal(&helpers->wanted);
	while (task.helpers > 0)
		pthread_cond_wait(&task.left, &helpers->lock);
	pthread_mutex_unlock(&helpers->lock);
	pthread_cond_destroy(&task.left);
	if (task.status != BLOCKZ_OK && fault != NULL)
		*fault = task.fault;
	return task.status;
}
