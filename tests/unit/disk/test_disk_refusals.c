/* SPDX-License-Identifier: BSD-3-Clause */
/* What a disk refuses, which leaves everything as it was, and what it does not believe of a file. */
#include <string.h>

#include "foreign.h"
#include "format/gzip/layout.h"
#include "served.h"

/* ---- What is refused ---- */

START_TEST(what_is_not_raw_is_refused_before_any_byte)
{
	static const struct blockz_range cases[] = {
		{ 5000, 5001 }, { 4999, 5001 }, { 6 * KIB, 6 * KIB + 1 }, { 70 * KIB + 10, 70 * KIB + 12 },
		{ 3 * MIB, 3 * MIB + 78 }, { 70 * KIB + 11, SERVED_LEN }, { SERVED_LEN - 12001, SERVED_LEN },
	};
	struct served served;
	struct bytes junk = image_new(IMAGE_NOISE, SERVED_LEN);
	served_pack(&served, &served_variants[_i], image_new(IMAGE_TEXT, SERVED_LEN)); /* which nobody stores unasked */
	struct bytes before = served_file(&served);
	served_start(&served, BLOCKZ_COMMIT_CLOSE);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = (size_t)(cases[i].end - cases[i].start);
		ck_assert_int_eq(blockz_disk_write(served.disk, junk.data, len, cases[i].start, &served.fault),
				 BLOCKZ_UNSUPPORTED);
		ck_assert_ptr_nonnull(strstr(served.fault.text, "raw range"));
	}
	ck_assert_int_eq(blockz_disk_write(served.disk, junk.data, 2, SERVED_LEN - 1, &served.fault), BLOCKZ_USAGE);
	ck_assert_int_eq(blockz_disk_write(served.disk, junk.data, 2, UINT64_MAX, &served.fault), BLOCKZ_USAGE);
	ck_assert_int_eq(blockz_disk_read(served.disk, junk.data, 2, SERVED_LEN - 1, &served.fault), BLOCKZ_USAGE);
	ck_assert_int_eq(blockz_disk_read(served.disk, junk.data, 2, UINT64_MAX, &served.fault), BLOCKZ_USAGE);
	ck_assert_int_eq(blockz_disk_write(served.disk, junk.data, 0, SERVED_LEN, &served.fault), BLOCKZ_OK);
	ck_assert(blockz_disk_is_writable(served.disk) && !served_has_journal(&served));
	served_close(&served);
	assert_bytes(served_file(&served), before);
	served_free(&served);
}
END_TEST

START_TEST(a_store_without_a_journal_is_read_only)
{
	static const enum blockz_store_mode modes[] = { BLOCKZ_STORE_READ, BLOCKZ_STORE_WRITE_UNJOURNALLED };
	struct served served;
	served_prepare_variant(&served, &served_variants[0]);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(served_open(&served, modes[i], BLOCKZ_COMMIT_CLOSE), BLOCKZ_OK);
		ck_assert(!blockz_disk_is_writable(served.disk));
		ck_assert_int_eq(blockz_disk_write(served.disk, "x", 1, 0, &served.fault), BLOCKZ_UNSUPPORTED);
		ck_assert_int_eq(blockz_disk_flush(served.disk, &served.fault), BLOCKZ_OK);
		assert_served(&served);
		served_close(&served);
	}
	served_free(&served);
}
END_TEST

/* ---- Damage ---- */

static uint64_t file_off_of(struct bytes file, uint64_t off)
{
	struct blockz_map *map = map_of(bytes_source(file), false);
	struct blockz_extent extent;
	ck_assert(blockz_map_extent_at(map, off, &extent));
	blockz_map_free(map);
	return extent.file_off;
}

/*
 * A bit of a raw range has flipped.  Where a check of its own covers the piece, writing into it is refused; anywhere
 * the file stays as damaged as it was, whatever else is written.
 */
START_TEST(damage_is_never_laundered)
{
	const struct served_variant *variant = &served_variants[_i];
	struct served served;
	size_t len = 0;
	served_prepare_variant(&served, variant);
	struct bytes file = served_file(&served), found = bytes_new(SERVED_LEN);
	file.data[file_off_of(file, 2 * MIB + 5)] ^= 8;
	served_write_file(&served, file);
	served_start(&served, BLOCKZ_COMMIT_FLUSH);
	enum blockz_status status = blockz_disk_write(served.disk, "y", 1, 2 * MIB + 9000, &served.fault);
	bool has_none = variant->check != NULL && strcmp(variant->check, "none") == 0;
	ck_assert_int_eq(status, variant->no_index || has_none ? BLOCKZ_OK : BLOCKZ_DAMAGED);
	ck_assert_int_eq(blockz_disk_write(served.disk, "z", 1, 0, &served.fault), BLOCKZ_OK);
	ck_assert_int_eq(blockz_disk_write(served.disk, "z", 1, SERVED_LEN - 1, &served.fault), BLOCKZ_OK);
	ck_assert_int_eq(blockz_disk_flush(served.disk, &served.fault), BLOCKZ_OK);
	served_close(&served);
	ck_assert_int_eq(judge(variant->format, served_file(&served), found, &len), has_none);
	served_free(&served);
}
END_TEST

