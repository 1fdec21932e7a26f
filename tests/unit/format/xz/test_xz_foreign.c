/* SPDX-License-Identifier: BSD-3-Clause */
/* .xz by other writers: mapped, verified, read, and patched where that is safe. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "foreign_xz.h"
#include "judge.h"

enum { CHUNK = 65536 };

static const lzma_check checks[] = { LZMA_CHECK_CRC64, LZMA_CHECK_CRC32, LZMA_CHECK_SHA256, LZMA_CHECK_NONE };

static struct blockz_map_range range_at(struct bytes file, bool scan, uint64_t off)
{
	struct blockz_map *map = map_of(bytes_source(file), scan);
	struct blockz_map_range range;
	ck_assert(blockz_map_range_at(map, off, &range));
	blockz_map_free(map);
	return range;
}

static void assert_range(struct bytes file, bool scan, uint64_t start, uint64_t end, enum blockz_kind kind, bool patchable)
{
	struct blockz_map_range range = range_at(file, scan, start);
	ck_assert_uint_eq(range.start, start);
	ck_assert_uint_eq(range.end, end);
	ck_assert_int_eq(range.kind, kind);
	ck_assert_int_eq(range.patchable, patchable);
}

/* A range can be changed, and nothing else changes with it. */
static void assert_patches(struct bytes file, struct bytes image, bool scan, struct blockz_range range)
{
	struct bytes edited = bytes_copy(image), patched = bytes_copy(file);
	complement(edited, range);
	patch_range(patched, scan, edited, range);
	assert_reads(format_named("xz"), patched, edited);
}

static void assert_refuses(struct bytes file, struct bytes image, bool scan, struct blockz_range range)
{
	struct bytes edited = bytes_copy(image), before = bytes_copy(file);
	complement(edited, range);
	struct blockz_edit edit = edit_from(edited, range);
	ck_assert_int_eq(patch_file(file, scan, &edit, 1, NULL, NULL), BLOCKZ_UNSUPPORTED);
	assert_bytes(file, before);
}

/* ---- Whole files by liblzma ---- */

START_TEST(one_block_without_sizes)
{
	static const size_t sizes[] = { 0, 1, 65536, 400001 };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (enum image_kind kind = 0; kind < IMAGE_KINDS; kind++) {
			struct bytes image = image_new(kind, sizes[i]);
			assert_reads(format_named("xz"), xz_easy(image, (uint32_t)i, checks[_i]), image);
		}
}
END_TEST

START_TEST(many_threads)
{
	struct bytes image = image_new(IMAGE_DISK, 2 * MIB + 77);
	struct bytes file = xz_threaded(image, 1, checks[_i], 4 * CHUNK);
	ck_assert_uint_eq(file.data[12 + 1] & 0xc0, 0xc0);
	assert_reads(format_named("xz"), file, image);
	/* What does not compress becomes raw chunks. */
	struct bytes noise = image_new(IMAGE_NOISE, 10 * CHUNK + 5);
	file = xz_threaded(noise, 1, checks[_i], 4 * CHUNK);
	assert_reads(format_named("xz"), file, noise);
	assert_range(file, true, 0, noise.len, BLOCKZ_RAW, true);
	assert_patches(file, noise, true, (struct blockz_range){ 3 * CHUNK - 5, 9 * CHUNK });
}
END_TEST

/* Blocks of raw chunks that are cut elsewhere than at the image's multiples are found by a scan. */
START_TEST(raw_blocks_cut_elsewhere)
{
	struct xz_stream *stream = xz_begin(checks[_i]);
	struct bytes image = image_new(IMAGE_TEXT, 5001);
	xz_put_raw(stream, image);
	for (int i = 0; i < 3; i++) {
		struct bytes part = image_new(IMAGE_TEXT, 2 * CHUNK + 17);
		xz_put_raw(stream, part);
		image = bytes_join(image, part);
	}
	struct bytes file = xz_end(stream);
	assert_reads(format_named("xz"), file, image);
	assert_range(file, false, 0, 5001, BLOCKZ_RAW, true);
	assert_range(file, false, 5001, image.len, BLOCKZ_COMPRESSED, false);
	assert_range(file, true, 0, image.len, BLOCKZ_RAW, true);
	assert_patches(file, image, true, (struct blockz_range){ 0, image.len });
	assert_patches(file, image, true, (struct blockz_range){ 6000, 6001 });
	assert_refuses(file, image, false, (struct blockz_range){ 6000, 6001 });
}
END_TEST

