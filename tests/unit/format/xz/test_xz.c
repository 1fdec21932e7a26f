/* SPDX-License-Identifier: BSD-3-Clause */
/* .xz as blockz writes it: read by liblzma, laid out as it has to be, mapped and patched. */
#include <string.h>

#include "base/bytes.h"
#include "foreign_xz.h"
#include "judge.h"

enum { CHUNK = 65536, RAW_PIECE = 1 << 20 };

static const char *const check_names[] = { "crc64", "crc32", "sha256", "none" };
static const lzma_check check_ids[] = { LZMA_CHECK_CRC64, LZMA_CHECK_CRC32, LZMA_CHECK_SHA256, LZMA_CHECK_NONE };

enum { CHECKS = 4 };

static struct bytes pack(struct bytes image, struct blockz_pack_options options, struct blockz_pack_result *result_ret)
{
	return pack_image(format_named("xz"), image, options, result_ret);
}

/* ---- The layout, by xz-file-format 1.1 ---- */

struct found {
	uint64_t raw, blocks; /* image bytes in raw Blocks */
};

/* Raw chunks cut at absolute multiples, the first resets the dictionary, then the end. */
static void check_raw_chunks(const uint8_t *data, struct bytes image, uint64_t start, uint64_t end)
{
	for (uint64_t pos = start; pos < end;) {
		uint64_t edge = pos - pos % CHUNK + CHUNK, len = (edge < end ? edge : end) - pos;
		ck_assert_uint_eq(data[0], pos == start ? 1 : 2);
		ck_assert_uint_eq((uint64_t)data[1] << 8 | data[2], len - 1);
		ck_assert_mem_eq(data + 3, image.data + pos, len);
		data += 3 + len;
		pos += len;
	}
	ck_assert_uint_eq(*data, 0);
}

/* By its size and its first chunk: liblzma stores what does not compress too, and cuts it elsewhere. */
static bool is_raw(const uint8_t *chunk, uint64_t size, uint64_t start, uint64_t end)
{
	uint64_t edge = start - start % CHUNK + CHUNK, first = (edge < end ? edge : end) - start - 1;
	return chunk[0] == 1 && ((uint64_t)chunk[1] << 8 | chunk[2]) == first &&
	       size == end - start + 3 * ((end - 1) / CHUNK - start / CHUNK + 1) + 1;
}

static bool is_in_raw(const struct blockz_pack_options *options, uint64_t off)
{
	for (size_t i = 0; i < options->raw_count; i++)
		if (options->raw[i].start <= off && off < options->raw[i].end)
			return true;
	return false;
}

/* One Block; true if it is raw, which those of data that does not compress are too. */
static bool check_block(struct bytes file, struct bytes image, const struct blockz_pack_options *options,
			const lzma_index_iter *iter)
{
	uint64_t off = iter->block.compressed_file_offset, start = iter->block.uncompressed_file_offset;
	uint64_t end = start + iter->block.uncompressed_size;
	const uint8_t *header = file.data + off;
	lzma_filter filters[LZMA_FILTERS_MAX + 1];
	lzma_block block = { .version = 1, .check = iter->stream.flags->check, .filters = filters };
	ck_assert_uint_eq(header[1], 0xc0); /* both sizes, one filter */
	block.header_size = lzma_block_header_size_decode(header[0]);
	ck_assert_int_eq(lzma_block_header_decode(&block, NULL, header), LZMA_OK);
	ck_assert_int_eq(lzma_block_compressed_size(&block, iter->block.unpadded_size), LZMA_OK);
	ck_assert_uint_eq(block.uncompressed_size, end - start);
	ck_assert_uint_eq(filters[0].id, LZMA_FILTER_LZMA2);
	ck_assert_uint_eq(filters[1].id, LZMA_VLI_UNKNOWN);
	bool raw = is_raw(header + block.header_size, block.compressed_size, start, end);
	if (raw)
		check_raw_chunks(header + block.header_size, image, start, end);
	if (is_in_raw(options, start)) {
		ck_assert(raw);
		ck_assert(is_in_raw(options, end - 1));
		ck_assert_uint_le(end - start, RAW_PIECE);
		ck_assert_uint_eq(((lzma_options_lzma *)filters[0].options)->dict_size, LZMA_DICT_SIZE_MIN);
	}
	for (uint64_t pos = block.header_size + block.compressed_size; pos % 4 != 0; pos++)
		ck_assert_uint_eq(header[pos], 0);
	lzma_filters_free(filters, NULL);
	return raw;
}

