/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scanning gzip files that others wrote: the map covers all of them, and what it calls patchable is: its complement can be
 * patched in, and nothing else changes for zlib.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "foreign.h"

enum { RANGES_MAX = 4000 };

/* ---- Helpers ---- */

struct found {
	struct blockz_range patchable[RANGES_MAX], bound[RANGES_MAX];
	size_t patchable_count, bound_count;
	uint64_t patchable_bytes;
};

static void check_extents(const struct blockz_map *map, const struct blockz_map_range *range, struct bytes file,
			  struct bytes image)
{
	struct blockz_extent extent;
	for (uint64_t off = range->start; off < range->end; off += extent.length) {
		ck_assert(blockz_map_extent_at(map, off, &extent));
		ck_assert_uint_eq(extent.start, off);
		extent.length = extent.length < range->end - off ? extent.length : range->end - off;
		ck_assert_uint_le(extent.file_off + extent.length, file.len);
		ck_assert(memcmp(file.data + extent.file_off, image.data + off, extent.length) == 0);
	}
}

/* The map has no gap, its ranges are as long as can be, and raw payload stands where it says. */
static struct found *check_map(struct bytes file, struct bytes image)
{
	struct found *found = keep(sizeof(*found));
	struct blockz_map *map = map_of(bytes_source(file), false);
	struct blockz_map_range range, before = { .kind = BLOCKZ_ZERO };
	uint64_t pos = 0;
	ck_assert_uint_eq(blockz_map_info(map).image_size, image.len);
	ck_assert_int_eq(blockz_map_info(map).index, BLOCKZ_INDEX_NONE);
	for (; blockz_map_range_at(map, pos, &range); pos = range.end, before = range) {
		ck_assert_uint_eq(range.start, pos);
		ck_assert_uint_gt(range.end, pos);
		ck_assert_uint_ge(range.file_off, before.file_end);
		ck_assert(range.kind != BLOCKZ_ZERO);
		ck_assert(range.kind != before.kind || range.patchable != before.patchable);
		if (range.kind == BLOCKZ_COMPRESSED) {
			ck_assert(!range.patchable);
			continue;
		}
		check_extents(map, &range, file, image);
		ck_assert_uint_lt(found->patchable_count + found->bound_count, RANGES_MAX);
		if (range.patchable)
			found->patchable[found->patchable_count++] = (struct blockz_range){ range.start, range.end };
		else
			found->bound[found->bound_count++] = (struct blockz_range){ range.start, range.end };
		found->patchable_bytes += range.patchable ? range.end - range.start : 0;
	}
	ck_assert_uint_eq(pos, image.len);
	blockz_map_free(map);
	return found;
}

static void assert_members(struct bytes file, struct bytes image)
{
	struct bytes room = { malloc(image.len + 1), image.len };
	ck_assert(judge_gzip_members(file, room, &room.len));
	assert_bytes(room, image);
	free(room.data);
}

/* Overwrites all that is patchable, in one plan, by its complement. */
static void overwrite_all(struct bytes file, struct bytes image, const struct found *found)
{
	struct bytes edited = bytes_copy(image), patched = bytes_copy(file);
	struct blockz_edit *edits = keep((found->patchable_count + 1) * sizeof(*edits));
	struct blockz_plan_info info;
	struct blockz_fault fault = { .text = "" };
	for (size_t i = 0; i < found->patchable_count; i++) {
		complement(edited, found->patchable[i]);
		edits[i] = edit_from(edited, found->patchable[i]);
	}
	enum blockz_status status = patch_file(patched, false, edits, found->patchable_count, &info, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "patch: %s", fault.text);
	ck_assert_uint_eq(info.payload_bytes, found->patchable_bytes);
	assert_members(patched, edited);
	assert_verifies(patched);
}

