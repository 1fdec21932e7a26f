/* SPDX-License-Identifier: BSD-3-Clause */
/* The cache: against a list as it should be, by many threads, where decoding fails, and where there is no room. */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fault.h"
#include "memory.h"
#include "parallel/cache.h"
#include "random.h"

enum { KEYS = 4096, SLACK = 32, EACH = 16, THREADS = 8, ROUNDS = 4000, NEVER = -1 };

static const unsigned thread_counts[] = { 1, 2, 3, 8 };
enum { THREAD_COUNTS = 4 };

/* What decodes: bytes of a key are all the same, and so are those behind them. */
struct decoder {
	struct cache *cache;
	size_t keys; /* that threads choose from */
	int fail_at; /* the call that fails */
	atomic_int calls, failures, wrong;
	atomic_int at_it[KEYS];
	/* For one key: whoever decodes it says so, and waits until it may go on. */
	bool has_gate;
	uint64_t gated;
	atomic_bool is_inside, may_leave;
};

static size_t len_of(uint64_t key)
{
	return (size_t)(key * 7 % 90 + 10);
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 5 * 1000 * 1000 }, NULL);
}

static void wait_for(const atomic_bool *flag)
{
	while (!atomic_load(flag))
		sched_yield();
}

static enum blockz_status decode(const struct cache_want *want, uint8_t *bytes, struct blockz_fault *fault)
{
	struct decoder *decoder = want->ctx;
	int call = decoder->calls++;
	decoder->wrong += decoder->at_it[want->key]++ != 0;
	decoder->wrong += cache_state_of(decoder->cache, want->key) != CACHE_DECODING;
	if (decoder->has_gate && want->key == decoder->gated) {
		decoder->is_inside = true;
		wait_for(&decoder->may_leave);
	}
	memset(bytes, (int)(want->key % 251), want->len + SLACK);
	decoder->at_it[want->key]--;
	if (call != decoder->fail_at)
		return BLOCKZ_OK;
	decoder->failures++;
	return fault_set(fault, BLOCKZ_DAMAGED, want->key, "call %d", call);
}

static struct cache_want want_of(struct decoder *decoder, uint64_t key)
{
	return (struct cache_want){ .key = key, .len = len_of(key), .decode = decode, .ctx = decoder };
}

static void decoder_new(struct decoder *decoder, uint64_t limit, size_t each)
{
	const struct cache_limits limits = { limit, each, SLACK };
	memset(decoder, 0, sizeof(*decoder));
	decoder->fail_at = NEVER;
	decoder->keys = KEYS;
	decoder->cache = cache_new(&limits);
	ck_assert_ptr_nonnull(decoder->cache);
}

static bool is_right(const struct cached *cached, uint64_t key)
{
	bool right = cached->key == key && cached->len == len_of(key);
	for (size_t i = 0; i < cached->len; i++)
		right = right && cached->bytes[i] == key % 251;
	return right;
}

/* ---- As it should be: what was used last is at the end ---- */

struct model {
	uint64_t keys[KEYS];
	size_t count;
	uint64_t used, limit, each;
};

static bool model_remove(struct model *model, uint64_t key)
{
	size_t i = 0;
	while (i < model->count && model->keys[i] != key)
		i++;
	if (i == model->count)
		return false;
	memmove(&model->keys[i], &model->keys[i + 1], (model->count - i - 1) * sizeof(key));
	model->count--;
	model->used -= len_of(key) + model->each;
	return true;
}

/* True if the key was there. */
static bool model_use(struct model *model, uint64_t key)
{
	bool was_there = model_remove(model, key);
	while (model->used + len_of(key) + model->each > model->limit)
		model_remove(model, model->keys[0]);
	model->keys[model->count++] = key;
	model->used += len_of(key) + model->each;
	return was_there;
}

static void assert_alike(const struct decoder *decoder, const struct model *model)
{
	static bool there[KEYS];
	uint64_t unlike = 0;
	memset(there, 0, sizeof(there));
	for (size_t i = 0; i < model->count; i++)
		there[model->keys[i]] = true;
	for (uint64_t key = 0; key < KEYS; key++)
		unlike += cache_state_of(decoder->cache, key) != (there[key] ? CACHE_READY : CACHE_ABSENT);
	ck_assert_uint_eq(unlike, 0);
}

