/* SPDX-License-Identifier: BSD-3-Clause */
/* .zst as blockz writes it: read by libzstd, laid out as it has to be, with a seek table, mapped and patched. */
#include <string.h>

#include "base/bytes.h"
#include "foreign_zst.h"
#include "judge.h"

enum { BLOCK = 131072, RAW_FRAME = 4 << 20, UNIT = 65536 };

static const char *const check_names[] = { "xxh64", "none" };

static struct bytes pack(struct bytes image, struct blockz_pack_options options, struct blockz_pack_result *result_ret)
{
	return pack_image(format_named("zstd"), image, options, result_ret);
}

/* ---- The layout, by RFC 8878 ---- */

static bool is_in_raw(const struct blockz_pack_options *options, uint64_t off)
{
	for (size_t i = 0; i < options->raw_count; i++)
		if (options->raw[i].start <= off && off < options->raw[i].end)
			return true;
	return false;
}

/* The frame of image bytes [start, end): window descriptor, content size, blocks cut at absolute multiples. */
static void check_raw_frame(const uint8_t *frame, size_t frame_len, struct bytes image, uint64_t start, uint64_t end,
			    bool checksum)
{
	const uint8_t head[] = { 0x28, 0xb5, 0x2f, 0xfd, checksum ? 0x84 : 0x80, 0x38 };
	const uint8_t *p = frame + sizeof(head) + 4;
	ck_assert_mem_eq(frame, head, sizeof(head));
	ck_assert_uint_eq(load_le32(frame + sizeof(head)), end - start);
	ck_assert_uint_le(end - start, RAW_FRAME);
	for (uint64_t pos = start; pos < end;) {
		uint64_t edge = pos - pos % BLOCK + BLOCK, len = (edge < end ? edge : end) - pos;
		uint32_t header = load_le16(p) | (uint32_t)p[2] << 16;
		ck_assert_uint_eq(header, (pos + len == end) | len << 3);
		ck_assert_mem_eq(p + 3, image.data + pos, len);
		p += 3 + len;
		pos += len;
	}
	if (checksum)
		ck_assert_uint_eq(load_le32(p), zst_sum(image.data + start, (size_t)(end - start)));
	ck_assert_uint_eq((size_t)(p - frame) + (checksum ? 4 : 0), frame_len);
}

static void check_layout(struct bytes file, struct bytes image, const struct blockz_pack_options *options)
{
	struct seek_table table;
	uint64_t off = 0, pos = 0;
	bool checksum = options->check == NULL || strcmp(options->check, "none") != 0;
	assert_seek_table(file, image, checksum);
	ck_assert(seek_table_find(file, &table));
	for (size_t i = 0; i < table.count; i++) {
		const uint8_t *frame = file.data + off;
		uint64_t end = pos + table.entries[i].image_len;
		ck_assert_uint_eq(ZSTD_getFrameContentSize(frame, table.entries[i].file_len), end - pos);
		ck_assert_uint_eq(frame[4] >> 2 & 1, checksum);
		if (is_in_raw(options, pos)) {
			ck_assert(is_in_raw(options, end - 1));
			check_raw_frame(frame, table.entries[i].file_len, image, pos, end, checksum);
		}
		off += table.entries[i].file_len;
		pos = end;
	}
}

/* Raw are exactly the ranges that were asked for, by the table; a scan finds these and maybe more. */
static void check_map(struct bytes file, struct bytes image, const struct blockz_pack_options *options)
{
	for (int scan = 0; scan < 2; scan++) {
		struct blockz_map *map = map_of(bytes_source(file), scan);
		struct blockz_map_info info = blockz_map_info(map);
		struct blockz_extent extent;
		struct blockz_map_range range;
		ck_assert_uint_eq(info.image_size, image.len);
		ck_assert_int_eq(info.index, scan || options->no_index ? BLOCKZ_INDEX_NONE : BLOCKZ_INDEX_TRAILER);
		for (uint64_t pos = 0; pos < image.len;) {
			if (!blockz_map_extent_at(map, pos, &extent)) {
				ck_assert(blockz_map_range_at(map, pos, &range));
				for (size_t i = 0; i < options->raw_count; i++)
					ck_assert(options->raw[i].end <= pos || options->raw[i].start >= range.end);
				pos = range.end;
				continue;
			}
			ck_assert(scan || options->no_index || is_in_raw(options, pos));
			ck_assert_mem_eq(file.data + extent.file_off, image.data + pos, extent.length);
			pos += extent.length;
		}
		blockz_map_free(map);
	}
}

