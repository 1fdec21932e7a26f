/* SPDX-License-Identifier: BSD-3-Clause */
/* .zst files that are damaged, or lie: never good with other content, and never repaired by a patch. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "damage.h"
#include "foreign_zst.h"

enum { UNIT = 65536 };

static struct bytes pack(struct bytes image, uint64_t piece_size, const char *check, bool no_index,
			 const struct blockz_range *raw)
{
	struct blockz_pack_options options = {
		.check = check, .piece_size = piece_size, .no_index = no_index, .raw = raw, .raw_count = raw != NULL,
	};
	return pack_image(format_named("zstd"), image, options, NULL);
}

/* ---- Small files of each kind ---- */

enum { SMALL_FILES = 8, SMALL_LEN = 700 };

static struct bytes small_file(int kind)
{
	static const struct zst_parameter checksum = { ZSTD_c_checksumFlag, 1 };
	struct bytes image = image_new(IMAGE_TEXT, SMALL_LEN), file;
	struct blockz_range raw = { 50, 170 };
	struct zst_file by_hand = { .room = 0 };
	struct seek_entry entry = { .image_len = SMALL_LEN, .checksum = zst_sum(image.data, image.len) };
	switch (kind) {
	case 0:
	case 1:
	case 2:
		return pack(image, UNIT, kind == 1 ? "none" : "xxh64", kind == 2, &raw);
	case 3:
	case 4:
		return zst_compress(image, kind == 3, &checksum, kind == 3);
	case 5:
		zst_put_skippable(&by_hand, 0, 3);
		zst_put_raw_frame(&by_hand, image, 300, ZST_SIZE_8 | ZST_CHECKSUM, 0);
		zst_put_skippable(&by_hand, 14, 9);
		return by_hand.bytes;
	case 6: /* the checksum stands in the table alone */
		file = zst_compress(image, false, NULL, 0);
		entry.file_len = (uint32_t)file.len;
		zst_put(&by_hand, file.data, file.len);
		zst_put_table(&by_hand, &entry, 1, true);
		return by_hand.bytes;
	default: /* frames without content, with one between */
		zst_put_raw_frame(&by_hand, bytes_new(0), 1, ZST_CHECKSUM, 0);
		file = pack(bytes_new(0), 0, NULL, true, NULL);
		zst_put(&by_hand, file.data, file.len);
		file = zst_compress(bytes_new(0), false, &checksum, 1);
		zst_put(&by_hand, file.data, file.len);
		return by_hand.bytes;
	}
}

START_TEST(every_truncation)
{
	struct bytes file = small_file(_i);
	for (size_t len = 0; len < file.len; len++) {
		struct bytes cut = { file.data, len };
		is_good("zstd", bytes_copy(cut));
	}
	ck_assert(is_good("zstd", file));
}
END_TEST

START_TEST(every_flipped_bit)
{
	struct bytes file = small_file(_i);
	struct bytes room = { malloc(1 << 20), 1 << 20 }, expected = bytes_new(SMALL_LEN + 1);
	ck_assert(judge("zstd", file, expected, &expected.len));
	for (size_t bit = 0; bit < file.len * 8; bit++) {
		struct bytes flipped = bytes_flipped(file, bit);
		size_t len = 0;
		if (is_good("zstd", flipped) && _i != 1 && _i != 4) { /* they have no checksum */
			ck_assert(judge("zstd", flipped, room, &len));
			/* A frame's magic may become one that is passed over, as far as it says. */
			if (len == expected.len)
				ck_assert(len == 0 || memcmp(room.data, expected.data, len) == 0);
			else
				ck_assert_uint_lt(len, expected.len);
		}
	}
	free(room.data);
}
END_TEST

START_TEST(noise)
{
	struct bytes file = small_file(_i);
	for (int round = 0; round < (few_rounds ? 1000 : 15000); round++) {
		struct bytes noisy = bytes_copy(file);
		for (uint64_t n = 1 + rnd_below(4); n > 0; n--) {
			size_t at = (size_t)rnd_below(rnd() % 2 ? file.len : 30 < file.len ? 30 : file.len);
			if (rnd() % 4 == 0)
				at = file.len - 1 - at;
			noisy.data[at] = (uint8_t)(rnd() % 3 ? rnd() : rnd() % 4);
		}
		is_good("zstd", noisy);
	}
}
END_TEST

