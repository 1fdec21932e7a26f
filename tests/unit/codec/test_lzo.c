/* SPDX-License-Identifier: BSD-3-Clause */
/* LZO by the helper program: what it makes, what it bears, and what its end is. */
#include <check.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "blockz_delta.h"
#include "codecs.h"
#include "deltas/lzo.h"
#include "deltas/lzo_protocol.h"

static char program[PATH_MAX];

static const struct codec_params samples[] = {
	{ CODEC_LZO, { 0, 0, 0 } }, { CODEC_LZO, { 1, 0, 0 } }, { CODEC_LZO, { 2, 0, 1 } }, { CODEC_LZO, { 3, 0, 0 } },
	{ CODEC_LZO, { 4, 1, 0 } }, { CODEC_LZO, { 4, 8, 0 } }, { CODEC_LZO, { 4, 9, 1 } },
};

enum { SAMPLES = sizeof(samples) / sizeof(samples[0]), THREADS = 4, ROUNDS = 20 };

START_TEST(blocks_come_back)
{
	struct lzo_helpers *helpers = lzo_helpers_new(program);
	struct codec_env env = { lzo_helpers_ops(helpers) };
	struct codec_contexts contexts = { .env = &env };
	ck_assert_ptr_nonnull(env.lzo);
	assert_round_trips(&contexts, &samples[_i]);
	codec_contexts_free(&contexts);
	lzo_helpers_free(helpers);
}
END_TEST

START_TEST(damage_is_borne)
{
	struct lzo_helpers *helpers = lzo_helpers_new(program);
	struct codec_env env = { lzo_helpers_ops(helpers) };
	struct codec_contexts contexts = { .env = &env };
	assert_bears_damage(&contexts, &samples[_i]);
	codec_contexts_free(&contexts);
	lzo_helpers_free(helpers);
}
END_TEST

START_TEST(fingerprints_tell_encoders_apart)
{
	struct lzo_helpers *helpers = lzo_helpers_new(program);
	struct codec_env env = { lzo_helpers_ops(helpers) };
	uint8_t prints[SAMPLES][CODEC_FINGERPRINT_LEN], again[CODEC_FINGERPRINT_LEN];
	for (size_t i = 0; i < SAMPLES; i++) {
		ck_assert_int_eq(codec_fingerprint(&env, &samples[i], prints[i], NULL), BLOCKZ_OK);
		ck_assert_int_eq(codec_fingerprint(&env, &samples[i], again, NULL), BLOCKZ_OK);
		ck_assert_mem_eq(again, prints[i], sizeof(again));
		for (size_t j = 0; j < i; j++)
			ck_assert_mem_ne(prints[i], prints[j], sizeof(prints[i]));
	}
	lzo_helpers_free(helpers);
}
END_TEST

static const struct blockz_lzo_method lzo1x_1 = { 0 };

struct caller {
	const struct blockz_lzo *lzo;
	struct bytes plain;
	size_t wrong;
};

static void *call(void *ctx)
{
	struct caller *caller = ctx;
	const struct blockz_lzo *lzo = caller->lzo;
	uint8_t *packed = malloc(caller->plain.len), *back = malloc(caller->plain.len);
	for (int round = 0; round < ROUNDS; round++) {
		size_t len = 0;
		caller->wrong += lzo->ops->compress(lzo->ctx, &lzo1x_1, caller->plain.data, caller->plain.len, packed,
						    caller->plain.len, &len) != 0 || len == 0;
		caller->wrong += lzo->ops->decompress(lzo->ctx, packed, len, back, caller->plain.len) != 0 ||
				 memcmp(back, caller->plain.data, caller->plain.len) != 0;
	}
	free(packed);
	free(back);
	return NULL;
}

