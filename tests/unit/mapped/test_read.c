/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts of the image: by a reader at any offset, and extracted in parallel. */
#include <errno.h>
#include <string.h>

#include "foreign.h"
#include "watch.h"

/* ---- Helpers ---- */

static struct blockz_reader *reader_of(const struct blockz_source *file, const struct blockz_map *map)
{
	struct blockz_reader *reader = NULL;
	ck_assert_int_eq(blockz_reader_new(file, map, &reader, NULL), BLOCKZ_OK);
	return reader;
}

static void assert_read(struct blockz_reader *reader, struct bytes image, struct blockz_range range)
{
	size_t len = (size_t)(range.end - range.start);
	struct bytes found = bytes_new(len);
	struct blockz_fault fault = { .text = "" };
	enum blockz_status status = blockz_reader_read(reader, found.data, len, range.start, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "read: %s", fault.text);
	assert_bytes(found, (struct bytes){ image.data + range.start, len });
}

static enum blockz_status extract(const struct blockz_source *file, const struct blockz_map *map,
				  struct blockz_range range, unsigned threads, struct growing_sink *sink,
				  struct blockz_fault *fault)
{
	struct blockz_sink out = growing_sink(sink);
	struct blockz_work work = { .threads = threads };
	*fault = (struct blockz_fault){ .status = BLOCKZ_OK };
	enum blockz_status status = blockz_extract(file, map, range, &out, &work, fault);
	ck_assert_int_eq(fault->status, status);
	return status;
}

static void assert_extracts(const struct blockz_source *file, const struct blockz_map *map, struct bytes image,
			    struct blockz_range range, unsigned threads)
{
	struct growing_sink sink = { .calls = 0 };
	struct blockz_fault fault;
	enum blockz_status status = extract(file, map, range, threads, &sink, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "extract: %s", fault.text);
	assert_bytes(sink.bytes, (struct bytes){ image.data + range.start, (size_t)(range.end - range.start) });
}

/* Reads and extracts the whole, nothing, and parts of all lengths. */
static void check_reads(struct bytes file, bool scan, struct bytes image, int rounds)
{
	struct blockz_source source = bytes_source(file);
	struct blockz_map *map = map_of(source, scan);
	struct blockz_reader *reader = reader_of(&source, map);
	const struct blockz_range all = { 0, image.len }, none = { image.len, image.len };
	assert_read(reader, image, all);
	assert_read(reader, image, none);
	for (unsigned threads = 1; threads <= 8; threads *= threads == 2 ? 4 : 2) {
		assert_extracts(&source, map, image, all, threads);
		assert_extracts(&source, map, image, none, threads);
	}
	for (int i = 0; i < rounds && image.len > 0; i++) {
		assert_read(reader, image, rnd_range(image.len));
		assert_extracts(&source, map, image, rnd_range(image.len), 1 + (unsigned)rnd_below(3));
	}
	blockz_reader_free(reader);
	blockz_map_free(map);
}

/* Zero pieces, raw ranges, and everything else. */
static struct bytes mixed_image(void)
{
	struct bytes image = bytes_join(image_new(IMAGE_DISK, 500000), image_new(IMAGE_ZEROS, 700000));
	return bytes_join(image, image_new(IMAGE_DISK, 300001));
}

static const struct blockz_range mixed_raw[] = { { 100001, 240000 }, { 600000, 600001 }, { 1300000, 1500001 } };

/* ---- Tests ---- */

START_TEST(any_part_of_the_image)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = mixed_image();
	for (uint64_t piece = format->piece_size_min; piece <= 16 * format->piece_size_min; piece *= 4) {
		struct blockz_pack_options options = { .level = 2, .piece_size = piece, .raw = mixed_raw, .raw_count = 3 };
		struct bytes file = pack_image(format, image, options, NULL);
		check_reads(file, false, image, few_rounds ? 20 : 100);
		check_reads(file, true, image, few_rounds ? 20 : 100);
	}
	for (size_t len = 0; len <= 2; len++) {
		struct bytes file = pack_image(format, image_new(IMAGE_TEXT, len), (struct blockz_pack_options){ .level = 2 }, NULL);
		struct bytes room = bytes_new(len);
		ck_assert(judge(format->name, file, room, &room.len));
		check_reads(file, false, room, 3);
		check_reads(file, true, room, 3);
	}
}
END_TEST

