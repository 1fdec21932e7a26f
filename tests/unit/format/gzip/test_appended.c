/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What somebody has appended to a compressed file.  gzip(1) passes over it, and so do map, read, verify and patch, which
 * leave it alone and tell of it; xz(1) and zstd(1) refuse it, and then the message says where the good part ends.
 */
#include <stdio.h>
#include <string.h>

#include "foreign.h"

enum { IMAGE_LEN = 300000 };

static const struct blockz_range raw = { 100000, 150000 };

static struct bytes text_of(const char *text)
{
	struct bytes bytes = bytes_new(strlen(text));
	memcpy(bytes.data, text, bytes.len);
	return bytes;
}

/* By anybody: a file of ours with an index, one without, one of zlib that is stored, and one of two members. */
static struct bytes gzip_file(int which, struct bytes image)
{
	const struct blockz_pack_options options = {
		.piece_size = format_named("gzip")->piece_size_min, .no_index = which == 1, .raw = &raw, .raw_count = 1,
	};
	struct bytes half = { image.data, image.len / 2 }, rest = { image.data + half.len, image.len - half.len };
	if (which < 2)
		return pack_image(format_named("gzip"), image, options, NULL);
	if (which == 2)
		return zlib_pack(image, 0, Z_DEFAULT_STRATEGY);
	return bytes_join(zlib_pack(half, 0, Z_DEFAULT_STRATEGY), zlib_pack(rest, 6, Z_DEFAULT_STRATEGY));
}

enum { GZIP_FILES = 4 };

static struct bytes tail(int which)
{
	struct bytes long_one = image_new(IMAGE_NOISE, 100000);
	long_one.data[0] = 'x';
	switch (which) {
	case 0: /* as OpenWrt's fwtool does */
		return bytes_join(bytes_new(8), text_of("{ \"metadata_version\": \"1.1\" }\nFWx0"));
	case 1:
		return text_of("x");
	case 2:
		return text_of("\x1f\x8a");
	case 3: /* once zeros have begun, nothing is a member any more */
		return bytes_join(bytes_new(5000), zlib_pack(bytes_new(10), 6, Z_DEFAULT_STRATEGY));
	default:
		return long_one;
	}
}

enum { TAILS = 5 };

static void assert_appended(struct bytes file, uint64_t appended, bool indexed)
{
	for (int scan = 0; scan < 2; scan++) {
		struct blockz_map *map = map_of(bytes_source(file), scan);
		struct blockz_map_info info = blockz_map_info(map);
		ck_assert_uint_eq(info.appended_bytes, appended);
		ck_assert_uint_eq(info.file_size, file.len);
		ck_assert_int_eq(info.index, indexed && !scan ? BLOCKZ_INDEX_HEADER : BLOCKZ_INDEX_NONE);
		blockz_map_free(map);
	}
}

START_TEST(what_follows_the_last_member_is_left_alone)
{
	struct bytes image = image_new(IMAGE_TEXT, IMAGE_LEN), edited = bytes_copy(image);
	complement(edited, raw);
	for (int i = 0; i < TAILS; i++) {
		struct bytes appended = tail(i), member = gzip_file(_i, image), file = bytes_join(member, appended);
		assert_reads(format_named("gzip"), file, image);
		assert_appended(file, appended.len, _i == 0);
		for (int scan = 0; scan < 2; scan++) {
			struct bytes patched = bytes_copy(file);
			patch_range(patched, scan, edited, raw);
			assert_reads(format_named("gzip"), patched, edited);
			assert_appended(patched, appended.len, _i == 0);
			assert_bytes((struct bytes){ patched.data + member.len, appended.len }, appended);
			/* Without it, it is as if it never had been there. */
			patched.len = member.len;
			assert_reads(format_named("gzip"), patched, edited);
			assert_appended(patched, 0, _i == 0);
		}
	}
}
END_TEST

START_TEST(zeros_are_padding)
{
	struct bytes image = image_new(IMAGE_TEXT, IMAGE_LEN);
	for (size_t len = 1; len < 10000; len += 1 + len / 2) {
		struct bytes file = bytes_join(gzip_file(_i, image), bytes_new(len));
		assert_reads(format_named("gzip"), file, image);
		assert_appended(file, 0, _i == 0);
	}
}
END_TEST

