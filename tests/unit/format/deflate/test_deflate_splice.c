/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Edits inside the deflate streams of others: what comes out is the edited text for zlib and for libdeflate, what was told
 * to have changed is what differs, and little else of the file does.
 */
#include <string.h>

#include "deflate_splices.h"
#include "foreign.h"
#include "format/deflate/walk.h"

static void splice_at_random(struct bytes file, struct bytes image, unsigned times)
{
	struct blockz_range ranges[SPLICE_EDITS_MAX];
	for (unsigned i = 0; i < times; i++) {
		const struct kept *mark = kept_so_far();
		struct bytes edited = bytes_copy(image);
		size_t count = rnd_edits(image.len, 200000, ranges);
		for (size_t k = 0; k < count; k++)
			edit_range(edited, ranges[k]);
		deflate_splice_ranges(file, image, edited, ranges, count, i % 4 == 3);
		forget_since(mark);
	}
}

/* ---- Writers ---- */

static const int strategies[] = { Z_DEFAULT_STRATEGY, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED };

START_TEST(files_by_zlib)
{
	struct bytes image = image_new(IMAGE_DISK, few_rounds ? 300000 : 700000);
	for (int level = _i; level <= 9; level += 5)
		splice_at_random(zlib_pack(image, level, Z_DEFAULT_STRATEGY), image, 12);
	splice_at_random(zlib_pack(image, 6, strategies[_i]), image, 12);
}
END_TEST

START_TEST(files_by_libdeflate)
{
	struct bytes image = image_new(IMAGE_DISK, few_rounds ? 300000 : 700000);
	for (int level = 0; level <= 12; level += 3)
		splice_at_random(libdeflate_pack(image, level), image, 12);
}
END_TEST

/* Flushes of all kinds, and levels that change. */
START_TEST(files_of_short_blocks)
{
	static const int flushes[] = { Z_PARTIAL_FLUSH, Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_BLOCK, Z_NO_FLUSH };
	struct bytes image = image_new(IMAGE_TEXT, 600000);
	struct zlib_file *file = zlib_begin(6, Z_DEFAULT_STRATEGY, image.len);
	for (size_t pos = 0; pos < image.len;) {
		size_t len = 1 + rnd_below(rnd() % 4 ? 3000 : 60);
		len = len < image.len - pos ? len : image.len - pos;
		if (rnd() % 8 == 0)
			zlib_level(file, (int)rnd_below(10));
		zlib_put(file, image.data + pos, len, flushes[rnd() % 5]);
		pos += len;
	}
	splice_at_random(zlib_end(file), image, few_rounds ? 10 : 40);
}
END_TEST

START_TEST(files_of_several_members)
{
	struct bytes first = image_new(IMAGE_TEXT, 300000), second = image_new(IMAGE_DISK, 400000);
	struct bytes image = bytes_join(bytes_join(first, second), first);
	struct bytes file = bytes_join(zlib_pack(first, 6, Z_DEFAULT_STRATEGY), libdeflate_pack(second, 6));
	file = bytes_join(file, zlib_pack(first, 9, Z_DEFAULT_STRATEGY));
	splice_at_random(file, image, 20);
}
END_TEST

START_TEST(small_files)
{
	for (size_t len = 1; len < 200; len += 1 + len / 8) {
		struct bytes image = image_new(len % 2 ? IMAGE_TEXT : IMAGE_NOISE, len);
		splice_at_random(zlib_pack(image, 6, strategies[len % 5]), image, 4);
		splice_at_random(libdeflate_pack(image, 6), image, 4);
	}
}
END_TEST

/* ---- What is dirty ---- */

/* The edited phrase comes again and again behind the edit, near and at the window's far end. */
START_TEST(copies_of_the_edit_keep_the_old_text)
{
	enum { PHRASE = 200 };
	struct bytes image = image_new(IMAGE_NOISE, 400000);
	const uint64_t at = 100000;
	const struct blockz_range range = { at, at + PHRASE };
	for (uint64_t off = at + 3 * PHRASE; off < at + 200000; off += 1 + rnd_below(9000))
		memcpy(image.data + off, image.data + at, PHRASE);
	memcpy(image.data + at + 32768, image.data + at, PHRASE);
	memcpy(image.data + at + 32768 + PHRASE - 258, image.data + at + PHRASE - 258, 258);
	struct bytes edited = bytes_copy(image);
	complement(edited, range);
	for (int level = 1; level <= 9; level++)
		deflate_splice_ranges(zlib_pack(image, level, Z_DEFAULT_STRATEGY), image, edited, &range, 1, false);
	for (int level = 1; level <= 12; level++)
		deflate_splice_ranges(libdeflate_pack(image, level), image, edited, &range, 1, false);
}
END_TEST

