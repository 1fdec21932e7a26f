/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Damaged files: each bit of small ones flipped, each truncation, and what may and may not stand behind the end.  Nothing
 * is ever called good unless another decoder makes the same of it.
 */
#include <stdlib.h>
#include <string.h>

#include "foreign.h"

/* ---- Helpers ---- */

enum { ROOM = 1200000 };

/* Flips each bit; returns how many of the files are called good all the same. */
static unsigned flip_all(const struct blockz_format *format, struct bytes file, size_t step)
{
	struct bytes room = { malloc(ROOM), ROOM }, image = { malloc(ROOM), ROOM };
	unsigned good = 0;
	size_t len = 0;
	ck_assert(judge_any(format->name, file, image, &image.len));
	for (size_t bit = 0; bit < file.len * 8; bit += step) {
		file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (called_good(format, file, room, &len)) {
			assert_bytes((struct bytes){ room.data, image.len }, image);
			good++;
		}
		file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	ck_assert(called_good(format, file, room, &len));
	free(room.data);
	free(image.data);
	return good;
}

static unsigned truncate_all(const struct blockz_format *format, struct bytes file)
{
	struct bytes room = { malloc(ROOM), ROOM };
	unsigned good = 0;
	size_t image_len = 0;
	for (size_t len = 0; len < file.len; len++)
		good += called_good(format, (struct bytes){ file.data, len }, room, &image_len);
	free(room.data);
	return good;
}

/* ---- Our own files ---- */

static struct bytes packed_files(const struct blockz_format *format, int which)
{
	static const struct blockz_range raw[] = { { 100, 150 }, { 200, 300 } };
	const size_t piece = (size_t)format->piece_size_min;
	struct bytes text = image_new(IMAGE_TEXT, 400), zeros = image_new(IMAGE_ZEROS, 3 * piece);
	struct blockz_pack_options options = { .piece_size = piece };
	switch (which) {
	case 0: /* raw ranges, with an index */
	case 1:
		options.no_index = which == 1;
		options.raw = raw;
		options.raw_count = 2;
		return pack_image(format, text, options, NULL);
	case 2: /* a run of zero pieces between others */
		text = bytes_join(bytes_join(text, bytes_new(piece - text.len)), zeros);
		return pack_image(format, bytes_join(text, image_new(IMAGE_TEXT, 50)), options, NULL);
	default:
		return pack_image(format, bytes_new(0), options, NULL);
	}
}

START_TEST(every_flipped_bit_of_our_files)
{
	const struct blockz_format *format = format_of(_i);
	for (int which = 0; which < 4; which++) {
		struct bytes file = packed_files(format, which);
		ck_assert_uint_lt(file.len, 2000);
		/*
		 * Good are those in MTIME, XFL and OS of gzip, where an index is no longer seen as one, in bits of padding,
		 * and in the distances at which zeros copy zeros.
		 */
		ck_assert_uint_lt(flip_all(format, file, few_rounds ? 3 : 1), 2 * file.len);
	}
}
END_TEST

START_TEST(every_truncation_of_our_files)
{
	const struct blockz_format *format = format_of(_i);
	for (int which = 0; which < 4; which++)
		/* Frames stand alone: without those behind it, a .zst is one of a shorter image. */
		ck_assert_uint_le(truncate_all(format, packed_files(format, which)),
				  strcmp(format->name, "zstd") == 0 ? 16 : 0);
}
END_TEST

/* Larger files, here and there. */
START_TEST(flipped_bits_in_larger_files)
{
	const struct blockz_format *format = format_of(_i);
	const struct blockz_range raw[] = { { 70000, 110001 } };
	struct bytes image = image_new(IMAGE_DISK, 300000);
	for (int no_index = 0; no_index < 2; no_index++) {
		struct blockz_pack_options options = {
			.piece_size = format->piece_size_min, .no_index = no_index, .raw = raw, .raw_count = 1,
		};
		struct bytes file = pack_image(format, image, options, NULL);
		ck_assert_uint_le(flip_all(format, file, file.len * 8 / (few_rounds ? 100 : 700) | 1), 1);
	}
}
END_TEST

START_TEST(garbage_behind_the_end)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes room = bytes_new(ROOM);
	size_t len = 0;
	const struct bytes tails[] = {
		{ (uint8_t[]){ 1 }, 1 }, { (uint8_t[]){ 0x1f, 0x8b }, 2 }, { (uint8_t[]){ 0x1f, 0x8b, 8, 0, 0, 0 }, 6 },
		image_new(IMAGE_TEXT, 1000), bytes_join(bytes_new(5000), image_new(IMAGE_TEXT, 1)),
	};
	for (int which = 0; which < 4; which++) {
		struct bytes file = packed_files(format, which);
		for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++)
			ck_assert(!called_good(format, bytes_join(file, tails[i]), room, &len));
		/* Twice the same is another thing: what is made of it has to be what others make of it. */
		called_good(format, bytes_join(file, file), room, &len);
		called_good(format, bytes_join(file, bytes_new(512)), room, &len);
	}
}
END_TEST