START_TEST(what_begins_like_a_member_has_to_be_one)
{
	struct bytes image = image_new(IMAGE_TEXT, IMAGE_LEN), member = zlib_pack(image, 6, Z_DEFAULT_STRATEGY);
	struct bytes file = gzip_file(_i, image), garbage = text_of("\x1f\x8bgarbage");
	struct blockz_verify_result result;
	for (size_t len = 1; len < member.len; len += 1 + len / 2) {
		struct bytes cut = bytes_join(file, (struct bytes){ member.data, len });
		ck_assert_int_eq(verify_file(cut, false, &result, NULL), BLOCKZ_DAMAGED);
	}
	ck_assert_int_ne(verify_file(bytes_join(file, garbage), false, &result, NULL), BLOCKZ_OK);
}
END_TEST

START_TEST(a_member_that_is_damaged_or_cut_stays_so)
{
	struct bytes image = image_new(IMAGE_TEXT, IMAGE_LEN), good = gzip_file(_i, image), member = bytes_copy(good);
	struct blockz_verify_result result;
	member.data[member.len - 7] ^= 1;
	ck_assert_int_eq(verify_file(bytes_join(member, tail(0)), false, &result, NULL), BLOCKZ_DAMAGED);
	good.len /= 2;
	ck_assert_int_eq(verify_file(bytes_join(good, tail(0)), false, &result, NULL), BLOCKZ_DAMAGED);
}
END_TEST

/* ---- Where the format's own program refuses it ---- */

static void assert_told(struct bytes file, size_t end)
{
	struct blockz_verify_result result;
	struct blockz_fault fault;
	char text[64];
	size_t left = file.len - end;
	snprintf(text, sizeof(text), "found %zu byte%s; all before is complete", left, left == 1 ? "" : "s");
	ck_assert_int_eq(verify_file(file, false, &result, &fault), BLOCKZ_DAMAGED);
	ck_assert_uint_eq(fault.offset, end);
	ck_assert_msg(strstr(fault.text, text) != NULL, "%s", fault.text);
}

START_TEST(others_say_where_the_good_part_ends)
{
	struct bytes image = image_new(IMAGE_TEXT, IMAGE_LEN);
	for (int i = 0; i < 2; i++) {
		struct bytes file = pack_image(format_named(i == 0 ? "xz" : "zstd"), image, (struct blockz_pack_options){ 0 }, NULL);
		for (int which = 0; which < TAILS - 1; which++)
			assert_told(bytes_join(file, tail(which)), file.len);
		struct bytes twice = bytes_join(file, file);
		assert_told(bytes_join(twice, tail(0)), twice.len);
	}
}
END_TEST

START_TEST(what_is_damaged_itself_is_not_said_to_be_good)
{
	struct bytes file = pack_image(format_named("xz"), image_new(IMAGE_TEXT, IMAGE_LEN), (struct blockz_pack_options){ 0 }, NULL);
	struct blockz_verify_result result;
	struct blockz_fault fault;
	file.data[7] ^= 1; /* Stream Flags */
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(verify_file(i == 0 ? file : bytes_join(file, tail(0)), false, &result, &fault), BLOCKZ_DAMAGED);
		ck_assert(strstr(fault.text, "all before") == NULL);
	}
}
END_TEST

int main(void)
{
	TCase *c = case_new("appended");
	tcase_add_loop_test(c, what_follows_the_last_member_is_left_alone, 0, GZIP_FILES);
	tcase_add_loop_test(c, zeros_are_padding, 0, GZIP_FILES);
	tcase_add_loop_test(c, what_begins_like_a_member_has_to_be_one, 0, GZIP_FILES);
	tcase_add_loop_test(c, a_member_that_is_damaged_or_cut_stays_so, 0, GZIP_FILES);
	tcase_add_test(c, others_say_where_the_good_part_ends);
	tcase_add_test(c, what_is_damaged_itself_is_not_said_to_be_good);
	return case_run("appended", c);
}
