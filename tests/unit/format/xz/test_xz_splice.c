/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Edits inside the Blocks of others: what comes out is the edited text for liblzma, what was told to have changed is what
 * differs, and chunks that need not be encoded again stand as they stood.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fault.h"
#include "foreign_xz.h"
#include "format/formats.h"
#include "format/xz/chunks.h"
#include "judge.h"
#include "piece_ranges.h"

enum { EDITS_MAX = 64, REPLACED_MAX = 4096, CHUNKS_MAX = 4096, FIRST_BLOCK = 12 };

static const lzma_check checks[] = { LZMA_CHECK_CRC64, LZMA_CHECK_CRC32, LZMA_CHECK_SHA256, LZMA_CHECK_NONE };

/* ---- Helpers ---- */

struct replaced {
	struct blockz_range old;
	struct bytes bytes;
};

/* A file that is spliced, and what is told meanwhile. */
struct splicing {
	struct bytes file, image, edited;
	struct bytes told; /* the old image, with what was said to have changed */
	uint64_t image_pos;
	struct replaced replaced[REPLACED_MAX];
	size_t replaced_count;
	struct renewed_piece pieces[REPLACED_MAX];
	size_t piece_count;
	uint64_t growth; /* of the piece */
	bool keep_length, done;
	unsigned fail_at; /* the callback that fails, counted from 1; 0: none */
	unsigned calls;
	struct bytes out;
};

static enum blockz_status fail_here(struct splicing *self, struct blockz_fault *fault)
{
	return ++self->calls == self->fail_at ? fault_set(fault, BLOCKZ_FAILED, 77, "as the test wants it") : BLOCKZ_OK;
}

static enum blockz_status lay_over(void *ctx, uint8_t *bytes, size_t len, uint64_t off, struct blockz_fault *fault)
{
	struct splicing *self = ctx;
	ck_assert_uint_gt(len, 0);
	ck_assert_uint_le(off + len, self->edited.len);
	ck_assert_mem_eq(bytes, self->image.data + off, len);
	memcpy(bytes, self->edited.data + off, len);
	return fail_here(self, fault);
}

static enum blockz_status replace(void *ctx, struct blockz_range old, const uint8_t *bytes, size_t len,
				  struct blockz_fault *fault)
{
	struct splicing *self = ctx;
	ck_assert_uint_lt(self->replaced_count, REPLACED_MAX);
	ck_assert_uint_lt(old.start, old.end);
	ck_assert_uint_le(old.end, self->file.len);
	struct replaced *replaced = &self->replaced[self->replaced_count++];
	*replaced = (struct replaced){ old, bytes_new(len) };
	memcpy(replaced->bytes.data, bytes, len);
	self->growth += len - (old.end - old.start);
	return fail_here(self, fault);
}

static enum blockz_status changed(void *ctx, uint64_t off, const uint8_t *old, const uint8_t *new, size_t len,
				  struct blockz_fault *fault)
{
	struct splicing *self = ctx;
	ck_assert_uint_gt(len, 0);
	ck_assert_uint_ge(off, self->image_pos);
	ck_assert_mem_eq(old, self->image.data + off, len);
	ck_assert(old[0] != new[0] && old[len - 1] != new[len - 1]);
	memcpy(self->told.data + off, new, len);
	self->image_pos = off + len;
	return fail_here(self, fault);
}

static enum blockz_status splice_piece(struct splicing *self, const struct blockz_map *map, size_t index,
				       const struct blockz_range *ranges, size_t count, struct blockz_fault *fault)
{
	struct blockz_source source = bytes_source(self->file);
	struct blockz_range within[EDITS_MAX];
	uint64_t tag = 0;
	struct piece_edit edit = {
		.file = &source, .map = map, .piece = index, .ranges = within, .keep_length = self->keep_length, .tag_ret = &tag,
		.count = ranges_in(map, index, ranges, count, within), .lay_over = lay_over, .replace = replace,
		.changed = changed, .ctx = self,
	};
	if (edit.count == 0)
		return BLOCKZ_OK;
	ck_assert_uint_eq(map->pieces[index].copies, 1);
	self->growth = 0;
	enum blockz_status status = format_xz.splice(&edit, &self->done, fault);
	self->pieces[self->piece_count++] = (struct renewed_piece){
		.piece = index, .file_len = map->pieces[index].file_len + self->growth, .tag = tag,
	};
	return status;
}

static int by_start(const void *a, const void *b)
{
	const struct replaced *x = a, *y = b;
	ck_assert(x == y || x->old.end <= y->old.start || y->old.end <= x->old.start);
	return x->old.start < y->old.start ? -1 : 1;
}