static void refuse_bound(struct bytes file, struct bytes image, const struct found *found)
{
	for (size_t i = 0; i < found->bound_count && i < 20; i++) {
		struct blockz_edit edit = edit_from(image, found->bound[i]);
		struct blockz_fault fault;
		ck_assert_int_eq(patch_file(file, false, &edit, 1, NULL, &fault), BLOCKZ_UNSUPPORTED);
		ck_assert_msg(strstr(fault.text, "depends") != NULL, "%s", fault.text);
	}
}

/* Returns how many bytes are patchable. */
static uint64_t check_scan(struct bytes file, struct bytes image)
{
	assert_members(file, image);
	struct found *found = check_map(file, image);
	overwrite_all(file, image, found);
	refuse_bound(file, image, found);
	return found->patchable_bytes;
}

/* ---- Writers ---- */

START_TEST(files_by_zlib)
{
	static const int strategies[] = { Z_DEFAULT_STRATEGY, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED };
	struct bytes image = image_new(IMAGE_DISK, 600000), noise = image_new(IMAGE_NOISE, 300000);
	for (int level = 0; level <= 9; level++)
		check_scan(zlib_pack(image, level, strategies[level % 5]), image);
	/* Level 0 is patchable whole; noise nearly so at any level. */
	ck_assert_uint_eq(check_scan(zlib_pack(image, 0, Z_DEFAULT_STRATEGY), image), image.len);
	for (int level = 1; level <= 9; level += 4)
		ck_assert_uint_gt(check_scan(zlib_pack(noise, level, Z_DEFAULT_STRATEGY), noise), noise.len / 2);
}
END_TEST

START_TEST(files_by_libdeflate)
{
	struct bytes image = image_new(IMAGE_DISK, 600000), noise = image_new(IMAGE_NOISE, 300000);
	for (int level = 0; level <= 12; level++) {
		check_scan(libdeflate_pack(image, level), image);
		ck_assert_uint_gt(check_scan(libdeflate_pack(noise, level), noise), noise.len / 2);
	}
}
END_TEST

/* Flushes and levels as they come; the data often repeats what stood stored. */
static struct bytes changing_file(struct bytes image)
{
	static const int flushes[] = { Z_NO_FLUSH, Z_PARTIAL_FLUSH, Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_BLOCK };
	struct zlib_file *file = zlib_begin(6, Z_DEFAULT_STRATEGY, image.len);
	for (size_t pos = 0, len; pos < image.len; pos += len) {
		len = 1 + (size_t)rnd_below(rnd() % 2 ? 30000 : 3000);
		len = len < image.len - pos ? len : image.len - pos;
		zlib_level(file, rnd() % 2 ? 0 : 1 + (int)rnd_below(9));
		zlib_put(file, image.data + pos, len, flushes[rnd_below(5)]);
	}
	return zlib_end(file);
}

START_TEST(files_that_change_level_and_flush)
{
	uint64_t patchable = 0;
	for (int i = 0; i < (few_rounds ? 10 : 40); i++) {
		struct bytes image = image_new(IMAGE_DISK, 1 + (size_t)rnd_below(400000));
		patchable += check_scan(changing_file(image), image);
	}
	ck_assert_uint_gt(patchable, 100000);
}
END_TEST

START_TEST(files_of_many_members)
{
	for (int i = 0; i < 8; i++) {
		struct bytes image = bytes_new(0), file = bytes_new(0);
		for (uint64_t members = 1 + rnd_below(6); members > 0; members--) {
			struct bytes part = image_new(members % 3 ? IMAGE_DISK : IMAGE_NOISE, (size_t)rnd_below(100000));
			image = bytes_join(image, part);
			file = bytes_join(file, members % 2 ? changing_file(part) : libdeflate_pack(part, 6));
		}
		check_scan(file, image);
		check_scan(bytes_join(file, bytes_new(1 + (size_t)rnd_below(1000))), image);
	}
	/* Stored data that goes on in the next member. */
	struct bytes noise = image_new(IMAGE_NOISE, 50000);
	struct bytes stored = zlib_pack(noise, 0, Z_DEFAULT_STRATEGY);
	ck_assert_uint_eq(check_scan(bytes_join(stored, stored), bytes_join(noise, noise)), 2 * noise.len);
}
END_TEST

