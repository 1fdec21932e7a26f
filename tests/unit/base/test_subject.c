/* SPDX-License-Identifier: BSD-3-Clause */
/* A fault says what it speaks of: which of a call's files, images and edits failed. */
#include <string.h>

#include "blockz_delta.h"
#include "images.h"
#include "memory.h"

enum { IMAGE_LEN = 300 * KIB };

static const struct blockz_range raw = { 64 * KIB, 128 * KIB };

static struct bytes packed_image(struct bytes image)
{
	struct blockz_pack_options options = { .raw = &raw, .raw_count = 1 };
	return pack_image(blockz_format_at(0), image, options, NULL);
}

static void assert_about(enum blockz_status status, const struct blockz_fault *fault, enum blockz_subject expected)
{
	ck_assert_int_ne(status, BLOCKZ_OK);
	ck_assert_int_eq(fault->status, status);
	ck_assert_msg(fault->subject == expected, "about %d, expected %d: %s", (int)fault->subject, (int)expected, fault->text);
}

/* ---- One file ---- */

START_TEST(test_file)
{
	struct flaky_source flaky = { .bytes = packed_image(image_new(IMAGE_TEXT, IMAGE_LEN)), .fail_at = 1 };
	struct blockz_source file = flaky_source(&flaky);
	struct blockz_map *map = NULL;
	struct blockz_fault fault = { .subject = BLOCKZ_ABOUT_MEMORY };
	enum blockz_status status = blockz_map_read(&file, NULL, &map, &fault);
	assert_about(status, &fault, BLOCKZ_ABOUT_FILE);
}
END_TEST

/* Packs an image of which a read fails, or to a sink of which a write fails. */
static enum blockz_status pack_failing(unsigned image_fails_at, unsigned sink_fails_at, bool is_stream, struct blockz_fault *fault)
{
	struct flaky_source flaky = { .bytes = image_new(IMAGE_TEXT, IMAGE_LEN), .fail_at = image_fails_at };
	struct growing_sink growing = { .fail_at = sink_fails_at };
	struct blockz_source image = flaky_source(&flaky);
	struct blockz_sink sink = growing_sink_rewritable(&growing);
	struct blockz_pack_options options = { .format = blockz_format_at(0)->name };
	struct blockz_pack_result result;
	if (is_stream)
		image.size = BLOCKZ_UNKNOWN;
	return blockz_pack(&image, &sink, &options, &result, fault);
}

START_TEST(test_image)
{
	struct blockz_fault fault = { 0 };
	assert_about(pack_failing(1, 0, false, &fault), &fault, BLOCKZ_ABOUT_IMAGE);
	assert_about(pack_failing(1, 0, true, &fault), &fault, BLOCKZ_ABOUT_IMAGE);
}
END_TEST

/* The last call of the sink rewrites the head. */
START_TEST(test_output)
{
	struct blockz_fault fault = { 0 };
	unsigned n = 0;
	while (pack_failing(0, ++n, false, &fault) != BLOCKZ_OK)
		assert_about(fault.status, &fault, BLOCKZ_ABOUT_OUTPUT);
	ck_assert_uint_gt(n, 2);
}
END_TEST

START_TEST(test_against)
{
	struct bytes image = image_new(IMAGE_TEXT, IMAGE_LEN);
	struct blockz_source file = bytes_source(packed_image(image));
	struct flaky_source flaky = { .bytes = image, .fail_at = 1 };
	struct blockz_source against = flaky_source(&flaky);
	struct blockz_verify_options options = { .against = &against };
	struct blockz_verify_result result;
	struct blockz_fault fault = { 0 };
	enum blockz_status status = blockz_verify(&file, &options, &result, &fault);
	assert_about(status, &fault, BLOCKZ_ABOUT_AGAINST);
}
END_TEST