/* Puts the new file together, with Indexes for it. */
static void finish(struct splicing *self, const struct blockz_map *map)
{
	struct blockz_source source = bytes_source(self->file);
	const struct renewal renewal = {
		.file = &source, .map = map, .pieces = self->pieces, .count = self->piece_count, .replace = replace, .ctx = self,
	};
	uint64_t pos = 0;
	size_t room = 0;
	ck_assert_int_eq(format_xz.renew_index(&renewal, NULL), BLOCKZ_OK);
	qsort(self->replaced, self->replaced_count, sizeof(self->replaced[0]), by_start);
	for (size_t i = 0; i < self->replaced_count; i++) {
		const struct replaced *replaced = &self->replaced[i];
		bytes_append(&self->out, &room, self->file.data + pos, replaced->old.start - pos);
		bytes_append(&self->out, &room, replaced->bytes.data, replaced->bytes.len);
		pos = replaced->old.end;
	}
	bytes_append(&self->out, &room, self->file.data + pos, self->file.len - pos);
}

static struct splicing *splicing_new(struct bytes file, struct bytes image, struct bytes edited)
{
	struct splicing *self = keep(sizeof(*self));
	*self = (struct splicing){ .file = file, .image = image, .edited = edited, .told = bytes_copy(image), .done = true };
	return self;
}

static void assert_decodes_any(struct bytes file, struct bytes image)
{
	const struct kept *mark = kept_so_far();
	struct bytes room = bytes_new(image.len + 1);
	size_t len = 0;
	ck_assert(judge_any("xz", file, room, &len));
	assert_bytes((struct bytes){ room.data, len }, image);
	forget_since(mark);
}

/* Splices ranges of an edited image, and judges what comes out. */
static struct splicing *splice_ranges(struct bytes file, struct bytes image, struct bytes edited,
				      const struct blockz_range *ranges, size_t count)
{
	struct blockz_map *map = map_of(bytes_source(file), false);
	struct splicing *self = splicing_new(file, image, edited);
	struct blockz_fault fault = { .text = "" };
	for (size_t i = 0; i < map->piece_count; i++) {
		enum blockz_status status = splice_piece(self, map, i, ranges, count, &fault);
		ck_assert_msg(status == BLOCKZ_OK, "splice: %s", fault.text);
		ck_assert(self->done);
	}
	assert_bytes(self->told, edited);
	finish(self, map);
	blockz_map_free(map);
	assert_decodes_any(self->out, edited);
	return self;
}

static struct splicing *splice_range(struct bytes file, struct bytes image, struct bytes edited, struct blockz_range range)
{
	return splice_ranges(file, image, edited, &range, 1);
}

static int64_t growth(const struct splicing *self)
{
	return (int64_t)self->out.len - (int64_t)self->file.len;
}

/* New bytes for a range: other text, text from near by, noise, zeros, or the complement. */
static void edit_range(struct bytes edited, struct blockz_range range)
{
	size_t len = range.end - range.start;
	switch (rnd() % 5) {
	case 0:
		fill_text(edited.data + range.start, len);
		break;
	case 1:
		memmove(edited.data + range.start, edited.data + rnd_below(edited.len - len + 1), len);
		break;
	case 2:
		rnd_fill(edited.data + range.start, len);
		break;
	case 3:
		memset(edited.data + range.start, 0, len);
		break;
	default:
		complement(edited, range);
	}
}

/* Ranges that are apart, of 1 byte to 300 KB, some of them at the image's edges; returns how many. */
static size_t rnd_ranges(uint64_t image_len, struct blockz_range *ranges)
{
	size_t count = 1 + rnd_below(5);
	for (size_t i = 0; i < count; i++) {
		uint64_t len_max = rnd() % 4 == 0 ? 300000 : rnd() % 2 ? 64 : 5000;
		uint64_t len = 1 + rnd_below(len_max < image_len ? len_max : image_len);
		uint64_t start = rnd() % 8 == 0 ? 0 : rnd() % 8 == 0 ? image_len - len : rnd_below(image_len - len + 1);
		ranges[i] = (struct blockz_range){ start, start + len };
	}
	return blockz_ranges_unite(ranges, count);
}

static void splice_at_random(struct bytes file, struct bytes image, unsigned times)
{
	struct blockz_range ranges[EDITS_MAX];
	for (unsigned i = 0; i < times; i++) {
		const struct kept *mark = kept_so_far();
		struct bytes edited = bytes_copy(image);
		size_t count = rnd_ranges(image.len, ranges);
		for (size_t k = 0; k < count; k++)
			edit_range(edited, ranges[k]);
		splice_ranges(file, image, edited, ranges, count);
		forget_since(mark);
	}
}

