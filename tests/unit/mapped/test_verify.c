/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Verifying: good files, and images to compare with.  Damage is in tests/unit/format/test_damage.c, lying indexes in
 * tests/unit/format/test_index.c.
 */
#include <stdio.h>
#include <string.h>

#include "foreign.h"
#include "sparse.h"
#include "watch.h"

static enum blockz_status verify_with(struct bytes file, const struct blockz_source *against, bool quick, unsigned threads,
				      struct blockz_verify_result *result_ret, struct blockz_fault *fault)
{
	struct blockz_source source = bytes_source(file);
	struct blockz_verify_options options = { .quick = quick, .against = against, .work.threads = threads };
	*fault = (struct blockz_fault){ .status = BLOCKZ_OK };
	enum blockz_status status = blockz_verify(&source, &options, result_ret, fault);
	ck_assert_int_eq(fault->status, status);
	ck_assert_int_eq(strlen(fault->text) > 0, status != BLOCKZ_OK);
	return status;
}

static const struct blockz_range raw[] = { { 5000, 100001 }, { 400000, 404096 } };

static struct bytes new_image(void)
{
	struct bytes text = image_new(IMAGE_TEXT, 200000), zeros = image_new(IMAGE_ZEROS, 300000);
	return bytes_join(bytes_join(text, zeros), image_new(IMAGE_TEXT, 100001));
}

/* ---- Good files ---- */

START_TEST(good_files_and_their_numbers)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = new_image();
	for (int no_index = 0; no_index < 2; no_index++) {
		struct blockz_pack_options options = {
			.level = 2, .piece_size = format->piece_size_min, .no_index = no_index, .raw = raw, .raw_count = 2,
		};
		struct blockz_pack_result packed;
		struct bytes file = pack_image(format, image, options, &packed);
		for (unsigned i = 0; i < 6; i++) {
			static const unsigned threads[] = { 1, 2, 8 };
			struct blockz_verify_result result;
			struct blockz_fault fault;
			ck_assert_int_eq(verify_with(file, NULL, i % 2, threads[i / 2], &result, &fault), BLOCKZ_OK);
			ck_assert_str_eq(result.map.format, format->name);
			ck_assert_uint_eq(result.map.file_size, file.len);
			ck_assert_uint_eq(result.map.image_size, image.len);
			ck_assert_uint_eq(result.raw_bytes, packed.raw_bytes);
			ck_assert_uint_eq(result.patchable_bytes, packed.raw_bytes);
			if (!no_index)
				ck_assert_uint_eq(result.map.pieces, packed.pieces);
			if (!has_own_index(format)) /* pieces that are not whole count there */
				ck_assert_uint_ge(result.zero_bytes, packed.zero_bytes);
			else if (!no_index)
				ck_assert_uint_eq(result.zero_bytes, packed.zero_bytes);
			if (has_own_index(format))
				ck_assert_int_eq(result.map.index, no_index ? BLOCKZ_INDEX_NONE : BLOCKZ_INDEX_HEADER);
		}
	}
}
END_TEST

START_TEST(good_foreign_files)
{
	struct bytes image = image_new(IMAGE_DISK, 700000);
	static const int strategies[] = { Z_DEFAULT_STRATEGY, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED };
	for (int level = 0; level <= 9; level++)
		assert_verifies(zlib_pack(image, level, strategies[level % 5]));
	for (int level = 0; level <= 12; level += 3)
		assert_verifies(libdeflate_pack(image, level));
	struct bytes none = bytes_new(0), one = libdeflate_pack(image, 1), two = zlib_pack(image, 6, Z_DEFAULT_STRATEGY);
	struct bytes empty = zlib_pack(none, 6, Z_DEFAULT_STRATEGY);
	assert_verifies(empty);
	assert_verifies(bytes_join(empty, empty));
	assert_verifies(bytes_join(one, bytes_join(empty, two)));
	assert_verifies(bytes_join(two, bytes_new(1000)));
}
END_TEST

/* ---- Images to compare with ---- */

static void assert_differs(struct bytes file, struct bytes other, unsigned threads, const char *words)
{
	struct blockz_source against = bytes_source(other);
	struct blockz_verify_result result = { .raw_bytes = 12345 };
	struct blockz_fault fault;
	ck_assert_int_eq(verify_with(file, &against, false, threads, &result, &fault), BLOCKZ_DAMAGED);
	ck_assert_uint_eq(result.raw_bytes, 12345);
	ck_assert_msg(strstr(fault.text, words) != NULL, "'%s' lacks '%s'", fault.text, words);
}

static void check_against(struct bytes file, struct bytes image)
{
	const size_t at[] = { 0, 4999, 5000, 99999, 200000, 300000, 399999, 402000, image.len - 1 };
	struct blockz_verify_result result;
	struct blockz_fault fault;
	for (unsigned threads = 1; threads <= 3; threads += 2) {
		struct blockz_source same = bytes_source(image);
		ck_assert_int_eq(verify_with(file, &same, false, threads, &result, &fault), BLOCKZ_OK);
		ck_assert_int_eq(verify_with(file, &same, true, threads, &result, &fault), BLOCKZ_USAGE); /* it decodes nothing */
		same.size = BLOCKZ_UNKNOWN;
		ck_assert_int_eq(verify_with(file, &same, false, threads, &result, &fault), BLOCKZ_USAGE);
		for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
			struct bytes other = bytes_copy(image);
			char words[40];
			snprintf(words, sizeof(words), "image byte %zu ", at[i]);
			other.data[at[i]] ^= 0x80;
			other.data[image.len - 1] ^= at[i] != image.len - 1; /* the first difference is named */
			assert_differs(file, other, threads, words);
		}
		assert_differs(file, bytes_join(image, bytes_new(1)), threads, "600002");
		assert_differs(file, (struct bytes){ image.data, image.len - 1 }, threads, "600000");
	}
}