static struct found check_layout(struct bytes file, struct bytes image, const struct blockz_pack_options *options,
				 lzma_check check)
{
	struct found found = { 0 };
	lzma_stream_flags flags, footer;
	lzma_index *index = NULL;
	uint64_t limit = UINT64_MAX;
	size_t pos = xz_index_off(file);
	ck_assert_int_eq(lzma_stream_header_decode(&flags, file.data), LZMA_OK);
	ck_assert_int_eq(lzma_stream_footer_decode(&footer, file.data + file.len - 12), LZMA_OK);
	ck_assert_int_eq(lzma_stream_flags_compare(&flags, &footer), LZMA_OK);
	ck_assert_int_eq(flags.check, check);
	ck_assert_int_eq(lzma_index_buffer_decode(&index, &limit, NULL, file.data, &pos, file.len - 12), LZMA_OK);
	ck_assert_uint_eq(pos, file.len - 12);
	ck_assert_uint_eq(lzma_index_file_size(index), file.len);
	ck_assert_int_eq(lzma_index_stream_flags(index, &footer), LZMA_OK);
	lzma_index_iter iter;
	lzma_index_iter_init(&iter, index);
	while (!lzma_index_iter_next(&iter, LZMA_INDEX_ITER_BLOCK)) {
		ck_assert_uint_gt(iter.block.uncompressed_size, 0);
		found.blocks++;
		found.raw += check_block(file, image, options, &iter) ? iter.block.uncompressed_size : 0;
	}
	lzma_index_end(index, NULL);
	return found;
}

static uint64_t raw_bytes_of(struct bytes file, bool scan)
{
	struct blockz_map *map = map_of(bytes_source(file), scan);
	struct blockz_map_range range;
	uint64_t size = blockz_map_info(map).image_size, sum = 0;
	for (uint64_t pos = 0; pos < size; pos = range.end) {
		ck_assert(blockz_map_range_at(map, pos, &range));
		ck_assert(range.kind != BLOCKZ_RAW || range.patchable);
		sum += range.kind == BLOCKZ_RAW ? range.end - range.start : 0;
	}
	blockz_map_free(map);
	return sum;
}

static void check_packed(struct bytes image, struct blockz_pack_options options, lzma_check check)
{
	struct blockz_pack_result result;
	struct bytes file = pack(image, options, &result);
	assert_decodes("xz", file, image);
	struct found found = check_layout(file, image, &options, check);
	ck_assert_uint_eq(found.blocks, result.pieces);
	ck_assert_uint_ge(found.raw, result.raw_bytes); /* what does not compress is raw too */
	ck_assert_uint_gt(result.index_piece_size, 0);
	ck_assert_uint_eq(raw_bytes_of(file, false), found.raw);
	assert_verifies(file);
	struct blockz_map *map = map_of(bytes_source(file), false);
	ck_assert_int_eq(blockz_map_info(map).index, BLOCKZ_INDEX_TRAILER);
	ck_assert_uint_eq(blockz_map_info(map).pieces, found.blocks);
	ck_assert_uint_eq(blockz_map_info(map).image_size, image.len);
	for (size_t i = 0; i < options.raw_count; i++) {
		struct blockz_extent extent;
		for (uint64_t off = options.raw[i].start; off < options.raw[i].end; off += extent.length) {
			ck_assert(blockz_map_extent_at(map, off, &extent));
			if (extent.length > options.raw[i].end - off)
				extent.length = options.raw[i].end - off;
			ck_assert_mem_eq(file.data + extent.file_off, image.data + off, extent.length);
		}
	}
	blockz_map_free(map);
}