START_TEST(test_memory_of_encoders)
{
	struct blockz_source image = bytes_source(image_new(IMAGE_TEXT, IMAGE_LEN));
	struct growing_sink growing = { 0 };
	struct blockz_sink sink = growing_sink(&growing);
	struct blockz_pack_options options = { .format = blockz_format_at(0)->name, .memory = 1 };
	struct blockz_pack_result result;
	struct blockz_fault fault = { 0 };
	enum blockz_status status = blockz_pack(&image, &sink, &options, &result, &fault);
	ck_assert_int_eq(status, BLOCKZ_LIMIT);
	assert_about(status, &fault, BLOCKZ_ABOUT_MEMORY);
}
END_TEST

/* ---- Edits ---- */

/* Plans an edit of a file. */
static enum blockz_status plan_edit(struct bytes image, const struct blockz_edit *edit, struct blockz_fault *fault)
{
	struct blockz_source file = bytes_source(packed_image(image));
	struct blockz_map *map = map_of(file, false);
	struct blockz_plan *plan = NULL;
	const struct blockz_work work = { 0 };
	enum blockz_status status = blockz_plan_new(&file, map, edit, 1, &work, &plan, fault);
	blockz_plan_free(plan);
	blockz_map_free(map);
	return status;
}

START_TEST(test_edit)
{
	struct bytes image = image_new(IMAGE_TEXT, IMAGE_LEN), edited = bytes_copy(image);
	complement(edited, raw);
	struct flaky_source flaky = { .bytes = edited, .fail_at = 1 };
	struct blockz_edit failing = { .range = raw, .data = flaky_source(&flaky), .data_off = raw.start };
	struct blockz_edit beyond = edit_from(edited, (struct blockz_range){ 0, IMAGE_LEN });
	struct blockz_edit different = edit_from(edited, (struct blockz_range){ 0, IMAGE_LEN });
	struct blockz_fault fault = { 0 };
	assert_about(plan_edit(image, &failing, &fault), &fault, BLOCKZ_ABOUT_EDIT);
	beyond.range.end++;
	assert_about(plan_edit(image, &beyond, &fault), &fault, BLOCKZ_ABOUT_EDIT);
	complement(edited, (struct blockz_range){ 0, 1 });
	different.same_elsewhere = true;
	assert_about(plan_edit(image, &different, &fault), &fault, BLOCKZ_ABOUT_EDIT);
}
END_TEST

/* What is not raw in a file is not the edit's fault. */
START_TEST(test_compressed_place)
{
	struct bytes image = image_new(IMAGE_TEXT, IMAGE_LEN);
	struct blockz_edit edit = edit_from(image, (struct blockz_range){ 0, KIB });
	struct blockz_fault fault = { 0 };
	assert_about(plan_edit(image, &edit, &fault), &fault, BLOCKZ_ABOUT_FILE);
}
END_TEST

/* ---- Deltas ---- */

/* OLD and NEW differ in all of their blocks. */
struct pair {
	struct bytes old, new, delta;
};

static struct pair pair_new(void)
{
	struct bytes image = image_new(IMAGE_TEXT, IMAGE_LEN), changed = bytes_copy(image);
	for (size_t off = 0; off < changed.len; off += KIB)
		changed.data[off] ^= 1;
	struct pair pair = { packed_image(image), packed_image(changed), { 0 } };
	struct blockz_source sources[2] = { bytes_source(pair.old), bytes_source(pair.new) };
	struct growing_sink growing = { 0 };
	struct blockz_sink sink = growing_sink(&growing);
	const struct blockz_delta_options options = { 0 };
	struct blockz_delta_result result;
	struct blockz_fault fault = { 0 };
	enum blockz_status status = blockz_delta(&sources[0], &sources[1], &sink, &options, &result, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "%s", fault.text);
	pair.delta = growing.bytes;
	return pair;
}

static enum blockz_status merge(struct bytes old, struct blockz_source delta, unsigned sink_fails_at, struct blockz_fault *fault)
{
	struct blockz_source source = bytes_source(old);
	struct growing_sink growing = { .fail_at = sink_fails_at };
	struct blockz_sink sink = growing_sink(&growing);
	const struct blockz_merge_options options = { 0 };
	return blockz_merge(&source, &delta, &sink, &options, fault);
}

