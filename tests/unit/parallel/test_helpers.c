/* SPDX-License-Identifier: BSD-3-Clause */
/* Helpers: each part is done once, by whoever has a CPU, and the first failure is the one that is told. */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "base/fault.h"
#include "memory.h"
#include "parallel/helpers.h"

enum { PARTS_MAX = 1000, CALLERS_MAX = 8, NEVER = PARTS_MAX };

static const unsigned thread_counts[] = { 1, 2, 3, 8 };
static const size_t part_counts[] = { 0, 1, 2, 7, PARTS_MAX };
enum { THREAD_COUNTS = 4, PART_COUNTS = 5 };

/* Of all callers. */
struct scene {
	struct helpers *helpers;
	atomic_uint at_work, most_at_work;
};

struct run {
	struct scene *scene;
	pthread_t caller;
	size_t count, fail_from; /* parts from this on fail */
	atomic_uint done[PARTS_MAX];
	atomic_uint by_helpers, begun;
	atomic_bool bad;
};

/* At most as many as wait for each other at a time; Check ends a test in which one waits for ever. */
static void meet(atomic_uint *count, unsigned wanted)
{
	atomic_fetch_add(count, 1);
	while (atomic_load(count) < wanted)
		sched_yield();
}

static void note_at_work(struct scene *scene)
{
	unsigned now = atomic_fetch_add(&scene->at_work, 1) + 1, most = atomic_load(&scene->most_at_work);
	while (most < now && !atomic_compare_exchange_weak(&scene->most_at_work, &most, now))
		;
}

static enum blockz_status work(void *ctx, size_t part, struct blockz_fault *fault)
{
	struct run *run = ctx;
	note_at_work(run->scene);
	atomic_fetch_add(&run->begun, 1);
	if (part >= run->count || atomic_fetch_add(&run->done[part], 1) != 0)
		atomic_store(&run->bad, true);
	if (!pthread_equal(pthread_self(), run->caller))
		atomic_fetch_add(&run->by_helpers, 1);
	atomic_fetch_sub(&run->scene->at_work, 1);
	if (part >= run->fail_from)
		return fault_set(fault, BLOCKZ_DAMAGED, part, "part %zu", part);
	return BLOCKZ_OK;
}

static void assert_all_done(struct run *run)
{
	memset(run->done, 0, sizeof(run->done));
	run->caller = pthread_self();
	ck_assert_int_eq(helpers_run(run->scene->helpers, run->count, work, run, NULL), BLOCKZ_OK);
	ck_assert(!atomic_load(&run->bad));
	for (size_t part = 0; part < run->count; part++)
		ck_assert_uint_eq(atomic_load(&run->done[part]), 1);
}

START_TEST(each_part_is_done_once)
{
	struct scene scene = { .helpers = helpers_new(thread_counts[_i]) };
	ck_assert_ptr_nonnull(scene.helpers);
	for (unsigned round = 0; round < 200; round++) {
		struct run run = { .scene = &scene, .count = part_counts[round % PART_COUNTS], .fail_from = NEVER };
		assert_all_done(&run);
		ck_assert(thread_counts[_i] > 1 || run.by_helpers == 0);
	}
	ck_assert_uint_le(scene.most_at_work, thread_counts[_i]);
	helpers_free(scene.helpers);
}
END_TEST

struct meeting {
	atomic_uint here;
	unsigned wanted;
};

static enum blockz_status meet_others(void *ctx, size_t part, struct blockz_fault *fault)
{
	struct meeting *meeting = ctx;
	(void)part, (void)fault;
	meet(&meeting->here, meeting->wanted);
	return BLOCKZ_OK;
}

