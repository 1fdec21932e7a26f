/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks of .xz files that are encoded again after an edit, by the row of struct format; liblzma is the judge. */
#include <string.h>

#include "foreign_xz.h"
#include "format/formats.h"
#include "xz_renewals.h"

enum { CHUNK = 65536, CHAINS = 6 };

static const lzma_check checks[] = { LZMA_CHECK_CRC64, LZMA_CHECK_CRC32, LZMA_CHECK_SHA256, LZMA_CHECK_NONE };

/* ---- Filters and options ---- */

/* What a Block Header has, and the first chunk behind it. */
struct header {
	lzma_filter filters[LZMA_FILTERS_MAX + 1];
	lzma_block block;
	const uint8_t *chunk;
};

static struct header *header_at(struct bytes file, size_t off)
{
	struct header *header = keep(sizeof(*header));
	header->block = (lzma_block){ .version = 1, .check = file.data[7], .filters = header->filters };
	header->block.header_size = lzma_block_header_size_decode(file.data[off]);
	ck_assert_int_eq(lzma_block_header_decode(&header->block, NULL, file.data + off), LZMA_OK);
	header->chunk = file.data + off + header->block.header_size;
	return header;
}

static void assert_same_filter(const lzma_filter *old, const lzma_filter *new)
{
	uint32_t size;
	uint8_t a[32] = { 0 }, b[32] = { 0 };
	ck_assert_uint_eq(old->id, new->id);
	if (old->id == LZMA_FILTER_LZMA2)
		return;
	ck_assert_int_eq(lzma_properties_size(&size, old), LZMA_OK);
	ck_assert_uint_le(size, sizeof(a));
	ck_assert_int_eq(lzma_properties_encode(old, a), LZMA_OK);
	ck_assert_int_eq(lzma_properties_encode(new, b), LZMA_OK);
	ck_assert_mem_eq(a, b, sizeof(a));
}

static uint32_t dictionary(const struct header *header)
{
	size_t i = 0;
	while (header->filters[i].id != LZMA_FILTER_LZMA2)
		i++;
	return ((const lzma_options_lzma *)header->filters[i].options)->dict_size;
}

/* The same filters with the same options, and both sizes. */
static void assert_same_coding(struct bytes old_file, struct bytes new_file)
{
	struct header *old = header_at(old_file, 12), *new = header_at(new_file, 12);
	size_t i = 0;
	for (; old->filters[i].id != LZMA_VLI_UNKNOWN; i++)
		assert_same_filter(&old->filters[i], &new->filters[i]);
	ck_assert_uint_eq(new->filters[i].id, LZMA_VLI_UNKNOWN);
	ck_assert_uint_le(dictionary(new), dictionary(old));
	ck_assert_uint_ne(new->block.compressed_size, LZMA_VLI_UNKNOWN);
	ck_assert_uint_ne(new->block.uncompressed_size, LZMA_VLI_UNKNOWN);
	if (old->chunk[0] >= 0xc0 && new->chunk[0] >= 0xc0)
		ck_assert_uint_eq(old->chunk[5], new->chunk[5]);
	lzma_filters_free(old->filters, NULL);
	lzma_filters_free(new->filters, NULL);
}