START_TEST(only_what_differs_counts)
{
	struct bytes image = image_new(IMAGE_TEXT, 3000000), edited = bytes_copy(image);
	struct bytes file = zlib_pack(image, 6, Z_DEFAULT_STRATEGY);
	const struct blockz_range ranges[] = { { 0, 100 }, { 5000, 2500000 }, { 2999999, 3000000 } };
	struct deflate_splicing nothing = deflate_splice_ranges(file, image, edited, ranges, 3, false);
	ck_assert_uint_eq(nothing.record.replaced_count, 0);
	ck_assert_uint_eq(deflate_growth(&nothing), 0);
	edited.data[1500000] ^= 1;
	struct deflate_splicing one = deflate_splice_ranges(file, image, edited, ranges, 3, false);
	ck_assert_uint_ge(one.record.replaced_count, 1);
	ck_assert_uint_lt(one.record.replaced_len, 80000);
}
END_TEST

/* ---- Edges ---- */

struct edges {
	uint64_t bit, out; /* in the file, and in the text, where a block begins */
};

static size_t block_edges(struct bytes file, struct edges *edges, size_t room)
{
	struct walker *walker;
	struct walk_block block = { 0 };
	size_t count = 0;
	ck_assert_int_eq(walker_new(&walker, NULL), BLOCKZ_OK);
	walker_reset_memory(walker, file.data + 10, file.len - 18);
	while (!block.final) {
		ck_assert_int_eq(walker_next(walker, &block, NULL, NULL), BLOCKZ_OK);
		ck_assert_uint_lt(count, room);
		edges[count++] = (struct edges){ block.header_bit, block.out_start };
	}
	walker_free(walker);
	return count;
}

/* Bytes at both sides of each edge, for all bits of a byte at which a block can begin. */
START_TEST(edits_at_the_edges_of_blocks)
{
	static struct edges edges[4000];
	struct bytes image = image_new(IMAGE_TEXT, 400000);
	struct zlib_file *writer = zlib_begin(6, Z_DEFAULT_STRATEGY, image.len);
	for (size_t pos = 0; pos < image.len; pos += 4000)
		zlib_put(writer, image.data + pos, 4000, Z_BLOCK);
	struct bytes file = zlib_end(writer);
	size_t count = block_edges(file, edges, 4000);
	bool begins[8] = { false }, goes_on[8] = { false };
	for (size_t i = 1; i + 10 < count; i++) {
		const struct kept *mark = kept_so_far();
		struct bytes edited = bytes_copy(image);
		struct blockz_range range = { edges[i].out - i % 3, edges[i].out + 1 + i % 2 };
		complement(edited, range);
		deflate_splice_ranges(file, image, edited, &range, 1, false);
		begins[edges[i].bit % 8] = goes_on[edges[i + 9].bit % 8] = true;
		forget_since(mark);
	}
	for (int i = 0; i < 8; i++)
		ck_assert(begins[i] && goes_on[i]);
}
END_TEST

/* ---- Long blocks ---- */

static void put_code(struct deflate_data *data, uint64_t *bit, unsigned code, unsigned count)
{
	while (count-- > 0) { /* Huffman codes have their first bit highest */
		if (*bit % 8 == 0)
			deflate_append(data, "", 1);
		data->bytes.data[*bit / 8] |= (uint8_t)((code >> count & 1) << *bit % 8);
		++*bit;
	}
}

/* One fixed block of literals, and of matches of 258 bytes that reach back by 1 or by 24,577 bytes. */
static void put_long_block(struct deflate_data *data, uint64_t *bit, bool final, struct bytes image, size_t start, size_t end)
{
	put_code(data, bit, final ? 6 : 2, 3);
	for (size_t pos = start; pos < end;) {
		bool near = pos > start && rnd() % 64 == 0, far = pos > 30000 && rnd() % 16 == 0;
		if ((near || far) && end - pos >= 258) {
			size_t back = near ? 1 : 24577;
			for (size_t i = 0; i < 258; i++)
				image.data[pos + i] = image.data[pos + i - back];
			pos += 258;
			put_code(data, bit, 0xc5, 8);
			put_code(data, bit, near ? 0 : 29, 5);
			put_code(data, bit, 0, near ? 0 : 13);
			continue;
		}
		uint8_t byte = image.data[pos++];
		put_code(data, bit, byte < 144 ? 0x30U + byte : 0x190U + byte - 144, byte < 144 ? 8 : 9);
	}
	put_code(data, bit, 0, 7);
}