START_TEST(nothing_beyond_the_image)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = image_new(IMAGE_TEXT, 100000);
	struct blockz_source file = bytes_source(pack_image(format, image, (struct blockz_pack_options){ .level = 2 }, NULL));
	struct blockz_map *map = map_of(file, false);
	struct blockz_reader *reader = reader_of(&file, map);
	const struct blockz_range bad[] = { { 0, 100001 }, { 99999, 100001 }, { 100001, 100002 }, { UINT64_MAX - 3, UINT64_MAX } };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t byte[2] = { 1, 2 };
		struct growing_sink sink = { .calls = 0 };
		struct blockz_fault fault;
		size_t len = (size_t)(bad[i].end - bad[i].start);
		ck_assert_int_eq(extract(&file, map, bad[i], 1, &sink, &fault), BLOCKZ_USAGE);
		ck_assert_uint_eq(sink.calls, 0);
		if (len <= sizeof(byte))
			ck_assert_int_eq(blockz_reader_read(reader, byte, len, bad[i].start, &fault), BLOCKZ_USAGE);
		ck_assert_uint_eq(byte[0], 1);
	}
	/* off + len that comes round again. */
	ck_assert_int_eq(blockz_reader_read(reader, NULL, 100, UINT64_MAX - 50, NULL), BLOCKZ_USAGE);
	struct blockz_fault fault;
	struct growing_sink sink = { .calls = 0 };
	ck_assert_int_eq(extract(&file, map, (struct blockz_range){ 20, 10 }, 1, &sink, &fault), BLOCKZ_USAGE);
	blockz_reader_free(reader);
	blockz_map_free(map);
}
END_TEST

struct zeros_sink {
	struct growing_sink sink;
	uint64_t zeros;
};

static int write_data(void *ctx, const void *buf, size_t len)
{
	struct zeros_sink *self = ctx;
	struct blockz_sink sink = growing_sink(&self->sink);
	return sink.ops->write(sink.ctx, buf, len);
}

static int write_zeros(void *ctx, uint64_t len)
{
	struct zeros_sink *self = ctx;
	self->zeros += len;
	return write_data(ctx, bytes_new((size_t)len).data, (size_t)len);
}

START_TEST(zero_pieces_become_holes)
{
	static const struct blockz_sink_ops ops = { .write = write_data, .zeros = write_zeros };
	const struct blockz_format *format = format_of(_i);
	struct bytes image = mixed_image();
	struct blockz_pack_options options = {
		.level = 2, .piece_size = format->piece_size_min, .raw = mixed_raw, .raw_count = 3,
	};
	struct blockz_pack_result result;
	struct blockz_source file = bytes_source(pack_image(format, image, options, &result));
	struct blockz_map *map = map_of(file, false);
	struct zeros_sink self = { .zeros = 0 };
	struct blockz_sink sink = { &ops, &self };
	struct blockz_work work = { .threads = 2 };
	ck_assert_int_eq(blockz_extract(&file, map, (struct blockz_range){ 0, image.len }, &sink, &work, NULL), BLOCKZ_OK);
	assert_bytes(self.sink.bytes, image);
	ck_assert_uint_gt(result.zero_bytes, 0);
	/* Where checks show it, pieces that are not whole are found to be zeros too. */
	if (has_own_index(format))
		ck_assert_uint_eq(self.zeros, result.zero_bytes);
	else
		ck_assert_uint_ge(self.zeros, result.zero_bytes);
	blockz_map_free(map);
}
END_TEST

START_TEST(extracting_fails_with_its_sink)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = mixed_image();
	struct blockz_pack_options options = {
		.level = 2, .piece_size = format->piece_size_min, .raw = mixed_raw, .raw_count = 3,
	};
	struct blockz_source file = bytes_source(pack_image(format, image, options, NULL));
	struct blockz_map *map = map_of(file, false);
	for (unsigned threads = 1; threads <= 3; threads++) {
		enum blockz_status status = BLOCKZ_FAILED;
		unsigned fail_at;
		for (fail_at = 1; status != BLOCKZ_OK; fail_at++) {
			struct growing_sink sink = { .fail_at = fail_at };
			struct blockz_fault fault;
			status = extract(&file, map, (struct blockz_range){ 5, image.len }, threads, &sink, &fault);
			ck_assert_int_eq(status, sink.calls >= fail_at ? BLOCKZ_FAILED : BLOCKZ_OK);
			ck_assert_uint_le(sink.calls, fail_at);
			assert_bytes(sink.bytes, (struct bytes){ image.data + 5, sink.bytes.len });
		}
		ck_assert_uint_gt(fail_at, 15);
	}
	blockz_map_free(map);
}
END_TEST