/* ---- Chunks of the first Block ---- */

struct chunk_place {
	struct xz_chunk chunk;
	size_t off, start; /* in the file, in the image */
};

static size_t find_chunks(struct bytes file, struct chunk_place *places)
{
	size_t count = 0, start = 0;
	struct xz_chunk chunk;
	for (size_t off = FIRST_BLOCK + 4 * (file.data[FIRST_BLOCK] + 1);; off += chunk.header_len + chunk.payload_len) {
		xz_chunk_parse(file.data + off, &chunk);
		ck_assert_uint_lt(count, CHUNKS_MAX);
		places[count++] = (struct chunk_place){ chunk, off, start };
		if (chunk.control == 0)
			return count;
		start += chunk.image_len;
	}
}

/* How many chunks of the first Block, from chunk `first` on, are not replaced. */
static size_t count_kept(const struct splicing *self, const struct chunk_place *places, size_t first, size_t count)
{
	size_t kept = 0;
	for (size_t i = first; i < count; i++) {
		bool replaced = false;
		for (size_t k = 0; k < self->replaced_count; k++)
			replaced = replaced || (self->replaced[k].old.start <= places[i].off && places[i].off < self->replaced[k].old.end);
		kept += !replaced;
	}
	return kept;
}

/* ---- Writers ---- */

static const uint32_t presets[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9 | LZMA_PRESET_EXTREME, 3 | LZMA_PRESET_EXTREME };
enum { PRESETS = sizeof(presets) / sizeof(presets[0]) };

START_TEST(files_by_presets)
{
	struct bytes image = image_new(IMAGE_DISK, sanitized ? 200000 : 600000);
	splice_at_random(xz_easy(image, presets[_i], checks[_i % 4]), image, sanitized ? 4 : 12);
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
		struct splicing *self = splice_range(file, image, edited, range);
		/* The text is there twice, at most, and what finds it. */
		ck_assert_int_le(growth(self), (int64_t)(2 * len + 1000));
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
	splice_at_random(file, image, sanitized ? 3 : 6);
}
END_TEST

/* ---- What stays ---- */

