/* SPDX-License-Identifier: BSD-3-Clause */
/* Maps that are to tell of raw ranges alone: these as any other does, all else without a look at each frame. */
#include <string.h>

#include "base/bytes.h"
#include "foreign_zst.h"
#include "range/map.h"

enum { PIECE = 4 * KIB, FRAMES = 4500, FEW_FRAMES = 4000, ENTRY_LEN = 12, RAW_COUNT = 3 };

/* ---- A file that counts reads ---- */

struct reads {
	struct bytes file;
	size_t count;
};

static int count_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	struct reads *reads = ctx;
	const struct blockz_source source = bytes_source(reads->file);
	reads->count++;
	return source.ops->read(source.ctx, buf, len, off, got_ret);
}

static struct blockz_map *read_map(struct reads *reads, bool raw_only)
{
	static const struct blockz_source_ops ops = { .read = count_read };
	const struct blockz_source source = { &ops, reads, reads->file.len };
	const struct blockz_map_options options = { .raw_only = raw_only };
	struct blockz_map *map = NULL;
	reads->count = 0;
	ck_assert_int_eq(blockz_map_read(&source, &options, &map, NULL), BLOCKZ_OK);
	return map;
}

static struct blockz_map *raw_map(struct bytes file)
{
	return read_map(&(struct reads){ .file = file }, true);
}

static const struct blockz_range raw[RAW_COUNT] = {
	{ 0, PIECE }, { 30 * PIECE, 33 * PIECE }, { 3990 * PIECE, 3991 * PIECE }
};

static bool is_raw(size_t frame)
{
	bool yes = false;
	for (int i = 0; i < RAW_COUNT; i++)
		yes = yes || (frame * PIECE >= raw[i].start && frame * PIECE < raw[i].end);
	return yes;
}

/* Text in frames of PIECE, some of which are zeros, and some raw. */
static struct bytes make_file(size_t frames, struct bytes *image_ret)
{
	const struct zst_parameter checksum = { ZSTD_c_checksumFlag, 1 };
	struct bytes image = image_new(IMAGE_TEXT, frames * PIECE);
	struct seek_entry *entries = keep(frames * sizeof(*entries));
	struct zst_file file = { .room = 0 };
	memset(image.data + 1000 * PIECE, 0, 400 * PIECE);
	for (size_t i = 0; i < frames; i++) {
		struct bytes part = { image.data + i * PIECE, PIECE };
		size_t before = file.bytes.len;
		if (is_raw(i)) {
			zst_put_raw_frame(&file, part, PIECE, ZST_SIZE_4 | ZST_CHECKSUM, 0x38);
		} else {
			struct bytes frame = zst_compress(part, true, &checksum, 1);
			zst_put(&file, frame.data, frame.len);
		}
		entries[i] = (struct seek_entry){ (uint32_t)(file.bytes.len - before), PIECE, zst_sum(part.data, PIECE) };
	}
	zst_put_table(&file, entries, frames, true);
	*image_ret = image;
	return file.bytes;
}

static void assert_same_map(const struct blockz_map *a, const struct blockz_map *b)
{
	ck_assert_uint_eq(a->image_size, b->image_size);
	ck_assert_uint_eq(a->piece_count, b->piece_count);
	ck_assert_uint_eq(a->span_count, b->span_count);
	ck_assert_uint_eq(a->check_count, b->check_count);
	for (size_t i = 0; i < a->piece_count; i++) {
		ck_assert_uint_eq(a->pieces[i].start, b->pieces[i].start);
		ck_assert_uint_eq(a->pieces[i].file_off, b->pieces[i].file_off);
		ck_assert_uint_eq(a->pieces[i].file_len, b->pieces[i].file_len);
		ck_assert_uint_eq(a->pieces[i].kind, b->pieces[i].kind);
		ck_assert_uint_eq(a->pieces[i].copies, b->pieces[i].copies);
	}
	for (size_t i = 0; i < a->span_count; i++)
		ck_assert_mem_eq(&a->spans[i], &b->spans[i], sizeof(a->spans[i]));
	for (size_t i = 0; i < a->check_count; i++)
		ck_assert_uint_eq(a->checks[i].field_off, b->checks[i].field_off);
}

START_TEST(raw_ranges_are_the_same)
{
	struct bytes image, file = make_file(FRAMES, &image);
	struct reads all = { .file = file }, few = { .file = file };
	struct blockz_map *map = read_map(&all, false), *raw_only = read_map(&few, true);
	assert_same_map(map, raw_only);
	ck_assert_int_eq(raw_only->index, BLOCKZ_INDEX_TRAILER);
	ck_assert_uint_gt(all.count, 8 * few.count);
	blockz_map_free(map);
	blockz_map_free(raw_only);
}
END_TEST