START_TEST(test_memory_of_delta)
{
	struct pair pair = pair_new();
	struct blockz_source sources[2] = { bytes_source(pair.old), bytes_source(pair.new) };
	struct growing_sink growing = { 0 };
	struct blockz_sink sink = growing_sink(&growing);
	const struct blockz_delta_options options = { .memory = 1 };
	struct blockz_delta_result result;
	struct blockz_fault fault = { 0 };
	enum blockz_status status = blockz_delta(&sources[0], &sources[1], &sink, &options, &result, &fault);
	ck_assert_int_eq(status, BLOCKZ_LIMIT);
	assert_about(status, &fault, BLOCKZ_ABOUT_MEMORY);
}
END_TEST

START_TEST(test_other_old)
{
	struct pair pair = pair_new();
	struct blockz_fault fault = { 0 };
	struct bytes shorter = { pair.old.data, pair.old.len - 1 }, other = bytes_copy(pair.old);
	other.data[other.len / 2] ^= 1;
	assert_about(merge(shorter, bytes_source(pair.delta), 0, &fault), &fault, BLOCKZ_ABOUT_OLD);
	assert_about(merge(other, bytes_source(pair.delta), 0, &fault), &fault, BLOCKZ_ABOUT_OLD);
}
END_TEST

/* Each byte of a delta that is damaged: what fails is the delta, or it shows in NEW. */
START_TEST(test_damaged_delta)
{
	struct pair pair = pair_new();
	struct bytes delta = bytes_copy(pair.delta);
	struct blockz_fault fault = { 0 };
	for (size_t i = 0; i < delta.len; i += 1 + i / 8) {
		delta.data[i] ^= 0x40;
		assert_about(merge(pair.old, bytes_source(delta), 0, &fault), &fault, BLOCKZ_ABOUT_DELTA);
		delta.data[i] ^= 0x40;
		struct bytes cut = { delta.data, i };
		assert_about(merge(pair.old, bytes_source(cut), 0, &fault), &fault, BLOCKZ_ABOUT_DELTA);
	}
}
END_TEST

START_TEST(test_failing_merge)
{
	struct pair pair = pair_new();
	struct flaky_source flaky = { .bytes = pair.delta, .fail_at = 1 };
	struct blockz_fault fault = { 0 };
	assert_about(merge(pair.old, flaky_source(&flaky), 0, &fault), &fault, BLOCKZ_ABOUT_DELTA);
	assert_about(merge(pair.old, bytes_source(pair.delta), 1, &fault), &fault, BLOCKZ_ABOUT_OUTPUT);
}
END_TEST

START_TEST(test_squashdelta)
{
	struct bytes no_squashfs = image_new(IMAGE_TEXT, 64 * KIB);
	struct blockz_source image = bytes_source(no_squashfs), stream = image;
	const struct blockz_merge_options options = { 0 };
	struct blockz_squashdelta *old_list = NULL, *new_list = NULL;
	struct blockz_fault fault = { 0 };
	stream.size = BLOCKZ_UNKNOWN;
	assert_about(blockz_squashdelta_choose(&image, &stream, &options, &old_list, &new_list, &fault), &fault,
		     BLOCKZ_ABOUT_NEW);
	assert_about(blockz_squashdelta_choose(NULL, &image, &options, NULL, &new_list, &fault), &fault, BLOCKZ_ABOUT_IMAGE);
	assert_about(blockz_squashdelta_read(&image, &new_list, &fault), &fault, BLOCKZ_ABOUT_DELTA);
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("subject");
	tcase_add_test(tcase, test_file);
	tcase_add_test(tcase, test_image);
	tcase_add_test(tcase, test_output);
	tcase_add_test(tcase, test_against);
	tcase_add_test(tcase, test_memory_of_encoders);
	tcase_add_test(tcase, test_edit);
	tcase_add_test(tcase, test_compressed_place);
	tcase_add_test(tcase, test_memory_of_delta);
	tcase_add_test(tcase, test_other_old);
	tcase_add_test(tcase, test_damaged_delta);
	tcase_add_test(tcase, test_failing_merge);
	tcase_add_test(tcase, test_squashdelta);
	return case_run("subject", tcase);
}