/* Too long to be read whole for each edit: no raw piece, and patchable by its chunks. */
START_TEST(long_raw_block)
{
	struct bytes image = bytes_new(17 * MIB);
	struct xz_stream *stream = xz_begin(checks[_i]);
	xz_put_raw(stream, image);
	struct bytes file = xz_end(stream);
	assert_reads(format_named("xz"), file, image);
	assert_range(file, false, 0, image.len, BLOCKZ_RAW, true);
	assert_range(file, true, 0, image.len, BLOCKZ_RAW, true);
	assert_patches(file, image, false, (struct blockz_range){ 5 * MIB, 5 * MIB + 5000 });
}
END_TEST

/* ---- Streams ---- */

START_TEST(streams_and_padding)
{
	struct bytes image = bytes_new(0), file = bytes_new(0);
	for (int i = 0; i < 12; i++) {
		struct bytes part = image_new(i % 3 ? IMAGE_TEXT : IMAGE_NOISE,
					      i % 4 == 3 ? 0 : 1 + (size_t)rnd_below(200000));
		struct bytes padding = bytes_new(i % 5 == 0 ? 0 : 4 * (size_t)rnd_below(i == 7 ? 20000 : 10));
		file = bytes_join(file, xz_threaded(part, 0, checks[(_i + i) % 4], 2 * CHUNK));
		file = bytes_join(file, padding);
		image = bytes_join(image, part);
	}
	assert_reads(format_named("xz"), file, image);
	struct blockz_fault fault;
	struct blockz_verify_result result;
	for (size_t len = 1; len < 4; len++)
		ck_assert_int_eq(verify_file(bytes_join(file, bytes_new(len)), true, &result, &fault), BLOCKZ_DAMAGED);
	struct bytes lead = bytes_join(bytes_new(4), file);
	ck_assert_int_eq(verify_file(lead, true, &result, &fault), BLOCKZ_UNSUPPORTED);
	struct bytes middle = bytes_join(bytes_join(file, bytes_new(6)), file);
	ck_assert_int_eq(verify_file(middle, true, &result, &fault), BLOCKZ_DAMAGED);
}
END_TEST

/* A Block with nothing in it is no piece, but looked at all the same. */
START_TEST(empty_blocks)
{
	lzma_options_lzma options;
	ck_assert(!lzma_lzma_preset(&options, 1));
	const lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	struct bytes nothing = bytes_new(0), text = image_new(IMAGE_TEXT, 1000);
	struct xz_stream *stream = xz_begin(checks[_i]);
	xz_put(stream, nothing, filters);
	size_t second = stream->bytes.len;
	xz_put(stream, text, filters);
	stream->no_sizes = true;
	xz_put(stream, nothing, filters);
	xz_put(stream, nothing, filters);
	struct bytes file = xz_end(stream);
	assert_reads(format_named("xz"), file, text);
	struct blockz_verify_result result;
	for (size_t bit = 12 * 8; bit < second * 8; bit++) {
		struct bytes flipped = bytes_flipped(file, bit);
		ck_assert_int_ne(verify_file(flipped, true, &result, NULL), BLOCKZ_OK);
	}
}
END_TEST

/* ---- Filters ---- */