static void check_all(struct bytes image, struct blockz_pack_options options)
{
	struct blockz_pack_result result;
	struct bytes file = pack(image, options, &result);
	assert_decodes("zstd", file, image);
	assert_verifies(file);
	if (options.no_index) {
		struct seek_table table;
		ck_assert(!seek_table_find(file, &table));
		ck_assert_uint_eq(result.index_piece_size, 0);
	} else {
		check_layout(file, image, &options);
		ck_assert_uint_gt(result.index_piece_size, 0);
	}
	check_map(file, image, &options);
}

START_TEST(sizes_and_checks)
{
	static const size_t sizes[] = { 1, 2, 255, 256, 257, 65535, 65536, 65537, 65791, 65792, 131071, 131072, 131073,
					300000, 1000003 };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct bytes image = image_new(i % 3 == 0 ? IMAGE_NOISE : i % 3 == 1 ? IMAGE_TEXT : IMAGE_DISK, sizes[i]);
		struct blockz_range all = { 0, sizes[i] }, some = { sizes[i] / 3, sizes[i] / 3 + 1 };
		struct blockz_pack_options options = { .check = check_names[_i], .piece_size = UNIT << i % 3 };
		check_all(image, options);
		options.raw_count = 1;
		options.raw = &all;
		check_all(image, options);
		options.raw = &some;
		options.no_index = i % 2;
		check_all(image, options);
	}
}
END_TEST

/* One frame of one block, both of no bytes, and a table that says so. */
START_TEST(empty_image)
{
	static const uint8_t summed[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x24, 0, 1, 0, 0, 0x99, 0xe9, 0xd8, 0x51 };
	static const uint8_t unsummed[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0 };
	struct blockz_pack_options options = { .check = check_names[_i] };
	struct bytes nothing = bytes_new(0), file = pack(nothing, options, NULL);
	ck_assert_mem_eq(file.data, _i == 0 ? summed : unsummed, _i == 0 ? sizeof(summed) : sizeof(unsummed));
	struct seek_table table;
	ck_assert(seek_table_find(file, &table));
	ck_assert_uint_eq(table.count, 1);
	ck_assert_uint_eq(table.off, _i == 0 ? sizeof(summed) : sizeof(unsummed));
	check_all(nothing, options);
	options.no_index = true;
	check_all(nothing, options);
}
END_TEST

START_TEST(raw_ranges_at_every_edge)
{
	const uint64_t f = RAW_FRAME, b = BLOCK;
	const struct blockz_range raw[] = {
		{ 0, 1 }, { 4096, 4097 }, { b - 1, b + 1 }, { 2 * b, 3 * b }, { 3 * b, 3 * b + 7 }, /* these two touch */
		{ 5 * b + 4095, 6 * b }, { f - 5, 2 * f + b + 5 },
	};
	struct bytes image = image_new(IMAGE_DISK, 2 * f + 3 * b);
	struct blockz_pack_options options = { .level = 1, .check = check_names[_i], .raw = raw, .raw_count = 7 };
	for (int i = 0; i < 2; i++) {
		options.piece_size = i == 0 ? 0 : 3 * UNIT; /* no power of two */
		check_all(image, options);
	}
}
END_TEST

START_TEST(levels)
{
	static const int all[] = { 1, 3, 9, 15, 19, 22 };
	struct bytes image = image_new(IMAGE_DISK, few_rounds ? 300000 : 900000);
	struct blockz_range raw = { 100000, 250001 };
	struct blockz_pack_options options = {
		.level = all[_i], .raw = &raw, .raw_count = 1, .piece_size = _i % 2 ? 0 : 4 * UNIT,
	};
	check_all(image, options);
}
END_TEST

