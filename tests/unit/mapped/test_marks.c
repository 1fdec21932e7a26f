/* SPDX-License-Identifier: BSD-3-Clause */
/* Marks are found, and take no more memory than they may. */
#include "mapped/marks.h"

#include <string.h>

#include "memory.h"

/* A mark that tells its place. */
static void add(struct marks *marks, uint64_t pos, size_t len)
{
	struct bytes bytes = bytes_new(len);
	memcpy(bytes.data, &pos, sizeof(pos));
	marks_add(marks, pos, bytes.data, bytes.len);
}

static void assert_mark(const struct mark *mark, uint64_t pos, size_t len)
{
	ck_assert_ptr_nonnull(mark);
	ck_assert_uint_eq(mark->pos, pos);
	ck_assert_uint_eq(mark->len, len);
	ck_assert_mem_eq(mark->bytes, &pos, sizeof(pos));
}

START_TEST(the_nearest_one_before_is_found)
{
	struct marks marks = MARKS_INIT;
	ck_assert_ptr_null(marks_find(&marks, UINT64_MAX));
	add(&marks, 5 * MIB, 100);
	add(&marks, 9 * MIB, 200);
	add(&marks, 7 * MIB, 300);
	ck_assert_ptr_null(marks_find(&marks, 5 * MIB - 1));
	assert_mark(marks_find(&marks, 5 * MIB), 5 * MIB, 100);
	assert_mark(marks_find(&marks, 7 * MIB - 1), 5 * MIB, 100);
	assert_mark(marks_find(&marks, 9 * MIB - 1), 7 * MIB, 300);
	assert_mark(marks_find(&marks, UINT64_MAX), 9 * MIB, 200);
	marks_free(&marks);
	ck_assert_ptr_null(marks_find(&marks, UINT64_MAX));
}
END_TEST

START_TEST(they_are_wanted_at_their_spacing)
{
	static const struct {
		uint64_t start, pos;
		bool wanted;
	} cases[] = {
		{ 0, MARKS_SPACING_MIN - 1, false }, { 0, MARKS_SPACING_MIN, true },
		{ 3 * MIB, 3 * MIB + MARKS_SPACING_MIN - 1, false }, /* where a piece starts, none is needed */
		{ 0, 10 * MIB - MARKS_SPACING_MIN, true }, { 0, 10 * MIB - MARKS_SPACING_MIN + 1, false },
		{ 0, 10 * MIB, false }, { 0, 10 * MIB + MARKS_SPACING_MIN - 1, false }, { 0, 10 * MIB + MARKS_SPACING_MIN, true },
	};
	struct marks marks = MARKS_INIT;
	add(&marks, 10 * MIB, 100);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_int_eq(marks_want(&marks, cases[i].start, cases[i].pos), cases[i].wanted);
	marks_free(&marks);
}
END_TEST

/* A pass over an image of 2^40 bytes, or enough of one, whose history does not compress, or all but goes away. */
START_TEST(their_memory_is_bounded)
{
	const uint64_t image_len = UINT64_C(1) << (sanitized ? 36 : 40);
	const size_t len = _i == 0 ? 32 * KIB : 100;
	struct marks marks = MARKS_INIT;
	for (uint64_t pos = 0; pos < image_len; pos += MARKS_SPACING_MIN / 2) {
		const struct kept *kept = kept_so_far();
		if (marks_want(&marks, 0, pos))
			add(&marks, pos, len);
		ck_assert_uint_le(marks.bytes, MARKS_BYTES_MAX);
		forget_since(kept);
	}
	/* They are as near to each other as they can be, all over the image. */
	ck_assert_uint_ge(marks.bytes, MARKS_BYTES_MAX / 4);
	ck_assert_uint_le(marks.spacing, image_len / marks.count);
	for (uint64_t pos = 2 * marks.spacing; pos < image_len; pos += image_len / (few_rounds ? 200 : 1000)) {
		const struct mark *mark = marks_find(&marks, pos);
		ck_assert_ptr_nonnull(mark);
		ck_assert_uint_le(pos - mark->pos, 2 * marks.spacing);
	}
	marks_free(&marks);
}
END_TEST

int main(void)
{
	TCase *c = case_new("marks");
	tcase_add_test(c, the_nearest_one_before_is_found);
	tcase_add_test(c, they_are_wanted_at_their_spacing);
	tcase_add_loop_test(c, their_memory_is_bounded, 0, 2);
	return case_run("marks", c);
}