/* By a get, or by a prefetch; false if what came was wrong. */
static bool use(struct decoder *decoder, uint64_t key, bool now)
{
	const struct cache_want want = want_of(decoder, key);
	struct cached *cached = NULL;
	if (!now) {
		cache_prefetch(decoder->cache, &want);
		return true;
	}
	if (cache_get(decoder->cache, &want, &cached, NULL) != BLOCKZ_OK)
		return false;
	bool right = is_right(cached, key);
	cache_put(decoder->cache, cached);
	return right;
}

/* The longest alone; some; more than the first table has buckets; all. */
static const uint64_t limits[] = { 99 + EACH, 1000, 200000, KEYS * (99 + EACH) };
enum { LIMITS = 4 };

START_TEST(what_was_not_used_for_longest_goes)
{
	static struct decoder decoder;
	static struct model model;
	size_t each = _i % 2 ? EACH : 0;
	decoder_new(&decoder, limits[_i / 2], each);
	model = (struct model){ .limit = limits[_i / 2], .each = each };
	for (int round = 0; round < 20000; round++) {
		uint64_t key = rnd_below(round % 5000 < 2500 ? KEYS : 40);
		bool was_there = cache_state_of(decoder.cache, key) == CACHE_READY, now = was_there || round % 3 != 0;
		int calls = decoder.calls;
		bool right = use(&decoder, key, now) && model_use(&model, key) == was_there && decoder.calls - calls == !was_there;
		decoder.wrong += !right;
		if (round % 1000 == 0)
			assert_alike(&decoder, &model);
	}
	assert_alike(&decoder, &model);
	ck_assert_int_eq(decoder.wrong, 0);
	cache_free(decoder.cache);
}
END_TEST

/* ---- Many threads ---- */

struct user {
	pthread_t thread;
	struct decoder *decoder;
	unsigned seed;
	int rounds, bad, failures;
};

/* What fails is told to the one who decoded, with its own fault; to ask again is fine. */
static void *use_randomly(void *memory)
{
	struct user *user = memory;
	struct decoder *decoder = user->decoder;
	for (int round = 0; round < user->rounds; round++) {
		uint64_t key = (uint64_t)rand_r(&user->seed) % decoder->keys;
		const struct cache_want want = want_of(decoder, key);
		struct blockz_fault fault = { .status = BLOCKZ_OK };
		struct cached *cached = NULL;
		if (rand_r(&user->seed) % 4 == 0) {
			cache_prefetch(decoder->cache, &want);
			continue;
		}
		if (cache_get(decoder->cache, &want, &cached, &fault) == BLOCKZ_OK) {
			user->bad += !is_right(cached, key);
			cache_put(decoder->cache, cached);
			continue;
		}
		user->failures++;
		user->bad += fault.status != BLOCKZ_DAMAGED || fault.offset != key || cached != NULL;
	}
	return NULL;
}

/* Returns how many were told of a failure. */
static int run_users(struct decoder *decoder, unsigned threads, int rounds)
{
	struct user users[THREADS];
	int failures = 0;
	for (unsigned i = 0; i < threads; i++) {
		users[i] = (struct user){ .decoder = decoder, .seed = i + 1, .rounds = rounds };
		ck_assert_int_eq(pthread_create(&users[i].thread, NULL, use_randomly, &users[i]), 0);
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(users[i].thread, NULL);
		ck_assert_int_eq(users[i].bad, 0);
		failures += users[i].failures;
	}
	ck_assert_int_eq(decoder->wrong, 0);
	return failures;
}

START_TEST(many_threads_share_what_is_decoded_once)
{
	static struct decoder decoder;
	decoder_new(&decoder, KEYS * 99, 0);
	ck_assert_int_eq(run_users(&decoder, thread_counts[_i], ROUNDS), 0);
	int there = 0;
	for (uint64_t key = 0; key < KEYS; key++)
		there += cache_state_of(decoder.cache, key) == CACHE_READY;
	ck_assert_int_eq(decoder.calls, there);
	cache_free(decoder.cache);
}
END_TEST

