/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A disk that is written to anywhere, against a plain array: threads share pages, and have bytes of their own in each; the
 * overlay is left and taken up again, and brought into the file, which is decoded by others.
 */
#include <stdlib.h>
#include <string.h>

#include "disk_threads.h"
#include "served.h"

enum { SHARE = 512, PAGE = BLOCKZ_OVERLAY_PAGE };

/* ---- The model ---- */

/*
 * Of each 4 KiB, each thread has those shares whose number modulo the count of threads is its own.  Some bytes of one share;
 * with one thread any bytes, perhaps many pages.
 */
static struct blockz_range choose(struct disk_thread *self)
{
	if (self->count == 1) {
		uint64_t start = disk_thread_next(self) % SERVED_LEN, most = disk_thread_next(self) % 8 == 0 ? 70 * PAGE : 2 * PAGE;
		uint64_t len = 1 + disk_thread_next(self) % most;
		start = disk_thread_next(self) % 4 == 0 ? start / PAGE * PAGE : start;
		return (struct blockz_range){ start, start + len < SERVED_LEN ? start + len : SERVED_LEN };
	}
	uint64_t shares = SERVED_LEN / SHARE, share = disk_thread_next(self) % shares / self->count * self->count + self->number;
	share = share < shares ? share : self->number;
	uint64_t start = share * SHARE + disk_thread_next(self) % SHARE;
	return (struct blockz_range){ start, start + 1 + disk_thread_next(self) % ((share + 1) * SHARE - start) };
}

static void write_some(struct disk_thread *self)
{
	const struct blockz_range range = choose(self);
	uint8_t *bytes = self->served->image.data + range.start;
	size_t len = (size_t)(range.end - range.start);
	bool zeros = disk_thread_next(self) % 8 == 0;
	for (size_t i = 0; i < len; i++)
		bytes[i] = zeros ? 0 : (uint8_t)disk_thread_next(self);
	if (blockz_disk_write(self->served->disk, zeros ? NULL : bytes, len, range.start, NULL) != BLOCKZ_OK)
		self->failure = "a write";
}

static void read_some(struct disk_thread *self)
{
	const struct blockz_range range = choose(self);
	size_t len = (size_t)(range.end - range.start);
	uint8_t *found = malloc(len);
	if (found == NULL || blockz_disk_read(self->served->disk, found, len, range.start, NULL) != BLOCKZ_OK)
		self->failure = "a read";
	else if (memcmp(found, self->served->image.data + range.start, len) != 0)
		self->failure = "other bytes than were written";
	free(found);
}

static const struct disk_work work = { .writes = 16, .reads = 15, .write_some = write_some, .read_some = read_some };

START_TEST(threads_write_anywhere_as_in_an_array)
{
	static const unsigned counts[] = { 1, 2, 8 };
	struct served served;
	served_prepare_variant(&served, &served_variants[_i]);
	struct bytes before = served_file(&served);
	for (int round = 0; round < 3; round++) {
		served_start_anywhere(&served, BLOCKZ_COMMIT_CLOSE);
		assert_served(&served);
		disk_threads_run(&served, &work, counts[round]);
		assert_served(&served);
		served_leave(&served);
		assert_bytes(served_file(&served), before);
	}
	served_bring_in(&served, BLOCKZ_WAY_SPLICE);
	assert_file_is_right(&served);
	served_free(&served);
}
END_TEST

/* Variants whose zeros are told of. */
static const size_t with_zeros[] = { 0, 2, 3, 4, 6 };

/* A flush commits while other threads read and write. */
START_TEST(threads_go_on_while_a_flush_commits)
{
	struct served served;
	served_prepare_variant(&served, &served_variants[with_zeros[_i]]);
	for (int round = 0; round < 2; round++) {
		served_start_anywhere(&served, BLOCKZ_COMMIT_FLUSH);
		disk_threads_run(&served, &work, 4);
		assert_served(&served);
		served_leave(&served);
		served_start_anywhere(&served, BLOCKZ_COMMIT_CLOSE);
		assert_served(&served);
		served_leave(&served);
	}
	if (served_has_overlay(&served))
		served_bring_in(&served, BLOCKZ_WAY_SPLICE);
	assert_file_is_right(&served);
	served_free(&served);
}
END_TEST

/* ---- Single writes ---- */

static void write_range(struct served *served, uint64_t start, uint64_t end, uint8_t byte)
{
	memset(served->image.data + start, byte, (size_t)(end - start));
	enum blockz_status status = blockz_disk_write(served->disk, served->image.data + start, (size_t)(end - start), start,
						      &served->fault);
	ck_assert_msg(status == BLOCKZ_OK, "write: %s", served->fault.text);
}