START_TEST(extracting_can_be_interrupted)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = mixed_image();
	struct blockz_pack_options options = { .level = 2, .piece_size = format->piece_size_min };
	struct blockz_source file = bytes_source(pack_image(format, image, options, NULL));
	struct blockz_map *map = map_of(file, false);
	enum blockz_status status = BLOCKZ_FAILED;
	for (unsigned stop_at = 1; status != BLOCKZ_OK; stop_at++) {
		struct watch watch = { .stop_at = stop_at };
		struct growing_sink sink = { .calls = 0 };
		struct blockz_sink out = growing_sink(&sink);
		struct blockz_work work = watched_work(&watch, 1 + stop_at % 3);
		struct blockz_fault fault;
		status = blockz_extract(&file, map, (struct blockz_range){ 0, image.len }, &out, &work, &fault);
		assert_watched(&watch, status, &fault);
		ck_assert(!watch.still);
		ck_assert_uint_eq(watch.image_done, sink.bytes.len);
	}
	blockz_map_free(map);
}
END_TEST

/* ---- Pieces that do not fit into memory ---- */

static void check_long(struct bytes file, struct bytes image, unsigned pieces)
{
	struct blockz_source source = bytes_source(file);
	struct blockz_map *map = map_of(source, true);
	struct blockz_reader *reader = reader_of(&source, map);
	ck_assert_uint_le(blockz_map_info(map).pieces, pieces);
	assert_extracts(&source, map, image, (struct blockz_range){ 0, image.len }, 2);
	if (!few_rounds)
		assert_extracts(&source, map, image, (struct blockz_range){ 1000001, image.len - 70000 }, 2);
	for (int i = 0; i < (few_rounds ? 1 : 3); i++)
		assert_read(reader, image, rnd_range(image.len));
	assert_read(reader, image, (struct blockz_range){ image.len - 1, image.len });
	assert_read(reader, image, (struct blockz_range){ 0, 1 });
	blockz_reader_free(reader);
	blockz_map_free(map);
	assert_verifies(file);
}

START_TEST(long_foreign_pieces)
{
	const size_t half = 17 * MIB + 5;
	struct bytes text = image_new(IMAGE_TEXT, half), noise = image_new(IMAGE_NOISE, 300000);
	check_long(zlib_pack(bytes_join(text, text), 1, Z_DEFAULT_STRATEGY), bytes_join(text, text), 1);
	/* A long one before stored blocks, and another behind that refers to them. */
	struct bytes image = bytes_join(bytes_join(text, text), bytes_join(noise, bytes_join(noise, bytes_join(text, text))));
	struct zlib_file *file = zlib_begin(1, Z_DEFAULT_STRATEGY, image.len);
	zlib_put(file, image.data, 2 * half, Z_SYNC_FLUSH);
	zlib_level(file, 0);
	zlib_put(file, noise.data, noise.len, Z_SYNC_FLUSH);
	zlib_level(file, 1);
	zlib_put(file, image.data + 2 * half + noise.len, noise.len + 2 * half, Z_NO_FLUSH);
	check_long(zlib_end(file), image, 4);
	if (few_rounds)
		return;
	/* Long in the file too. */
	image = image_new(IMAGE_NOISE, 36 * MIB);
	for (size_t i = 0; i < image.len; i++)
		image.data[i] %= 200;
	check_long(zlib_pack(image, 1, Z_HUFFMAN_ONLY), image, 1);
}
END_TEST

START_TEST(damage_in_long_pieces_is_found)
{
	struct bytes image = image_new(IMAGE_TEXT, 33 * MIB);
	struct bytes file = zlib_pack(image, 1, Z_DEFAULT_STRATEGY);
	struct blockz_source source = bytes_source(file);
	struct blockz_map *map = map_of(source, true);
	struct growing_sink sink = { .calls = 0 };
	struct blockz_fault fault;
	/* After the map was made: a scan would find it too. */
	memset(file.data + file.len / 2, 0xff, 64);
	ck_assert_int_eq(extract(&source, map, (struct blockz_range){ 0, image.len }, 2, &sink, &fault), BLOCKZ_DAMAGED);
	ck_assert_uint_ge(fault.offset, file.len / 2);
	ck_assert_uint_le(fault.offset, file.len);
	blockz_map_free(map);
}
END_TEST