/* ---- A table that lies ---- */

static struct bytes with_table(struct bytes file, const struct seek_table *old, const struct seek_entry *entries,
			       size_t count, bool checksums)
{
	struct zst_file out = { .room = 0 };
	zst_put(&out, file.data, old->off);
	zst_put_table(&out, entries, count, checksums);
	return out.bytes;
}

static void assert_lie(struct bytes file, struct bytes image)
{
	struct blockz_verify_result result;
	struct blockz_fault fault;
	struct bytes found;
	for (int quick = 0; quick < 2; quick++)
		ck_assert_int_eq(verify_file(file, quick, &result, &fault), BLOCKZ_DAMAGED);
	/* It is no worse than none. */
	for (int scan = 0; scan < 2; scan++) {
		ck_assert(extracts(file, scan, &found));
		assert_bytes(found, image);
	}
}

START_TEST(lying_tables)
{
	struct bytes image = image_new(IMAGE_TEXT, 3 * UNIT + 1000);
	struct blockz_range raw = { UNIT, 2 * UNIT };
	struct bytes file = pack(image, UNIT, _i == 0 ? "xxh64" : "none", false, &raw);
	struct seek_table good;
	ck_assert(seek_table_find(file, &good));
	ck_assert_uint_eq(good.count, 4);
	assert_bytes(with_table(file, &good, good.entries, good.count, good.checksums), file);
	static const int deltas[] = { 1, -1, 4, -4, 100, -100, 1 << 20 };
	for (size_t i = 0; i < 4; i++) {
		for (size_t d = 0; d < sizeof(deltas) / sizeof(deltas[0]); d++) {
			for (int field = 0; field < 3; field++) {
				struct seek_entry bad[4];
				memcpy(bad, good.entries, sizeof(bad));
				uint32_t *fields[] = { &bad[i].file_len, &bad[i].image_len, &bad[i].checksum };
				uint32_t *next[] = { &bad[(i + 1) % 4].file_len, &bad[(i + 1) % 4].image_len };
				*fields[field] += (uint32_t)deltas[d];
				if (field < 2 || good.checksums)
					assert_lie(with_table(file, &good, bad, 4, good.checksums), image);
				/* One frame gives to the next what it lacks. */
				if (field == 2)
					continue;
				*next[field] -= (uint32_t)deltas[d];
				assert_lie(with_table(file, &good, bad, 4, good.checksums), image);
			}
		}
	}
	struct seek_entry more[6] = { { 0, 0, 0 } };
	memcpy(more + 1, good.entries, 4 * sizeof(*more));
	assert_lie(with_table(file, &good, good.entries, 3, good.checksums), image);
	assert_lie(with_table(file, &good, good.entries, 0, good.checksums), image);
	assert_lie(with_table(file, &good, more, 5, good.checksums), image);     /* an entry of nothing */
	assert_lie(with_table(file, &good, more + 1, 5, good.checksums), image); /* another, behind the last */
	/* Checksums of frames that have none themselves: content has to be as they say. */
	struct blockz_verify_result result;
	if (!good.checksums)
		ck_assert_int_eq(verify_file(with_table(file, &good, good.entries, 4, true), false, &result, NULL),
				 BLOCKZ_DAMAGED);
	/* Two tables: the first is passed over, and the second has no entry for it. */
	struct bytes table = { file.data + good.off, file.len - good.off };
	assert_lie(bytes_join(file, table), image);
	/* A bit that is reserved, a count that is not that of the frame. */
	for (size_t off = 5; off <= 9; off++) {
		struct bytes bad = bytes_copy(file);
		bad.data[bad.len - off] ^= off == 5 ? 4 : 1;
		assert_lie(bad, image);
	}
}
END_TEST