/* ---- Which bytes exactly ---- */

/* True if a change of one byte of the file, which holds byte `at` of the image, changes nothing else. */
static bool stands_alone(struct bytes file, size_t file_off, struct bytes image, size_t at, struct bytes room)
{
	z_stream z = { .next_in = file.data + 10, .avail_in = (uInt)file.len - 18 };
	z.next_out = room.data;
	z.avail_out = (uInt)room.len;
	file.data[file_off] ^= 0xff;
	bool alone = inflateInit2(&z, -15) == Z_OK && inflate(&z, Z_FINISH) == Z_STREAM_END && z.total_out == image.len &&
		     memcmp(room.data, image.data, at) == 0 &&
		     memcmp(room.data + at + 1, image.data + at + 1, image.len - at - 1) == 0;
	inflateEnd(&z);
	file.data[file_off] ^= 0xff;
	return alone;
}

START_TEST(each_stored_byte_is_marked_as_it_is)
{
	enum { STORED = 6000 };
	for (int round = 0; round < (few_rounds ? 1 : 4); round++) {
		/* Stored noise, then parts of it again, near and as far as a match can reach. */
		struct bytes image = image_new(IMAGE_NOISE, STORED + 28000), room = bytes_new(image.len);
		for (size_t pos = STORED; pos < image.len - 300; pos += 1 + (size_t)rnd_below(3000)) {
			size_t len = 3 + (size_t)rnd_below(280);
			memcpy(image.data + pos, image.data + rnd_below(STORED - len), len);
		}
		struct zlib_file *zlib = zlib_begin(0, Z_DEFAULT_STRATEGY, image.len);
		zlib_put(zlib, image.data, STORED, Z_SYNC_FLUSH);
		zlib_level(zlib, 9);
		zlib_put(zlib, image.data + STORED, image.len - STORED, Z_NO_FLUSH);
		struct bytes file = zlib_end(zlib);
		struct blockz_map *map = map_of(bytes_source(file), true);
		size_t alone = 0, wrong = 0;
		for (size_t at = 0; at < STORED; at++) {
			struct blockz_map_range range;
			struct blockz_extent extent;
			ck_assert(blockz_map_range_at(map, at, &range) && range.kind == BLOCKZ_RAW);
			ck_assert(blockz_map_extent_at(map, at, &extent));
			bool yes = stands_alone(file, (size_t)extent.file_off, image, at, room);
			alone += yes;
			wrong += yes != range.patchable;
		}
		ck_assert_uint_eq(wrong, 0);
		ck_assert_uint_gt(alone, 100);
		ck_assert_uint_lt(alone, STORED - 100);
		blockz_map_free(map);
	}
}
END_TEST

/* What a writer does that does not know better: raw data is stored, but the history is kept. */
START_TEST(data_that_is_copied_later_is_not_patchable)
{
	struct bytes noise = image_new(IMAGE_NOISE, 20000), image = bytes_join(noise, noise), edited = bytes_copy(image);
	static const int flushes[] = { Z_NO_FLUSH, Z_BLOCK, Z_SYNC_FLUSH, Z_FULL_FLUSH };
	for (size_t i = 0; i < 4; i++) {
		struct zlib_file *zlib = zlib_begin(0, Z_DEFAULT_STRATEGY, image.len);
		zlib_put(zlib, noise.data, noise.len, flushes[i]);
		zlib_level(zlib, 6);
		zlib_put(zlib, noise.data, noise.len, Z_NO_FLUSH);
		struct bytes file = zlib_end(zlib);
		bool apart = flushes[i] == Z_FULL_FLUSH;
		uint64_t patchable = check_scan(file, image);
		ck_assert(apart ? patchable >= noise.len : patchable < 1000);
		/* Without the map: what a patch would have done. */
		complement(edited, (struct blockz_range){ 0, noise.len });
		struct blockz_edit edit = edit_from(edited, (struct blockz_range){ 0, noise.len });
		ck_assert_int_eq(patch_file(file, false, &edit, 1, NULL, NULL), apart ? BLOCKZ_OK : BLOCKZ_UNSUPPORTED);
		complement(edited, (struct blockz_range){ 0, noise.len });
	}
}
END_TEST