/* Of a few things there is room for one or two: all wait for each other, and get on. */
START_TEST(many_threads_wait_for_room)
{
	static struct decoder decoder;
	for (uint64_t limit = 99; limit < 300; limit += 67) {
		decoder_new(&decoder, limit, 0);
		decoder.keys = 6;
		ck_assert_int_eq(run_users(&decoder, thread_counts[_i], ROUNDS), 0);
		cache_free(decoder.cache);
	}
}
END_TEST

/* At most one is told, and none if it was for later. */
START_TEST(one_decode_fails_at_each_position)
{
	static struct decoder decoder;
	for (int fail_at = 0; fail_at < 60; fail_at++) {
		decoder_new(&decoder, 200, 0);
		decoder.keys = 8;
		decoder.fail_at = fail_at;
		int told = run_users(&decoder, thread_counts[_i], 200);
		ck_assert_int_eq(decoder.failures, 1);
		ck_assert_int_le(told, 1);
		cache_free(decoder.cache);
	}
}
END_TEST

/* ---- Waiting ---- */

struct waiter {
	pthread_t thread;
	struct decoder *decoder;
	uint64_t key;
	enum blockz_status status;
	struct blockz_fault fault;
	atomic_bool has_begun, is_done;
};

static void *wait_for_key(void *memory)
{
	struct waiter *waiter = memory;
	const struct cache_want want = want_of(waiter->decoder, waiter->key);
	struct cached *cached = NULL;
	waiter->has_begun = true;
	waiter->status = cache_get(waiter->decoder->cache, &want, &cached, &waiter->fault);
	waiter->is_done = true;
	if (waiter->status != BLOCKZ_OK)
		return NULL;
	waiter->decoder->wrong += !is_right(cached, waiter->key);
	cache_put(waiter->decoder->cache, cached);
	return NULL;
}

static void start_waiter(struct waiter *waiter, struct decoder *decoder, uint64_t key)
{
	*waiter = (struct waiter){ .decoder = decoder, .key = key };
	ck_assert_int_eq(pthread_create(&waiter->thread, NULL, wait_for_key, waiter), 0);
	wait_for(&waiter->has_begun);
}

/* The first decodes, and fails or not, when the others wait for it. */
START_TEST(who_waits_survives_that_decoding_fails)
{
	static struct decoder decoder;
	struct waiter waiters[THREADS];
	bool fails = _i % 2 != 0;
	decoder_new(&decoder, _i < 2 ? len_of(3) : 10000, 0);
	decoder.has_gate = true;
	decoder.gated = 3;
	decoder.fail_at = fails ? 0 : NEVER;
	start_waiter(&waiters[0], &decoder, 3);
	wait_for(&decoder.is_inside);
	for (unsigned i = 1; i < THREADS; i++)
		start_waiter(&waiters[i], &decoder, 3);
	nap();
	ck_assert_int_eq(decoder.calls, 1);
	decoder.may_leave = true;
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(waiters[i].thread, NULL);
		ck_assert_int_eq(waiters[i].status, i == 0 && fails ? BLOCKZ_DAMAGED : BLOCKZ_OK);
	}
	ck_assert_str_eq(waiters[0].fault.text, fails ? "call 0" : "");
	ck_assert_int_eq(decoder.calls, fails ? 2 : 1);
	ck_assert_int_eq(decoder.wrong, 0);
	cache_free(decoder.cache);
}
END_TEST

/* What is held stays: another thing comes in when it is put back, or, if there is room, at once. */
START_TEST(what_is_held_stays)
{
	static struct decoder decoder;
	struct waiter waiter;
	struct cached *held = NULL;
	bool has_room = _i != 0;
	decoder_new(&decoder, len_of(1) + (has_room ? len_of(2) : len_of(2) - 1), 0);
	const struct cache_want want = want_of(&decoder, 1), later = want_of(&decoder, 2);
	ck_assert_int_eq(cache_get(decoder.cache, &want, &held, NULL), BLOCKZ_OK);
	if (!has_room) {
		cache_prefetch(decoder.cache, &later);
		ck_assert_int_eq(cache_state_of(decoder.cache, 2), CACHE_ABSENT);
		ck_assert_int_eq(decoder.calls, 1);
	}
	start_waiter(&waiter, &decoder, 2);
	if (has_room)
		wait_for(&waiter.is_done);
	nap();
	ck_assert(waiter.is_done == has_room);
	ck_assert_int_eq(cache_state_of(decoder.cache, 1), CACHE_READY);
	ck_assert(is_right(held, 1));
	cache_put(decoder.cache, held);
	pthread_join(waiter.thread, NULL);
	ck_assert_int_eq(waiter.status, BLOCKZ_OK);
	ck_assert_int_eq(cache_state_of(decoder.cache, 1), has_room ? CACHE_READY : CACHE_ABSENT);
	ck_assert_int_eq(cache_state_of(decoder.cache, 2), CACHE_READY);
	cache_free(decoder.cache);
}
END_TEST