/* Of all kinds of bytes, whole pages, parts of them, and the end. */
static void write_everywhere(struct served *served)
{
	write_range(served, 0, 1, 1);                                     /* raw */
	write_range(served, 50 * KIB + 5, 50 * KIB + 9, 2);               /* compressed */
	write_range(served, 3 * MIB + 300 * KIB, 3 * MIB + 304 * KIB, 3); /* zeros */
	write_range(served, 69 * KIB, 71 * KIB, 4);                       /* across the edge of a raw range */
	write_range(served, 4 * MIB + 1, 4 * MIB + 20 * PAGE + 17, 5);
	write_range(served, SERVED_LEN - 1, SERVED_LEN, 6);
	write_range(served, SERVED_LEN / PAGE * PAGE, SERVED_LEN, 7);
}

START_TEST(pages_are_brought_in_by_both_ways)
{
	static const enum blockz_way ways[] = { BLOCKZ_WAY_IN_PLACE, BLOCKZ_WAY_SPLICE };
	for (int i = 0; i < 2; i++) {
		struct served served;
		served_prepare_variant(&served, &served_variants[_i]);
		struct bytes before = served_file(&served);
		served_start_anywhere(&served, BLOCKZ_COMMIT_CLOSE);
		write_everywhere(&served);
		assert_served(&served);
		assert_bytes(served_file(&served), before);
		served_leave(&served);
		ck_assert(served_has_overlay(&served));
		served_bring_in(&served, ways[i]);
		assert_file_is_right(&served);
		ck_assert(ways[i] == BLOCKZ_WAY_SPLICE || served_file(&served).len == before.len);
		served_start_anywhere(&served, BLOCKZ_COMMIT_CLOSE);
		assert_served(&served);
		served_leave(&served);
		served_free(&served);
	}
}
END_TEST

/* Bytes that compress as those that they take the place of, so that there is room for them. */
START_TEST(a_flush_commits_in_place_if_asked)
{
	struct served served;
	served_prepare_variant(&served, &served_variants[with_zeros[_i]]);
	size_t len = served_file(&served).len;
	served_start_anywhere(&served, BLOCKZ_COMMIT_FLUSH);
	for (uint8_t i = 0; i < 3; i++) {
		write_range(&served, 3 * MIB + 250 * KIB, 3 * MIB + 250 * KIB + 4, (uint8_t)(i + 1));
		write_range(&served, 80 * KIB, 81 * KIB, (uint8_t)(i + 5));
		ck_assert(served_has_overlay(&served));
		ck_assert_int_eq(blockz_disk_flush(served.disk, &served.fault), BLOCKZ_OK);
		ck_assert(!served_has_overlay(&served) && !served_has_journal(&served));
		ck_assert_uint_eq(served_file(&served).len, len);
		assert_file_is_right(&served);
		assert_served(&served);
	}
	served_leave(&served);
	ck_assert(!served_has_overlay(&served));
	served_free(&served);
}
END_TEST

/* Noise where there was text does not fit, and raw bytes that are in one piece with it (without an index) make no room for it. */
START_TEST(what_does_not_fit_stays)
{
	struct served served;
	struct bytes image = image_new(IMAGE_TEXT, SERVED_LEN);
	served_pack(&served, &served_variants[_i], image);
	struct bytes before = served_file(&served);
	served_start_anywhere(&served, BLOCKZ_COMMIT_FLUSH);
	const uint64_t start = 3 * MIB + 200 * KIB;
	rnd_fill(image.data + start, 256 * KIB);
	ck_assert_int_eq(blockz_disk_write(served.disk, image.data + start, 256 * KIB, start, NULL), BLOCKZ_OK);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(blockz_disk_flush(served.disk, &served.fault), BLOCKZ_OK);
		ck_assert(served_has_overlay(&served) && !served_has_journal(&served));
		assert_bytes(served_file(&served), before);
		assert_served(&served);
	}
	served_leave(&served);
	served_bring_in(&served, BLOCKZ_WAY_SPLICE);
	assert_file_is_right(&served);
	served_free(&served);
}
END_TEST

START_TEST(an_overlay_is_made_by_the_first_write)
{
	struct served served;
	served_prepare_variant(&served, &served_variants[0]);
	served_start_anywhere(&served, BLOCKZ_COMMIT_CLOSE);
	assert_served(&served);
	ck_assert_int_eq(blockz_disk_flush(served.disk, NULL), BLOCKZ_OK);
	ck_assert(!served_has_overlay(&served));
	write_range(&served, 5, 6, 7);
	ck_assert(served_has_overlay(&served));
	served_leave(&served);
	served_start_anywhere(&served, BLOCKZ_COMMIT_CLOSE);
	ck_assert_uint_eq(blockz_overlay_info(served.overlay).pages, 1);
	assert_served(&served);
	served_leave(&served);
	served_free(&served);
}
END_TEST

static void assert_extent(struct served *served, uint64_t off, uint64_t end, bool zeros, uint64_t found_end)
{
	bool found = !zeros;
	uint64_t len = 0;
	ck_assert_int_eq(blockz_disk_extent(served->disk, off, end - off, &found, &len, &served->fault), BLOCKZ_OK);
	ck_assert_msg(found == zeros && off + len == found_end, "at %llu: %d up to %llu", (unsigned long long)off, found,
		      (unsigned long long)(off + len));
}