/* ---- Damage ---- */

/* What is read is the image, or the call says that it is damaged, and where. */
static unsigned flip_and_read(struct bytes file, struct bytes image, const struct blockz_map_range *part)
{
	unsigned found = 0;
	struct blockz_source source = bytes_source(file);
	struct blockz_map *map = map_of(source, false);
	struct blockz_range range = { part->start, part->end };
	for (int i = 0; i < 200; i++) {
		uint64_t at = part->file_off + rnd_below(part->file_end - part->file_off);
		struct growing_sink sink = { .calls = 0 };
		struct blockz_fault fault;
		file.data[at] ^= (uint8_t)(1u << i % 8);
		enum blockz_status status = extract(&source, map, range, 1, &sink, &fault);
		if (status == BLOCKZ_OK) {
			assert_bytes(sink.bytes, (struct bytes){ image.data + part->start, part->end - part->start });
		} else {
			ck_assert_int_eq(status, BLOCKZ_DAMAGED);
			ck_assert_uint_ge(fault.offset, part->file_off);
			ck_assert_uint_le(fault.offset, part->file_end);
			found++;
		}
		assert_extracts(&source, map, image, (struct blockz_range){ 0, part->start }, 2);
		assert_extracts(&source, map, image, (struct blockz_range){ part->end, image.len }, 2);
		file.data[at] ^= (uint8_t)(1u << i % 8);
	}
	blockz_map_free(map);
	return found;
}

START_TEST(damage_is_found_where_it_is)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = image_new(IMAGE_TEXT, 60000);
	const struct blockz_range raw[] = { { 0, 20000 }, { 40000, 60000 } };
	struct blockz_pack_options options = { .level = 2, .raw = raw, .raw_count = 2 };
	struct bytes file = pack_image(format, image, options, NULL);
	struct blockz_map *map = map_of(bytes_source(file), false);
	struct blockz_map_range part;
	ck_assert(blockz_map_range_at(map, 30000, &part));
	ck_assert_int_eq(part.kind, BLOCKZ_COMPRESSED);
	ck_assert_uint_eq(part.start, 20000);
	ck_assert_uint_eq(part.end, 40000);
	blockz_map_free(map);
	ck_assert_uint_gt(flip_and_read(file, image, &part), 190);
}
END_TEST

START_TEST(files_that_shrink_are_damaged)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = image_new(IMAGE_DISK, 300000);
	struct blockz_range raw = { 200000, 300000 };
	struct bytes file = pack_image(format, image, (struct blockz_pack_options){ .level = 2, .raw = &raw, .raw_count = 1 }, NULL);
	struct blockz_source source = bytes_source(file);
	struct blockz_map *map = map_of(source, false);
	for (size_t len = file.len / 2; len > 0; len /= 3) {
		struct blockz_source shorter = bytes_source((struct bytes){ file.data, len });
		struct growing_sink sink = { .calls = 0 };
		struct blockz_fault fault;
		ck_assert_int_eq(extract(&shorter, map, (struct blockz_range){ 0, image.len }, 2, &sink, &fault),
				 BLOCKZ_DAMAGED);
		assert_bytes(sink.bytes, (struct bytes){ image.data, sink.bytes.len });
	}
	blockz_map_free(map);
}
END_TEST

int main(void)
{
	TCase *c = case_new("read");
	case_add_formats(c, any_part_of_the_image);
	case_add_formats(c, nothing_beyond_the_image);
	case_add_formats(c, zero_pieces_become_holes);
	case_add_formats(c, extracting_fails_with_its_sink);
	case_add_formats(c, extracting_can_be_interrupted);
	tcase_add_test(c, long_foreign_pieces);
	tcase_add_test(c, damage_in_long_pieces_is_found);
	case_add_formats(c, damage_is_found_where_it_is);
	case_add_formats(c, files_that_shrink_are_damaged);
	return case_run("read", c);
}