/* A piece that the index calls zero is not: it is neither read as zeros nor reported as such. */
START_TEST(an_index_that_lies_about_zeros_is_found_out)
{
	const size_t piece = (size_t)1 << INDEX_PIECE_LOG_MIN;
	struct served served;
	struct bytes image = bytes_new(2 * piece);
	struct deflate_data data = { .room = 0 };
	size_t half = 0;
	image.data[7] = 1;
	for (size_t pos = 0; pos < image.len; pos += 32 * KIB) {
		half = pos == piece ? data.bytes.len : half;
		deflate_append_stored(&data, image.data + pos, 32 * KIB, false);
		deflate_append_stored(&data, "", 0, false);
	}
	const struct index_claim claims[] = { { INDEX_ZERO, half, 1 }, { INDEX_DATA, data.bytes.len - half, 0 } };
	deflate_append(&data, "\3", 2);
	served_prepare(&served, "gzip", image, gzip_indexed(data.bytes, image, claims, 2, NULL, 0));
	served_start(&served, BLOCKZ_COMMIT_CLOSE);
	uint8_t byte = 9;
	bool zeros;
	uint64_t len;
	ck_assert_int_eq(blockz_map_info(blockz_disk_map(served.disk)).index, BLOCKZ_INDEX_HEADER);
	ck_assert_int_eq(blockz_disk_read(served.disk, &byte, 1, 100, &served.fault), BLOCKZ_DAMAGED);
	ck_assert_int_eq(blockz_disk_extent(served.disk, 5, 100, &zeros, &len, &served.fault), BLOCKZ_DAMAGED);
	ck_assert_int_eq(blockz_disk_read(served.disk, &byte, 1, piece + 5, &served.fault), BLOCKZ_OK);
	served_close(&served);
	served_free(&served);
}
END_TEST

/* ---- Extents ---- */

START_TEST(extents_are_zeros_only_where_that_is_proved)
{
	const struct served_variant *variant = &served_variants[_i];
	struct served served;
	uint64_t zeros_found = 0;
	served_prepare_variant(&served, variant);
	served_start(&served, BLOCKZ_COMMIT_CLOSE);
	for (uint64_t off = 0, len; off < SERVED_LEN; off += len) {
		bool zeros = false;
		uint64_t asked = off % 3 == 0 ? SERVED_LEN - off : (SERVED_LEN - off < 100 * KIB ? SERVED_LEN - off : 100 * KIB);
		ck_assert_int_eq(blockz_disk_extent(served.disk, off, asked, &zeros, &len, &served.fault), BLOCKZ_OK);
		ck_assert(len > 0 && len <= asked);
		if (!zeros)
			continue;
		zeros_found += len;
		ck_assert(bytes_are_zero(served.image.data + off, (size_t)len));
		for (size_t i = 0; i < SERVED_RAWS; i++)
			ck_assert(off >= served_raw[i].end || off + len <= served_raw[i].start);
	}
	/* A scan of a gzip file does not look for zeros, without a check nothing suggests them, and here no group is all zeros. */
	if (!variant->no_index && variant->group == 0 && (variant->check == NULL || strcmp(variant->check, "none") != 0))
		ck_assert_uint_ge(zeros_found, MIB);
	bool zeros;
	uint64_t len;
	ck_assert_int_eq(blockz_disk_extent(served.disk, SERVED_LEN, 1, &zeros, &len, &served.fault), BLOCKZ_USAGE);
	served_close(&served);
	served_free(&served);
}
END_TEST

int main(void)
{
	TCase *c = case_new("disk_refusals");
	tcase_add_loop_test(c, what_is_not_raw_is_refused_before_any_byte, 0, SERVED_VARIANTS);
	tcase_add_test(c, a_store_without_a_journal_is_read_only);
	tcase_add_loop_test(c, damage_is_never_laundered, 0, SERVED_VARIANTS);
	tcase_add_test(c, an_index_that_lies_about_zeros_is_found_out);
	tcase_add_loop_test(c, extents_are_zeros_only_where_that_is_proved, 0, SERVED_VARIANTS);
	return case_run("disk_refusals", c);
}
