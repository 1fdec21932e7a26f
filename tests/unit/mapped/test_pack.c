/* SPDX-License-Identifier: BSD-3-Clause */
/* What blockz_pack() writes: decoded by others, laid out as it has to be, and mapped as it was asked for. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "images.h"

enum { PAGE = 4096, RAW_MAX = 2000 };

struct packed {
	const struct blockz_format *format;
	struct bytes image, file;
	struct blockz_range raw[RAW_MAX]; /* united */
	size_t raw_count;
	uint64_t piece_size;
	struct blockz_pack_result result;
};

static uint64_t raw_bytes(const struct packed *packed)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < packed->raw_count; i++)
		sum += packed->raw[i].end - packed->raw[i].start;
	return sum;
}

/* The raw range that overlaps [start, end), or NULL. */
static const struct blockz_range *raw_over(const struct packed *packed, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < packed->raw_count; i++)
		if (packed->raw[i].start < end && start < packed->raw[i].end)
			return &packed->raw[i];
	return NULL;
}

/* ---- The layout of each format, by the bytes ---- */

enum { STORED = 32768 };

/* Block `number` that begins at `bit` holds the image's bytes [start, end).  Returns how many of them are raw. */
static uint64_t check_gzip_block(const struct packed *packed, uint64_t bit, uint64_t start, uint64_t end)
{
	const struct blockz_range *raw = raw_over(packed, start, end);
	if (start == end || raw == NULL)
		return 0;
	const uint8_t *header = packed->file.data + bit / 8;
	unsigned len = header[1] | (unsigned)header[2] << 8, nlen = header[3] | (unsigned)header[4] << 8;
	ck_assert_uint_eq(bit % 8, 0);
	ck_assert_uint_eq(header[0], 0); /* not final, stored, and no other bit */
	ck_assert_uint_eq(len, end - start);
	ck_assert_uint_eq(nlen, 0xffff - len);
	ck_assert(start == raw->start || (start > raw->start && start % STORED == 0));
	ck_assert(end == raw->end || (end < raw->end && end % STORED == 0));
	ck_assert_uint_eq(start / STORED, (end - 1) / STORED);
	return end - start;
}

/* Block by block, by zlib. */
static void check_gzip_blocks(const struct packed *packed)
{
	struct bytes room = { malloc(packed->image.len + 1), packed->image.len + 1 };
	z_stream z = { .next_in = packed->file.data, .avail_in = (uInt)packed->file.len };
	uint64_t raw = 0, start = 0, last_bit = 0;
	z.next_out = room.data;
	z.avail_out = (uInt)room.len;
	ck_assert_int_eq(inflateInit2(&z, 31), Z_OK);
	ck_assert_int_eq(inflate(&z, Z_BLOCK), Z_OK); /* the gzip header */
	while ((z.data_type & 64) == 0) {
		last_bit = z.total_in * 8 - (z.data_type & 7);
		start = z.total_out;
		ck_assert_int_eq(inflate(&z, Z_BLOCK), Z_OK);
		ck_assert(z.data_type & 128);
		raw += check_gzip_block(packed, last_bit, start, z.total_out);
	}
	ck_assert_uint_eq(last_bit, (packed->file.len - 10) * 8); /* the final block is empty and stands last */
	ck_assert_uint_eq(start, packed->image.len);
	ck_assert_uint_eq(raw, raw_bytes(packed));
	inflateEnd(&z);
	free(room.data);
}

static void check_gzip(const struct packed *packed, bool indexed)
{
	static const uint8_t begin[] = { 0x1f, 0x8b, 8 }, no_time[4] = { 0 };
	const uint8_t *head = packed->file.data, *end = head + packed->file.len;
	ck_assert_mem_eq(head, begin, 3);
	ck_assert_uint_eq(head[3], indexed ? 4 : 0); /* FEXTRA, and never a name, a comment or a CRC */
	ck_assert_mem_eq(head + 4, no_time, 4);
	ck_assert_uint_eq(head[8], 0);
	ck_assert_uint_eq(head[9], 255);
	if (indexed) {
		unsigned xlen = head[10] | (unsigned)head[11] << 8, len = head[14] | (unsigned)head[15] << 8;
		ck_assert_uint_le(xlen, 16 * KIB);
		ck_assert_uint_eq(xlen, len + 4);
		ck_assert_mem_eq(head + 12, "BZ", 2);
	}
	ck_assert_mem_eq(end - 10, "\x03\x00", 2);
	check_gzip_blocks(packed);
}

