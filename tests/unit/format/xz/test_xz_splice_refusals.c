/* SPDX-License-Identifier: BSD-3-Clause */
/* Edits inside Blocks that are damaged, are none for a splice, or take more memory than they may; and calls that fail. */
#include <string.h>

#include "foreign_xz.h"
#include "format/formats.h"
#include "xz_splices.h"

static const lzma_check checks[] = { LZMA_CHECK_CRC64, LZMA_CHECK_CRC32, LZMA_CHECK_SHA256, LZMA_CHECK_NONE };

/* Decodes the first Block to its end. */
static enum blockz_status decode_nothing(const struct blockz_source *source, const struct blockz_map *map, size_t len)
{
	void *cursor = format_xz.cursor_new(source, map->window_max);
	const uint8_t *bytes;
	size_t got = 1;
	enum blockz_status status = format_xz.cursor_start(cursor, &map->pieces[0], len, NULL);
	while (status == BLOCKZ_OK && got > 0)
		status = format_xz.cursor_next(cursor, &bytes, &got, NULL);
	format_xz.cursor_free(cursor);
	return status;
}

static enum blockz_status lay_nothing(void *ctx, uint8_t *bytes, size_t len, uint64_t off, struct blockz_fault *fault)
{
	(void)ctx, (void)bytes, (void)len, (void)off, (void)fault;
	return BLOCKZ_OK;
}

/* Splices nothing into the first Block, which may be damaged. */
static enum blockz_status splice_nothing(struct blockz_source source, const struct blockz_map *map, size_t image_len)
{
	struct blockz_range range = { 0, image_len };
	uint64_t tag = 0;
	bool done = false;
	struct xz_splicing *self = xz_splicing_new(bytes_new(0), bytes_new(0), bytes_new(0));
	const struct piece_edit edit = {
		.file = &source, .map = map, .ranges = &range, .count = 1, .tag_ret = &tag, .lay_over = lay_nothing,
		.replace = record_replace, .changed = record_changed, .ctx = &self->record,
	};
	enum blockz_status status = format_xz.splice(&edit, &done, NULL);
	ck_assert_uint_eq(self->record.replaced_count, 0);
	ck_assert(done || status != BLOCKZ_OK);
	return status;
}

/* What liblzma refuses is refused, and nothing else. */
START_TEST(damaged_blocks)
{
	static struct chunk_place places[XZ_CHUNKS_MAX];
	struct bytes image = image_new(IMAGE_DISK, 120000), file = xz_easy(image, 6, checks[_i]);
	struct blockz_map *map = map_of(bytes_source(file), false);
	size_t refused = 0, end = map->pieces[0].file_off + map->pieces[0].file_len, count = xz_find_chunks(file, places);
	for (size_t i = 0; i < (few_rounds ? 200 : 800); i++) {
		const struct kept *mark = kept_so_far();
		/* Anywhere, in the headers of chunks, and in what stands behind them. */
		size_t chunk = places[rnd_below(count)].off + rnd_below(12), behind = end - 1 - rnd_below(50);
		size_t off = i % 3 == 0 ? XZ_FIRST_BLOCK + rnd_below(end - XZ_FIRST_BLOCK) : i % 3 == 1 && chunk < end ? chunk : behind;
		struct blockz_source source = bytes_source(bytes_flipped(file, 8 * off + rnd_below(8)));
		enum blockz_status expected = decode_nothing(&source, map, image.len);
		enum blockz_status status = splice_nothing(source, map, image.len);
		ck_assert_msg(status == expected, "offset %zu: %d, not %d", off, status, expected);
		refused += status != BLOCKZ_OK;
		forget_since(mark);
	}
	ck_assert_uint_gt(refused, few_rounds ? 10 : 50);
	blockz_map_free(map);
}
END_TEST

/* A Block with a filter in front of LZMA2, and one that is to keep its length, are for others. */
START_TEST(blocks_to_encode_as_a_whole)
{
	lzma_options_delta delta = { .type = LZMA_DELTA_TYPE_BYTE, .dist = 4 };
	lzma_options_lzma options;
	ck_assert(!lzma_lzma_preset(&options, 1));
	const lzma_filter filters[] = { { LZMA_FILTER_DELTA, &delta }, { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	const struct blockz_range range = { 10, 20 };
	struct bytes image = image_new(IMAGE_TEXT, 20000);
	struct xz_stream *stream = xz_begin(LZMA_CHECK_CRC64);
	xz_put(stream, image, filters + _i);
	struct bytes file = xz_end(stream);
	struct blockz_map *map = map_of(bytes_source(file), false);
	struct xz_splicing *self = xz_splicing_new(file, image, image);
	self->record.keep_length = _i == 1;
	ck_assert_int_eq(xz_splice_piece(self, map, 0, &range, 1, NULL), BLOCKZ_OK);
	ck_assert(!self->done);
	ck_assert_uint_eq(self->record.calls, 0);
	blockz_map_free(map);
}
END_TEST

/* A dictionary counts by the text that there is for it. */
START_TEST(dictionary_beyond_the_limit)
{
	struct bytes image = image_new(IMAGE_TEXT, 100000), file = xz_easy(image, 6, LZMA_CHECK_CRC64);
	struct blockz_map *map = map_of(bytes_source(file), false);
	map->window_max = 100000;
	ck_assert_int_eq(splice_nothing(bytes_source(file), map, image.len), BLOCKZ_OK);
	map->window_max--;
	ck_assert_int_eq(splice_nothing(bytes_source(file), map, image.len), BLOCKZ_LIMIT);
	blockz_map_free(map);
}
END_TEST

/* Whichever callback or read fails, it is told. */
START_TEST(calls_that_fail)
{
	struct bytes image = image_new(IMAGE_DISK, 200000), edited = bytes_copy(image), file = xz_easy(image, 3, checks[_i]);
	const struct blockz_range ranges[] = { { 50, 100 }, { 150000, 150100 } };
	struct blockz_map *map = map_of(bytes_source(file), false);
	struct blockz_fault fault = { .text = "" };
	complement(edited, ranges[0]);
	complement(edited, ranges[1]);
	enum blockz_status status = BLOCKZ_FAILED;
	for (unsigned at = 1; status != BLOCKZ_OK; at++) {
		struct xz_splicing *self = xz_splicing_new(file, image, edited);
		self->record.fail_at = at;
		status = xz_splice_piece(self, map, 0, ranges, 2, &fault);
		ck_assert_int_eq(status, self->record.calls < at ? BLOCKZ_OK : BLOCKZ_FAILED);
		ck_assert(status == BLOCKZ_OK || fault.offset == 77);
		ck_assert(status != BLOCKZ_OK || at > 6);
	}
	struct flaky_source flaky = { .bytes = file };
	status = BLOCKZ_FAILED;
	for (flaky.fail_at = 1; status != BLOCKZ_OK; flaky.fail_at++) {
		flaky.reads = 0;
		status = splice_nothing(flaky_source(&flaky), map, image.len);
		ck_assert_int_eq(status, flaky.reads < flaky.fail_at ? BLOCKZ_OK : BLOCKZ_FAILED);
	}
	ck_assert_uint_gt(flaky.fail_at, 2);
	blockz_map_free(map);
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("xz_splice_refusals");
	tcase_add_loop_test(tcase, damaged_blocks, 0, 4);
	tcase_add_loop_test(tcase, blocks_to_encode_as_a_whole, 0, 2);
	tcase_add_test(tcase, dictionary_beyond_the_limit);
	tcase_add_loop_test(tcase, calls_that_fail, 0, 4);
	return case_run("xz_splice_refusals", tcase);
}
