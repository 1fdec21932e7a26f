/* SPDX-License-Identifier: BSD-3-Clause */
/* Edits inside the deflate streams of others: how long what comes out is, where that is bounded, and what goes wrong. */
#include <errno.h>
#include <string.h>

#include "deflate_splices.h"
#include "foreign.h"
#include "format/deflate/splice.h"

/* ---- Lengths ---- */

/* Whoever wrote it, and however strongly. */
START_TEST(small_edits_grow_the_file_little)
{
	struct bytes image = image_new(IMAGE_TEXT, 3 * MIB / 2);
	for (int level = 1; level <= 12; level += 4) {
		struct bytes file = _i == 0 ? zlib_pack(image, level, Z_DEFAULT_STRATEGY) : libdeflate_pack(image, level + 3);
		for (int i = 0; i < 10; i++) {
			const struct kept *mark = kept_so_far();
			struct bytes edited = bytes_copy(image);
			struct blockz_range range = { rnd_below(image.len - 64), 0 };
			range.end = range.start + 64;
			rnd_fill(edited.data + range.start, 64);
			struct deflate_splicing spliced = deflate_splice_ranges(file, image, edited, &range, 1, false);
			ck_assert_int_le(deflate_growth(&spliced), 200);
			ck_assert_uint_le(spliced.record.replaced_len, 100000);
			forget_since(mark);
		}
	}
}
END_TEST

START_TEST(lengths_are_kept_where_there_is_room)
{
	struct bytes image = image_new(IMAGE_TEXT, 1 * MIB);
	struct bytes file = zlib_pack(image, 1, Z_DEFAULT_STRATEGY), tight = libdeflate_pack(image, 12);
	unsigned left = 0;
	for (int i = 0; i < 12; i++) {
		const struct kept *mark = kept_so_far();
		struct bytes edited = bytes_copy(image);
		uint64_t len = 1 + rnd_below(i % 2 ? 64 : 4096);
		struct blockz_range range = { i % 6 == 0 ? image.len - len : rnd_below(image.len - len), 0 };
		range.end = range.start + len;
		rnd_fill(edited.data + range.start, len);
		struct deflate_splicing spliced = deflate_splice_ranges(file, image, edited, &range, 1, true);
		ck_assert(spliced.done || i % 6 == 0); /* at the end there may be nothing left to gain from */
		left += !deflate_splice_ranges(tight, image, edited, &range, 1, true).done;
		forget_since(mark);
	}
	ck_assert_uint_gt(left, 5);
}
END_TEST

START_TEST(stored_blocks_stay)
{
	struct bytes image = image_new(IMAGE_NOISE, 500000), edited = bytes_copy(image);
	struct bytes file = zlib_pack(image, 0, Z_DEFAULT_STRATEGY);
	const struct blockz_range ranges[] = { { 0, 70000 }, { 300000, 300001 }, { 499990, 500000 } };
	for (int i = 0; i < 3; i++)
		complement(edited, ranges[i]);
	struct deflate_splicing spliced = deflate_splice_ranges(file, image, edited, ranges, 3, true);
	ck_assert(spliced.done);
	ck_assert_uint_lt(spliced.record.replaced_len, 70011 + 100);
}
END_TEST

/* ---- Filler: blocks of no text, which somebody else has put there ---- */

/* zlib's file with so many bytes of filler behind so much of the text: parts of five bytes. */
static struct bytes with_filler(struct bytes image, size_t at, const uint8_t part[5], size_t len)
{
	struct zlib_file *file = zlib_begin(6, Z_DEFAULT_STRATEGY, image.len);
	zlib_put(file, image.data, at, Z_SYNC_FLUSH);
	size_t head = file->z.total_out;
	zlib_put(file, image.data + at, image.len - at, Z_NO_FLUSH);
	struct bytes packed = zlib_end(file), filler = bytes_new(len / 5 * 5);
	for (size_t i = 0; i < filler.len; i++)
		filler.data[i] = part[i % 5];
	return bytes_join(bytes_join((struct bytes){ packed.data, head }, filler),
			  (struct bytes){ packed.data + head, packed.len - head });
}

/* A run that has to be as long as the filler that it takes in would take that much memory. */
START_TEST(so_much_filler_is_taken_in)
{
	static const uint8_t stored[5] = { 0, 0, 0, 0xff, 0xff };
	struct bytes image = image_new(IMAGE_TEXT, 200000), edited = bytes_copy(image);
	const struct blockz_range range = { 99000, 99100 };
	rnd_fill(edited.data + range.start, range.end - range.start);
	struct bytes file = with_filler(image, 100000, stored, MIB), longer = with_filler(image, 100000, stored, 17 * MIB);
	ck_assert(deflate_splice_ranges(file, image, edited, &range, 1, true).done);
	ck_assert(!deflate_splice_ranges(longer, image, edited, &range, 1, true).done);
	ck_assert(deflate_splice_ranges(longer, image, edited, &range, 1, false).done);
}
END_TEST

/* Behind each block of it a run can end, once it is short enough. */
START_TEST(filler_behind_an_edit_is_room)
{
	static const uint8_t four_fixed[5] = { 0x02, 0x08, 0x20, 0x80, 0 };
	struct bytes image = image_new(IMAGE_TEXT, 200000);
	struct bytes file = with_filler(image, 190000, four_fixed, 300000);
	for (int i = 0; i < 2; i++) {
		struct bytes edited = bytes_copy(image);
		const struct blockz_range range = { 50000, i == 0 ? 50500 : 150000 };
		rnd_fill(edited.data + range.start, range.end - range.start);
		ck_assert(deflate_splice_ranges(file, image, edited, &range, 1, true).done);
	}
}
END_TEST

