/* SPDX-License-Identifier: BSD-3-Clause */
/* The ordered pool: what take and give see is the same for any number of threads, failures included. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fault.h"
#include "memory.h"
#include "parallel/pool.h"

enum { JOBS = 40, NEVER = -1 };

enum stage { TAKE, WORK, GIVE, STAGES };

static const unsigned thread_counts[] = { 1, 2, 3, 8 };
enum { THREAD_COUNTS = 4 };

struct counted {
	atomic_int alive, made;
	int fail_at; /* which of them cannot be made */
};

/* Jobs 0 to count - 1.  What happens beside the thread that checks is counted here, and asserted when all is done. */
struct run {
	int count;
	int fail_at[STAGES];
	bool slow_last_take; /* the take behind the last job begins before job 1 is worked on, and outlasts a failure */
	struct counted jobs, threads; /* jobs: those that have been taken */
	atomic_int taking, giving; /* threads inside */
	atomic_bool give_failed, last_take;
	atomic_int wrong;
	/* Of whoever takes, and of whoever gives: the pool lets one in at a time. */
	int taken, given;
	uint32_t output[JOBS];
};

struct job {
	struct run *run; /* NULL until it is taken for the first time */
	int number;
	uint32_t value;
};

struct thread {
	struct run *run;
	bool working; /* not atomic: one thread alone may use it */
};

static void expect(struct run *run, bool good)
{
	if (!good)
		atomic_fetch_add(&run->wrong, 1);
}

/* ---- What the pool calls ---- */

static bool may_make(struct counted *counted)
{
	if (counted->made++ == counted->fail_at)
		return false;
	counted->alive++;
	return true;
}

static void job_release(void *memory)
{
	struct job *job = memory;
	if (job->run != NULL)
		job->run->jobs.alive--;
}

static void *thread_new(void *ctx)
{
	struct run *run = ctx;
	if (!may_make(&run->threads))
		return NULL;
	struct thread *thread = calloc(1, sizeof(*thread));
	thread->run = run;
	return thread;
}

static void thread_free(void *memory)
{
	struct thread *thread = memory;
	thread->run->threads.alive--;
	free(thread);
}

static enum blockz_status finish(struct run *run, enum stage stage, int number, struct blockz_fault *fault)
{
	static const char *const names[] = { "take", "work", "give" };
	if (number != run->fail_at[stage])
		return BLOCKZ_OK;
	return fault_set(fault, BLOCKZ_LIMIT, (uint64_t)number, "%s %d", names[stage], number);
}

static void wait_for(const atomic_bool *flag)
{
	while (!atomic_load(flag))
		sched_yield();
}

static void wait_for_failure(struct run *run)
{
	atomic_store(&run->last_take, true);
	wait_for(&run->give_failed);
	/* And some more, until the pool has heard of it. */
	nanosleep(&(struct timespec){ .tv_nsec = 20 * 1000 * 1000 }, NULL);
}

static enum blockz_status take(const struct pool_call *call, bool *done_ret)
{
	struct run *run = call->ctx;
	struct job *job = call->job;
	if (job->run == NULL)
		may_make(&run->jobs);
	expect(run, job->run == NULL || job->run == run);
	expect(run, !*done_ret);
	job->run = run;
	expect(run, atomic_fetch_add(&run->taking, 1) == 0);
	enum blockz_status status = BLOCKZ_OK;
	*done_ret = run->taken == run->count;
	if (*done_ret && run->slow_last_take)
		wait_for_failure(run);
	if (!*done_ret || run->fail_at[TAKE] == run->count)
		status = finish(run, TAKE, run->taken, call->fault);
	job->number = run->taken++;
	atomic_fetch_sub(&run->taking, 1);
	return status;
}