/* Each chain with text, which becomes LZMA chunks, and with noise, which becomes raw ones. */
START_TEST(filters_stay)
{
	lzma_options_lzma usual, other;
	lzma_options_delta delta = { .type = LZMA_DELTA_TYPE_BYTE, .dist = 7 };
	lzma_options_bcj bcj = { .start_offset = 0x12345670 };
	ck_assert(!lzma_lzma_preset(&usual, 1));
	ck_assert(!lzma_lzma_preset(&other, 0));
	other.lc = 1;
	other.lp = 3;
	other.pb = 0;
	other.dict_size = 5000;
	const lzma_filter chains[][5] = {
		{ { LZMA_FILTER_LZMA2, &usual }, { LZMA_VLI_UNKNOWN, NULL } },
		{ { LZMA_FILTER_LZMA2, &other }, { LZMA_VLI_UNKNOWN, NULL } },
		{ { LZMA_FILTER_X86, NULL }, { LZMA_FILTER_LZMA2, &other }, { LZMA_VLI_UNKNOWN, NULL } },
		{ { LZMA_FILTER_DELTA, &delta }, { LZMA_FILTER_LZMA2, &usual }, { LZMA_VLI_UNKNOWN, NULL } },
		{ { LZMA_FILTER_ARM64, &bcj }, { LZMA_FILTER_LZMA2, &usual }, { LZMA_VLI_UNKNOWN, NULL } },
		{ { LZMA_FILTER_ARM, &bcj }, { LZMA_FILTER_X86, &bcj }, { LZMA_FILTER_SPARC, &bcj },
		  { LZMA_FILTER_LZMA2, &other }, { LZMA_VLI_UNKNOWN, NULL } },
	};
	ck_assert_uint_eq(sizeof(chains) / sizeof(chains[0]), CHAINS);
	for (enum image_kind kind = IMAGE_NOISE; kind < IMAGE_KINDS; kind++) {
		struct bytes image = image_new(kind, 3 * CHUNK + 20);
		struct xz_stream *stream = xz_begin(checks[(_i + kind) % 4]);
		stream->no_sizes = (_i + kind) % 2;
		xz_put(stream, image, chains[_i]);
		struct bytes file = xz_end(stream);
		struct bytes out = xz_renewing_check(file, image, (struct blockz_range){ CHUNK - 5, CHUNK + 7 });
		assert_same_coding(file, out);
	}
}
END_TEST

/* The first LZMA chunk has the properties, wherever it stands. */
START_TEST(properties_behind_raw_chunks)
{
	lzma_options_lzma options;
	ck_assert(!lzma_lzma_preset(&options, 0));
	options.lc = 0;
	options.pb = 4;
	struct bytes noise = image_new(IMAGE_NOISE, 5000), text = image_new(IMAGE_TEXT, 50000), data = bytes_new(0);
	chunks_raw(&data, noise, true);
	chunks_raw(&data, noise, false);
	chunks_lzma(&data, text, 0xe0, &options);
	chunks_end(&data);
	struct bytes image = bytes_join(bytes_join(noise, noise), text);
	struct xz_stream *stream = xz_begin(checks[_i]);
	xz_put_data(stream, data, image, NULL);
	struct bytes file = xz_end(stream);
	struct bytes edited = bytes_copy(text);
	complement(edited, (struct blockz_range){ 100, 110 });
	struct xz_renewing *self = xz_renewing_new(file);
	struct encoding encoding = xz_renewing_encode(self, 0, edited);
	const uint8_t *chunk = encoding.out.bytes + lzma_block_header_size_decode(encoding.out.bytes[0]);
	ck_assert_uint_ge(chunk[0], 0xe0);
	ck_assert_uint_eq(chunk[5], 4 * 5 * 9);
	buffer_free(&encoding.out);
	blockz_map_free(self->map);
	xz_renewing_check(file, image, (struct blockz_range){ 9999, 10001 });
}
END_TEST

/* Of the levels for what did not fit, one has as many bits of context as LZMA2 allows; the dictionary is still the Block's. */
START_TEST(levels)
{
	lzma_options_lzma options;
	ck_assert(!lzma_lzma_preset(&options, 0));
	options.lc = 1;
	options.lp = (uint32_t)_i;
	options.dict_size = 8192;
	const lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	struct bytes image = image_new(IMAGE_TEXT, 3 * CHUNK);
	struct xz_stream *stream = xz_begin(checks[_i]);
	xz_put(stream, image, filters);
	struct bytes file = xz_end(stream);
	for (const int *level = format_xz.renew_levels; *level != 0; level++) {
		struct xz_renewing *self = xz_renewing_new(file);
		struct encoding encoding = xz_renewing_encode_by(self, 0, image, *level);
		xz_renewing_put(self, 0, 0, &encoding);
		buffer_free(&encoding.out);
		struct bytes out = xz_renewing_finish(self);
		assert_reads(format_named("xz"), out, image);
		struct header *header = header_at(out, 12);
		unsigned lc = *level == 8 ? 4 - (unsigned)_i : 1;
		ck_assert_uint_ge(header->chunk[0], 0xe0);
		ck_assert_uint_eq(header->chunk[5], (2 * 5 + (unsigned)_i) * 9 + lc);
		ck_assert_uint_eq(dictionary(header), 8192);
		lzma_filters_free(header->filters, NULL);
	}
}
END_TEST