/* Payload is cut at multiples of 64 KiB at least, and stands in the file as it is in the image. */
static void check_cells(const struct packed *packed)
{
	struct blockz_map *map = map_of(bytes_source(packed->file), false);
	struct blockz_extent extent;
	for (size_t i = 0; i < packed->raw_count; i++) {
		for (uint64_t pos = packed->raw[i].start; pos < packed->raw[i].end; pos += extent.length) {
			ck_assert(blockz_map_extent_at(map, pos, &extent));
			uint64_t end = pos + extent.length;
			ck_assert(end == packed->raw[i].end || end % (64 * KIB) == 0);
			ck_assert_mem_eq(packed->file.data + extent.file_off, packed->image.data + pos, extent.length);
		}
	}
	blockz_map_free(map);
}

static void check_xz(const struct packed *packed)
{
	static const uint8_t begin[] = { 0xfd, '7', 'z', 'X', 'Z', 0 };
	ck_assert_mem_eq(packed->file.data, begin, sizeof(begin));
	ck_assert_mem_eq(packed->file.data + packed->file.len - 2, "YZ", 2); /* no padding */
	ck_assert_uint_eq(packed->file.len % 4, 0);
	check_cells(packed);
}

static void check_zstd(const struct packed *packed, bool indexed)
{
	static const uint8_t begin[] = { 0x28, 0xb5, 0x2f, 0xfd }, end[] = { 0xb1, 0xea, 0x92, 0x8f };
	ck_assert_mem_eq(packed->file.data, begin, sizeof(begin));
	ck_assert_int_eq(memcmp(packed->file.data + packed->file.len - sizeof(end), end, sizeof(end)) == 0, indexed);
	check_cells(packed);
}

static void check_layout(const struct packed *packed, bool indexed)
{
	if (strcmp(packed->format->name, "gzip") == 0)
		check_gzip(packed, indexed);
	else if (strcmp(packed->format->name, "xz") == 0)
		check_xz(packed);
	else if (strcmp(packed->format->name, "zstd") == 0)
		check_zstd(packed, indexed);
	else
		ck_abort_msg("nothing checks the layout of %s", packed->format->name);
}

/* ---- The map, by the image ---- */

/* The payload stands where the map says, and no header cuts a page. */
static void check_extents(const struct packed *packed, const struct blockz_map *map, struct blockz_range range)
{
	struct blockz_extent extent;
	for (uint64_t off = range.start; off < range.end; off += extent.length) {
		ck_assert(blockz_map_extent_at(map, off, &extent));
		ck_assert_uint_eq(extent.start, off);
		if (extent.length > range.end - off)
			extent.length = range.end - off;
		ck_assert_uint_le(extent.file_off + extent.length, packed->file.len);
		ck_assert_mem_eq(packed->file.data + extent.file_off, packed->image.data + off, extent.length);
		uint64_t end = off + extent.length;
		ck_assert_msg(end == range.end || end % PAGE == 0, "a page is cut at %" PRIu64, end);
	}
}

static void check_ranges(const struct packed *packed, const struct blockz_map *map, bool exact)
{
	struct blockz_map_range range;
	uint64_t pos = 0, file_pos = 0, raw = 0, zero = 0;
	for (; pos < packed->image.len; pos = range.end) {
		ck_assert(blockz_map_range_at(map, pos, &range));
		ck_assert_uint_eq(range.start, pos);
		ck_assert_uint_gt(range.end, pos);
		ck_assert_uint_ge(range.file_off, file_pos);
		file_pos = range.file_end;
		raw += range.kind == BLOCKZ_RAW ? range.end - range.start : 0;
		zero += range.kind == BLOCKZ_ZERO ? range.end - range.start : 0;
		if (range.kind == BLOCKZ_ZERO)
			ck_assert(bytes_are_zero(packed->image.data + range.start, range.end - range.start));
	}
	ck_assert_uint_eq(pos, packed->image.len);
	ck_assert_uint_le(file_pos, packed->file.len);
	ck_assert(!blockz_map_range_at(map, pos, &range));
	if (exact)
		ck_assert_uint_eq(raw, raw_bytes(packed));
	ck_assert_uint_ge(raw, raw_bytes(packed));
	if (has_own_index(packed->format)) /* else zeros show by their checks, whole piece or not */
		ck_assert_uint_le(zero, packed->result.zero_bytes);
	for (size_t i = 0; i < packed->raw_count; i++) {
		ck_assert(blockz_map_range_at(map, packed->raw[i].start, &range));
		ck_assert_int_eq(range.kind, BLOCKZ_RAW);
		ck_assert(range.patchable);
		ck_assert_uint_ge(range.end, packed->raw[i].end);
		check_extents(packed, map, packed->raw[i]);
	}
}