/* Takes longer for some numbers than for others, so that jobs are ready in another order than they were taken in. */
static enum blockz_status work(const struct pool_call *call)
{
	struct run *run = call->ctx;
	struct job *job = call->job;
	struct thread *thread = call->thread;
	expect(run, !thread->working);
	thread->working = true;
	if (run->slow_last_take && job->number == 1)
		wait_for(&run->last_take);
	uint32_t value = (uint32_t)job->number;
	for (int i = 0; i < job->number * 7 % 5 * 2000 + 10; i++)
		value = value * 1664525 + 1013904223;
	for (int i = 0; i < job->number % 3; i++)
		sched_yield();
	job->value = value;
	thread->working = false;
	return finish(run, WORK, job->number, call->fault);
}

static enum blockz_status give(const struct pool_call *call)
{
	struct run *run = call->ctx;
	const struct job *job = call->job;
	const struct thread *thread = call->thread;
	expect(run, atomic_fetch_add(&run->giving, 1) == 0);
	expect(run, !thread->working && !atomic_load(&run->give_failed));
	expect(run, job->number == run->given);
	enum blockz_status status = finish(run, GIVE, job->number, call->fault);
	if (status == BLOCKZ_OK)
		run->output[run->given++] = job->value;
	else
		atomic_store(&run->give_failed, true);
	atomic_fetch_sub(&run->giving, 1);
	return status;
}

/* ---- Running ---- */

static struct run new_run(int count)
{
	return (struct run){
		.count = count, .fail_at = { NEVER, NEVER, NEVER },
		.jobs.fail_at = NEVER, .threads.fail_at = NEVER,
	};
}

static enum blockz_status run_pool(struct run *run, unsigned threads, struct blockz_fault *fault)
{
	const struct pool_jobs jobs = {
		.ctx = run, .job_size = sizeof(struct job), .job_release = job_release,
		.thread_new = thread_new, .thread_free = thread_free,
		.take = take, .work = work, .give = give,
	};
	enum blockz_status status = pool_run(&jobs, threads, fault);
	ck_assert_int_eq(run->wrong, 0);
	ck_assert_int_eq(run->jobs.alive, 0);
	ck_assert_int_eq(run->threads.alive, 0);
	ck_assert_int_le(run->jobs.made, (int)(2 * threads + 1));
	ck_assert_int_le(run->threads.made, (int)threads);
	return status;
}

START_TEST(output_is_the_same_for_any_number_of_threads)
{
	struct run serial = new_run(JOBS);
	ck_assert_int_eq(run_pool(&serial, 1, NULL), BLOCKZ_OK);
	ck_assert_int_eq(serial.given, JOBS);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < THREAD_COUNTS; i++) {
			struct run run = new_run(JOBS);
			ck_assert_int_eq(run_pool(&run, thread_counts[i], NULL), BLOCKZ_OK);
			ck_assert_int_eq(run.given, JOBS);
			ck_assert_mem_eq(run.output, serial.output, sizeof(run.output));
		}
	}
}
END_TEST

START_TEST(nothing_to_do_and_little_to_do)
{
	for (int count = 0; count < 4; count++) {
		struct run run = new_run(count);
		ck_assert_int_eq(run_pool(&run, thread_counts[_i], NULL), BLOCKZ_OK);
		ck_assert_int_eq(run.given, count);
	}
}
END_TEST

START_TEST(a_request_for_no_threads_means_all)
{
	ck_assert_uint_ge(pool_threads(0), 1);
	ck_assert_uint_eq(pool_threads(5), 5);
	ck_assert_uint_ge(pool_threads(UINT32_MAX), 8);
	ck_assert_uint_lt(pool_threads(UINT32_MAX), 10000);
}
END_TEST

/* ---- Failures ---- */

static void assert_failed(struct run *run, unsigned threads, enum stage stage, int number)
{
	char text[32];
	struct blockz_fault fault = { .status = BLOCKZ_OK };
	snprintf(text, sizeof(text), "%s %d", stage == TAKE ? "take" : stage == WORK ? "work" : "give", number);
	ck_assert_int_eq(run_pool(run, threads, &fault), BLOCKZ_LIMIT);
	ck_assert_int_eq(fault.status, BLOCKZ_LIMIT);
	ck_assert_str_eq(fault.text, text);
	ck_assert_uint_eq(fault.offset, number);
	ck_assert_int_eq(run->given, number);
}