/* Dictionaries are no larger than a Block has bytes, nor smaller than they can be. */
START_TEST(sizes)
{
	static const size_t lens[] = { 1, 2, 3, 4, 5, 4095, CHUNK + 1 };
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		for (enum image_kind kind = IMAGE_TEXT; kind < IMAGE_KINDS; kind++) {
			struct bytes image = image_new(kind, lens[i]);
			struct bytes file = xz_easy(image, 9, checks[_i]);
			struct bytes out = xz_renewing_check(file, image, (struct blockz_range){ lens[i] / 2, lens[i] });
			struct header *header = header_at(out, 12);
			ck_assert_uint_le(dictionary(header), lens[i] <= 4096 ? 4096 : 2 * CHUNK);
			lzma_filters_free(header->filters, NULL);
		}
}
END_TEST

/* ---- Indexes ---- */

/* The same bytes again: no Record differs, and the Index stays as it is. */
START_TEST(index_stays)
{
	struct bytes image = image_new(IMAGE_TEXT, 5 * CHUNK);
	struct blockz_pack_options options = { .level = 6, .piece_size = CHUNK, .check = "crc32" };
	struct bytes file = pack_image(format_named("xz"), image, options, NULL);
	struct xz_renewing *self = xz_renewing_new(file);
	xz_renewing_range(self, image, (struct blockz_range){ 0, image.len });
	assert_bytes(xz_renewing_finish(self), file);
	ck_assert_uint_eq(self->index_replaced, 0);
}
END_TEST

/* A Stream in which no Record differs is passed over, behind one in which some do. */
START_TEST(second_index_stays)
{
	struct bytes image = image_new(IMAGE_TEXT, 2 * CHUNK), edited = bytes_join(image, image);
	struct blockz_pack_options options = { .level = 6, .piece_size = CHUNK };
	struct bytes stream = pack_image(format_named("xz"), image, options, NULL);
	struct xz_renewing *self = xz_renewing_new(bytes_join(stream, stream));
	complement(edited, (struct blockz_range){ 5, 50 });
	xz_renewing_range(self, edited, (struct blockz_range){ 0, edited.len });
	struct bytes out = xz_renewing_finish(self);
	ck_assert_uint_eq(self->count, 4);
	ck_assert_uint_eq(self->index_replaced, 1);
	assert_reads(format_named("xz"), out, edited);
}
END_TEST

/* In a Block of the same length that is padded otherwise, the Record says so. */
START_TEST(padding_changes)
{
	unsigned differ = 0;
	struct bytes image = image_new(IMAGE_TEXT, 2 * CHUNK);
	struct blockz_pack_options options = { .level = 6, .piece_size = CHUNK };
	struct bytes file = pack_image(format_named("xz"), image, options, NULL);
	for (size_t i = 0; i < 40; i++) {
		struct bytes edited = bytes_copy(image);
		memset(edited.data + CHUNK + 100, 'x', 400 + 4 * i);
		struct xz_renewing *self = xz_renewing_new(file);
		size_t old_padding = self->map->pieces[1].padding;
		struct encoding encoding = xz_renewing_encode(self, 1, (struct bytes){ edited.data + CHUNK, CHUNK });
		bool filled = false;
		ck_assert_int_eq(format_xz.fill(&encoding, self->map->pieces[1].file_len, &filled, NULL), BLOCKZ_OK);
		ck_assert(filled);
		xz_renewing_put(self, 1, 0, &encoding);
		bool same = encoding.tag == old_padding;
		buffer_free(&encoding.out);
		struct bytes out = xz_renewing_finish(self);
		ck_assert_uint_eq(self->index_replaced, same ? 0 : 1);
		ck_assert_uint_eq(out.len, file.len);
		assert_reads(format_named("xz"), out, edited);
		differ += !same;
	}
	ck_assert_uint_gt(differ, 5);
}
END_TEST