/* ---- Writing ---- */

START_TEST(sizes_and_checks)
{
	static const size_t sizes[] = { 0, 1, 2, 3, 4, 4095, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 4097 };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (enum image_kind kind = 0; kind < IMAGE_KINDS; kind++) {
			struct bytes image = image_new(kind, sizes[i]);
			struct blockz_pack_options options = { .check = check_names[_i], .piece_size = CHUNK };
			check_packed(image, options, check_ids[_i]);
			if (sizes[i] < 2)
				continue;
			struct blockz_range raw = { i % 2, sizes[i] - i % 3 % 2 };
			options.raw = &raw;
			options.raw_count = 1;
			check_packed(image, options, check_ids[_i]);
		}
	}
}
END_TEST

START_TEST(raw_ranges_at_every_edge)
{
	const uint64_t p = CHUNK, m = RAW_PIECE, len = 2 * m + 3 * p + 12345;
	const struct blockz_range sets[][3] = {
		{ { 0, 1 }, { 0, 0 }, { len - 1, len } },
		{ { p - 1, p }, { p, p + 1 }, { 5, 10 } },
		{ { p - 1, p + 1 }, { 2 * p, 3 * p }, { m - 1, 2 * m + 1 } },
		{ { 1, len - 1 } },
		{ { 0, len } },
		{ { p + 4096, p + 8192 }, { 3 * p + 1, 3 * p + 4097 }, { m + 17, m + 18 } },
	};
	struct bytes disk = image_new(IMAGE_DISK, len), zeros = image_new(IMAGE_ZEROS, len);
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		for (size_t piece = 1; piece <= 3; piece++) {
			/* Any multiple of a chunk, powers of two or not. */
			struct blockz_pack_options options = {
				.level = 1, .piece_size = piece * piece * 3 * p, .raw = sets[i], .raw_count = 3,
				.check = check_names[(i + piece) % CHECKS],
			};
			check_packed(disk, options, check_ids[(i + piece) % CHECKS]);
			check_packed(zeros, options, check_ids[(i + piece) % CHECKS]);
		}
	}
}
END_TEST

START_TEST(levels)
{
	struct bytes image = image_new(IMAGE_DISK, 300000);
	struct blockz_range raw = { 40001, 190002 };
	for (int extreme = 0; extreme < 2; extreme++) {
		struct blockz_pack_options options = {
			.level = _i == 0 ? BLOCKZ_LEVEL_0 : _i, .extreme = extreme, .piece_size = 2 * CHUNK, .raw = &raw,
			.raw_count = 1, .work.threads = 2,
		};
		check_packed(image, options, LZMA_CHECK_CRC64);
		struct blockz_pack_result result;
		struct bytes zeros = image_new(IMAGE_ZEROS, 10 * CHUNK);
		options.raw_count = 0;
		struct bytes file = pack(zeros, options, &result), room = bytes_new(zeros.len);
		struct blockz_verify_result verified;
		ck_assert(judge("xz", file, room, &room.len));
		ck_assert_int_eq(verify_file(file, false, &verified, NULL), BLOCKZ_OK);
		ck_assert_uint_eq(verified.zero_bytes, zeros.len);
	}
}
END_TEST

/* What is asked for nothing is what xz -T would take, and the output does not depend on threads. */
START_TEST(defaults)
{
	struct bytes image = image_new(IMAGE_DISK, 2 * MIB + 5);
	struct blockz_pack_result result;
	struct blockz_pack_options options = { .level = 0 };
	struct bytes file = pack(image, options, &result);
	ck_assert_uint_eq(result.index_piece_size, 24 * MIB);
	check_layout(file, image, &options, LZMA_CHECK_CRC64);
	options.level = 6;
	assert_bytes(pack(image, options, NULL), file);
	options.level = BLOCKZ_LEVEL_0;
	struct bytes fast = pack(image, options, &result);
	ck_assert_uint_eq(result.index_piece_size, MIB);
	for (options.work.threads = 1; options.work.threads < 5; options.work.threads++)
		assert_bytes(pack(image, options, NULL), fast);
	ck_assert_str_eq(format_named("xz")->suffix, ".xz");
	ck_assert_uint_eq(format_named("xz")->piece_size_default, 0);
}
END_TEST