START_TEST(options_that_cannot_be)
{
	static const struct blockz_pack_options bad[] = {
		{ .level = 23 }, { .level = BLOCKZ_LEVEL_0 }, { .extreme = true }, { .check = "crc32" },
		{ .piece_size = UNIT - 1 }, { .piece_size = UNIT + 4096 }, { .piece_size = (uint64_t)1 << 40 },
	};
	struct blockz_source image = bytes_source(image_new(IMAGE_TEXT, 1000));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct growing_sink sink = { .room = 0 };
		struct blockz_sink out = growing_sink(&sink);
		struct blockz_pack_options options = bad[i];
		struct blockz_pack_result result;
		options.format = "zstd";
		ck_assert_int_eq(blockz_pack(&image, &out, &options, &result, NULL), BLOCKZ_USAGE);
		ck_assert_uint_eq(sink.bytes.len, 0);
	}
}
END_TEST

/* What an encoder takes is told for its own piece size: level 22 fits where pieces are small. */
START_TEST(memory_of_encoders)
{
	struct blockz_source image = bytes_source(image_new(IMAGE_TEXT, 100000));
	struct blockz_pack_options options = { .format = "zstd", .level = 22, .memory = 16 * MIB };
	for (int i = 0; i < 2; i++) {
		struct growing_sink sink = { .room = 0 };
		struct blockz_sink out = growing_sink(&sink);
		struct blockz_pack_result result;
		options.piece_size = i == 0 ? UNIT : 16 * MIB;
		ck_assert_int_eq(blockz_pack(&image, &out, &options, &result, NULL), i == 0 ? BLOCKZ_OK : BLOCKZ_LIMIT);
	}
}
END_TEST

/* ---- Zeros ---- */

START_TEST(zero_pieces)
{
	struct bytes image = bytes_new(40 * UNIT + 100);
	fill_text(image.data + 10 * UNIT, 50);
	fill_text(image.data + 30 * UNIT - 50, 50);
	struct blockz_range raw = { 20 * UNIT, 22 * UNIT };
	struct blockz_pack_options options = { .piece_size = UNIT, .raw = &raw, .raw_count = 1 };
	struct bytes file = pack(image, options, NULL);
	check_all(image, options);
	for (int scan = 0; scan < 2; scan++) {
		struct blockz_map *map = map_of(bytes_source(file), scan);
		struct blockz_map_range range;
		static const uint64_t edges[] = { 10, 11, 20, 22, 29, 30, 40 };
		static const enum blockz_kind kinds[] = {
			BLOCKZ_ZERO, BLOCKZ_COMPRESSED, BLOCKZ_ZERO, BLOCKZ_RAW, BLOCKZ_ZERO, BLOCKZ_COMPRESSED, BLOCKZ_ZERO,
		};
		uint64_t pos = 0;
		for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
			ck_assert(blockz_map_range_at(map, pos, &range));
			ck_assert_uint_eq(range.end, edges[i] * UNIT + (i == 6 ? 100 : 0));
			ck_assert_int_eq(range.kind, kinds[i]);
			pos = range.end;
		}
		blockz_map_free(map);
	}
	/* A frame of zeros that is damaged is not served. */
	struct seek_table table;
	ck_assert(seek_table_find(file, &table));
	struct blockz_verify_result result;
	for (size_t bit = 0; bit < 8 * table.entries[0].file_len; bit++) {
		struct bytes bad = bytes_flipped(file, 16 * table.entries[0].file_len + bit);
		if (verify_file(bad, false, &result, NULL) == BLOCKZ_OK) /* a window may be larger */
			assert_decodes("zstd", bad, image);
	}
}
END_TEST

/* ---- Patching ---- */

/* The table has the edited image's checksums. */
static void check_patch(struct bytes image, struct bytes file, const struct blockz_range *ranges, size_t count, bool scan,
			bool checksum)
{
	struct bytes patched = patch_and_back("zstd", file, scan, image, ranges, count, checksum), edited;
	ck_assert(extracts(patched, scan, &edited));
	assert_seek_table(patched, edited, checksum);
}