/* Blocks in several Streams; all else stays as it is, Stream Padding and Streams without an edit. */
START_TEST(streams)
{
	struct bytes image = bytes_new(0), file = bytes_new(0);
	struct blockz_range parts[6];
	for (size_t i = 0; i < 6; i++) {
		struct bytes part = image_new(IMAGE_TEXT, i == 3 ? 0 : 5 * CHUNK + 100 * i);
		struct bytes padding = bytes_new(i % 2 ? 4 * i : 0);
		parts[i] = (struct blockz_range){ image.len, image.len + part.len };
		file = bytes_join(bytes_join(file, xz_threaded(part, (uint32_t)i, checks[(_i + i) % 4], 2 * CHUNK)), padding);
		image = bytes_join(image, part);
	}
	struct bytes edited = bytes_copy(image);
	struct xz_renewing *self = xz_renewing_new(file);
	/* The last Block of one Stream, and the first of the next but one, as well as both ends of the file. */
	const struct blockz_range edits[] = {
		{ 0, 5 }, { parts[1].end - 50, parts[1].end }, { parts[4].start, parts[4].start + 1000 },
		{ image.len - 2, image.len },
	};
	for (size_t i = 0; i < 4; i++) {
		complement(edited, edits[i]);
		xz_renewing_range(self, edited, edits[i]);
	}
	ck_assert_uint_eq(self->count, 4);
	struct bytes out = xz_renewing_finish(self), room = bytes_new(edited.len);
	ck_assert_uint_eq(self->index_replaced, 4);
	ck_assert(judge_any("xz", out, room, &room.len));
	assert_bytes(room, edited);
	assert_reads(format_named("xz"), out, edited);
	/* The third Stream, whose Blocks stayed, stands in the new file as it did in the old one. */
	struct blockz_map *map = map_of(bytes_source(out), false), *old = map_of(bytes_source(file), false);
	size_t piece = map_find_piece(map, parts[2].start);
	uint64_t off = map->pieces[piece].file_off, old_off = old->pieces[piece].file_off, stream_len = 0;
	for (size_t i = piece; map->pieces[i].start < parts[2].end; i++)
		stream_len += map->pieces[i].file_len;
	ck_assert_mem_eq(out.data + off - 12, file.data + old_off - 12, stream_len + 12 + 12 + 16);
	blockz_map_free(map);
	blockz_map_free(old);
}
END_TEST

/* Records without bytes are no pieces, and pieces of zeros have one Record each. */
START_TEST(empty_and_zero_blocks)
{
	lzma_options_lzma options;
	ck_assert(!lzma_lzma_preset(&options, 1));
	const lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	struct bytes nothing = bytes_new(0), zeros = bytes_new(CHUNK), image = bytes_new(0);
	struct xz_stream *stream = xz_begin(checks[_i]);
	for (int i = 0; i < 12; i++) {
		xz_put(stream, i % 5 == 0 ? nothing : zeros, filters);
		image = bytes_join(image, i % 5 == 0 ? nothing : zeros);
	}
	struct bytes file = xz_end(stream);
	for (uint64_t off = 10; off + CHUNK < image.len; off += 2 * CHUNK)
		xz_renewing_check(file, image, (struct blockz_range){ off, off + CHUNK });
}
END_TEST

/* ---- Refusals ---- */

START_TEST(damaged_blocks)
{
	struct bytes image = image_new(IMAGE_TEXT, 2000), file = xz_easy(image, 6, checks[_i]);
	struct pack_params params;
	struct xz_renewing *self = xz_renewing_new(file);
	uint8_t *chunk = file.data + 12 + lzma_block_header_size_decode(file.data[12]);
	const struct {
		size_t off;
		uint8_t value;
	} damages[] = { { 0, 0x80 }, { 0, 0xa0 }, { 0, 0x03 }, { 5, 225 }, { 5, 0xff } };
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		uint8_t before = chunk[damages[i].off];
		chunk[damages[i].off] = damages[i].value;
		ck_assert_int_eq(format_xz.renew_params(&self->source, self->map, 0, &params, NULL), BLOCKZ_DAMAGED);
		chunk[damages[i].off] = before;
	}
	file.data[14] ^= 1;
	ck_assert_int_eq(format_xz.renew_params(&self->source, self->map, 0, &params, NULL), BLOCKZ_DAMAGED);
	blockz_map_free(self->map);
}
END_TEST