/* ---- What goes wrong ---- */

START_TEST(errors_of_callbacks_are_passed_on)
{
	struct bytes image = image_new(IMAGE_DISK, 600000), edited = bytes_copy(image);
	struct bytes file = zlib_pack(image, 6, Z_DEFAULT_STRATEGY);
	const struct blockz_range ranges[] = { { 100, 200 }, { 300000, 400000 }, { 599999, 600000 } };
	struct blockz_map *map = map_of(bytes_source(file), true);
	for (int i = 0; i < 3; i++)
		complement(edited, ranges[i]);
	unsigned calls = deflate_splice_ranges(file, image, edited, ranges, 3, false).record.calls;
	ck_assert_uint_ge(calls, 9);
	for (unsigned n = 1; n <= calls; n++) {
		struct deflate_splicing self = deflate_splicing(file, image, edited, map);
		struct blockz_fault fault = { .text = "" };
		self.record.fail_at = n;
		ck_assert_int_eq(deflate_splice_all(&self, map, ranges, 3, &fault), BLOCKZ_FAILED);
		ck_assert_uint_eq(fault.offset, 77);
		ck_assert_uint_eq(self.record.calls, n);
	}
	blockz_map_free(map);
}
END_TEST

START_TEST(reads_that_fail_are_reported)
{
	struct bytes image = image_new(IMAGE_TEXT, 600000), edited = bytes_copy(image);
	struct bytes file = zlib_pack(image, 6, Z_DEFAULT_STRATEGY);
	struct blockz_range range = { 300000, 300100 };
	struct blockz_map *map = map_of(bytes_source(file), true);
	complement(edited, range);
	unsigned good = 0;
	for (unsigned n = 1; good == 0; n++) {
		struct flaky_source flaky = { .bytes = file, .fail_at = n };
		struct blockz_source source = flaky_source(&flaky);
		struct deflate_splicing self = deflate_splicing(file, image, edited, map);
		struct blockz_fault fault = { .text = "" };
		struct piece_edit edit = {
			.file = &source, .map = map, .ranges = &range, .count = 1,
			.lay_over = record_lay_over, .replace = record_replace, .changed = record_changed, .ctx = &self.record,
		};
		enum blockz_status status = deflate_splice(&edit, &self.done, &fault);
		ck_assert(status == BLOCKZ_OK || (status == BLOCKZ_FAILED && fault.error == EIO));
		good += status == BLOCKZ_OK;
		ck_assert(n > 3 || good == 0);
	}
	blockz_map_free(map);
}
END_TEST

/* The map is of the whole file, and the bytes are no longer what was mapped. */
static enum blockz_status splice_damaged(struct bytes file, struct bytes image, const struct blockz_map *map,
					 struct blockz_range range)
{
	struct deflate_splicing self = { .record = splice_record(file, image, bytes_copy(image)), .done = true };
	struct blockz_fault fault = { .text = "" };
	complement(self.record.edited, range);
	enum blockz_status status = deflate_splice_all(&self, map, &range, 1, &fault);
	ck_assert(status == BLOCKZ_OK || status == BLOCKZ_DAMAGED);
	ck_assert(status == BLOCKZ_OK || (fault.status == status && fault.text[0] != 0));
	return status;
}

START_TEST(streams_that_end_early_or_late_are_damaged)
{
	struct bytes image = image_new(IMAGE_TEXT, 300000);
	const struct blockz_range last = { image.len - 1, image.len };
	struct bytes shorter = { image.data, image.len - 1 }, longer = bytes_join(image, image_new(IMAGE_TEXT, 1));
	struct bytes file = zlib_pack(image, 6, Z_DEFAULT_STRATEGY);
	struct blockz_map *map = map_of(bytes_source(file), true);
	ck_assert_int_eq(splice_damaged(file, image, map, last), BLOCKZ_OK);
	map->image_size--;
	ck_assert_int_eq(splice_damaged(file, shorter, map, (struct blockz_range){ 5, shorter.len }), BLOCKZ_DAMAGED);
	map->image_size += 2;
	ck_assert_int_eq(splice_damaged(file, longer, map, (struct blockz_range){ image.len, longer.len }), BLOCKZ_DAMAGED);
	map->image_size--;
	map->pieces[0].ends_stream = false;
	ck_assert_int_eq(splice_damaged(file, image, map, last), BLOCKZ_DAMAGED);
	map->pieces[0].ends_stream = true;
	map->pieces[0].file_len++;
	ck_assert_int_eq(splice_damaged(file, image, map, last), BLOCKZ_DAMAGED);
	map->pieces[0].file_len -= 2;
	ck_assert_int_eq(splice_damaged(file, image, map, last), BLOCKZ_DAMAGED);
	blockz_map_free(map);
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("deflate_splice_limits");
	tcase_add_loop_test(tcase, small_edits_grow_the_file_little, 0, 2);
	tcase_add_test(tcase, lengths_are_kept_where_there_is_room);
	tcase_add_test(tcase, stored_blocks_stay);
	tcase_add_test(tcase, so_much_filler_is_taken_in);
	tcase_add_test(tcase, filler_behind_an_edit_is_room);
	tcase_add_test(tcase, errors_of_callbacks_are_passed_on);
	tcase_add_test(tcase, reads_that_fail_are_reported);
	tcase_add_test(tcase, streams_that_end_early_or_late_are_damaged);
	return case_run("deflate_splice_limits", tcase);
}