START_TEST(one_job_fails_at_each_position)
{
	for (int number = 0; number < JOBS; number++) {
		for (enum stage stage = TAKE; stage < STAGES; stage++) {
			struct run run = new_run(JOBS);
			run.fail_at[stage] = number;
			assert_failed(&run, thread_counts[_i], stage, number);
		}
	}
}
END_TEST

START_TEST(of_two_failures_that_of_the_earlier_job_is_reported)
{
	for (int distance = 1; distance < 8; distance++) {
		for (enum stage first = WORK; first < STAGES; first++) {
			for (enum stage second = TAKE; second < STAGES; second++) {
				if (first == second)
					continue;
				struct run run = new_run(JOBS);
				run.fail_at[first] = 20;
				run.fail_at[second] = 20 + distance;
				assert_failed(&run, thread_counts[_i], first, 20);
			}
		}
	}
}
END_TEST

/* One thread fails to give while another waits in take for the end of its input, or for an error. */
START_TEST(a_failure_is_not_forgotten_when_a_slow_take_comes_to_its_end)
{
	for (int fails = 0; fails < 2; fails++) {
		struct run run = new_run(3);
		run.slow_last_take = true;
		run.fail_at[GIVE] = 1;
		run.fail_at[TAKE] = fails ? 3 : NEVER;
		assert_failed(&run, thread_counts[_i], GIVE, 1);
	}
}
END_TEST

/* Fewer threads do the same; none is too few. */
START_TEST(memory_for_threads_is_short)
{
	struct blockz_fault fault;
	for (int n = 0; n < (int)thread_counts[_i]; n++) {
		struct run run = new_run(JOBS);
		run.threads.fail_at = n;
		ck_assert_int_eq(run_pool(&run, thread_counts[_i], &fault), n == 0 ? BLOCKZ_FAILED : BLOCKZ_OK);
		ck_assert_int_eq(run.given, n == 0 ? 0 : JOBS);
	}
}
END_TEST

/* ---- What may be left out ---- */

/* Jobs 0 to JOBS - 1 without memory, threads that keep nothing, and nobody to give to. */
struct plain {
	int taken, fail_at;
	atomic_int done, wrong;
};

static enum blockz_status take_plain(const struct pool_call *call, bool *done_ret)
{
	struct plain *plain = call->ctx;
	plain->wrong += call->thread != NULL;
	*done_ret = plain->taken == JOBS;
	if (plain->taken == plain->fail_at)
		return fault_set(call->fault, BLOCKZ_LIMIT, 7, "take");
	plain->taken++;
	return BLOCKZ_OK;
}

static enum blockz_status work_plain(const struct pool_call *call)
{
	struct plain *plain = call->ctx;
	plain->done++;
	return BLOCKZ_OK;
}

START_TEST(what_has_nothing_to_do_may_be_left_out)
{
	static const struct pool_jobs plain_jobs = { .take = take_plain, .work = work_plain };
	for (int fails = 0; fails < 2; fails++) {
		struct blockz_fault fault = { .status = BLOCKZ_OK };
		struct plain plain = { .fail_at = fails ? JOBS / 2 : NEVER };
		struct pool_jobs jobs = plain_jobs;
		jobs.ctx = &plain;
		ck_assert_int_eq(pool_run(&jobs, thread_counts[_i], &fault), fails ? BLOCKZ_LIMIT : BLOCKZ_OK);
		ck_assert_int_eq(plain.wrong, 0);
		ck_assert_int_eq(plain.done, fails ? JOBS / 2 : JOBS);
		ck_assert_str_eq(fault.text, fails ? "take" : "");
	}
}
END_TEST

/* ---- The plain case ---- */