/* As many parts as there are threads are at work at a time, once all helpers are there. */
START_TEST(all_threads_work_at_once)
{
	unsigned threads = thread_counts[_i];
	struct helpers *helpers = helpers_new(threads);
	struct scene scene = { .helpers = helpers };
	for (unsigned round = 0; round < threads; round++) {
		struct run run = { .scene = &scene, .count = PARTS_MAX, .fail_from = NEVER };
		assert_all_done(&run);
	}
	for (unsigned round = 0; round < 50; round++) {
		struct meeting meeting = { .wanted = threads };
		ck_assert_int_eq(helpers_run(helpers, threads, meet_others, &meeting, NULL), BLOCKZ_OK);
		ck_assert_uint_eq(meeting.here, threads);
	}
	helpers_free(helpers);
}
END_TEST

static void *call_often(void *memory)
{
	for (unsigned round = 0; round < 300; round++) {
		struct run run = { .scene = memory, .count = part_counts[round % (PART_COUNTS - 1)], .fail_from = NEVER };
		assert_all_done(&run);
	}
	return NULL;
}

START_TEST(many_callers)
{
	struct scene scene = { .helpers = helpers_new(thread_counts[_i]) };
	pthread_t callers[CALLERS_MAX];
	for (unsigned i = 0; i < CALLERS_MAX; i++)
		ck_assert_int_eq(pthread_create(&callers[i], NULL, call_often, &scene), 0);
	for (unsigned i = 0; i < CALLERS_MAX; i++)
		pthread_join(callers[i], NULL);
	/* A helper may be at its last part when more callers come. */
	ck_assert_uint_le(scene.most_at_work, CALLERS_MAX + thread_counts[_i] - 1);
	helpers_free(scene.helpers);
}
END_TEST

START_TEST(the_first_failure)
{
	struct scene scene = { .helpers = helpers_new(thread_counts[_i]) };
	for (size_t first = 0; first < 20; first++) {
		struct run run = { .scene = &scene, .caller = pthread_self(), .count = PARTS_MAX, .fail_from = first };
		struct blockz_fault fault;
		ck_assert_int_eq(helpers_run(scene.helpers, run.count, work, &run, &fault), BLOCKZ_DAMAGED);
		ck_assert_uint_eq(fault.offset, first);
		ck_assert_int_eq(helpers_run(scene.helpers, run.count, work, &run, NULL), BLOCKZ_DAMAGED);
		/* None begins after it but those that others were about to begin. */
		ck_assert_uint_ge(run.begun, 2 * (first + 1));
		ck_assert_uint_le(run.begun, 2 * (first + thread_counts[_i]));
	}
	helpers_free(scene.helpers);
}
END_TEST

static enum blockz_status look_at_signals(void *ctx, size_t part, struct blockz_fault *fault)
{
	struct run *run = ctx;
	sigset_t mask;
	(void)part, (void)fault;
	meet(&run->begun, 2);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	if (!pthread_equal(pthread_self(), run->caller) && sigismember(&mask, SIGUSR1) && sigismember(&mask, SIGTERM))
		atomic_fetch_add(&run->by_helpers, 1);
	return BLOCKZ_OK;
}

/* The program's own threads get them, with the mask they had. */
START_TEST(helpers_take_no_signals)
{
	struct run run = { .caller = pthread_self() };
	struct helpers *helpers = helpers_new(2);
	ck_assert_int_eq(helpers_run(helpers, 2, look_at_signals, &run, NULL), BLOCKZ_OK);
	ck_assert_uint_eq(run.by_helpers, 1);
	sigset_t mask;
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	ck_assert(!sigismember(&mask, SIGUSR1));
	helpers_free(helpers);
	helpers_free(NULL);
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("helpers");
	tcase_add_loop_test(tcase, each_part_is_done_once, 0, THREAD_COUNTS);
	tcase_add_loop_test(tcase, all_threads_work_at_once, 0, THREAD_COUNTS);
	tcase_add_loop_test(tcase, many_callers, 0, THREAD_COUNTS);
	tcase_add_loop_test(tcase, the_first_failure, 0, THREAD_COUNTS);
	tcase_add_test(tcase, helpers_take_no_signals);
	return case_run("helpers", tcase);
}