/* A patch by a file's frames keeps a lying table from being believed. */
START_TEST(patch_beside_a_lying_table)
{
	struct bytes image = image_new(IMAGE_NOISE, 3 * UNIT), edited = bytes_copy(image);
	struct blockz_range raw = { 0, 3 * UNIT }, where = { 10, 20 };
	struct bytes file = pack(image, UNIT, NULL, false, &raw);
	struct seek_table table;
	struct blockz_verify_result result;
	complement(edited, where);
	struct blockz_edit edit = edit_from(edited, where);
	ck_assert(seek_table_find(file, &table));
	for (size_t i = 0; i < table.count; i++) {
		struct bytes bad = bytes_copy(file);
		bad.data[table.off + 8 + 12 * i + 8] ^= 1;
		struct bytes before = bytes_copy(bad);
		/* Its checksum of the frame itself cannot be kept right; that of another stays wrong. */
		enum blockz_status status = patch_file(bad, false, &edit, 1, NULL, NULL);
		ck_assert_int_eq(status, i == 0 ? BLOCKZ_DAMAGED : BLOCKZ_OK);
		ck_assert_int_eq(verify_file(bad, false, &result, NULL), BLOCKZ_DAMAGED);
		if (status == BLOCKZ_OK)
			assert_decodes("zstd", bad, edited);
		else
			assert_bytes(bad, before);
	}
}
END_TEST

/* ---- A patch repairs nothing ---- */

START_TEST(damage_is_never_laundered)
{
	struct bytes image = image_new(IMAGE_DISK, 4 * UNIT);
	struct blockz_range raw = { 5000, 3 * UNIT }, where = { 2 * UNIT + 100, 2 * UNIT + 200 };
	struct bytes file = pack(image, UNIT, _i % 2 ? "none" : "xxh64", _i / 2, &raw), edited = bytes_copy(image);
	complement(edited, where);
	struct blockz_edit edit = edit_from(edited, where);
	for (int round = 0; round < (few_rounds ? 100 : 400); round++) {
		struct bytes bad;
		patch_damaged(file, rnd_below(file.len * 8), &edit, &bad);
	}
}
END_TEST

/* Headers inside a raw frame that the map has not looked at. */
START_TEST(raw_headers)
{
	struct bytes image = image_new(IMAGE_NOISE, 5 * UNIT), edited = bytes_copy(image);
	struct blockz_range raw = { 5000, 5 * UNIT - 7 }, where = { 6000, 6001 };
	struct bytes file = pack(image, 8 * UNIT, _i % 2 ? "none" : "xxh64", false, &raw);
	struct blockz_map *map = map_of(bytes_source(file), false);
	struct blockz_extent extent;
	complement(edited, where);
	struct blockz_edit edit = edit_from(edited, where);
	for (uint64_t off = raw.start; off < raw.end; off += extent.length) {
		ck_assert(blockz_map_extent_at(map, off, &extent));
		for (int bit = 0; bit < 24; bit++) {
			struct bytes bad = bytes_flipped(file, 8 * (extent.file_off - 3) + (uint64_t)bit);
			struct blockz_verify_result result;
			for (int quick = off == raw.start; quick < 2; quick++)
				ck_assert(verify_file(bad, quick, &result, NULL) == BLOCKZ_DAMAGED || off == raw.start);
			ck_assert_int_eq(verify_file(bad, false, &result, NULL), BLOCKZ_DAMAGED);
			struct bytes before = bytes_copy(bad);
			struct blockz_map *other = NULL;
			struct blockz_source source = bytes_source(bad);
			if (blockz_map_read(&source, NULL, &other, NULL) != BLOCKZ_OK)
				continue;
			blockz_map_free(other);
			ck_assert_int_ne(patch_file(bad, false, &edit, 1, NULL, NULL), BLOCKZ_OK);
			assert_bytes(bad, before);
		}
	}
	blockz_map_free(map);
}
END_TEST

/* ---- A file that cannot be read ---- */

START_TEST(any_read_that_fails)
{
	assert_reads_can_fail(small_file(_i), _i < 7 ? SMALL_LEN : 0);
}
END_TEST

int main(void)
{
	TCase *c = case_new("zstd_damage");
	tcase_add_loop_test(c, every_truncation, 0, SMALL_FILES);
	tcase_add_loop_test(c, every_flipped_bit, 0, SMALL_FILES);
	tcase_add_loop_test(c, noise, 0, SMALL_FILES);
	tcase_add_loop_test(c, lying_tables, 0, 2);
	tcase_add_test(c, patch_beside_a_lying_table);
	tcase_add_loop_test(c, damage_is_never_laundered, 0, 4);
	tcase_add_loop_test(c, raw_headers, 0, 2);
	tcase_add_loop_test(c, any_read_that_fails, 0, SMALL_FILES);
	return case_run("zstd_damage", c);
}
