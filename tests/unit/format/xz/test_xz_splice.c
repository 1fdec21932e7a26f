/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Edits inside the Blocks of others: what comes out is the edited text for liblzma, what was told to have changed is what
 * differs, and chunks that need not be encoded again stand as they stood.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "foreign_xz.h"
#include "xz_splices.h"

static const lzma_check checks[] = { LZMA_CHECK_CRC64, LZMA_CHECK_CRC32, LZMA_CHECK_SHA256, LZMA_CHECK_NONE };

static void splice_at_random(struct bytes file, struct bytes image, unsigned times)
{
	struct blockz_range ranges[SPLICE_EDITS_MAX];
	for (unsigned i = 0; i < times; i++) {
		const struct kept *mark = kept_so_far();
		struct bytes edited = bytes_copy(image);
		size_t count = rnd_edits(image.len, 300000, ranges);
		for (size_t k = 0; k < count; k++)
			edit_range(edited, ranges[k]);
		xz_splice_ranges(file, image, edited, ranges, count);
		forget_since(mark);
	}
}

/* How many chunks of the first Block, from chunk `first` on, are not replaced. */
static size_t count_kept(const struct xz_splicing *self, const struct chunk_place *places, size_t first, size_t count)
{
	size_t kept = 0;
	for (size_t i = first; i < count; i++) {
		bool replaced = false;
		for (size_t k = 0; k < self->record.replaced_count; k++)
			replaced = replaced || (self->record.replaced[k].old.start <= places[i].off && places[i].off < self->record.replaced[k].old.end);
		kept += !replaced;
	}
	return kept;
}

/* ---- Writers ---- */

static const uint32_t presets[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9 | LZMA_PRESET_EXTREME, 3 | LZMA_PRESET_EXTREME };
enum { PRESETS = sizeof(presets) / sizeof(presets[0]) };

START_TEST(files_by_presets)
{
	struct bytes image = image_new(IMAGE_DISK, few_rounds ? 200000 : 300000);
	splice_at_random(xz_easy(image, presets[_i], checks[_i % 4]), image, few_rounds ? 4 : 6);
	image = image_new(IMAGE_TEXT, 300000);
	splice_at_random(xz_easy(image, presets[_i], checks[(_i + 1) % 4]), image, 5);
}
END_TEST

/* All bits of context that there can be. */
START_TEST(files_of_properties)
{
	const unsigned lp = (unsigned)_i % 5, pb = (unsigned)_i / 5;
	struct bytes image = image_new(IMAGE_DISK, 200000);
	for (unsigned lc = 0; lc + lp <= 4; lc++) {
		lzma_options_lzma options;
		ck_assert(!lzma_lzma_preset(&options, 3 + _i % 4));
		options.lc = lc;
		options.lp = lp;
		options.pb = pb;
		options.dict_size = lc % 2 ? 4096 : 1 << 17;
		const lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
		struct xz_stream *stream = xz_begin(checks[(lc + pb) % 4]);
		stream->no_sizes = lc % 2;
		xz_put(stream, image, filters);
		splice_at_random(xz_end(stream), image, 4);
	}
}
END_TEST

/* A dictionary that is many times shorter than the text. */
START_TEST(texts_longer_than_windows)
{
	lzma_options_lzma options;
	struct bytes image = image_new(IMAGE_TEXT, 4 * MIB);
	memset(image.data + 3 * MIB, 'x', 64);
	ck_assert(!lzma_lzma_preset(&options, 1));
	options.dict_size = 1 << (12 + 4 * _i);
	const lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	struct xz_stream *stream = xz_begin(checks[_i]);
	xz_put(stream, image, filters);
	splice_at_random(xz_end(stream), image, 2);
}
END_TEST

/* Several Blocks and Streams, and edits that go across their edges. */
START_TEST(files_of_blocks)
{
	struct bytes image = image_new(IMAGE_DISK, 500000), file = bytes_new(0), all = bytes_new(0);
	for (int i = 0; i < 3; i++) {
		file = bytes_join(file, xz_threaded(image, (uint32_t)i + 1, checks[(_i + i) % 4], 90000));
		all = bytes_join(all, image);
	}
	struct blockz_map *map = map_of(bytes_source(file), false);
	for (size_t i = 0; i < map->piece_count; i++)
		if (map->pieces[i].kind == BLOCKZ_ZERO)
			all.len = 0; /* which is no place for a splice */
	blockz_map_free(map);
	if (all.len > 0)
		splice_at_random(file, all, 12);
}
END_TEST