/* Filters that a Block Header can name, and no Block can have: liblzma says so only when it is to use them. */
START_TEST(chains_that_cannot_be)
{
	struct bytes image = image_new(IMAGE_TEXT, 2000), file = xz_easy(image, 6, checks[_i]);
	struct xz_renewing *self = xz_renewing_new(file);
	struct pack_params params;
	static const uint8_t bodies[][7] = {
		{ 0x00, 0x03, 0x01, 0x03 },                   /* delta alone */
		{ 0x01, 0x21, 0x01, 0x16, 0x21, 0x01, 0x16 }, /* LZMA2 twice */
	};
	for (size_t i = 0; i < 2; i++) {
		struct bytes other = bytes_copy(file);
		ck_assert_uint_eq(other.data[12], 2);
		memcpy(other.data + 13, bodies[i], 7);
		xz_reseal_block_header(other, 12);
		self->source = bytes_source(other);
		ck_assert_int_eq(format_xz.renew_params(&self->source, self->map, 0, &params, NULL), BLOCKZ_UNSUPPORTED);
	}
	blockz_map_free(self->map);
}
END_TEST

/* Whichever read fails, it is told. */
START_TEST(reads_that_fail)
{
	struct bytes image = image_new(IMAGE_TEXT, 9000), file = xz_easy(image, 6, checks[_i]);
	struct xz_renewing *self = xz_renewing_new(file);
	struct flaky_source flaky = { .bytes = file };
	struct pack_params params;
	const struct renewed_piece piece = { .file_len = 4000 };
	struct renewal renewal = {
		.file = &self->source, .map = self->map, .pieces = &piece, .count = 1, .replace = record_replace, .ctx = self,
	};
	self->source = flaky_source(&flaky);
	enum blockz_status status = BLOCKZ_FAILED;
	for (flaky.fail_at = 1; status != BLOCKZ_OK; flaky.fail_at++) {
		flaky.reads = 0;
		status = format_xz.renew_params(&self->source, self->map, 0, &params, NULL);
		ck_assert_int_eq(status, flaky.reads < flaky.fail_at ? BLOCKZ_OK : BLOCKZ_FAILED);
	}
	ck_assert_uint_gt(flaky.fail_at, 2);
	status = BLOCKZ_FAILED;
	for (flaky.fail_at = 1; status != BLOCKZ_OK; flaky.fail_at++) {
		flaky.reads = 0;
		self->record.replaced_count = 0;
		status = format_xz.renew_index(&renewal, NULL);
		ck_assert_int_eq(status, flaky.reads < flaky.fail_at ? BLOCKZ_OK : BLOCKZ_FAILED);
		ck_assert_uint_eq(self->record.replaced_count, status == BLOCKZ_OK);
	}
	ck_assert_uint_gt(flaky.fail_at, 5);
	blockz_map_free(self->map);
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("renew_xz");
	tcase_add_loop_test(tcase, filters_stay, 0, CHAINS);
	tcase_add_loop_test(tcase, properties_behind_raw_chunks, 0, 4);
	tcase_add_loop_test(tcase, levels, 0, 4);
	tcase_add_loop_test(tcase, sizes, 0, 4);
	tcase_add_test(tcase, index_stays);
	tcase_add_test(tcase, second_index_stays);
	tcase_add_test(tcase, padding_changes);
	tcase_add_loop_test(tcase, streams, 0, 4);
	tcase_add_loop_test(tcase, empty_and_zero_blocks, 0, 4);
	tcase_add_loop_test(tcase, damaged_blocks, 0, 4);
	tcase_add_loop_test(tcase, chains_that_cannot_be, 0, 4);
	tcase_add_loop_test(tcase, reads_that_fail, 0, 4);
	return case_run("renew_xz", tcase);
}