struct each {
	size_t fail_at; /* and from there on */
	atomic_int calls[JOBS];
};

static enum blockz_status work_on_one(void *ctx, size_t i, struct blockz_fault *fault)
{
	struct each *each = ctx;
	each->calls[i]++;
	return i < each->fail_at ? BLOCKZ_OK : fault_set(fault, BLOCKZ_LIMIT, i, "one %zu", i);
}

START_TEST(each_is_worked_on_once)
{
	for (size_t count = 0; count <= JOBS; count++) {
		struct each each = { .fail_at = SIZE_MAX };
		ck_assert_int_eq(pool_each(count, work_on_one, &each, thread_counts[_i], NULL), BLOCKZ_OK);
		for (size_t i = 0; i < JOBS; i++)
			ck_assert_int_eq(each.calls[i], i < count);
	}
}
END_TEST

START_TEST(the_first_of_each_that_fails_is_reported)
{
	for (size_t fail_at = 0; fail_at < JOBS; fail_at++) {
		struct each each = { .fail_at = fail_at };
		struct blockz_fault fault = { .status = BLOCKZ_OK };
		char text[32];
		snprintf(text, sizeof(text), "one %zu", fail_at);
		ck_assert_int_eq(pool_each(JOBS, work_on_one, &each, thread_counts[_i], &fault), BLOCKZ_LIMIT);
		ck_assert_str_eq(fault.text, text);
		for (size_t i = 0; i <= fail_at; i++)
			ck_assert_int_eq(each.calls[i], 1);
	}
}
END_TEST

/* ---- Progress ---- */

static bool goes_on(void *ctx, uint64_t image_done, uint64_t file_done)
{
	ck_assert_uint_eq(image_done, 5);
	ck_assert_uint_eq(file_done, 3);
	return *(const bool *)ctx;
}

START_TEST(progress_may_interrupt)
{
	bool on = true;
	struct blockz_fault fault = { .status = BLOCKZ_OK };
	ck_assert_int_eq(pool_progress(&(struct blockz_work){ .threads = 1 }, 5, 3, &fault), BLOCKZ_OK);
	const struct blockz_work work = { .progress = goes_on, .progress_ctx = &on };
	ck_assert_int_eq(pool_progress(&work, 5, 3, &fault), BLOCKZ_OK);
	ck_assert_str_eq(fault.text, "");
	on = false;
	ck_assert_int_eq(pool_progress(&work, 5, 3, NULL), BLOCKZ_FAILED);
	ck_assert_int_eq(pool_progress(&work, 5, 3, &fault), BLOCKZ_FAILED);
	ck_assert_str_eq(fault.text, "interrupted");
}
END_TEST

int main(void)
{
	TCase *c = case_new("pool");
	tcase_add_test(c, output_is_the_same_for_any_number_of_threads);
	tcase_add_loop_test(c, nothing_to_do_and_little_to_do, 0, THREAD_COUNTS);
	tcase_add_test(c, a_request_for_no_threads_means_all);
	tcase_add_loop_test(c, one_job_fails_at_each_position, 0, THREAD_COUNTS);
	tcase_add_loop_test(c, of_two_failures_that_of_the_earlier_job_is_reported, 0, THREAD_COUNTS);
	/* With one thread nobody takes while somebody gives. */
	tcase_add_loop_test(c, a_failure_is_not_forgotten_when_a_slow_take_comes_to_its_end, 1, THREAD_COUNTS);
	tcase_add_loop_test(c, memory_for_threads_is_short, 0, THREAD_COUNTS);
	tcase_add_loop_test(c, what_has_nothing_to_do_may_be_left_out, 0, THREAD_COUNTS);
	tcase_add_loop_test(c, each_is_worked_on_once, 0, THREAD_COUNTS);
	tcase_add_loop_test(c, the_first_of_each_that_fails_is_reported, 0, THREAD_COUNTS);
	tcase_add_test(c, progress_may_interrupt);
	return case_run("pool", c);
}