START_TEST(other_filters)
{
	lzma_options_lzma options;
	lzma_options_delta delta = { .type = LZMA_DELTA_TYPE_BYTE, .dist = 4 };
	ck_assert(!lzma_lzma_preset(&options, 1));
	const lzma_filter chains[][4] = {
		{ { LZMA_FILTER_X86, NULL }, { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } },
		{ { LZMA_FILTER_DELTA, &delta }, { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } },
		{ { LZMA_FILTER_ARM, NULL }, { LZMA_FILTER_DELTA, &delta }, { LZMA_FILTER_LZMA2, &options },
		  { LZMA_VLI_UNKNOWN, NULL } },
	};
	/* What does not compress becomes raw chunks behind the filter. */
	struct bytes image = image_new(IMAGE_NOISE, 3 * CHUNK);
	for (size_t i = 0; i < 3; i++) {
		struct xz_stream *stream = xz_begin(checks[_i]);
		stream->no_sizes = i % 2;
		xz_put(stream, image, chains[i]);
		struct bytes file = xz_end(stream);
		assert_reads(format_named("xz"), file, image);
		for (int scan = 0; scan < 2; scan++) {
			assert_range(file, scan, 0, image.len, BLOCKZ_COMPRESSED, false);
			assert_refuses(file, image, scan, (struct blockz_range){ 1000, 2000 });
		}
	}
}
END_TEST

START_TEST(what_is_not_supported)
{
	struct bytes image = image_new(IMAGE_TEXT, 1000), file = xz_easy(image, 0, checks[_i]);
	struct blockz_verify_result result;
	struct blockz_fault fault;
	/* A Check ID that is reserved, in Header and Footer, and Stream Flags that are. */
	for (int kind = 0; kind < 2; kind++) {
		struct bytes other = bytes_copy(file);
		uint8_t *footer = other.data + other.len - 12;
		uint8_t *flags[] = { other.data + 6, footer + 8 };
		for (int i = 0; i < 2; i++)
			flags[i][kind] = kind == 0 ? 1 : 7;
		uint32_t crcs[] = { lzma_crc32(flags[0], 2, 0), lzma_crc32(footer + 4, 6, 0) };
		for (int i = 0; i < 4; i++) {
			other.data[8 + i] = (uint8_t)(crcs[0] >> 8 * i);
			footer[i] = (uint8_t)(crcs[1] >> 8 * i);
		}
		ck_assert_int_eq(verify_file(other, true, &result, &fault), BLOCKZ_UNSUPPORTED);
		ck_assert_uint_ge(fault.offset, file.len - 12);
	}
	/* A filter that nobody knows. */
	struct bytes other = bytes_copy(file);
	ck_assert_uint_eq(other.data[14], LZMA_FILTER_LZMA2);
	other.data[14] = 0x20;
	xz_reseal_block_header(other, 12);
	ck_assert_int_eq(verify_file(other, true, &result, &fault), BLOCKZ_UNSUPPORTED);
	ck_assert_uint_eq(fault.offset, 12);
}
END_TEST

/* A dictionary counts as far as the Block has bytes to fill it. */
START_TEST(large_dictionaries)
{
	enum { LEN = 130 * MIB };
	lzma_options_lzma options;
	ck_assert(!lzma_lzma_preset(&options, 0));
	options.dict_size = LEN;
	const lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	struct bytes small = image_new(IMAGE_TEXT, 1000), file = xz_easy(small, 0, checks[_i]);
	file.data[16] = 40; /* 4 GiB */
	xz_reseal_block_header(file, 12);
	assert_reads(format_named("xz"), file, small);
	if (sanitized || _i > 0)
		return;
	struct xz_stream *stream = xz_begin(checks[_i]);
	struct bytes large = bytes_new(LEN);
	large.data[LEN / 2] = 1;
	xz_put(stream, large, filters);
	file = xz_end(stream);
	struct blockz_source source = bytes_source(file);
	struct blockz_verify_result result;
	struct blockz_verify_options wide = { .window_max = LEN, .work.threads = 1 }, narrow = { .work.threads = 1 };
	ck_assert_int_eq(blockz_verify(&source, &narrow, &result, NULL), BLOCKZ_LIMIT);
	ck_assert_int_eq(blockz_verify(&source, &wide, &result, NULL), BLOCKZ_OK);
	wide.window_max--;
	ck_assert_int_eq(blockz_verify(&source, &wide, &result, NULL), BLOCKZ_LIMIT);
}
END_TEST

/* ---- Raw chunks between others ---- */

struct mixed {
	struct bytes data, image;
};