static void check_map(const struct packed *packed, bool scan)
{
	struct blockz_map *map = map_of(bytes_source(packed->file), scan);
	struct blockz_map_info info = blockz_map_info(map);
	bool indexed = !scan && packed->result.index_piece_size > 0;
	ck_assert_str_eq(info.format, packed->format->name);
	ck_assert_uint_eq(info.file_size, packed->file.len);
	ck_assert_uint_eq(info.image_size, packed->image.len);
	if (has_own_index(packed->format))
		ck_assert_int_eq(info.index, indexed ? BLOCKZ_INDEX_HEADER : BLOCKZ_INDEX_NONE);
	/* A scan has no place for raw ranges that are shorter than a page. */
	bool all_long = true;
	for (size_t i = 0; i < packed->raw_count; i++)
		all_long = all_long && packed->raw[i].end - packed->raw[i].start >= PAGE;
	if (indexed || all_long)
		check_ranges(packed, map, indexed && has_own_index(packed->format));
	blockz_map_free(map);
}

/* ---- The result, by a model ---- */

/* Image bytes in pieces that are whole and nothing but zeros. */
static uint64_t zero_bytes(const struct packed *packed)
{
	uint64_t size = packed->piece_size, sum = 0;
	for (uint64_t start = 0; packed->image.len - start >= size; start += size) {
		if (raw_over(packed, start, start + size) == NULL && bytes_are_zero(packed->image.data + start, size))
			sum += size;
	}
	return sum;
}

static void check_packed(const struct blockz_format *format, struct bytes image, struct blockz_pack_options options)
{
	struct packed *packed = keep(sizeof(*packed));
	packed->format = format;
	packed->image = image;
	packed->piece_size = options.piece_size == 0 ? format->piece_size_default : options.piece_size;
	ck_assert_uint_le(options.raw_count, RAW_MAX);
	if (options.raw_count > 0)
		memcpy(packed->raw, options.raw, options.raw_count * sizeof(*options.raw));
	for (size_t i = 0; i < options.raw_count; i++)
		if (packed->raw[i].end == BLOCKZ_UNKNOWN)
			packed->raw[i].end = image.len;
	packed->raw_count = blockz_ranges_unite(packed->raw, options.raw_count);
	packed->file = pack_image(format, image, options, &packed->result);

	assert_decodes(format->name, packed->file, image);
	ck_assert_uint_eq(packed->result.raw_bytes, raw_bytes(packed));
	if (packed->piece_size != 0) /* else it depends on the level */
		ck_assert_uint_eq(packed->result.zero_bytes, zero_bytes(packed));
	if (has_own_index(format) && options.no_index)
		ck_assert_uint_eq(packed->result.index_piece_size, 0);
	check_layout(packed, !options.no_index);
	check_map(packed, false);
	check_map(packed, true);
	assert_verifies(packed->file);
}

/* ---- Tests ---- */