/* ---- Hostile files ---- */

static uint64_t peak_memory(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)usage.ru_maxrss * KIB;
}

/* Verifies: as good a file as any, in memory that its ranges take, and in time that is not quadratic. */
static void check_bounded(struct bytes file, uint64_t image_size, uint64_t ranges)
{
	struct blockz_source source = bytes_source(file);
	struct blockz_verify_options options = { .work.threads = 1 };
	struct blockz_verify_result result;
	struct blockz_fault fault = { .text = "" };
	uint64_t before = peak_memory();
	enum blockz_status status = blockz_verify(&source, &options, &result, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "verify: %s", fault.text);
	ck_assert_uint_eq(result.map.image_size, image_size);
	if (!sanitized)
		ck_assert_uint_le(peak_memory() - before, 16 * MIB + 64 * ranges);
}

static struct bytes repeated(struct bytes bytes, size_t times)
{
	struct bytes all = bytes_new(bytes.len * times);
	for (size_t i = 0; i < times; i++)
		memcpy(all.data + i * bytes.len, bytes.data, bytes.len);
	return all;
}

START_TEST(blocks_of_nothing)
{
	struct deflate_data data = { .room = 0 };
	const size_t count = 700000;
	struct bytes zeros = bytes_new(count);
	deflate_append_stored(&data, NULL, 0, false);
	struct bytes blocks = bytes_join(repeated(data.bytes, count), (struct bytes){ (uint8_t[]){ 3, 0 }, 2 });
	check_bounded(gzip_member(blocks, bytes_new(0)), 0, 0);
	/* One byte each: half of them are a queue that waits for what may refer to it. */
	data = (struct deflate_data){ .room = 0 };
	deflate_append_stored(&data, zeros.data, 1, false);
	blocks = bytes_join(repeated(data.bytes, count), (struct bytes){ (uint8_t[]){ 3, 0 }, 2 });
	check_bounded(gzip_member(blocks, zeros), count, count);
}
END_TEST

START_TEST(members_of_nothing)
{
	struct bytes none = gzip_member((struct bytes){ (uint8_t[]){ 3, 0 }, 2 }, bytes_new(0)), one = bytes_new(1);
	ck_assert_uint_eq(none.len, 20);
	check_bounded(repeated(none, 200000), 0, 0);
	struct deflate_data data = { .room = 0 };
	deflate_append_stored(&data, one.data, 1, true);
	check_bounded(repeated(gzip_member(data.bytes, one), 150000), 150000, 2 * 150000); /* a piece and a check each */
}
END_TEST

START_TEST(more_pieces_than_a_map_may_have)
{
	struct bytes one = bytes_new(1);
	struct deflate_data data = { .room = 0 };
	deflate_append(&data, (uint8_t[]){ 0x63, 0x00, 0x00 }, 3); /* a zero in a fixed block */
	struct bytes member = gzip_member(data.bytes, one), file = repeated(member, sanitized ? 10 : (1 << 20) + 1);
	struct blockz_source source = bytes_source(file);
	struct blockz_map *map = NULL;
	assert_decodes("gzip", member, one);
	const struct blockz_map_options scan = { .scan = true };
	ck_assert_int_eq(blockz_map_read(&source, &scan, &map, NULL), sanitized ? BLOCKZ_OK : BLOCKZ_LIMIT);
	blockz_map_free(map);
}
END_TEST

