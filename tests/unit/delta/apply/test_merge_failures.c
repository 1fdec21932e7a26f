/* SPDX-License-Identifier: BSD-3-Clause */
/* Deltas made by hand that cannot be applied: to what they are not for, by others than they are for, or to their end. */
#include <errno.h>
#include <string.h>

#include "blockz_delta.h"
#include "scenes.h"

static void assert_refused(const struct scene *scene, enum blockz_status expected, const char *text, bool at_once)
{
	for (unsigned threads = 1; threads <= 8; threads *= threads == 2 ? 4 : 2) {
		struct growing_sink sink = { .calls = 0 };
		struct blockz_fault fault;
		enum blockz_status status = merge(bytes_source(scene->old), bytes_source(scene->delta), &sink,
						  (struct blockz_work){ .threads = threads }, &fault);
		ck_assert_msg(status == expected, "status %d: %s", (int)status, fault.text);
		ck_assert_msg(strstr(fault.text, text) != NULL, "%s", fault.text);
		ck_assert(!at_once || sink.calls == 0);
	}
}

START_TEST(another_old)
{
	struct scene *scene = scene_random(6, 2, 8, 1000);
	scene->old.data[scene->head.old_size] ^= 1; /* does not count */
	assert_merges(scene, 1);
	scene->old.data[scene->head.old_size - 1] ^= 1;
	assert_refused(scene, BLOCKZ_DAMAGED, "OLD is not the file that this delta is for: SHA-256 expected ", true);
	scene->old.data[scene->head.old_size - 1] ^= 1;
	scene->old.len = scene->head.old_size;
	assert_merges(scene, 1);
	scene->old.len--;
	assert_refused(scene, BLOCKZ_DAMAGED, "OLD is not the file that this delta is for: size expected ", true);
}
END_TEST

START_TEST(another_encoder)
{
	struct scene *scene = scene_new(4);
	scene_block(scene, 1, scene_op(scene, OP_EXTRA, 0, 5000));
	struct section section = scene_cut(scene);
	scene->head.encoders[1].fingerprint[15] ^= 1;
	scene_finish(scene, &section, 1);
	assert_refused(scene, BLOCKZ_UNSUPPORTED, "\"zstd level=5\"", true);

	scene = scene_new(4);
	scene->head.encoders[1].params.values[ZSTD_LEVEL] = 1000;
	scene_finish(scene, NULL, 0);
	assert_refused(scene, BLOCKZ_UNSUPPORTED, "parameters that this program does not know", true);

	scene = scene_new(4);
	scene->head.encoders[0].params = (struct codec_params){ .codec = CODEC_LZO };
	scene_finish(scene, NULL, 0);
	assert_refused(scene, BLOCKZ_UNSUPPORTED, "LZO", true);
}
END_TEST

/* The encoder is the right one by its fingerprint, and yet the block comes out otherwise. */
START_TEST(a_block_that_differs)
{
	struct scene *scene = scene_new(4);
	scene_verbatim(scene, scene_op(scene, OP_EXTRA, 0, 77));
	scene_block(scene, 1, scene_op(scene, OP_EXTRA, 0, 5000));
	scene->section.blocks[0].file_len--;
	scene->new.len--;
	struct section section = scene_cut(scene);
	scene_finish(scene, &section, 1);
	assert_refused(scene, BLOCKZ_DAMAGED, "\"zstd level=5\" makes another block than NEW has at byte 77", false);
}
END_TEST

/* The first failure is told, whether what fails behind it belongs to the same job or not. */
START_TEST(two_failures)
{
	struct scene *scene = scene_new(4);
	scene_block(scene, 1, scene_op(scene, OP_EXTRA, 0, 5000));
	scene->section.blocks[0].file_len--;
	scene->new.len--;
	struct section sections[2] = { scene_cut(scene) };
	scene_verbatim(scene, scene_op(scene, OP_EXTRA, 0, 5000));
	sections[1] = scene_cut(scene);
	scene_finish(scene, sections, 2);
	scene->delta.len -= 100;
	assert_refused(scene, BLOCKZ_DAMAGED, "makes another block than NEW has", false);
}
END_TEST

START_TEST(a_new_that_differs)
{
	struct scene *scene = scene_new(4);
	scene_verbatim(scene, scene_op(scene, OP_EXTRA, 0, 5000));
	scene->new.data[100] ^= 1;
	struct section section = scene_cut(scene);
	scene_finish(scene, &section, 1);
	assert_refused(scene, BLOCKZ_DAMAGED, "NEW did not come out right: SHA-256 expected ", false);
}
END_TEST

