/* SPDX-License-Identifier: BSD-3-Clause */
/* Page stores too large for memory that are saved: frames become longer where a map would not have room for them. */
#include "blockz_pages.h"
#include "sparse.h"

enum { PAGE = 8192, MAP_ITEMS = 1 << 20 };

static const uint64_t TIB = UINT64_C(1) << 40;

static struct blockz_pages *pages_of(struct blockz_pages_options options)
{
	struct blockz_pages *pages = NULL;
	struct blockz_fault fault = { .text = "" };
	ck_assert_msg(blockz_pages_new(&options, &pages, &fault) == BLOCKZ_OK, "%s", fault.text);
	return pages;
}

/* Saves what is too large for memory. */
static enum blockz_status save_folded(struct blockz_pages *pages, const struct blockz_range *raw, size_t raw_count,
				      struct folded *file, struct blockz_pack_result *result_ret)
{
	const struct blockz_pages_save_options options = { .raw = raw, .raw_count = raw_count };
	struct blockz_sink sink = folded_sink(file);
	return blockz_pages_save(pages, &sink, &options, result_ret, NULL);
}

/* A range of what was saved is what the store has there. */
static void check_part(struct folded *file, struct blockz_range range, struct blockz_pages *pages)
{
	size_t len = (size_t)(range.end - range.start);
	struct bytes found = bytes_new(len), expected = bytes_new(len);
	struct blockz_source source = folded_source(file);
	struct blockz_map *map = map_of(source, false);
	struct blockz_reader *reader = NULL;
	ck_assert_int_eq(blockz_reader_new(&source, map, &reader, NULL), BLOCKZ_OK);
	ck_assert_int_eq(blockz_reader_read(reader, found.data, len, range.start, NULL), BLOCKZ_OK);
	ck_assert_int_eq(blockz_pages_read(pages, expected.data, len, range.start, NULL), BLOCKZ_OK);
	assert_bytes(found, expected);
	ck_assert(!bytes_are_zero(found.data, len));
	blockz_reader_free(reader);
	blockz_map_free(map);
}

static void check_tebibytes(uint64_t size, uint64_t frame_size)
{
	struct bytes text = image_new(IMAGE_TEXT, 3 * PAGE);
	struct blockz_pages *pages = pages_of((struct blockz_pages_options){ .size = size, .page_size = PAGE });
	struct folded file = { .size = 0 };
	struct blockz_pack_result result;
	struct blockz_map_range range;
	uint64_t off = size / 2 + 5 * PAGE;
	ck_assert_int_eq(blockz_pages_write(pages, text.data, text.len, off, NULL), BLOCKZ_OK);
	ck_assert_int_eq(save_folded(pages, NULL, 0, &file, &result), BLOCKZ_OK);
	ck_assert_uint_eq(result.image_size, size);
	ck_assert_uint_eq(result.zero_bytes, size - text.len);
	ck_assert_uint_eq(result.pieces, size / frame_size + 3 + 1);
	struct blockz_source source = folded_source(&file);
	struct blockz_map *map = map_of(source, false);
	ck_assert(blockz_map_range_at(map, 0, &range));
	ck_assert_int_eq(range.kind, BLOCKZ_ZERO);
	ck_assert_uint_eq(range.end, off);
	ck_assert(blockz_map_range_at(map, off + text.len, &range));
	ck_assert_int_eq(range.kind, BLOCKZ_ZERO);
	ck_assert_uint_eq(range.end, size);
	blockz_map_free(map);
	check_part(&file, (struct blockz_range){ off - 1, off + text.len + 1 }, pages);
	struct blockz_verify_result verified;
	ck_assert_int_eq(blockz_verify(&source, &(struct blockz_verify_options){ .quick = false }, &verified, NULL),
			 BLOCKZ_OK);
	blockz_pages_free(pages);
}

START_TEST(tebibytes_of_zeros)
{
	check_tebibytes(sanitized ? TIB / 16 : TIB, 4 * MIB);
	if (!sanitized)
		check_tebibytes(5 * TIB, 8 * MIB);
}
END_TEST

START_TEST(more_frames_than_a_map_has)
{
	static const struct blockz_range all = { 0, BLOCKZ_UNKNOWN };
	static const uint64_t sizes[] = { TIB, 33 * TIB, INT64_MAX };
	for (size_t i = 0; i < 3; i++) {
		struct blockz_pages *pages = pages_of((struct blockz_pages_options){ .size = sizes[i] });
		struct folded file = { .size = 0 };
		struct blockz_pack_result result;
		ck_assert_int_eq(save_folded(pages, &all, i == 0 ? 1 : 0, &file, &result), BLOCKZ_LIMIT);
		ck_assert_uint_eq(file.size, 0);
		blockz_pages_free(pages);
	}
}
END_TEST

/* Where pages are too many, frames hold several: here two, since each might become a raw frame, which has two checks. */
START_TEST(more_pages_than_a_map_has)
{
	enum { SMALL = 4096 };
	struct sparse base = { .size = (uint64_t)MAP_ITEMS / 2 * SMALL + 1, .count = 1 };
	base.parts[0].off = 1000 * SMALL + 7;
	base.parts[0].bytes = image_new(IMAGE_TEXT, 4 * SMALL);
	struct blockz_source source = sparse_source(&base, false);
	struct blockz_pages_options options = { .size = base.size, .page_size = SMALL, .base = &source };
	struct blockz_pages *pages = pages_of(options);
	struct folded file = { .size = 0 };
	struct blockz_pack_result result;
	if (!sanitized) {
		ck_assert_int_eq(save_folded(pages, NULL, 0, &file, &result), BLOCKZ_OK);
		ck_assert_uint_eq(result.pieces, MAP_ITEMS / 4 + 1);
		ck_assert_uint_eq(result.zero_bytes, base.size - 3 * 2 * SMALL);
		check_part(&file, (struct blockz_range){ 998 * SMALL, 1008 * SMALL }, pages);
	}
	blockz_pages_free(pages);
}
END_TEST

int main(void)
{
	TCase *c = case_new("pagestore_save_large");
	tcase_add_test(c, tebibytes_of_zeros);
	tcase_add_test(c, more_frames_than_a_map_has);
	tcase_add_test(c, more_pages_than_a_map_has);
	return case_run("pagestore_save_large", c);
}
