/* SPDX-License-Identifier: BSD-3-Clause */
/* One lock guards the ring of slots, and is never held while a callback runs. */
#include "parallel/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "base/fault.h"

enum { THREADS_MAX = 256 };

enum slot_state { SLOT_FREE, SLOT_BUSY, SLOT_DONE };

struct slot {
	void *job; /* NULL where it is free */
	enum slot_state state;
	enum blockz_status status; /* of work */
	struct blockz_fault fault;
};

/*
 * A ring of slots: job n lives in slot n % slot_count from take to give.  Any thread that is free does whatever comes
 * first in this order: give back the oldest job if it is done, take a new one if a slot is free and work on it.  The
 * flags giving and taking keep each to one thread, without the lock being held meanwhile.
 *
 * The memory of jobs is handed on last in, first out: what was used a moment ago is warm, and what is never needed at
 * the same time is never touched.
 */
struct pool {
	const struct pool_jobs *jobs;
	struct slot *slots;
	size_t slot_count;
	void **spare; /* jobs that are in no slot */
	size_t spare_count;
	pthread_mutex_t lock; /* over everything below */
	pthread_cond_t changed;
	uint64_t taken, given; /* jobs so far */
	bool taking, giving;
	bool all_taken; /* no job follows, or taking failed */
	bool stop;      /* a job failed in its turn */
	enum blockz_status status; /* what all_taken or stop came from */
	struct blockz_fault fault;
};

unsigned pool_threads(unsigned threads)
{
	if (threads == 0) {
		cpu_set_t set;
		threads = sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
	}
	return threads > THREADS_MAX ? THREADS_MAX : threads;
}

size_t pool_jobs_max(unsigned threads)
{
	return threads == 1 ? 1 : 2 * (size_t)threads + 1;
}

static void drop_job(struct pool *pool, struct slot *slot)
{
	pool->spare[pool->spare_count++] = slot->job;
	slot->job = NULL;
}

/* The three steps; each is entered and left with the lock held, and drops it while the callback runs. */

static void take_step(struct pool *pool, struct slot *slot, void *thread)
{
	bool done = false;
	struct blockz_fault fault = { 0 };
	pool->taking = true;
	slot->job = pool->spare[--pool->spare_count];
	pthread_mutex_unlock(&pool->lock);
	const struct pool_call call = { pool->jobs->ctx, slot->job, thread, &fault };
	enum blockz_status status = pool->jobs->take(&call, &done);
	pthread_mutex_lock(&pool->lock);
	pool->taking = false;
	if (status == BLOCKZ_OK && !done) {
		slot->state = SLOT_BUSY;
		pool->taken++;
	} else {
		drop_job(pool, slot);
		/* Jobs taken before come first: if one of them fails, that is the failure. */
		pool->all_taken = true;
		if (!pool->stop) {
			pool->status = status;
			pool->fault = fault;
		}
	}
	pthread_cond_broadcast(&pool->changed);
}

static void work_step(struct pool *pool, struct slot *slot, void *thread)
{
	pthread_mutex_unlock(&pool->lock);
	const struct pool_call call = { pool->jobs->ctx, slot->job, thread, &slot->fault };
	slot->status = pool->jobs->work(&call);
	pthread_mutex_lock(&pool->lock);
	slot->state = SLOT_DONE;
	pthread_cond_broadcast(&pool->changed);
}

static void give_step(struct pool *pool, struct slot *slot, void *thread)
{
	pool->giving = true;
	pthread_mutex_unlock(&pool->lock);
	const struct pool_call call = { pool->jobs->ctx, slot->job, thread, &slot->fault };
	if (slot->status == BLOCKZ_OK && pool->jobs->give != NULL)
		slot->status = pool->jobs->give(&call);
	pthread_mutex_lock(&pool->lock);
	pool->giving = false;
	slot->state = SLOT_FREE;
	drop_job(pool, slot);
	pool->given++;
	if (slot->status != BLOCKZ_OK) {
		pool->stop = true;
		pool->status = slot->status;
		pool->fault = slot->fault;
	}
	pthread_cond_broadcast(&pool->changed);
}

static void do_jobs(struct pool *pool, void *thread)
{
	pthread_mutex_lock(&pool->lock);
	while (!pool->stop && !(pool->all_taken && pool->given == pool->taken)) {
		struct slot *oldest = &pool->slots[pool->given % pool->slot_count];
		struct slot *next = &pool->slots[pool->taken % pool->slot_count];
		if (!pool->giving && pool->given < pool->taken && oldest->state == SLOT_DONE) {
			give_step(pool, oldest, thread);
		} else if (!pool->taking && !pool->all_taken && next->state == SLOT_FREE) {
			take_step(pool, next, thread);
			if (next->state == SLOT_BUSY)
				work_step(pool, next, thread);
		} else {
			pthread_cond_wait(&pool->changed, &pool->lock);
		}
	}
	pthread_mutex_unlock(&pool->lock);
}

struct pool_thread {
	struct pool *pool;
	void *state;
	pthread_t id;
	bool started;
};

