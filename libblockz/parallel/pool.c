/* SPDX-License-Identifier: BSD-3-Clause */
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
	enum blockz_status status = pool->jobs->take(pool->jobs->ctx, slot->job, thread, &done, &fault);
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
	slot->status = pool->jobs->work(pool->jobs->ctx, slot->job, thread, &slot->fault);
	pthread_mutex_lock(&pool->lock);
	slot->state = SLOT_DONE;
	pthread_cond_broadcast(&pool->changed);
}

static void give_step(struct pool *pool, struct slot *slot, void *thread)
{
	pool->giving = true;
	pthread_mutex_unlock(&pool->lock);
	if (slot->status == BLOCKZ_OK)
		slot->status = pool->jobs->give(pool->jobs->ctx, slot->job, thread, &slot->fault);
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

static void run(struct pool *pool, void *thread)
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
	run(self->pool, self->state);
	return NULL;
}

/* Starts what can be started; the caller's own thread, the first, is always there. */
static enum blockz_status run_threads(struct pool *pool, unsigned threads, struct blockz_fault *fault)
{
	const struct pool_jobs *jobs = pool->jobs;
	struct pool_thread *self = calloc(threads, sizeof(*self));
	if (self == NULL)
		return fault_nomem(fault);
	enum blockz_status status = BLOCKZ_OK;
	unsigned ready = 0;
	for (; ready < threads; ready++) {
		self[ready] = (struct pool_thread){ .pool = pool, .state = jobs->thread_new(jobs->ctx) };
		if (self[ready].state == NULL)
			break;
	}
	if (ready == 0) {
		status = fault_nomem(fault);
	} else {
		for (unsigned i = 1; i < ready; i++)
			self[i].started = pthread_create(&self[i].id, NULL, thread_main, &self[i]) == 0;
		run(pool, self[0].state);
	}
	for (unsigned i = 0; i < ready; i++) {
		if (self[i].started)
			pthread_join(self[i].id, NULL);
		jobs->thread_free(self[i].state);
	}
	free(self);
	return status;
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
	enum blockz_status status = BLOCKZ_OK;
	pool.slots = calloc(pool.slot_count, sizeof(*pool.slots));
	pool.spare = calloc(pool.slot_count, sizeof(*pool.spare));
	if (pool.slots == NULL || pool.spare == NULL)
		status = fault_nomem(fault);
	while (status == BLOCKZ_OK && pool.spare_count < pool.slot_count) {
		void *job = jobs->job_new(jobs->ctx);
		if (job == NULL)
			status = fault_nomem(fault);
		else
			pool.spare[pool.spare_count++] = job;
	}
	if (status == BLOCKZ_OK)
		status = run_threads(&pool, threads, fault);
	if (status == BLOCKZ_OK && pool.status != BLOCKZ_OK) {
		status = pool.status;
		if (fault != NULL)
			*fault = pool.fault;
	}
	/* After a failure some are in slots still. */
	for (size_t i = 0; pool.slots != NULL && i < pool.slot_count; i++)
		if (pool.slots[i].job != NULL)
			jobs->job_free(pool.slots[i].job);
	while (pool.spare_count > 0)
		jobs->job_free(pool.spare[--pool.spare_count]);
	free(pool.spare);
	free(pool.slots);
	return status;
}