static enum blockz_status pack_status(struct blockz_pack_options options)
{
	struct bytes image = image_new(IMAGE_TEXT, 1000);
	struct growing_sink sink = { .room = 0 };
	struct blockz_sink out = growing_sink(&sink);
	struct blockz_source source = bytes_source(image);
	struct blockz_pack_result result;
	options.format = "xz";
	return blockz_pack(&source, &out, &options, &result, NULL);
}

START_TEST(options_that_cannot_be)
{
	ck_assert_int_eq(pack_status((struct blockz_pack_options){ .piece_size = CHUNK / 2 }), BLOCKZ_USAGE);
	ck_assert_int_eq(pack_status((struct blockz_pack_options){ .piece_size = CHUNK + 1 }), BLOCKZ_USAGE);
	ck_assert_int_eq(pack_status((struct blockz_pack_options){ .piece_size = 3 * CHUNK }), BLOCKZ_OK);
	ck_assert_int_eq(pack_status((struct blockz_pack_options){ .piece_size = (1ULL << 30) + CHUNK }), BLOCKZ_USAGE);
	ck_assert_int_eq(pack_status((struct blockz_pack_options){ .level = 10 }), BLOCKZ_USAGE);
	ck_assert_int_eq(pack_status((struct blockz_pack_options){ .check = "xxh64" }), BLOCKZ_USAGE);
	ck_assert_int_eq(pack_status((struct blockz_pack_options){ .check = "crc-64" }), BLOCKZ_USAGE);
	/* 8 MiB of dictionary take some 94 MiB, and four buffers of 24. */
	ck_assert_int_eq(pack_status((struct blockz_pack_options){ .memory = 64 * MIB }), BLOCKZ_LIMIT);
	ck_assert_int_eq(pack_status((struct blockz_pack_options){ .memory = 256 * MIB }), BLOCKZ_OK);
	/* No dictionary is larger than what it is for. */
	for (int level = 1; level < 10; level++)
		ck_assert_int_eq(pack_status((struct blockz_pack_options){
			.level = level, .memory = 16 * MIB, .piece_size = CHUNK }), BLOCKZ_OK);
}
END_TEST

/* ---- Zeros ---- */

/* Blocks of zeros are known by their Check; equal Blocks of something else are not taken for them. */
START_TEST(zero_pieces)
{
	struct bytes image = image_new(IMAGE_ZEROS, 40 * CHUNK);
	memset(image.data + 10 * CHUNK, 0xff, 10 * CHUNK);
	fill_text(image.data + 25 * CHUNK, 100);
	struct blockz_pack_options options = { .check = check_names[_i], .piece_size = CHUNK };
	struct blockz_pack_result result;
	struct bytes file = pack(image, options, &result);
	struct blockz_map *map = map_of(bytes_source(file), false);
	struct blockz_map_range range;
	bool known = check_ids[_i] != LZMA_CHECK_NONE;
	ck_assert_uint_eq(result.zero_bytes, 29 * CHUNK);
	ck_assert_uint_eq(blockz_map_info(map).pieces, 40);
	ck_assert(blockz_map_range_at(map, 0, &range));
	ck_assert_int_eq(range.kind, known ? BLOCKZ_ZERO : BLOCKZ_COMPRESSED);
	if (known)
		ck_assert_uint_eq(range.end, 10 * CHUNK);
	ck_assert(blockz_map_range_at(map, 12 * CHUNK, &range));
	ck_assert_int_eq(range.kind, BLOCKZ_COMPRESSED);
	ck_assert(blockz_map_range_at(map, 25 * CHUNK, &range));
	ck_assert_int_eq(range.kind, BLOCKZ_COMPRESSED);
	blockz_map_free(map);
	struct blockz_verify_result verified;
	ck_assert_int_eq(verify_file(file, false, &verified, NULL), BLOCKZ_OK);
	ck_assert_uint_eq(verified.zero_bytes, known ? 29 * CHUNK : 0);
}
END_TEST