START_TEST(what_failed_for_later_fails_again_when_it_is_needed)
{
	static struct decoder decoder;
	struct blockz_fault fault = { .status = BLOCKZ_OK };
	struct cached *cached = NULL;
	decoder_new(&decoder, 1000, 0);
	const struct cache_want want = want_of(&decoder, 5);
	decoder.fail_at = 0;
	cache_prefetch(decoder.cache, &want);
	ck_assert_int_eq(cache_state_of(decoder.cache, 5), CACHE_ABSENT);
	decoder.fail_at = 1;
	ck_assert_int_eq(cache_get(decoder.cache, &want, &cached, &fault), BLOCKZ_DAMAGED);
	ck_assert_str_eq(fault.text, "call 1");
	ck_assert_ptr_null(cached);
	ck_assert(use(&decoder, 5, true));
	ck_assert_int_eq(decoder.calls, 3);
	cache_free(decoder.cache);
}
END_TEST

/* ---- Things that are made in steps ---- */

/* What makes them: byte i of a key is that of both, and what is kept between the steps is how many bytes there are. */
struct stepper {
	struct cache *cache;
	int fail_at; /* the call that fails */
	atomic_int calls, made, wrong;
};

enum { STEP_KEYS = 8, STEP_THING = 4000, STEP_UNIT = 64 };

static uint8_t step_byte(uint64_t key, size_t i)
{
	return (uint8_t)(key * 31 + i);
}

static bool is_made(const uint8_t *bytes, uint64_t key, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != step_byte(key, i))
			return false;
	return true;
}

static enum blockz_status step(const struct cache_want *want, uint8_t *bytes, size_t *made, struct blockz_fault *fault)
{
	struct stepper *stepper = want->ctx;
	size_t kept = 0, end = (want->wanted + STEP_UNIT - 1) / STEP_UNIT * STEP_UNIT;
	memcpy(&kept, bytes + want->len + SLACK, sizeof(kept));
	stepper->wrong += *made > 0 && (kept != *made || *made >= want->wanted || !is_made(bytes, want->key, *made));
	if (stepper->calls++ == stepper->fail_at)
		return fault_set(fault, BLOCKZ_DAMAGED, want->key, "a step");
	for (kept = *made; kept < end && kept < want->len; kept++)
		bytes[kept] = step_byte(want->key, kept);
	stepper->made += (int)(kept - *made);
	memcpy(bytes + want->len + SLACK, &kept, sizeof(kept));
	*made = kept;
	return BLOCKZ_OK;
}

static enum blockz_status get_first(struct stepper *stepper, uint64_t key, size_t wanted, struct cached **cached_ret)
{
	const struct cache_want want = {
		.key = key, .len = STEP_THING, .ctx = stepper, .step = step, .wanted = wanted, .step_len = sizeof(size_t),
	};
	return cache_get(stepper->cache, &want, cached_ret, NULL);
}

static void stepper_new(struct stepper *stepper, uint64_t limit, int fail_at)
{
	const struct cache_limits few = { .bytes = limit, .slack = SLACK };
	*stepper = (struct stepper){ .cache = cache_new(&few), .fail_at = fail_at };
	ck_assert_ptr_nonnull(stepper->cache);
}