/* The file as it is patched by such a map. */
static struct bytes patched_by_it(struct bytes file, struct bytes edited, struct blockz_range range)
{
	const struct blockz_edit edit = edit_from(edited, range);
	const struct blockz_source source = bytes_source(file);
	const struct blockz_work work = { .threads = 1 };
	struct growing_sink grown = { .room = 0 };
	const struct blockz_sink sink = growing_sink(&grown);
	struct blockz_map *map = raw_map(file);
	struct blockz_plan *plan = NULL;
	ck_assert_int_eq(blockz_plan_new(&source, map, &edit, 1, &work, &plan, NULL), BLOCKZ_OK);
	ck_assert_int_eq(blockz_plan_copy(plan, &source, &sink, NULL), BLOCKZ_OK);
	blockz_plan_free(plan);
	blockz_map_free(map);
	return grown.bytes;
}

/* Where frames are few, all are looked at. */
START_TEST(headers_of_few_frames_are_read)
{
	struct bytes image, file = make_file(FEW_FRAMES, &image);
	struct reads all = { .file = file }, few = { .file = file };
	struct blockz_map *map = read_map(&all, false), *raw_only = read_map(&few, true);
	assert_same_map(map, raw_only);
	ck_assert_uint_eq(all.count, few.count);
	blockz_map_free(map);
	blockz_map_free(raw_only);
}
END_TEST

START_TEST(a_patch_is_the_same)
{
	struct bytes image, file = make_file(FRAMES, &image), edited = bytes_copy(image), patched = bytes_copy(file);
	complement(edited, raw[_i]);
	patch_range(patched, false, edited, raw[_i]);
	assert_bytes(patched_by_it(file, edited, raw[_i]), patched);
	assert_verifies(patched);
}
END_TEST

/* ---- Reading by such a map ---- */

static enum blockz_status extract(struct bytes file, struct bytes *image_ret)
{
	const struct blockz_source source = bytes_source(file);
	const struct blockz_work work = { .threads = 1 };
	struct growing_sink grown = { .room = 0 };
	const struct blockz_sink sink = growing_sink(&grown);
	struct blockz_map *map = raw_map(file);
	const struct blockz_range all = { 0, blockz_map_info(map).image_size };
	enum blockz_status status = blockz_extract(&source, map, all, &sink, &work, NULL);
	blockz_map_free(map);
	*image_ret = grown.bytes;
	return status;
}

/* Frames of PIECE, of which each other one has a checksum of its own; the table has that of all. */
static struct bytes mixed_file(struct bytes image)
{
	struct zst_file file = { .room = 0 };
	struct seek_entry entries[FRAMES];
	for (size_t i = 0; i < FRAMES; i++) {
		const struct zst_parameter checksum = { ZSTD_c_checksumFlag, i % 2 == 0 };
		struct bytes part = { image.data + i * PIECE, PIECE }, frame = zst_compress(part, true, &checksum, 1);
		zst_put(&file, frame.data, frame.len);
		entries[i] = (struct seek_entry){ (uint32_t)frame.len, PIECE, zst_sum(part.data, part.len) };
	}
	zst_put_table(&file, entries, FRAMES, true);
	return file.bytes;
}

START_TEST(frames_of_both_kinds_are_compared_with_the_table)
{
	struct bytes image = image_new(IMAGE_TEXT, FRAMES * PIECE), file = mixed_file(image), found;
	struct seek_table table;
	ck_assert_int_eq(extract(file, &found), BLOCKZ_OK);
	assert_bytes(found, image);
	ck_assert(seek_table_find(file, &table));
	for (size_t i = 20; i < 24; i++) {
		uint8_t *checksum = file.data + table.off + 8 + i * ENTRY_LEN + 8;
		*checksum ^= 1;
		ck_assert_int_eq(extract(file, &found), BLOCKZ_DAMAGED);
		*checksum ^= 1;
	}
}
END_TEST

/* ---- Tables that are wrong ---- */

/* Each length of the image that is another one breaks the pattern, wherever it is; then the file is scanned. */
START_TEST(a_wrong_length_is_found)
{
	struct bytes image, file = make_file(FRAMES, &image);
	struct seek_table table;
	ck_assert(seek_table_find(file, &table));
	struct blockz_map *scanned = map_of(bytes_source(file), true);
	for (size_t i = 0; i < table.count; i += 1 + i % 40) {
		uint8_t *len = file.data + table.off + 8 + i * ENTRY_LEN + 4;
		const uint32_t right = load_le32(len);
		store_le32(len, i % 2 == 0 ? right + PIECE : right ^ UINT32_C(1) << rnd_below(12));
		struct blockz_map *map = raw_map(file);
		ck_assert_int_eq(map->index, BLOCKZ_INDEX_NONE);
		ck_assert_int_eq(map->index_fault.status, BLOCKZ_DAMAGED);
		ck_assert_uint_eq(map->span_count, scanned->span_count);
		ck_assert_uint_eq(map->image_size, scanned->image_size);
		blockz_map_free(map);
		store_le32(len, right);
	}
	blockz_map_free(scanned);
}
END_TEST

int main(void)
{
	TCase *c = case_new("zstd_raw_only");
	tcase_add_test(c, raw_ranges_are_the_same);
	tcase_add_test(c, headers_of_few_frames_are_read);
	tcase_add_loop_test(c, a_patch_is_the_same, 0, RAW_COUNT);
	tcase_add_test(c, frames_of_both_kinds_are_compared_with_the_table);
	tcase_add_test(c, a_wrong_length_is_found);
	return case_run("zstd_raw_only", c);
}