START_TEST(patches)
{
	const uint64_t f = RAW_FRAME;
	struct bytes image = image_new(IMAGE_DISK, 2 * f + 3 * BLOCK);
	const struct blockz_range raw[] = { { 1, 2 }, { 4096, 70001 }, { f - 5000, 2 * f + BLOCK + 5000 } };
	const struct blockz_range small[] = {
		{ 65530, 65540 }, { f - 1, f + 1 }, { f + BLOCK - 3, f + BLOCK + 3 }, { 2 * f + 7, 2 * f + 8 },
	};
	struct blockz_pack_options options = { .level = 1, .check = check_names[_i], .raw = raw, .raw_count = 3 };
	struct bytes file = pack(image, options, NULL);
	check_patch(image, file, raw, 3, false, _i == 0);
	check_patch(image, file, small, 4, false, _i == 0);
	check_patch(image, file, small, 4, true, _i == 0);
}
END_TEST

START_TEST(random_patches)
{
	for (int round = 0; round < (few_rounds ? 10 : 40); round++) {
		size_t len = 1 + (size_t)rnd_below(6 * BLOCK);
		struct bytes image = image_new(IMAGE_DISK, len);
		struct blockz_range raw[4], edit;
		for (size_t i = 0; i < 4; i++)
			raw[i] = rnd_range(len);
		struct blockz_pack_options options = {
			.level = 1 + round % 3, .check = check_names[_i], .piece_size = UNIT * (1 + rnd() % 5),
			.raw = raw, .raw_count = 4,
		};
		struct bytes file = pack(image, options, NULL);
		edit = rnd_range(raw[0].end - raw[0].start);
		edit.start += raw[0].start;
		edit.end += raw[0].start;
		check_patch(image, file, &edit, 1, round % 2, _i == 0);
	}
}
END_TEST

/* A damaged frame is refused, and left as it was; one beside it is not. */
START_TEST(old_content_is_verified)
{
	struct bytes image = image_new(IMAGE_NOISE, 2 * RAW_FRAME), edited = bytes_copy(image);
	struct blockz_range raw = { 0, 2 * RAW_FRAME }, where = { 1000, 2000 };
	struct blockz_pack_options options = { .raw = &raw, .raw_count = 1 };
	struct bytes file = pack(image, options, NULL);
	struct blockz_extent extent;
	struct blockz_map *map = map_of(bytes_source(file), false);
	complement(edited, where);
	struct blockz_edit edit = edit_from(edited, where);
	for (int frame = 0; frame < 2; frame++) {
		struct bytes bad = bytes_copy(file);
		ck_assert(blockz_map_extent_at(map, frame == 0 ? 500000 : 5000000, &extent));
		bad.data[extent.file_off] ^= 1;
		struct bytes before = bytes_copy(bad);
		struct blockz_verify_result result;
		ck_assert_int_eq(patch_file(bad, false, &edit, 1, NULL, NULL), frame == 0 ? BLOCKZ_DAMAGED : BLOCKZ_OK);
		if (frame == 0)
			assert_bytes(bad, before);
		ck_assert_int_eq(verify_file(bad, false, &result, NULL), BLOCKZ_DAMAGED);
		ck_assert(!judge_says("zstd", bad, edited));
	}
	blockz_map_free(map);
}
END_TEST

int main(void)
{
	TCase *c = case_new("zstd");
	tcase_add_loop_test(c, sizes_and_checks, 0, 2);
	tcase_add_loop_test(c, empty_image, 0, 2);
	tcase_add_loop_test(c, raw_ranges_at_every_edge, 0, 2);
	tcase_add_loop_test(c, levels, 0, 6);
	tcase_add_test(c, options_that_cannot_be);
	tcase_add_test(c, memory_of_encoders);
	tcase_add_test(c, zero_pieces);
	tcase_add_loop_test(c, patches, 0, 2);
	tcase_add_loop_test(c, random_patches, 0, 2);
	tcase_add_test(c, old_content_is_verified);
	return case_run("zstd", c);
}