/* ---- Matches ---- */

/* What was copied again and again is edited where it stands first: all copies give their old text. */
START_TEST(copies_of_what_changes)
{
	enum { PART = 20000, COPIES = 40 };
	struct bytes part = image_new(_i % 2 ? IMAGE_TEXT : IMAGE_NOISE, PART), image = bytes_new(PART * COPIES);
	for (size_t i = 0; i < COPIES; i++) {
		memcpy(image.data + i * PART, part.data, PART);
		image.data[i * PART + rnd_below(PART)] ^= 1;
	}
	struct bytes file = xz_easy(image, (uint32_t)_i % 10, checks[_i % 4]);
	for (size_t len = 1; len <= PART; len = 5 * len + 2) {
		struct bytes edited = bytes_copy(image);
		struct blockz_range range = { rnd_below(PART - len + 1), 0 };
		range.end = range.start + len;
		complement(edited, range);
		struct xz_splicing *self = xz_splice_range(file, image, edited, range);
		/* The text is there twice, at most, and what finds it. */
		ck_assert_int_le(xz_growth(self), (int64_t)(2 * len + 1000));
		complement(edited, range);
	}
	splice_at_random(file, image, 4);
}
END_TEST

/* Copies that overlap themselves, and such as go on behind the edit. */
START_TEST(runs)
{
	struct bytes image = bytes_new(800000);
	for (size_t pos = 0, period = 1; pos < image.len; pos++, period = pos % 100000 == 0 ? 1 + rnd_below(300) : period)
		image.data[pos] = pos < 300 || pos % 100000 < 300 ? (uint8_t)rnd() : image.data[pos - period];
	struct bytes file = xz_easy(image, (uint32_t)_i, checks[_i % 4]);
	splice_at_random(file, image, few_rounds ? 3 : 6);
}
END_TEST

/* ---- What stays ---- */

/* Edits at the edges of chunks, where contexts of the next one begin; all before is as it was. */
START_TEST(edges_of_chunks)
{
	static struct chunk_place places[XZ_CHUNKS_MAX];
	struct bytes image = image_new(IMAGE_TEXT, 1000000);
	struct bytes file = xz_easy(image, 1, checks[_i]);
	size_t count = xz_find_chunks(file, places);
	ck_assert_uint_gt(count, 3);
	for (size_t i = 0; i < count; i++) {
		const struct kept *mark = kept_so_far();
		for (size_t before = i > 0; before < 2 && places[i].start - before < image.len; before++) {
			struct bytes edited = bytes_copy(image);
			size_t pos = places[i].start - before;
			edited.data[pos] ^= 0x80;
			struct xz_splicing *self = xz_splice_range(file, image, edited, (struct blockz_range){ pos, pos + 1 });
			ck_assert_int_lt(xz_growth(self), 200 + (int64_t)file.len / 500);
			for (size_t k = 0; k + before < i; k++)
				ck_assert_mem_eq(self->out.data + places[k].off, file.data + places[k].off, places[k + 1].off - places[k].off);
		}
		forget_since(mark);
	}
}
END_TEST

/* A chunk that resets the state ends what is encoded again, unless it copies from the edit, or has lost its own context. */
START_TEST(resets)
{
	static struct chunk_place places[XZ_CHUNKS_MAX];
	enum { PART = 30000 };
	lzma_options_lzma options;
	ck_assert(!lzma_lzma_preset(&options, 6));
	const lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	struct bytes image = bytes_new(0), data = bytes_new(0);
	for (size_t i = 0; i < 6; i++) {
		struct bytes part = image_new(i == 2 ? IMAGE_NOISE : IMAGE_TEXT, PART);
		part.data[PART - 1] = '\n'; /* the context that the next chunk was encoded with */
		if (i == 2)
			chunks_raw(&data, part, _i == 1);
		else
			chunks_lzma(&data, part, i == 0 || _i == 2 ? 0xe0 : i == 3 || i == 1 ? 0xc0 : 0xa0, &options);
		image = bytes_join(image, part);
	}
	chunks_end(&data);
	struct xz_stream *stream = xz_begin(checks[_i]);
	xz_put_data(stream, data, image, filters);
	struct bytes file = xz_end(stream);
	size_t count = xz_find_chunks(file, places);
	ck_assert_uint_eq(count, 7);
	for (size_t i = 0; i < 6; i++) {
		struct bytes edited = bytes_copy(image);
		edited.data[i * PART + 500] ^= 0x55;
		struct xz_splicing *self = xz_splice_range(file, image, edited, (struct blockz_range){ i * PART + 500, i * PART + 501 });
		/* All but this one, and of raw ones the headers. */
		ck_assert_uint_eq(count_kept(self, places, 0, 6), i == 2 ? 6 : 5);
		/* A last byte is context of the next, unless the dictionary is reset. */
		edited = bytes_copy(image);
		edited.data[(i + 1) * PART - 1] ^= 0x80;
		self = xz_splice_range(file, image, edited, (struct blockz_range){ (i + 1) * PART - 1, (i + 1) * PART });
		bool is_context = i < 5 && _i != 2 && i != 1;
		ck_assert_uint_eq(count_kept(self, places, 0, 6), (i == 2 ? 6 : 5) - is_context);
	}
	splice_at_random(file, image, 20);
}
END_TEST