/* Edits at the edges of chunks, where contexts of the next one begin; all before is as it was. */
START_TEST(edges_of_chunks)
{
	static struct chunk_place places[CHUNKS_MAX];
	struct bytes image = image_new(IMAGE_TEXT, 1000000);
	struct bytes file = xz_easy(image, 1, checks[_i]);
	size_t count = find_chunks(file, places);
	ck_assert_uint_gt(count, 3);
	for (size_t i = 0; i < count; i++) {
		const struct kept *mark = kept_so_far();
		for (size_t before = i > 0; before < 2 && places[i].start - before < image.len; before++) {
			struct bytes edited = bytes_copy(image);
			size_t pos = places[i].start - before;
			edited.data[pos] ^= 0x80;
			struct splicing *self = splice_range(file, image, edited, (struct blockz_range){ pos, pos + 1 });
			ck_assert_int_lt(growth(self), 200 + (int64_t)file.len / 500);
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
	static struct chunk_place places[CHUNKS_MAX];
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
	size_t count = find_chunks(file, places);
	ck_assert_uint_eq(count, 7);
	for (size_t i = 0; i < 6; i++) {
		struct bytes edited = bytes_copy(image);
		edited.data[i * PART + 500] ^= 0x55;
		struct splicing *self = splice_range(file, image, edited, (struct blockz_range){ i * PART + 500, i * PART + 501 });
		/* All but this one, and of raw ones the headers. */
		ck_assert_uint_eq(count_kept(self, places, 0, 6), i == 2 ? 6 : 5);
		/* A last byte is context of the next, unless the dictionary is reset. */
		edited = bytes_copy(image);
		edited.data[(i + 1) * PART - 1] ^= 0x80;
		self = splice_range(file, image, edited, (struct blockz_range){ (i + 1) * PART - 1, (i + 1) * PART });
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
		struct splicing *self = splice_range(file, image, edited, range);
		ck_assert_int_le(growth(self), (int64_t)(lens[i] + lens[i] / 50 + file.len / 100 + 300));
		/* Again, what was just written. */
		splice_at_random(self->out, edited, 1);
	}
}
END_TEST

/* The same bytes again, and none of the ranges' business. */
START_TEST(nothing_changes)
{
	struct bytes image = image_new(IMAGE_DISK, 300000), file = xz_easy(image, 6, checks[_i]);
	struct splicing *self = splice_range(file, image, image, (struct blockz_range){ 5, image.len });
	ck_assert_uint_eq(self->replaced_count, 0);
	assert_bytes(self->out, file);
}
END_TEST

/* ---- Growth and time ---- */

/* The tokens are as good as they were, so that most of the growth is that of what is new. */
START_TEST(long_blocks)
{
	struct bytes image = image_new(_i ? IMAGE_TEXT : IMAGE_DISK, sanitized ? 2 * MIB : 8 * MIB);
	struct bytes file = xz_easy(image, _i ? 2 : 6, checks[_i]);
	const size_t lens[] = { 1, 64, 4096, 300000 };
	for (size_t i = 0; i < 4; i++) {
		const struct kept *mark = kept_so_far();
		struct bytes edited = bytes_copy(image);
		struct blockz_range range = { i * 100000, i * 100000 + lens[i] };
		struct timespec before, after;
		complement(edited, range);
		clock_gettime(CLOCK_MONOTONIC, &before);
		struct splicing *self = splice_range(file, image, edited, range);
		clock_gettime(CLOCK_MONOTONIC, &after);
		printf("# %zu of %zu bytes changed, %zu KiB of file: %+" PRId64 " bytes, %ld ms with the judge\n", lens[i], image.len,
		       file.len / KIB, growth(self), (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000);
		ck_assert_int_le(growth(self), (int64_t)(2 * lens[i] + file.len / 300 + 300));
		forget_since(mark);
	}
}
END_TEST

/* ---- Refusals ---- */

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
	struct splicing *self = splicing_new(bytes_new(0), bytes_new(0), bytes_new(0));
	const struct piece_edit edit = {
		.file = &source, .map = map, .ranges = &range, .count = 1, .tag_ret = &tag, .lay_over = lay_nothing,
		.replace = replace, .changed = changed, .ctx = self,
	};
	enum blockz_status status = format_xz.splice(&edit, &done, NULL);
	ck_assert_uint_eq(self->replaced_count, 0);
	ck_assert(done || status != BLOCKZ_OK);
	return status;
}

/* What liblzma refuses is refused, and nothing else. */
START_TEST(damaged_blocks)
{
	static struct chunk_place places[CHUNKS_MAX];
	struct bytes image = image_new(IMAGE_DISK, 120000), file = xz_easy(image, 6, checks[_i]);
	struct blockz_map *map = map_of(bytes_source(file), false);
	size_t refused = 0, end = map->pieces[0].file_off + map->pieces[0].file_len, count = find_chunks(file, places);
	for (size_t i = 0; i < (sanitized ? 200 : 800); i++) {
		const struct kept *mark = kept_so_far();
		/* Anywhere, in the headers of chunks, and in what stands behind them. */
		size_t chunk = places[rnd_below(count)].off + rnd_below(12), behind = end - 1 - rnd_below(50);
		size_t off = i % 3 == 0 ? FIRST_BLOCK + rnd_below(end - FIRST_BLOCK) : i % 3 == 1 && chunk < end ? chunk : behind;
		struct blockz_source source = bytes_source(bytes_flipped(file, 8 * off + rnd_below(8)));
		enum blockz_status expected = decode_nothing(&source, map, image.len);
		enum blockz_status status = splice_nothing(source, map, image.len);
		ck_assert_msg(status == expected, "offset %zu: %d, not %d", off, status, expected);
		refused += status != BLOCKZ_OK;
		forget_since(mark);
	}
	ck_assert_uint_gt(refused, sanitized ? 10 : 50);
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
	struct splicing *self = splicing_new(file, image, image);
	self->keep_length = _i == 1;
	ck_assert_int_eq(splice_piece(self, map, 0, &range, 1, NULL), BLOCKZ_OK);
	ck_assert(!self->done);
	ck_assert_uint_eq(self->calls, 0);
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
		struct splicing *self = splicing_new(file, image, edited);
		self->fail_at = at;
		status = splice_piece(self, map, 0, ranges, 2, &fault);
		ck_assert_int_eq(status, self->calls < at ? BLOCKZ_OK : BLOCKZ_FAILED);
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
	tcase_add_loop_test(tcase, damaged_blocks, 0, 4);
	tcase_add_loop_test(tcase, blocks_to_encode_as_a_whole, 0, 2);
	tcase_add_test(tcase, dictionary_beyond_the_limit);
	tcase_add_loop_test(tcase, calls_that_fail, 0, 4);
	return case_run("xz_splice", tcase);
}