START_TEST(a_block_of_old_that_does_not_decode)
{
	struct scene *scene = scene_new(4);
	scene->old_blocks.items[0].codec = CODEC_LZMA;
	scene_verbatim(scene, scene_op(scene, OP_COPY, scene->head.old_size, 5000));
	struct section section = scene_cut(scene);
	scene_finish(scene, &section, 1);
	assert_refused(scene, BLOCKZ_DAMAGED, "OLD's block of ", false);
}
END_TEST

START_TEST(a_sink_that_fails)
{
	struct scene *scene = scene_random(10, 2, 20, 1000);
	for (unsigned threads = 1; threads <= 8; threads *= 2)
		for (unsigned at = 1; at <= 9; at += 1 + at / 4) {
			struct growing_sink sink = { .fail_at = at };
			struct blockz_fault fault;
			ck_assert_int_eq(merge(bytes_source(scene->old), bytes_source(scene->delta), &sink,
					       (struct blockz_work){ .threads = threads }, &fault), BLOCKZ_FAILED);
			ck_assert_uint_eq(sink.calls, at);
			ck_assert(strstr(fault.text, strerror(EIO)) != NULL);
		}
}
END_TEST

/* Every read that there is fails in turn. */
START_TEST(sources_that_fail)
{
	struct scene *scene = scene_random(6, 2, 8, 1000);
	for (int which = 0; which < 2; which++)
		for (unsigned threads = 1; threads <= 2; threads++)
			for (unsigned at = 1;; at++) {
				struct flaky_source flaky = { .bytes = which == 0 ? scene->old : scene->delta, .fail_at = at };
				struct blockz_source old = which == 0 ? flaky_source(&flaky) : bytes_source(scene->old);
				struct blockz_source delta = which == 1 ? flaky_source(&flaky) : bytes_source(scene->delta);
				struct growing_sink sink = { .calls = 0 };
				struct blockz_fault fault;
				enum blockz_status status = merge(old, delta, &sink, (struct blockz_work){ .threads = threads },
								  &fault);
				if (flaky.reads < at) {
					ck_assert_int_eq(status, BLOCKZ_OK);
					break;
				}
				ck_assert_int_eq(status, BLOCKZ_FAILED);
				ck_assert(strstr(fault.text, strerror(EIO)) != NULL);
			}
}
END_TEST

struct patience {
	unsigned calls, last;
	uint64_t done;
};

static bool count_down(void *ctx, uint64_t image_done, uint64_t file_done)
{
	struct patience *patience = ctx;
	ck_assert_uint_ge(image_done, patience->done);
	ck_assert(image_done == 0 || file_done > 0);
	patience->done = image_done;
	return ++patience->calls != patience->last;
}

START_TEST(progress_and_interrupts)
{
	struct scene *scene = scene_random(10, 2, 20, 1000);
	for (unsigned threads = 1; threads <= 8; threads *= 2) {
		struct patience patience = { .last = 0 };
		struct blockz_work work = { threads, count_down, &patience };
		struct growing_sink sink = { .calls = 0 };
		struct blockz_fault fault;
		ck_assert_int_eq(merge(bytes_source(scene->old), bytes_source(scene->delta), &sink, work, &fault), BLOCKZ_OK);
		ck_assert_uint_eq(patience.done, scene->new.len);
		for (unsigned calls = patience.calls, last = 1; last <= calls; last += 1 + last / 3) {
			patience = (struct patience){ .last = last };
			sink = (struct growing_sink){ .calls = 0 };
			ck_assert_int_eq(merge(bytes_source(scene->old), bytes_source(scene->delta), &sink, work, &fault),
					 BLOCKZ_FAILED);
			ck_assert_str_eq(fault.text, "interrupted");
			ck_assert_uint_eq(patience.calls, last);
		}
	}
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("merge_failures");
	tcase_add_test(tcase, another_old);
	tcase_add_test(tcase, another_encoder);
	tcase_add_test(tcase, a_block_that_differs);
	tcase_add_test(tcase, two_failures);
	tcase_add_test(tcase, a_new_that_differs);
	tcase_add_test(tcase, a_block_of_old_that_does_not_decode);
	tcase_add_test(tcase, a_sink_that_fails);
	tcase_add_test(tcase, sources_that_fail);
	tcase_add_test(tcase, progress_and_interrupts);
	return case_run("merge_failures", tcase);
}