START_TEST(sizes_and_kinds_of_data)
{
	const struct blockz_format *format = format_of(_i);
	const size_t piece = (size_t)format->piece_size_min;
	const size_t sizes[] = { 0, 1, 2, 4095, piece - 1, piece, piece + 1, 3 * piece, 3 * piece + 4097 };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (enum image_kind kind = 0; kind < IMAGE_KINDS; kind++) {
			struct bytes image = image_new(kind, sizes[i]);
			struct blockz_pack_options options = { .level = 2, .piece_size = piece, .no_index = rnd() % 2 };
			check_packed(format, image, options);
			/* All of it raw, all but the first byte, and all but the last. */
			for (size_t cut = 0; cut < 3 && sizes[i] >= 2; cut++) {
				struct blockz_range raw = { cut == 1, sizes[i] - (cut == 2) };
				options.raw = &raw;
				options.raw_count = 1;
				options.no_index = cut == 2;
				check_packed(format, image, options);
			}
		}
	}
}
END_TEST

START_TEST(raw_ranges_at_every_edge)
{
	const struct blockz_format *format = format_of(_i);
	const uint64_t p = format->piece_size_min, s = 32768, len = 4 * p + 12345;
	const struct blockz_range sets[][4] = {
		{ { 0, 1 } },
		{ { len - 1, len } },
		{ { p, p + 1 }, { p - 1, p } },                          /* touch at a piece's edge, out of order */
		{ { 100, 100 }, { len, len }, { 0, 0 } },                /* empty */
		{ { 5000, 9000 }, { 7000, 20000 }, { 6000, 6001 } },     /* overlap; one within another */
		{ { 10, 20 }, { 20, 30 }, { 31, 40 }, { 5, 10 } },       /* touch; a byte between */
		{ { s - 1, s + 1 }, { 2 * p - 1, 3 * p + 1 } },
		{ { s, 2 * s }, { 3 * s, 3 * s + 1 }, { 2 * p, 4 * p } },
		{ { p + 4096, p + 8192 }, { 3 * p + 1, 3 * p + 4097 } },
		{ { 0, p }, { 2 * p, 3 * p }, { 4 * p, len } },          /* every other piece */
		{ { 1, len - 1 } },
		{ { 3 * p + 77, BLOCKZ_UNKNOWN } },
		{ { len, BLOCKZ_UNKNOWN }, { 4 * p, BLOCKZ_UNKNOWN } },
		{ { 0, len }, { 3, 4 }, { p, 2 * p }, { len - 1, len } },
	};
	struct bytes disk = image_new(IMAGE_DISK, len), zeros = image_new(IMAGE_ZEROS, len);
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		for (uint64_t piece = p; piece <= 4 * p; piece *= 4) {
			struct blockz_pack_options options = { .level = 2, .piece_size = piece, .raw = sets[i], .raw_count = 4 };
			check_packed(format, disk, options);
			check_packed(format, zeros, options);
		}
	}
}
END_TEST

START_TEST(all_levels)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = image_new(IMAGE_DISK, 300000);
	struct blockz_range raw[] = { { 40001, 90002 }, { 200000, 299999 } };
	for (int level = format->level_min; level <= format->level_max; level++) {
		for (int no_index = 0; no_index < 2; no_index++) {
			struct blockz_pack_options options = {
				.level = level, .piece_size = format->piece_size_min, .no_index = no_index, .raw = raw,
				.raw_count = 2,
			};
			check_packed(format, image, options);
		}
	}
	struct bytes text = image_new(IMAGE_TEXT, 300000);
	struct blockz_pack_options fast = { .level = format->level_min == 0 ? BLOCKZ_LEVEL_0 : format->level_min };
	struct blockz_pack_options best = { .level = format->level_max }, none = { 0 };
	size_t fast_len = pack_image(format, text, fast, NULL).len, best_len = pack_image(format, text, best, NULL).len;
	ck_assert_uint_lt(fast_len, text.len / 2);
	ck_assert_uint_lt(best_len, fast_len);
	/* Level 0 is the default one. */
	best.level = format->level_default;
	assert_bytes(pack_image(format, text, none, NULL), pack_image(format, text, best, NULL));
}
END_TEST

START_TEST(all_piece_sizes)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = image_new(IMAGE_DISK, 3 * MIB + 321);
	struct blockz_range raw[] = { { 1 * MIB - 1, 1 * MIB + 70000 }, { 2 * MIB, 3 * MIB } };
	for (uint64_t size = format->piece_size_min; size <= format->piece_size_max; size *= 2) {
		struct blockz_pack_options options = { .level = 1, .piece_size = size, .raw = raw, .raw_count = 2 };
		check_packed(format, image, options);
	}
}
END_TEST

