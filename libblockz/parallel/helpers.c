/* SPDX-License-Identifier: BSD-3-Clause */
/* Tasks stand in a queue: helpers do parts of the oldest, and each caller parts of its own. */
#include "parallel/helpers.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "parallel/pool.h"

/* Of one caller, on its stack. */
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

struct crew {
	unsigned threads;
	pthread_mutex_t lock; /* of all below, and of tasks */
	pthread_cond_t wanted; /* a task has parts to begin and there is a CPU for it; or the end */
	unsigned busy; /* at work: callers and helpers */
	struct task *oldest, *newest;
	bool ends;
	unsigned helper_count;
	pthread_t helpers[]; /* threads - 1 */
};

/* ---- Tasks; the lock is held ---- */

static void append(struct crew *crew, struct task *task)
{
	task->older = crew->newest;
	*(crew->newest != NULL ? &crew->newest->newer : &crew->oldest) = task;
	crew->newest = task;
}

/* Nobody begins any more of its parts. */
static void withdraw(struct crew *crew, struct task *task)
{
	if (task->next == task->count)
		return;
	task->next = task->count;
	*(task->older != NULL ? &task->older->newer : &crew->oldest) = task->newer;
	*(task->newer != NULL ? &task->newer->older : &crew->newest) = task->older;
}

/* There is one to begin; the lock is released while it is done. */
static void do_part(struct crew *crew, struct task *task)
{
	struct blockz_fault fault = { 0 };
	size_t part = task->next;
	if (part + 1 == task->count)
		withdraw(crew, task);
	else
		task->next++;
	pthread_mutex_unlock(&crew->lock);
	enum blockz_status status = task->work(task->ctx, part, &fault);
	pthread_mutex_lock(&crew->lock);
	if (status == BLOCKZ_OK)
		return;
	withdraw(crew, task);
	if (part < task->failed) {
		task->failed = part;
		task->status = status;
		task->fault = fault;
	}
}

/* ---- Helpers ---- */

static void *helper_main(void *memory)
{
	struct crew *crew = memory;
	pthread_mutex_lock(&crew->lock);
	while (!crew->ends) {
		struct task *task = crew->oldest;
		if (task == NULL || crew->busy >= crew->threads) {
			pthread_cond_wait(&crew->wanted, &crew->lock);
			continue;
		}
		crew->busy++;
		task->helpers++;
		while (task->next < task->count && crew->busy <= crew->threads)
			do_part(crew, task);
		if (--task->helpers == 0)
			pthread_cond_signal(&task->left);
		crew->busy--;
	}
	pthread_mutex_unlock(&crew->lock);
	return NULL;
}

/* One more, to which none of the program's signals come; where there can be none the others do. */
static void start_helper(struct crew *crew)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&crew->helpers[crew->helper_count], NULL, helper_main, crew) == 0)
		crew->helper_count++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* The lock is held.  As many as have a CPU, and a part beside the caller's. */
static void call_helpers(struct crew *crew, size_t parts)
{
	unsigned free = crew->threads > crew->busy ? crew->threads - crew->busy : 0;
	unsigned wanted = parts < free ? (unsigned)parts : free;
	if (crew->helper_count < wanted)
		start_helper(crew);
	for (unsigned i = 0; i < wanted; i++)
		pthread_cond_signal(&crew->wanted);
}

/* ---- The whole ---- */

struct crew *crew_new(unsigned threads)
{
	threads = pool_threads(threads);
	struct crew *crew = calloc(1, sizeof(*crew) + (threads - 1) * sizeof(crew->helpers[0]));
	if (crew == NULL)
		return NULL;
	crew->threads = threads;
	pthread_mutex_init(&crew->lock, NULL);
	pthread_cond_init(&crew->wanted, NULL);
	return crew;
}

void crew_free(struct crew *crew)
{
	if (crew == NULL)
		return;
	pthread_mutex_lock(&crew->lock);
	crew->ends = true;
	pthread_cond_broadcast(&crew->wanted);
	pthread_mutex_unlock(&crew->lock);
	for (unsigned i = 0; i < crew->helper_count; i++)
		pthread_join(crew->helpers[i], NULL);
	pthread_cond_destroy(&crew->wanted);
	pthread_mutex_destroy(&crew->lock);
	free(crew);
}

enum blockz_status crew_run(struct crew *crew, size_t count,
			    enum blockz_status (*work)(void *ctx, size_t part, struct blockz_fault *fault), void *ctx,
			    struct blockz_fault *fault)
{
	struct task task = { .work = work, .ctx = ctx, .count = count, .failed = count };
	if (count == 0)
		return BLOCKZ_OK;
	pthread_cond_init(&task.left, NULL);
	pthread_mutex_lock(&crew->lock);
	crew->busy++;
	append(crew, &task);
	call_helpers(crew, count - 1);
	while (task.next < task.count)
		do_part(crew, &task);
	crew->busy--;
	if (crew->oldest != NULL)
		pthread_cond_signal(&crew->wanted);
	while (task.helpers > 0)
		pthread_cond_wait(&task.left, &crew->lock);
	pthread_mutex_unlock(&crew->lock);
	pthread_cond_destroy(&task.left);
	if (task.status != BLOCKZ_OK && fault != NULL)
		*fault = task.fault;
	return task.status;
}