/* One unit of zeros may be larger than what is decoded in memory. */
START_TEST(large_zero_pieces)
{
	struct bytes image = image_new(IMAGE_ZEROS, 40 * MIB + 1);
	struct blockz_pack_options options = { .level = 1, .piece_size = 20 * MIB, .check = check_names[_i] };
	struct bytes file = pack(image, options, NULL);
	struct blockz_verify_result verified;
	ck_assert_uint_lt(file.len, 16 * KIB);
	ck_assert_int_eq(verify_file(file, false, &verified, NULL), BLOCKZ_OK);
	ck_assert_uint_eq(verified.zero_bytes, check_ids[_i] == LZMA_CHECK_NONE ? 0 : 40 * MIB);
	assert_decodes("xz", file, image);
}
END_TEST

/* ---- Patching ---- */

START_TEST(patches)
{
	const uint64_t m = RAW_PIECE;
	const bool checked = check_ids[_i] != LZMA_CHECK_NONE;
	struct bytes image = image_new(IMAGE_DISK, 4 * MIB);
	const struct blockz_range raw[] = { { 1, 2 }, { 4096, 70001 }, { m - 5000, 3 * m + 5000 } };
	const struct blockz_range small[] = {
		{ 65530, 65540 }, { m - 1, m + 1 }, { 2 * m + 7, 2 * m + 8 }, { 3 * m, 3 * m + 5000 },
	};
	struct blockz_pack_options options = {
		.level = 1, .check = check_names[_i], .piece_size = 4 * CHUNK, .raw = raw, .raw_count = 3,
	};
	struct bytes file = pack(image, options, NULL);
	patch_and_back("xz", file, false, image, raw, 3, checked);
	patch_and_back("xz", file, false, image, small, 4, checked);
	patch_and_back("xz", file, true, image, small, 4, checked);
}
END_TEST

START_TEST(random_patches)
{
	for (int round = 0; round < (few_rounds ? 10 : 40); round++) {
		size_t len = 1 + (size_t)rnd_below(6 * CHUNK);
		struct bytes image = image_new(IMAGE_DISK, len);
		struct blockz_range raw[4], edit;
		for (size_t i = 0; i < 4; i++)
			raw[i] = rnd_range(len);
		struct blockz_pack_options options = {
			.level = 1 + round % 3, .check = check_names[_i], .piece_size = CHUNK << rnd() % 3,
			.raw = raw, .raw_count = 4,
		};
		struct bytes file = pack(image, options, NULL);
		edit = rnd_range(raw[0].end - raw[0].start);
		edit.start += raw[0].start;
		edit.end += raw[0].start;
		patch_and_back("xz", file, false, image, &edit, 1, check_ids[_i] != LZMA_CHECK_NONE);
	}
}
END_TEST

int main(void)
{
	TCase *c = case_new("xz");
	tcase_add_loop_test(c, sizes_and_checks, 0, CHECKS);
	tcase_add_test(c, raw_ranges_at_every_edge);
	tcase_add_loop_test(c, levels, 0, 10);
	tcase_add_test(c, defaults);
	tcase_add_test(c, options_that_cannot_be);
	tcase_add_loop_test(c, zero_pieces, 0, CHECKS);
	tcase_add_loop_test(c, large_zero_pieces, 0, CHECKS);
	tcase_add_loop_test(c, patches, 0, CHECKS);
	tcase_add_loop_test(c, random_patches, 0, CHECKS);
	return case_run("xz", c);
}