/* Each byte is made once, when it or one behind it is wanted first. */
START_TEST(a_thing_is_made_as_far_as_it_is_wanted)
{
	static const size_t wanted[] = { 1, 64, 65, 10, 1000, 999, STEP_THING, 5 };
	static const int made[] = { 64, 64, 128, 128, 1024, 1024, STEP_THING, STEP_THING };
	struct stepper stepper;
	struct cached *cached = NULL;
	stepper_new(&stepper, STEP_THING, NEVER);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		ck_assert_int_eq(get_first(&stepper, 7, wanted[i], &cached), BLOCKZ_OK);
		ck_assert(is_made(cached->bytes, 7, wanted[i]));
		ck_assert_int_eq(stepper.made, made[i]);
		cache_put(stepper.cache, cached);
	}
	ck_assert_int_eq(stepper.calls, 4);
	ck_assert_int_eq(stepper.wrong, 0);
	cache_free(stepper.cache);
}
END_TEST

/* Who holds a thing keeps what there is of it, and who wants it next has it made from its beginning. */
START_TEST(a_step_that_fails_loses_the_thing)
{
	struct stepper stepper;
	struct cached *held = NULL, *cached = NULL;
	bool holds = _i != 0;
	stepper_new(&stepper, 2 * STEP_THING, 1);
	ck_assert_int_eq(get_first(&stepper, 3, 10, &held), BLOCKZ_OK);
	if (!holds)
		cache_put(stepper.cache, held);
	ck_assert_int_eq(get_first(&stepper, 3, 100, &cached), BLOCKZ_DAMAGED);
	ck_assert_ptr_null(cached);
	ck_assert_int_eq(cache_state_of(stepper.cache, 3), CACHE_ABSENT);
	ck_assert_int_eq(get_first(&stepper, 3, 100, &cached), BLOCKZ_OK);
	ck_assert_int_eq(stepper.made, 64 + 128);
	if (holds) {
		ck_assert(is_made(held->bytes, 3, 10));
		cache_put(stepper.cache, held);
	}
	cache_put(stepper.cache, cached);
	ck_assert_int_eq(stepper.wrong, 0);
	cache_free(stepper.cache);
}
END_TEST

static void *want_randomly(void *ctx)
{
	struct stepper *stepper = ctx;
	uint64_t state = (uint64_t)(uintptr_t)&state;
	for (int i = 0; i < ROUNDS; i++) {
		struct cached *cached = NULL;
		state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
		uint64_t key = state >> 33 & (STEP_KEYS - 1);
		size_t wanted = 1 + (size_t)(state >> 40) % STEP_THING;
		if (get_first(stepper, key, wanted, &cached) != BLOCKZ_OK)
			continue;
		stepper->wrong += !is_made(cached->bytes, key, wanted);
		cache_put(stepper->cache, cached);
	}
	return NULL;
}

/* With room for all things, or for three. */
START_TEST(many_threads_want_more)
{
	struct stepper stepper;
	pthread_t threads[THREADS];
	stepper_new(&stepper, (_i == 0 ? STEP_KEYS : 3) * STEP_THING, _i == 0 ? NEVER : 50);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, want_randomly, &stepper), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(stepper.wrong, 0);
	ck_assert(_i != 0 || stepper.made <= STEP_KEYS * STEP_THING);
	cache_free(stepper.cache);
}
END_TEST

int main(void)
{
	TCase *c = case_new("cache");
	tcase_add_test(c, a_thing_is_made_as_far_as_it_is_wanted);
	tcase_add_loop_test(c, a_step_that_fails_loses_the_thing, 0, 2);
	tcase_add_loop_test(c, many_threads_want_more, 0, 2);
	tcase_add_loop_test(c, what_was_not_used_for_longest_goes, 0, 2 * LIMITS);
	tcase_add_loop_test(c, many_threads_share_what_is_decoded_once, 0, THREAD_COUNTS);
	tcase_add_loop_test(c, many_threads_wait_for_room, 0, THREAD_COUNTS);
	tcase_add_loop_test(c, one_decode_fails_at_each_position, 0, THREAD_COUNTS);
	tcase_add_loop_test(c, who_waits_survives_that_decoding_fails, 0, 4);
	tcase_add_loop_test(c, what_is_held_stays, 0, 2);
	tcase_add_test(c, what_failed_for_later_fails_again_when_it_is_needed);
	return case_run("cache", c);
}