START_TEST(held_pages_are_data)
{
	struct served served;
	uint64_t zeros = 3 * MIB + 512 * KIB, zeros_end = 3 * MIB + 1280 * KIB;
	served_prepare_variant(&served, &served_variants[with_zeros[_i]]);
	served_start_anywhere(&served, BLOCKZ_COMMIT_CLOSE);
	assert_extent(&served, zeros, zeros_end, true, zeros_end);
	ck_assert_int_eq(blockz_disk_write(served.disk, NULL, 1, zeros + 100 * KIB + 5, NULL), BLOCKZ_OK);
	assert_extent(&served, zeros, zeros_end, true, zeros + 100 * KIB);
	assert_extent(&served, zeros + 100 * KIB, zeros_end, false, zeros + 104 * KIB);
	assert_extent(&served, zeros + 104 * KIB, zeros_end, true, zeros_end);
	/* Data beside data is one run. */
	ck_assert_int_eq(blockz_disk_write(served.disk, NULL, PAGE, 3 * MIB + 96 * KIB, NULL), BLOCKZ_OK);
	assert_extent(&served, 3 * MIB, zeros, false, 3 * MIB + 256 * KIB);
	served_leave(&served);
	served_free(&served);
}
END_TEST

START_TEST(an_overlay_of_another_file_is_refused)
{
	struct served served;
	served_prepare_variant(&served, &served_variants[0]);
	struct bytes file = served_file(&served);
	served_start_anywhere(&served, BLOCKZ_COMMIT_CLOSE);
	write_range(&served, 5, 6, 7);
	served_leave(&served);
	served_write_file(&served, pack_image(format_named("gzip"), image_new(IMAGE_TEXT, SERVED_LEN),
					      (struct blockz_pack_options){ .level = 2, .piece_size = SERVED_PIECE }, NULL));
	ck_assert_int_eq(served_open_anywhere(&served, BLOCKZ_COMMIT_CLOSE), BLOCKZ_NEEDS_RECOVERY);
	ck_assert_int_eq(served.fault.remedy, BLOCKZ_REMEDY_COMMIT);
	ck_assert(served_has_overlay(&served));
	served_write_file(&served, file);
	served_start_anywhere(&served, BLOCKZ_COMMIT_CLOSE);
	assert_served(&served);
	served_leave(&served);
	served_free(&served);
}
END_TEST

START_TEST(one_that_is_read_is_seen_and_kept)
{
	struct served served;
	served_prepare_variant(&served, &served_variants[0]);
	served_start_anywhere(&served, BLOCKZ_COMMIT_CLOSE);
	write_everywhere(&served);
	served_leave(&served);
	ck_assert_int_eq(scratch_open(&served.scratch, BLOCKZ_STORE_READ), BLOCKZ_OK);
	ck_assert_int_eq(blockz_overlay_open(served.scratch.dir, SCRATCH_NAME, &served.scratch.store, BLOCKZ_OVERLAY_READ,
					     &served.overlay, NULL), BLOCKZ_OK);
	const struct blockz_disk_options options = { .cache = SERVED_CACHE, .overlay = served.overlay };
	ck_assert_int_eq(blockz_disk_open(&served.scratch.store, &options, &served.disk, &served.fault), BLOCKZ_OK);
	ck_assert(!blockz_disk_is_writable(served.disk));
	assert_served(&served);
	ck_assert_int_eq(blockz_disk_write(served.disk, "x", 1, 0, &served.fault), BLOCKZ_UNSUPPORTED);
	ck_assert_int_eq(blockz_disk_flush(served.disk, NULL), BLOCKZ_OK);
	served_leave(&served);
	served_free(&served);
}
END_TEST

int main(void)
{
	TCase *c = case_new("disk_overlay");
	tcase_add_loop_test(c, threads_write_anywhere_as_in_an_array, 0, SERVED_VARIANTS);
	tcase_add_loop_test(c, pages_are_brought_in_by_both_ways, 0, SERVED_VARIANTS);
	tcase_add_loop_test(c, threads_go_on_while_a_flush_commits, 0, sizeof(with_zeros) / sizeof(with_zeros[0]));
	tcase_add_loop_test(c, a_flush_commits_in_place_if_asked, 0, sizeof(with_zeros) / sizeof(with_zeros[0]));
	tcase_add_loop_test(c, what_does_not_fit_stays, 0, SERVED_VARIANTS);
	tcase_add_test(c, an_overlay_is_made_by_the_first_write);
	tcase_add_loop_test(c, held_pages_are_data, 0, sizeof(with_zeros) / sizeof(with_zeros[0]));
	tcase_add_test(c, an_overlay_of_another_file_is_refused);
	tcase_add_test(c, one_that_is_read_is_seen_and_kept);
	return case_run("disk_overlay", c);
}