static void *thread_main(void *arg)
{
	struct pool_thread *self = arg;
	do_jobs(self->pool, self->state);
	return NULL;
}

/* Makes what threads keep, of as many as there is memory for; returns how many. */
static unsigned make_threads(struct pool *pool, struct pool_thread *threads, unsigned count)
{
	const struct pool_jobs *jobs = pool->jobs;
	for (unsigned i = 0; i < count; i++) {
		threads[i].pool = pool;
		if (jobs->thread_new == NULL)
			continue;
		threads[i].state = jobs->thread_new(jobs->ctx);
		if (threads[i].state == NULL)
			return i;
	}
	return count;
}

/* Starts what can be started; the caller's own thread, the first, is always there. */
static void run_threads(struct pool *pool, struct pool_thread *threads, unsigned count)
{
	for (unsigned i = 1; i < count; i++)
		threads[i].started = pthread_create(&threads[i].id, NULL, thread_main, &threads[i]) == 0;
	do_jobs(pool, threads[0].state);
	for (unsigned i = 1; i < count; i++)
		if (threads[i].started)
			pthread_join(threads[i].id, NULL);
}

static enum blockz_status run_all(struct pool *pool, unsigned threads, struct blockz_fault *fault)
{
	struct pool_thread *all = calloc(threads, sizeof(*all));
	if (all == NULL)
		return fault_nomem(fault);
	unsigned ready = make_threads(pool, all, threads);
	if (ready > 0)
		run_threads(pool, all, ready);
	for (unsigned i = 0; i < ready && pool->jobs->thread_free != NULL; i++)
		pool->jobs->thread_free(all[i].state);
	free(all);
	if (ready == 0)
		return fault_nomem(fault);
	if (pool->status != BLOCKZ_OK && fault != NULL)
		*fault = pool->fault;
	return pool->status;
}

static bool make_jobs(struct pool *pool)
{
	size_t size = pool->jobs->job_size;
	pool->slots = calloc(pool->slot_count, sizeof(*pool->slots));
	pool->spare = calloc(pool->slot_count, sizeof(*pool->spare));
	if (pool->slots == NULL || pool->spare == NULL)
		return false;
	for (; pool->spare_count < pool->slot_count; pool->spare_count++) {
		pool->spare[pool->spare_count] = calloc(1, size > 0 ? size : 1);
		if (pool->spare[pool->spare_count] == NULL)
			return false;
	}
	return true;
}

static void free_jobs(struct pool *pool)
{
	/* After a failure some are in slots still. */
	for (size_t i = 0; pool->slots != NULL && i < pool->slot_count; i++)
		if (pool->slots[i].job != NULL)
			drop_job(pool, &pool->slots[i]);
	for (size_t i = 0; i < pool->spare_count; i++) {
		if (pool->jobs->job_release != NULL)
			pool->jobs->job_release(pool->spare[i]);
		free(pool->spare[i]);
	}
	free(pool->spare);
	free(pool->slots);
}

enum blockz_status pool_run(const struct pool_jobs *jobs, unsigned threads, struct blockz_fault *fault)
{
	threads = pool_threads(threads);
	struct pool pool = {
		.jobs = jobs,
		.slot_count = pool_jobs_max(threads),
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
	};
	enum blockz_status status = make_jobs(&pool) ? run_all(&pool, threads, fault) : fault_nomem(fault);
	free_jobs(&pool);
	return status;
}

/* ---- The plain case ---- */

struct each {
	size_t next, count;
	enum blockz_status (*work)(void *ctx, size_t i, struct blockz_fault *fault);
	void *ctx;
};

static enum blockz_status take_next(const struct pool_call *call, bool *done_ret)
{
	struct each *each = call->ctx;
	*done_ret = each->next == each->count;
	*(size_t *)call->job = *done_ret ? each->count : each->next++;
	return BLOCKZ_OK;
}

static enum blockz_status work_on_one(const struct pool_call *call)
{
	const struct each *each = call->ctx;
	return each->work(each->ctx, *(const size_t *)call->job, call->fault);
}

enum blockz_status pool_each(size_t count, enum blockz_status (*work)(void *ctx, size_t i, struct blockz_fault *fault), void *ctx,
			     unsigned threads, struct blockz_fault *fault)
{
	struct each each = { .count = count, .work = work, .ctx = ctx };
	const struct pool_jobs jobs = { .ctx = &each, .job_size = sizeof(size_t), .take = take_next, .work = work_on_one };
	threads = pool_threads(threads);
	if (count == 0)
		return BLOCKZ_OK;
	return pool_run(&jobs, threads < count ? threads : (unsigned)count, fault);
}

/* ---- Progress ---- */

enum blockz_status pool_progress(const struct blockz_work *work, uint64_t image_done, uint64_t file_done,
				 struct blockz_fault *fault)
{
	if (work->progress == NULL || work->progress(work->progress_ctx, image_done, file_done))
		return BLOCKZ_OK;
	return fault_set(fault, BLOCKZ_FAILED, BLOCKZ_UNKNOWN, "interrupted");
}