/* A file of two blocks of that length, or of one. */
static struct bytes long_blocks(struct bytes image, bool two)
{
	struct deflate_data data = { .room = image.len * 9 / 8 + 1000 };
	uint64_t bit = 0;
	data.bytes.data = keep(data.room);
	if (two)
		put_long_block(&data, &bit, false, image, 0, image.len / 2);
	put_long_block(&data, &bit, true, image, two ? image.len / 2 : 0, image.len);
	return gzip_member(data.bytes, image);
}

START_TEST(long_blocks_are_divided)
{
	struct bytes image = image_new(IMAGE_TEXT, 5 * MIB);
	struct bytes file = long_blocks(image, _i == 1);
	for (int i = 0; i < (few_rounds ? 3 : 10); i++) {
		const struct kept *mark = kept_so_far();
		struct bytes edited = bytes_copy(image);
		struct blockz_range ranges[4];
		size_t count = 1 + rnd_below(4);
		for (size_t k = 0; k < count; k++) {
			uint64_t start = rnd_below(image.len - 100);
			ranges[k] = (struct blockz_range){ start, start + 1 + rnd_below(100) };
		}
		count = blockz_ranges_unite(ranges, count);
		for (size_t k = 0; k < count; k++)
			edit_range(edited, ranges[k]);
		struct deflate_splicing spliced = deflate_splice_ranges(file, image, edited, ranges, count, false);
		ck_assert_uint_le(spliced.record.replaced_len, count * 2 * 2 * MIB);
		forget_since(mark);
	}
}
END_TEST

/* An edit in each part of the final block, and one in its last bytes. */
START_TEST(the_final_block_is_divided_more_than_once)
{
	struct bytes image = image_new(IMAGE_TEXT, 4 * MIB), edited;
	struct bytes file = long_blocks(image, false);
	struct blockz_range ranges[4];
	for (unsigned picked = 1; picked < 16; picked++) {
		const struct kept *mark = kept_so_far();
		size_t count = 0;
		edited = bytes_copy(image);
		for (unsigned k = 0; k < 4; k++) {
			uint64_t start = k == 3 ? image.len - 5 : (uint64_t)k * 1300000 + 500000;
			if (picked >> k & 1)
				ranges[count++] = (struct blockz_range){ start, start + 5 };
		}
		for (size_t k = 0; k < count; k++)
			complement(edited, ranges[k]);
		deflate_splice_ranges(file, image, edited, ranges, count, false);
		forget_since(mark);
	}
}
END_TEST

START_TEST(zeros_without_end)
{
	struct bytes image = image_new(IMAGE_ZEROS, 20 * MIB), edited = bytes_copy(image);
	const struct blockz_range ranges[] = { { 0, 1 }, { 10 * MIB, 10 * MIB + 64 }, { image.len - 1, image.len } };
	for (int i = 0; i < 3; i++)
		rnd_fill(edited.data + ranges[i].start, ranges[i].end - ranges[i].start);
	for (int level = 1; level <= 9; level += 4) {
		struct bytes file = zlib_pack(image, level, Z_DEFAULT_STRATEGY);
		struct deflate_splicing spliced = deflate_splice_ranges(file, image, edited, ranges, 3, false);
		ck_assert_int_le(deflate_growth(&spliced), 500);
		deflate_splice_ranges(libdeflate_pack(image, level), image, edited, ranges, 3, false);
	}
}
END_TEST

/* More than is kept of a run. */
START_TEST(large_edits_are_handed_on_in_parts)
{
	struct bytes image = image_new(IMAGE_TEXT, 6 * MIB), edited = bytes_copy(image);
	const struct blockz_range range = { 1000, image.len - 500000 };
	rnd_fill(edited.data + range.start, range.end - range.start);
	struct deflate_splicing spliced = deflate_splice_ranges(zlib_pack(image, 6, Z_DEFAULT_STRATEGY), image, edited, &range, 1, false);
	ck_assert_uint_gt(spliced.record.replaced_count, 3);
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("deflate_splice");
	tcase_add_loop_test(tcase, files_by_zlib, 0, 5);
	tcase_add_test(tcase, files_by_libdeflate);
	tcase_add_test(tcase, files_of_short_blocks);
	tcase_add_test(tcase, files_of_several_members);
	tcase_add_test(tcase, small_files);
	tcase_add_test(tcase, copies_of_the_edit_keep_the_old_text);
	tcase_add_test(tcase, only_what_differs_counts);
	tcase_add_test(tcase, edits_at_the_edges_of_blocks);
	tcase_add_loop_test(tcase, long_blocks_are_divided, 0, 2);
	tcase_add_test(tcase, the_final_block_is_divided_more_than_once);
	tcase_add_test(tcase, zeros_without_end);
	tcase_add_test(tcase, large_edits_are_handed_on_in_parts);
	return case_run("deflate_splice", tcase);
}