static struct blockz_range put_raw(struct mixed *mixed, size_t len, bool reset)
{
	struct bytes part = image_new(IMAGE_TEXT, len);
	struct blockz_range range = { mixed->image.len, mixed->image.len + len };
	part.data[len - 1] = 0; /* as if the dictionary were empty: the next literal's context is right */
	chunks_raw(&mixed->data, part, reset);
	mixed->image = bytes_join(mixed->image, part);
	return range;
}

static void put_lzma(struct mixed *mixed, size_t len, uint8_t control)
{
	lzma_options_lzma options;
	ck_assert(!lzma_lzma_preset(&options, 0));
	struct bytes part = image_new(IMAGE_TEXT, len);
	part.data[0] = 'b'; /* with lc = 3 its code depends on the byte before */
	part.data[1] = 'l';
	chunks_lzma(&mixed->data, part, control, &options);
	mixed->image = bytes_join(mixed->image, part);
}

static struct bytes end_mixed(struct mixed *mixed, lzma_check check, bool no_sizes)
{
	struct xz_stream *stream = xz_begin(check);
	chunks_end(&mixed->data);
	stream->no_sizes = no_sizes;
	xz_put_data(stream, mixed->data, mixed->image, NULL);
	return xz_end(stream);
}

/* a0 and c0 begin with nothing that refers back, and still their first literal takes the byte before for its context. */
START_TEST(context_of_the_next_literal)
{
	static const uint8_t controls[] = { 0xa0, 0xc0, 0xe0 };
	for (size_t i = 0; i < 3; i++) {
		struct mixed mixed = { .image = { NULL, 0 } };
		put_lzma(&mixed, 4096, 0xe0);
		struct blockz_range raw = put_raw(&mixed, CHUNK - 4096, false);
		put_lzma(&mixed, 4096, controls[i]);
		struct bytes file = end_mixed(&mixed, checks[_i], i % 2);
		assert_reads(format_named("xz"), file, mixed.image);
		assert_range(file, false, 0, mixed.image.len, BLOCKZ_COMPRESSED, false);
		assert_range(file, true, raw.start, raw.end, BLOCKZ_RAW, controls[i] == 0xe0);
		if (controls[i] == 0xe0) {
			assert_patches(file, mixed.image, true, raw);
			continue;
		}
		assert_refuses(file, mixed.image, true, raw);
		/* And rightly: the last raw byte changed by hand changes what follows, or breaks it. */
		struct blockz_extent extent;
		struct blockz_map *map = map_of(bytes_source(file), true);
		ck_assert(blockz_map_extent_at(map, raw.end - 1, &extent));
		blockz_map_free(map);
		struct bytes changed = bytes_copy(mixed.image), patched = bytes_copy(file);
		changed.data[raw.end - 1] = patched.data[extent.file_off] = 0xe0;
		struct bytes room = bytes_new(changed.len);
		judge("xz", patched, room, &room.len);
		ck_assert(room.len < changed.len || memcmp(room.data, changed.data, changed.len) != 0);
	}
}
END_TEST

START_TEST(raw_chunks_anywhere)
{
	struct mixed mixed = { .image = { NULL, 0 } };
	struct blockz_range a = put_raw(&mixed, CHUNK, true), b = put_raw(&mixed, 3 * 4096, false);
	put_lzma(&mixed, 4096, 0xe0);
	struct blockz_range c = put_raw(&mixed, 4096, false);
	put_lzma(&mixed, 8 * CHUNK, 0xa0); /* several chunks, 80 from the second on */
	struct blockz_range d = put_raw(&mixed, 4080, false); /* too short */
	put_lzma(&mixed, 4096, 0xa0);
	struct blockz_range e = put_raw(&mixed, 8192, false), f = put_raw(&mixed, 4096, true);
	put_lzma(&mixed, 4096, 0xc0);
	struct blockz_range g = put_raw(&mixed, 5000, false);
	struct bytes file = end_mixed(&mixed, checks[_i], _i % 2);
	assert_reads(format_named("xz"), file, mixed.image);
	assert_range(file, true, a.start, b.end, BLOCKZ_RAW, true);
	assert_range(file, true, c.start, c.end, BLOCKZ_RAW, false);
	assert_range(file, true, e.start, e.end, BLOCKZ_RAW, true);
	assert_range(file, true, f.start, f.end, BLOCKZ_RAW, false);
	assert_range(file, true, g.start, g.end, BLOCKZ_RAW, true);
	ck_assert_int_eq(range_at(file, true, d.start).kind, BLOCKZ_COMPRESSED);
	assert_patches(file, mixed.image, true, (struct blockz_range){ a.start, b.end });
	assert_patches(file, mixed.image, true, e);
	assert_patches(file, mixed.image, true, g);
	assert_refuses(file, mixed.image, true, c);
	assert_refuses(file, mixed.image, true, d);
	assert_refuses(file, mixed.image, true, f);
}
END_TEST