/* 32 KiB stored, and matches that copy three of every four bytes of them: two ranges for four bytes. */
static void append_comb(struct deflate_data *data)
{
	struct bytes stored = image_new(IMAGE_NOISE, 32768), bits = bytes_new(8192 * 25 / 8 + 5);
	size_t bit = 0;
	deflate_append_stored(data, stored.data, stored.len, false);
	bits.data[0] = 2; /* a fixed block, 3 bits */
	bit = 3;
	for (unsigned k = 0; k < 8192; k++) {
		unsigned extra = 8191 - k; /* distance 32768 - k */
		/* Length 3: 0000001; distances from 24577 on: 11101, and 13 bits, lowest first. */
		for (unsigned i = 0; i < 12; i++, bit++)
			bits.data[bit / 8] |= (uint8_t)((0x3d >> (11 - i) & 1) << bit % 8);
		for (unsigned i = 0; i < 13; i++, bit++)
			bits.data[bit / 8] |= (uint8_t)((extra >> i & 1) << bit % 8);
	}
	bit += 7; /* end of block */
	bit += 3; /* an empty stored block, to a byte's edge */
	deflate_append(data, bits.data, (bit + 7) / 8);
	deflate_append(data, "\0\0\xff\xff", 4);
}

START_TEST(more_ranges_than_a_map_may_have)
{
	struct deflate_data data = { .room = 0 };
	struct bytes image = bytes_new(3 * 57344);
	for (int i = 0; i < 3; i++)
		append_comb(&data);
	struct bytes few = bytes_join(data.bytes, (struct bytes){ (uint8_t[]){ 3, 0 }, 2 });
	z_stream z = { .next_in = few.data, .avail_in = (uInt)few.len };
	z.next_out = image.data;
	z.avail_out = (uInt)image.len;
	ck_assert_int_eq(inflateInit2(&z, -15), Z_OK);
	ck_assert_int_eq(inflate(&z, Z_FINISH), Z_STREAM_END);
	ck_assert_uint_eq(z.total_out, image.len);
	inflateEnd(&z);
	struct blockz_map *map = map_of(bytes_source(gzip_member(few, image)), false);
	struct blockz_map_range range;
	size_t patchable = 0;
	for (uint64_t pos = 0; blockz_map_range_at(map, pos, &range); pos = range.end)
		patchable += range.patchable;
	ck_assert_uint_eq(patchable, 3 * 8192);
	blockz_map_free(map);

	while (data.bytes.len < 3 * 58400 * (sanitized ? 1 : 23))
		deflate_append(&data, bytes_copy(data.bytes).data, data.bytes.len);
	struct bytes many = bytes_join(data.bytes, (struct bytes){ (uint8_t[]){ 3, 0 }, 2 });
	struct blockz_source source = bytes_source(gzip_member(many, image));
	enum blockz_status status = blockz_map_read(&source, NULL, &map, NULL);
	ck_assert_int_eq(status, sanitized ? BLOCKZ_DAMAGED : BLOCKZ_LIMIT); /* damaged: the length in its trailer is wrong */
}
END_TEST

int main(void)
{
	TCase *c = case_new("scan");
	tcase_add_test(c, files_by_zlib);
	tcase_add_test(c, files_by_libdeflate);
	tcase_add_test(c, files_that_change_level_and_flush);
	tcase_add_test(c, files_of_many_members);
	tcase_add_test(c, each_stored_byte_is_marked_as_it_is);
	tcase_add_test(c, data_that_is_copied_later_is_not_patchable);
	tcase_add_test(c, blocks_of_nothing);
	tcase_add_test(c, members_of_nothing);
	tcase_add_test(c, more_pieces_than_a_map_may_have);
	tcase_add_test(c, more_ranges_than_a_map_may_have);
	return case_run("scan", c);
}