START_TEST(random_ranges)
{
	const struct blockz_format *format = format_of(_i);
	for (int round = 0; round < (few_rounds ? 15 : 60); round++) {
		size_t len = 1 + (size_t)rnd_below(6 * format->piece_size_min);
		struct blockz_range raw[12];
		for (size_t i = 0; i < 12; i++)
			raw[i] = rnd_range(len);
		struct blockz_pack_options options = {
			.level = format->level_min + round % (format->level_max + 1 - format->level_min),
			.piece_size = format->piece_size_min << rnd() % 3,
			.raw = raw,
			.raw_count = (size_t)rnd_below(13),
			.work.threads = 1 + (unsigned)rnd_below(4),
			.no_index = rnd() % 4 == 0,
		};
		check_packed(format, image_new(IMAGE_DISK, len), options);
	}
}
END_TEST

/* More than an index has room for: it is made coarser, or left out, and everything else is right all the same. */
START_TEST(thousands_of_raw_ranges)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = image_new(IMAGE_TEXT, 1 * MIB);
	struct blockz_range raw[RAW_MAX];
	for (size_t count = RAW_MAX / 16; count <= RAW_MAX; count *= 2) {
		for (size_t i = 0; i < count; i++) {
			uint64_t step = image.len / count, start = (count - 1 - i) * step + rnd_below(step / 2);
			raw[i] = (struct blockz_range){ start, start + 1 + rnd_below(step / 2) };
		}
		struct blockz_pack_options options = {
			.level = 1, .piece_size = format->piece_size_min, .raw = raw, .raw_count = count,
		};
		check_packed(format, image, options);
	}
}
END_TEST

static void assert_usage(struct bytes image, struct blockz_pack_options options)
{
	struct growing_sink sink = { .room = 0 };
	struct blockz_sink out = growing_sink_rewritable(&sink);
	struct blockz_source source = bytes_source(image);
	struct blockz_pack_result result = { .pieces = 12345 };
	struct blockz_fault fault = { .text = "" };
	ck_assert_int_eq(blockz_pack(&source, &out, &options, &result, &fault), BLOCKZ_USAGE);
	ck_assert_int_eq(fault.status, BLOCKZ_USAGE);
	ck_assert_uint_gt(strlen(fault.text), 0);
	ck_assert_uint_eq(result.pieces, 12345);
	ck_assert_uint_eq(sink.calls, 0);
	ck_assert_int_eq(blockz_pack(&source, &out, &options, &result, NULL), BLOCKZ_USAGE);
}

START_TEST(options_that_cannot_be)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = image_new(IMAGE_TEXT, 1000);
	const struct blockz_range bad[] = { { 0, 1001 }, { 1001, 1001 }, { 1000, 1001 }, { 20, 10 }, { 1001, BLOCKZ_UNKNOWN } };
	struct blockz_pack_options options = { .format = "gzzip" };
	assert_usage(image, options);
	options.format = format->name;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		options.raw = &bad[i];
		options.raw_count = 1;
		assert_usage(image, options);
	}
	options.raw_count = 0;
	options.level = format->level_max + 1;
	assert_usage(image, options);
	options.level = format->level_min - 1 == 0 ? -1 : format->level_min - 1;
	assert_usage(image, options);
	options.level = 0;
	const uint64_t sizes[] = { format->piece_size_min / 2, 2 * format->piece_size_max, format->piece_size_min + 1, 1,
				   UINT64_MAX };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		options.piece_size = sizes[i];
		assert_usage(image, options);
	}
	options.piece_size = 0;
	options.check = "crc16";
	assert_usage(image, options);
}
END_TEST

int main(void)
{
	TCase *c = case_new("pack");
	case_add_formats(c, sizes_and_kinds_of_data);
	case_add_formats(c, raw_ranges_at_every_edge);
	case_add_formats(c, all_levels);
	case_add_formats(c, all_piece_sizes);
	case_add_formats(c, random_ranges);
	case_add_formats(c, thousands_of_raw_ranges);
	case_add_formats(c, options_that_cannot_be);
	return case_run("pack", c);
}