/* Chunks of any length, against a model of what lies raw. */
START_TEST(random_chunks)
{
	for (int round = 0; round < (few_rounds ? 10 : 20); round++) {
		struct mixed mixed = { .image = { NULL, 0 } };
		for (int i = 0; i < 12; i++) {
			if (rnd() % 3 == 0)
				put_lzma(&mixed, 4096, 0xe0);
			else
				put_raw(&mixed, 16 * (1 + (size_t)rnd_below(rnd() % 2 ? 4096 : 300)),
					i == 0 || rnd() % 8 == 0);
		}
		struct bytes file = end_mixed(&mixed, checks[_i], round % 2);
		struct bytes edited = bytes_copy(mixed.image), patched = bytes_copy(file);
		struct blockz_map *map = map_of(bytes_source(file), true);
		struct blockz_map_range range;
		for (uint64_t pos = 0; pos < mixed.image.len; pos = range.end) {
			ck_assert(blockz_map_range_at(map, pos, &range));
			if (range.kind != BLOCKZ_RAW)
				continue;
			ck_assert(range.patchable); /* each LZMA chunk begins with an empty dictionary */
			complement(edited, (struct blockz_range){ range.start, range.end });
			patch_range(patched, true, edited, (struct blockz_range){ range.start, range.end });
		}
		blockz_map_free(map);
		assert_reads(format_named("xz"), patched, edited);
	}
}
END_TEST

/* ---- Bounds ---- */

struct counting_source {
	struct bytes bytes;
	uint64_t read;
};

static int counting_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	struct counting_source *self = ctx;
	size_t left = off < self->bytes.len ? self->bytes.len - (size_t)off : 0;
	*got_ret = len < left ? len : left;
	memcpy(buf, self->bytes.data + off, *got_ret);
	self->read += *got_ret;
	return 0;
}

/* An edited image with the same bytes elsewhere is compared with a Block once, and not once for each of its raw runs. */
START_TEST(many_raw_runs_in_one_block)
{
	static const struct blockz_source_ops ops = { .read = counting_read };
	struct mixed mixed = { .image = { NULL, 0 } };
	for (int i = 0; i < 100; i++) {
		put_lzma(&mixed, 4096, 0xe0);
		put_raw(&mixed, 4096, false);
	}
	struct bytes file = end_mixed(&mixed, checks[_i], false), edited = bytes_copy(mixed.image);
	struct counting_source self = { .bytes = file };
	struct blockz_source source = { &ops, &self, file.len };
	struct blockz_map *map = map_of(source, true);
	struct blockz_edit edit = edit_from(edited, (struct blockz_range){ 0, edited.len });
	struct blockz_plan *plan = NULL;
	edit.same_elsewhere = true;
	for (int i = 0; i < 100; i++)
		complement(edited, (struct blockz_range){ (uint64_t)i * 8192 + 5000, (uint64_t)i * 8192 + 5010 });
	self.read = 0;
	const struct blockz_work work = { .threads = 1 };
	ck_assert_int_eq(blockz_plan_new(&source, map, &edit, 1, &work, &plan, NULL), BLOCKZ_OK);
	ck_assert_uint_lt(self.read, 8 * file.len);
	ck_assert_uint_eq(blockz_plan_info(plan).payload_bytes, 1000);
	blockz_plan_free(plan);
	blockz_map_free(map);
}
END_TEST