/* ---- Those of others: gzip ---- */

static struct bytes with_header_fields(struct bytes image)
{
	struct zlib_file *file = zlib_begin(6, Z_DEFAULT_STRATEGY, image.len);
	static Bytef extra[] = "XY\2\0ab", name[] = "disk.img", comment[] = "made here";
	gz_header header = {
		.text = 1, .time = 12345, .os = 3, .hcrc = 1, .extra = extra, .extra_len = 6, .name = name, .comment = comment,
	};
	ck_assert_int_eq(deflateSetHeader(&file->z, &header), Z_OK);
	zlib_put(file, image.data, image.len, Z_NO_FLUSH);
	return zlib_end(file);
}

/* Text, the same stored, and text that refers to it. */
static struct bytes with_stored_part(struct bytes image)
{
	struct zlib_file *file = zlib_begin(9, Z_DEFAULT_STRATEGY, 3 * image.len);
	zlib_put(file, image.data, image.len, Z_FULL_FLUSH);
	zlib_level(file, 0);
	zlib_put(file, image.data, image.len, Z_SYNC_FLUSH);
	zlib_level(file, 9);
	zlib_put(file, image.data, image.len, Z_NO_FLUSH);
	return zlib_end(file);
}

static struct bytes foreign_files(int which)
{
	struct bytes image = image_new(IMAGE_TEXT, 300);
	static const int levels[] = { 0, 1, 6, 9 };
	struct bytes member = libdeflate_pack(image_new(IMAGE_TEXT, 100), 6);
	if (which < 4)
		return zlib_pack(image, levels[which], Z_DEFAULT_STRATEGY);
	switch (which) {
	case 4:
		return zlib_pack(image, 6, Z_FIXED);
	case 5:
		return libdeflate_pack(image, 12);
	case 6:
		return with_header_fields(image);
	case 7:
		return with_stored_part(image);
	case 8:
		return bytes_join(bytes_join(member, zlib_pack(bytes_new(0), 6, Z_DEFAULT_STRATEGY)), member);
	default:
		return bytes_join(member, bytes_new(20));
	}
}

enum { FOREIGN_FILES = 10 };

START_TEST(every_flipped_bit_of_foreign_files)
{
	for (int which = 0; which < FOREIGN_FILES; which++) {
		struct bytes file = foreign_files(which);
		/* FTEXT, MTIME, XFL, OS and padding: 64 bits or less in each of up to three members. */
		ck_assert_uint_le(flip_all(format_of(0), file, few_rounds ? 3 : 1), 3 * 64);
	}
}
END_TEST

START_TEST(every_truncation_of_foreign_files)
{
	ck_assert_str_eq(format_of(0)->name, "gzip");
	for (int which = 0; which < FOREIGN_FILES; which++) {
		/* Cut between members, or in the padding, it is a whole file still. */
		unsigned whole = which == 8 ? 2 : which == 9 ? 20 : 0;
		ck_assert_uint_eq(truncate_all(format_of(0), foreign_files(which)), whole);
	}
}
END_TEST

START_TEST(what_is_no_compressed_file)
{
	struct bytes room = bytes_new(ROOM);
	size_t image_len = 0;
	for (size_t len = 0; len < 100; len++) {
		ck_assert(!called_good(format_of(0), image_new(IMAGE_NOISE, len), room, &image_len));
		ck_assert(!called_good(format_of(0), image_new(IMAGE_ZEROS, len), room, &image_len));
	}
	struct blockz_source text = bytes_source(image_new(IMAGE_TEXT, 1000));
	struct blockz_map *map = NULL;
	for (int scan = 0; scan < 2; scan++)
		ck_assert_int_eq(blockz_map_read(&text, &(struct blockz_map_options){ .scan = scan }, &map, NULL), BLOCKZ_UNSUPPORTED);
	text.size = BLOCKZ_UNKNOWN;
	ck_assert_int_eq(blockz_map_read(&text, NULL, &map, NULL), BLOCKZ_USAGE);
}
END_TEST

int main(void)
{
	TCase *c = case_new("damage");
	case_add_formats(c, every_flipped_bit_of_our_files);
	case_add_formats(c, every_truncation_of_our_files);
	case_add_formats(c, flipped_bits_in_larger_files);
	case_add_formats(c, garbage_behind_the_end);
	tcase_add_test(c, every_flipped_bit_of_foreign_files);
	tcase_add_test(c, every_truncation_of_foreign_files);
	tcase_add_test(c, what_is_no_compressed_file);
	return case_run("damage", c);
}
