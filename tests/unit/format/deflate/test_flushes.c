/* SPDX-License-Identifier: BSD-3-Clause */
/* Where pieces end: in bytes that are anything but marks, at every place of the parts in which they are read. */
#include <string.h>

#include "format/deflate/flushes.h"
#include "format/deflate/layout.h"
#include "memory.h"
#include "random.h"

enum { BEFORE = 7, PART = 256 * KIB, COUNT_MAX = 64 };

static const uint8_t mark[FLUSH_MARK_LEN] = { 0x00, 0x00, 0xff, 0xff };
static const uint8_t empty[STORED_HEADER_LEN] = { 0x00, 0x00, 0x00, 0xff, 0xff };

/* Bytes of a few values, most of which a mark has too, but no marks; some stand before what is searched. */
static struct bytes no_marks(size_t len)
{
	static const uint8_t values[] = { 0x00, 0xff, 0x00, 0xff, 0x01, 0xfe };
	struct bytes file = bytes_new(len);
	for (size_t i = 0; i < len; i++) {
		file.data[i] = values[rnd_below(sizeof(values))];
		if (i >= 3 && memcmp(file.data + i - 3, mark, sizeof(mark)) == 0)
			file.data[i] = 0x55;
	}
	return file;
}

static bool finds(struct bytes file, uint64_t *ends, size_t count)
{
	struct blockz_source source = bytes_source(file);
	const struct group group = { .bytes = { BEFORE, file.len }, .image = { 0, count * MIB }, .cut = MIB };
	bool found = false;
	ck_assert_int_eq(deflate_find_ends(&source, &group, ends, count, &found, NULL), BLOCKZ_OK);
	return found;
}

/* No byte beside a mark makes another one with some of it. */
static void put_mark(struct bytes file, size_t end)
{
	memset(file.data + end - 10, 0x55, 20 < file.len - (end - 10) ? 20 : file.len - (end - 10));
	memcpy(file.data + end - 4, mark, sizeof(mark));
}

START_TEST(marks_about_the_edges_of_parts)
{
	for (size_t at = BEFORE + PART - 12; at < BEFORE + PART + 12; at++) {
		const struct kept *kept = kept_so_far();
		struct bytes file = no_marks(BEFORE + 2 * PART + 100);
		uint64_t ends[2];
		put_mark(file, at);
		put_mark(file, file.len);
		ck_assert(finds(file, ends, 2));
		ck_assert_uint_eq(ends[0], at);
		ck_assert_uint_eq(ends[1], file.len);
		forget_since(kept);
	}
}
END_TEST

START_TEST(random_marks)
{
	for (int round = 0; round < 300; round++) {
		const struct kept *kept = kept_so_far();
		size_t count = 2 + (size_t)rnd_below(COUNT_MAX - 2), len = BEFORE;
		uint64_t expected[COUNT_MAX], ends[COUNT_MAX];
		for (size_t i = 0; i < count; i++)
			expected[i] = len += 20 + (size_t)rnd_below(9000);
		struct bytes file = no_marks(len);
		for (size_t i = 0; i < count; i++)
			put_mark(file, (size_t)expected[i]);
		ck_assert(finds(file, ends, count));
		ck_assert_mem_eq(ends, expected, count * sizeof(*ends));
		ck_assert(!finds(file, ends, count - 1));
		ck_assert(!finds(file, ends, count + 1));
		forget_since(kept);
	}
}
END_TEST

START_TEST(the_last_piece_ends_with_the_bytes)
{
	struct bytes file = no_marks(BEFORE + 1000);
	uint64_t ends[2];
	put_mark(file, 500);
	put_mark(file, file.len - 1);
	ck_assert(!finds(file, ends, 2));
	put_mark(file, file.len);
	ck_assert(!finds(file, ends, 1));
	ck_assert(finds(file, ends, 2));
}
END_TEST

/* What a piece is filled up with is its own, also over the edge of a part. */
START_TEST(filler_belongs_to_the_piece_before_it)
{
	for (size_t at = BEFORE + PART - 40; at < BEFORE + PART + 12; at++) {
		const struct kept *kept = kept_so_far();
		struct bytes file = no_marks(BEFORE + PART + 1000);
		uint64_t ends[2];
		put_mark(file, at);
		for (size_t i = 0; i < 5; i++)
			memcpy(file.data + at + i * sizeof(empty), empty, sizeof(empty));
		file.data[at + 5 * sizeof(empty)] = 0x55;
		put_mark(file, file.len);
		ck_assert(finds(file, ends, 2));
		ck_assert_uint_eq(ends[0], at + 5 * sizeof(empty));
		ck_assert_uint_eq(ends[1], file.len);
		file.data[at + 10] = 0x01; /* this is none: it would end the stream */
		ck_assert(!finds(file, ends, 2));
		forget_since(kept);
	}
}
END_TEST

START_TEST(a_file_that_became_shorter)
{
	struct bytes file = no_marks(BEFORE + 1000);
	struct blockz_source source = bytes_source(file);
	uint64_t ends[2];
	const struct group group = { .bytes = { BEFORE, file.len + 1 }, .image = { 0, 2 * MIB }, .cut = MIB };
	bool found = false;
	struct blockz_fault fault;
	ck_assert_int_eq(deflate_find_ends(&source, &group, ends, 2, &found, &fault), BLOCKZ_DAMAGED);
	ck_assert(!found);
}
END_TEST

int main(void)
{
	TCase *c = case_new("flushes");
	tcase_add_test(c, marks_about_the_edges_of_parts);
	tcase_add_test(c, random_marks);
	tcase_add_test(c, the_last_piece_ends_with_the_bytes);
	tcase_add_test(c, filler_belongs_to_the_piece_before_it);
	tcase_add_test(c, a_file_that_became_shorter);
	return case_run("flushes", c);
}