/* The address space, so that what grows beyond all bounds fails. */
static void limit_memory(void)
{
	const struct rlimit limit = { 256 * MIB, 256 * MIB };
	if (!sanitized)
		ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
}

/* Zeros in one Block are decoded in parts. */
START_TEST(long_block_of_zeros)
{
	enum { PARTS = 300 };
	lzma_stream stream = LZMA_STREAM_INIT;
	struct bytes file = bytes_new(MIB), zeros = bytes_new(MIB);
	ck_assert_int_eq(lzma_easy_encoder(&stream, 0, LZMA_CHECK_CRC64), LZMA_OK);
	stream.next_out = file.data;
	stream.avail_out = file.len;
	for (int i = 0; i < PARTS; i++) {
		stream.next_in = zeros.data;
		stream.avail_in = zeros.len;
		while (stream.avail_in > 0)
			ck_assert_int_eq(lzma_code(&stream, LZMA_RUN), LZMA_OK);
	}
	ck_assert_int_eq(lzma_code(&stream, LZMA_FINISH), LZMA_STREAM_END);
	file.len = stream.total_out;
	lzma_end(&stream);
	limit_memory();
	assert_verifies(file);
	assert_range(file, false, 0, (uint64_t)PARTS * MIB, BLOCKZ_ZERO, false);
}
END_TEST

/* Blocks that say they hold much, each another length: what costs time is not done for each. */
START_TEST(lengths_that_nobody_can_sum)
{
	enum { BLOCKS = 6000 };
	struct xz_stream *stream = xz_begin(LZMA_CHECK_SHA256);
	uint8_t *room = keep(BLOCKS * 200), *p = room;
	for (uint64_t i = 0; i < BLOCKS; i++) {
		lzma_options_lzma options = { .dict_size = LZMA_DICT_SIZE_MIN };
		lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
		lzma_block block = {
			.check = LZMA_CHECK_SHA256, .compressed_size = 64, .uncompressed_size = 64 * MIB + i,
			.filters = filters,
		};
		ck_assert_int_eq(lzma_block_header_size(&block), LZMA_OK);
		ck_assert_int_eq(lzma_block_header_encode(&block, p), LZMA_OK);
		ck_assert_int_eq(lzma_index_append(stream->index, NULL, lzma_block_unpadded_size(&block),
						   block.uncompressed_size), LZMA_OK);
		p += block.header_size + 64 + 32;
	}
	stream->bytes = bytes_join(stream->bytes, (struct bytes){ room, (size_t)(p - room) });
	struct bytes file = xz_end(stream);
	struct blockz_verify_result result;
	limit_memory();
	ck_assert_int_eq(verify_file(file, true, &result, NULL), BLOCKZ_OK);
	ck_assert_int_eq(verify_file(file, false, &result, NULL), BLOCKZ_DAMAGED);
}
END_TEST

int main(void)
{
	TCase *c = case_new("xz_foreign");
	tcase_add_loop_test(c, one_block_without_sizes, 0, 4);
	tcase_add_loop_test(c, many_threads, 0, 4);
	tcase_add_loop_test(c, raw_blocks_cut_elsewhere, 0, 4);
	tcase_add_loop_test(c, long_raw_block, 0, 3);
	tcase_add_loop_test(c, streams_and_padding, 0, 4);
	tcase_add_loop_test(c, empty_blocks, 0, 4);
	tcase_add_loop_test(c, other_filters, 0, 4);
	tcase_add_loop_test(c, what_is_not_supported, 0, 4);
	tcase_add_loop_test(c, large_dictionaries, 0, 4);
	tcase_add_loop_test(c, context_of_the_next_literal, 0, 4);
	tcase_add_loop_test(c, raw_chunks_anywhere, 0, 4);
	tcase_add_loop_test(c, random_chunks, 0, 4);
	tcase_add_loop_test(c, many_raw_runs_in_one_block, 0, 4);
	tcase_add_test(c, long_block_of_zeros);
	tcase_add_test(c, lengths_that_nobody_can_sum);
	return case_run("xz_foreign", c);
}