START_TEST(images_to_compare_with)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = new_image();
	for (int no_index = 0; no_index < 2; no_index++) {
		struct blockz_pack_options options = {
			.level = 2, .piece_size = format->piece_size_min, .no_index = no_index, .raw = raw, .raw_count = 2,
		};
		check_against(pack_image(format, image, options, NULL), image);
	}
	/* Longer pieces than fit into memory. */
	struct bytes text = image_new(IMAGE_TEXT, 17 * MIB), file = zlib_pack(text, 1, Z_DEFAULT_STRATEGY);
	struct blockz_source same = bytes_source(text);
	struct blockz_verify_result result;
	struct blockz_fault fault;
	ck_assert_int_eq(verify_with(file, &same, false, 1, &result, &fault), BLOCKZ_OK);
	text.data[11 * MIB] ^= 1;
	assert_differs(file, text, 1, "image byte 11534336 ");
}
END_TEST

/* Holes of the other image are not read, and what is only said to be data may be zeros. */
START_TEST(images_with_holes_to_compare_with)
{
	const struct blockz_format *format = format_of(_i);
	const uint64_t piece = format->piece_size_min;
	struct sparse image = { .size = 200 * piece, .count = 3 };
	image.parts[0].off = 3 * piece + 100;
	image.parts[0].bytes = image_new(IMAGE_TEXT, 5000);
	image.parts[1].off = 90 * piece - 7;
	image.parts[1].bytes = image_new(IMAGE_ZEROS, 10 * piece);
	image.parts[2].off = 199 * piece;
	image.parts[2].bytes = image_new(IMAGE_TEXT, piece);
	struct blockz_source source = sparse_source(&image, true);
	struct growing_sink sink = { .calls = 0 };
	struct blockz_sink out = growing_sink_rewritable(&sink);
	struct blockz_pack_options options = { .level = 2, .format = format->name, .piece_size = piece };
	struct blockz_pack_result packed;
	struct blockz_verify_result result;
	struct blockz_fault fault;
	ck_assert_int_eq(blockz_pack(&source, &out, &options, &packed, NULL), BLOCKZ_OK);
	for (unsigned threads = 1; threads <= 3; threads += 2) {
		image.bytes_read = 0;
		ck_assert_int_eq(verify_with(sink.bytes, &source, false, threads, &result, &fault), BLOCKZ_OK);
		if (result.zero_bytes > 0)
			ck_assert_uint_le(image.bytes_read, 15 * piece);
		/* A byte in what was a hole, before a part of data and far from any. */
		image.parts[1].bytes.data[5 * piece] = 1;
		ck_assert_int_eq(verify_with(sink.bytes, &source, false, threads, &result, &fault), BLOCKZ_DAMAGED);
		image.parts[1].bytes.data[5 * piece] = 0;
		image.parts[2].off -= 60 * piece;
		ck_assert_int_eq(verify_with(sink.bytes, &source, false, threads, &result, &fault), BLOCKZ_DAMAGED);
		image.parts[2].off += 60 * piece;
	}
}
END_TEST

/* ---- Interruption and failure ---- */

START_TEST(verifying_can_be_interrupted)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = new_image();
	struct blockz_pack_options options = { .level = 2, .piece_size = format->piece_size_min, .raw = raw, .raw_count = 2 };
	struct blockz_source file = bytes_source(pack_image(format, image, options, NULL));
	enum blockz_status status = BLOCKZ_FAILED;
	struct watch watch = { .calls = 0 };
	for (unsigned stop_at = 1; status != BLOCKZ_OK; stop_at++) {
		watch = (struct watch){ .stop_at = stop_at };
		struct blockz_verify_options verify = { .work = watched_work(&watch, 1 + stop_at % 3) };
		struct blockz_verify_result result;
		struct blockz_fault fault;
		status = blockz_verify(&file, &verify, &result, &fault);
		assert_watched(&watch, status, &fault);
		ck_assert(!watch.still);
	}
	ck_assert_uint_eq(watch.image_done, image.len);
	ck_assert_uint_gt(watch.calls, 4);
}
END_TEST

START_TEST(files_that_cannot_be_read_fail)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = new_image();
	for (int no_index = 0; no_index < 2; no_index++) {
		struct blockz_pack_options options = {
			.level = 2, .piece_size = format->piece_size_min, .no_index = no_index, .raw = raw, .raw_count = 2,
		};
		struct flaky_source self = { .bytes = pack_image(format, image, options, NULL) };
		struct blockz_source file = flaky_source(&self);
		enum blockz_status status = BLOCKZ_FAILED;
		for (self.fail_at = 1; status != BLOCKZ_OK; self.fail_at++) {
			struct blockz_verify_options verify = { .work.threads = 1 + self.fail_at % 2 };
			struct blockz_verify_result result;
			self.reads = 0;
			status = blockz_verify(&file, &verify, &result, NULL);
			ck_assert_int_eq(status, self.reads >= self.fail_at ? BLOCKZ_FAILED : BLOCKZ_OK);
		}
		ck_assert_uint_gt(self.fail_at, 10);
	}
}
END_TEST

int main(void)
{
	TCase *c = case_new("verify");
	case_add_formats(c, good_files_and_their_numbers);
	tcase_add_test(c, good_foreign_files);
	case_add_formats(c, images_to_compare_with);
	case_add_formats(c, images_with_holes_to_compare_with);
	case_add_formats(c, verifying_can_be_interrupted);
	case_add_formats(c, files_that_cannot_be_read_fail);
	return case_run("verify", c);
}