START_TEST(threads_call_at_once)
{
	struct lzo_helpers *helpers = lzo_helpers_new(program);
	struct caller callers[THREADS];
	pthread_t threads[THREADS];
	for (size_t i = 0; i < THREADS; i++) {
		callers[i] = (struct caller){ lzo_helpers_ops(helpers), image_new(IMAGE_TEXT, 20000 + 1000 * i), 0 };
		ck_assert_int_eq(pthread_create(&threads[i], NULL, call, &callers[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_uint_eq(callers[i].wrong, 0);
	}
	lzo_helpers_free(helpers);
	/* No process is left. */
	ck_assert_int_eq(waitpid(-1, NULL, 0), -1);
	ck_assert_int_eq(errno, ECHILD);
}
END_TEST

START_TEST(without_a_helper_there_is_none)
{
	ck_assert_ptr_null(lzo_helpers_new("/nonexistent/blockz-lzo"));
	ck_assert_ptr_null(lzo_helpers_ops(NULL));
	lzo_helpers_free(NULL);
}
END_TEST

/* A program that is no helper ends at once; so does one that is killed. */
START_TEST(an_end_is_an_error)
{
	struct lzo_helpers *helpers = lzo_helpers_new("/bin/true");
	const struct blockz_lzo *lzo = lzo_helpers_ops(helpers);
	struct bytes plain = image_new(IMAGE_TEXT, 300000), packed = bytes_new(300000);
	size_t len = 77;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(lzo->ops->compress(lzo->ctx, &lzo1x_1, plain.data, plain.len, packed.data, packed.len, &len),
				 EPIPE);
	ck_assert_uint_eq(len, 77);
	struct codec_env env = { lzo };
	struct codec_contexts contexts = { .env = &env };
	ck_assert_int_eq(decode_block(&contexts, CODEC_LZO, plain, 100, &packed), BLOCKZ_FAILED);
	codec_contexts_free(&contexts);
	lzo_helpers_free(helpers);
}
END_TEST

/* Runs the helper with these bytes on stdin and nobody on stdout; the exit status. */
static int run_with(const uint8_t *bytes, size_t len)
{
	char command[PATH_MAX + 64];
	snprintf(command, sizeof(command), "exec '%s' >/dev/null 2>&1", program);
	signal(SIGPIPE, SIG_IGN);
	FILE *pipe = popen(command, "w");
	ck_assert_ptr_nonnull(pipe);
	fwrite(bytes, 1, len, pipe);
	int status = pclose(pipe);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

START_TEST(other_requests_are_refused)
{
	static const uint8_t good[LZO_REQUEST_LEN + 4] = { LZO_COMPRESS, 4, 8, 0, 4, 0, 0, 0, 4, 0, 0, 0, 'a', 'a', 'a', 'a' };
	static const struct {
		size_t at;
		uint8_t byte;
	} wrong[] = {
		{ LZO_WHAT, 'x' }, { LZO_WHAT, LZO_DECOMPRESS }, { LZO_ALGORITHM_OFF, 5 }, { LZO_ALGORITHM_OFF, 0 },
		{ LZO_LEVEL_OFF, 0 }, { LZO_LEVEL_OFF, 10 }, { LZO_OPTIMISE_OFF, 2 }, { LZO_LENGTH_OFF, 0 },
		{ LZO_LENGTH_OFF + 3, 0xff }, { LZO_ROOM_OFF, 0 }, { LZO_ROOM_OFF + 3, 0xff },
	};
	ck_assert_int_eq(run_with(good, sizeof(good)), 0);
	ck_assert_int_eq(run_with(good, 0), 0);
	for (size_t len = 1; len < sizeof(good); len++)
		ck_assert_int_eq(run_with(good, len), 1);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		uint8_t request[sizeof(good)];
		memcpy(request, good, sizeof(good));
		request[wrong[i].at] = wrong[i].byte;
		ck_assert_msg(run_with(request, sizeof(request)) == 1, "%zu", i);
	}
}
END_TEST

int main(void)
{
	const char *bin = getenv("BLOCKZ_BIN");
	snprintf(program, sizeof(program), "%s/blockz-lzo", bin != NULL ? bin : ".build/release");
	TCase *c = case_new("lzo");
	tcase_add_test(c, without_a_helper_there_is_none);
	tcase_add_test(c, an_end_is_an_error);
	if (access(program, X_OK) == 0) {
		tcase_add_loop_test(c, blocks_come_back, 0, SAMPLES);
		tcase_add_loop_test(c, damage_is_borne, 0, SAMPLES);
		tcase_add_test(c, fingerprints_tell_encoders_apart);
		tcase_add_test(c, threads_call_at_once);
		tcase_add_test(c, other_requests_are_refused);
	} else {
		printf("skip lzo: %s was not built\n", program);
	}
	return case_run("lzo", c);
}