/* What becomes noise is stored, in the first chunk of a Block too, and what was owed then comes with the next. */
START_TEST(noise_is_stored)
{
	struct bytes image = image_new(_i % 2 ? IMAGE_TEXT : IMAGE_ZEROS, 1200000);
	image.data[0] = 1; /* no piece of zeros */
	struct bytes file = xz_easy(image, 4, checks[_i]);
	const size_t lens[] = { 400, 3000, 65536, 200000, 600000, 1200000 };
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct blockz_range range = { _i < 2 ? 0 : rnd_below(image.len - lens[i] + 1), 0 };
		struct bytes edited = bytes_copy(image);
		range.end = range.start + lens[i];
		rnd_fill(edited.data + range.start, lens[i]);
		struct xz_splicing *self = xz_splice_range(file, image, edited, range);
		ck_assert_int_le(xz_growth(self), (int64_t)(lens[i] + lens[i] / 50 + file.len / 100 + 300));
		/* Again, what was just written. */
		splice_at_random(self->out, edited, 1);
	}
}
END_TEST

/* The same bytes again, and none of the ranges' business. */
START_TEST(nothing_changes)
{
	struct bytes image = image_new(IMAGE_DISK, 300000), file = xz_easy(image, 6, checks[_i]);
	struct xz_splicing *self = xz_splice_range(file, image, image, (struct blockz_range){ 5, image.len });
	ck_assert_uint_eq(self->record.replaced_count, 0);
	assert_bytes(self->out, file);
}
END_TEST

/* ---- Growth and time ---- */

/* The tokens are as good as they were, so that most of the growth is that of what is new. */
START_TEST(long_blocks)
{
	struct bytes image = image_new(_i ? IMAGE_TEXT : IMAGE_DISK, few_rounds ? 2 * MIB : 4 * MIB);
	struct bytes file = xz_easy(image, _i ? 2 : 6, checks[_i]);
	const size_t lens[] = { 1, 64, 4096, 300000 };
	for (size_t i = 0; i < 4; i++) {
		const struct kept *mark = kept_so_far();
		struct bytes edited = bytes_copy(image);
		struct blockz_range range = { i * 100000, i * 100000 + lens[i] };
		struct timespec before, after;
		complement(edited, range);
		clock_gettime(CLOCK_MONOTONIC, &before);
		struct xz_splicing *self = xz_splice_range(file, image, edited, range);
		clock_gettime(CLOCK_MONOTONIC, &after);
		printf("# %zu of %zu bytes changed, %zu KiB of file: %+" PRId64 " bytes, %ld ms with the judge\n", lens[i], image.len,
		       file.len / KIB, xz_growth(self), (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000);
		ck_assert_int_le(xz_growth(self), (int64_t)(2 * lens[i] + file.len / 300 + 300));
		forget_since(mark);
	}
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("xz_splice");
	tcase_add_loop_test(tcase, files_by_presets, 0, PRESETS);
	tcase_add_loop_test(tcase, files_of_properties, 0, 25);
	tcase_add_loop_test(tcase, texts_longer_than_windows, 0, 3);
	tcase_add_loop_test(tcase, files_of_blocks, 0, 4);
	tcase_add_loop_test(tcase, copies_of_what_changes, 0, 8);
	tcase_add_loop_test(tcase, runs, 0, 10);
	tcase_add_loop_test(tcase, edges_of_chunks, 0, 4);
	tcase_add_loop_test(tcase, resets, 0, 3);
	tcase_add_loop_test(tcase, noise_is_stored, 0, 4);
	tcase_add_loop_test(tcase, nothing_changes, 0, 4);
	tcase_add_loop_test(tcase, long_blocks, 0, 2);
	return case_run("xz_splice", tcase);
}
