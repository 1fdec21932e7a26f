/* SPDX-License-Identifier: BSD-3-Clause */
/* Edits inside zstd frames of any writer: libzstd decodes what comes out to the edited image, and nothing else has changed. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "format/format.h"
#include "format/formats.h"
#include "format/zstd/text_window.h"
#include "foreign_zst.h"
#include "splices.h"

enum { BLOCK = 131072 };

/* ---- One splice, and what it has to keep to ---- */

static enum blockz_status splice(struct splice_record *record, struct blockz_source source, bool scan,
				 const struct blockz_range *ranges, size_t count, bool *done_ret, struct blockz_fault *fault)
{
	struct blockz_map *map = map_of(bytes_source(record->file), scan);
	uint32_t check = 0;
	struct piece_edit edit = {
		.file = &source, .map = map, .ranges = ranges, .count = count, .keep_length = record->keep_length, .check_ret = &check,
		.lay_over = record_lay_over, .replace = record_replace, .changed = record_changed, .ctx = record,
	};
	ck_assert_uint_eq(map->piece_count, 1);
	enum blockz_status status = format_zstd.splice(&edit, done_ret, fault);
	blockz_map_free(map);
	if (status == BLOCKZ_OK && *done_ret)
		ck_assert_uint_eq(check, zst_sum(record->edited.data, record->edited.len));
	return status;
}

/* The file that comes out decodes to the edited image, in parts and at once. */
static struct bytes finish(struct splice_record *record)
{
	record_sort(record, true);
	struct bytes out = record_result(record), room = { malloc(record->image.len + 1), record->image.len };
	assert_decodes("zstd", out, record->edited);
	size_t len = ZSTD_decompress(room.data, room.len, out.data, out.len);
	ck_assert_msg(!ZSTD_isError(len), "%s", ZSTD_getErrorName(len));
	assert_bytes((struct bytes){ room.data, len }, record->edited);
	free(room.data);
	assert_bytes(record->told, record->edited);
	return out;
}

/* One that has to be possible; returns the new file. */
static struct bytes splice_ranges(struct bytes file, struct bytes image, struct bytes edited,
				  const struct blockz_range *ranges, size_t count)
{
	struct splice_record record = splice_record(file, image, edited);
	struct blockz_fault fault = { .text = "" };
	bool done = false;
	enum blockz_status status = splice(&record, bytes_source(file), true, ranges, count, &done, &fault);
	ck_assert_msg(status == BLOCKZ_OK && done, "splice: %s", fault.text);
	return finish(&record);
}

/* What is written over a range: other bytes each, of which few compress. */
static void scribble(struct bytes image, struct blockz_range range)
{
	for (uint64_t i = range.start; i < range.end; i++)
		image.data[i] ^= (uint8_t)(1 + rnd_below(255));
}

/* Edits ranges of all lengths at the places where something can go wrong, one by one. */
static void splice_everywhere(struct bytes file, struct bytes image)
{
	static const size_t lens[] = { 1, 64, 5000, 300000 };
	const uint64_t places[] = { 0, image.len / 3, BLOCK - 1, BLOCK, image.len };
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		const struct kept *mark = kept_so_far();
		size_t len = lens[(i + rnd()) % 4];
		len = len < image.len ? len : image.len;
		uint64_t start = places[i] < image.len - len ? places[i] : image.len - len;
		struct blockz_range range = { start, start + len };
		struct bytes edited = bytes_copy(image);
		scribble(edited, range);
		splice_ranges(file, image, edited, &range, 1);
		forget_since(mark);
	}
}

/* An image whose parts come again, from near and from far, so that much of it is copied from what is edited. */
static struct bytes tempting_image(size_t len)
{
	struct bytes image = image_new(IMAGE_TEXT, len);
	for (size_t pos = 20000; pos < len;) {
		size_t part = 500 + (size_t)rnd_below(60000), back = 1 + (size_t)rnd_below(pos < 3 * BLOCK ? pos : len);
		part = part < len - pos ? part : len - pos;
		if (rnd() % 4 == 0)
			rnd_fill(image.data + pos, part);
		for (size_t i = pos; i < pos + part && back <= pos; i++)
			image.data[i] = image.data[i - back];
		pos += part + (size_t)rnd_below(30000);
	}
	return image;
}

/* ---- Files of libzstd ---- */

START_TEST(levels)
{
	static const int by_test[] = { -3, 1, 3, 5, 9, 12, 19 };
	const struct zst_parameter parameters[] = { { ZSTD_c_compressionLevel, by_test[_i] }, { ZSTD_c_checksumFlag, 1 } };
	struct bytes image = tempting_image((by_test[_i] < 12 ? 2 : 1) * MIB + 1000);
	splice_everywhere(zst_compress(image, _i % 2, parameters, 2), image);
}
END_TEST

START_TEST(windows_and_threads)
{
	static const struct zst_parameter sets[][3] = {
		{ { ZSTD_c_windowLog, 10 }, { ZSTD_c_checksumFlag, 1 }, { ZSTD_c_compressionLevel, 9 } },
		{ { ZSTD_c_windowLog, 14 }, { ZSTD_c_checksumFlag, 0 }, { ZSTD_c_compressionLevel, 3 } },
		{ { ZSTD_c_windowLog, 17 }, { ZSTD_c_checksumFlag, 1 }, { ZSTD_c_compressionLevel, 5 } },
		{ { ZSTD_c_windowLog, 24 }, { ZSTD_c_checksumFlag, 1 }, { ZSTD_c_enableLongDistanceMatching, 1 } },
		{ { ZSTD_c_nbWorkers, 2 }, { ZSTD_c_checksumFlag, 1 }, { ZSTD_c_jobSize, 512 * KIB } },
	};
	struct bytes image = tempting_image(_i == 0 ? 700 * KIB : 2 * MIB);
	splice_everywhere(zst_compress(image, false, sets[_i], 3), image);
}
END_TEST

/* Small frames, of a single segment and shorter than any window. */
START_TEST(short_frames)
{
	for (size_t len = 1; len < 5000; len += 1 + len / 3) {
		const struct zst_parameter checksum = { ZSTD_c_checksumFlag, (int)(len % 2) };
		for (int kind = 0; kind < IMAGE_KINDS; kind++) {
			struct bytes image = image_new((enum image_kind)kind, len), edited = bytes_copy(image);
			struct blockz_range range = rnd_range(len);
			scribble(edited, range);
			splice_ranges(zst_compress(image, kind % 2, &checksum, 1), image, edited, &range, 1);
		}
	}
}
END_TEST

START_TEST(several_ranges)
{
	const struct zst_parameter checksum = { ZSTD_c_checksumFlag, 1 };
	struct bytes image = tempting_image(4 * MIB), file = zst_compress(image, true, &checksum, 1);
	for (int round = 0; round < 2; round++) {
		const struct kept *mark = kept_so_far();
		struct bytes edited = bytes_copy(image);
		struct blockz_range ranges[30];
		size_t count = 0;
		for (uint64_t pos = 0; count < 30 && pos < image.len; count++) {
			uint64_t start = min(pos + rnd_below(round % 2 ? 300000 : 9000), image.len - 1);
			ranges[count] = (struct blockz_range){ start, min(start + 1 + rnd_below(2000), image.len) };
			/* Some of them ask for what is there already. */
			if (count % 3)
				scribble(edited, ranges[count]);
			pos = ranges[count].end + 1;
		}
		splice_ranges(file, image, edited, ranges, count);
		forget_since(mark);
	}
}
END_TEST

START_TEST(what_is_there_already)
{
	struct bytes image = tempting_image(MIB), file = zst_compress(image, true, NULL, 0);
	assert_bytes(splice_ranges(file, image, image, &(struct blockz_range){ 1000, 500000 }, 1), file);
}
END_TEST

/* ---- How much longer files become ---- */

START_TEST(growth)
{
	static const int by_test[] = { 1, 3, 6, 9, 12, 19, 22 };
	const struct zst_parameter parameters[] = { { ZSTD_c_compressionLevel, by_test[_i] }, { ZSTD_c_checksumFlag, 1 } };
	struct bytes image = tempting_image(MIB), file = zst_compress(image, false, parameters, 2);
	for (int round = 0; round < 4; round++) {
		struct bytes edited = bytes_copy(image);
		uint64_t start = rnd_below(image.len - 64);
		scribble(edited, (struct blockz_range){ start, start + 64 });
		struct bytes out = splice_ranges(file, image, edited, &(struct blockz_range){ start, start + 64 }, 1);
		ck_assert_msg(out.len <= file.len + KIB, "%zu bytes have become %zu", file.len, out.len);
	}
}
END_TEST

/* All replaced ranges keep their lengths; weak levels leave room for that, and noise in each byte does not. */
START_TEST(kept_lengths)
{
	const struct zst_parameter parameters[] = { { ZSTD_c_compressionLevel, 1 }, { ZSTD_c_checksumFlag, 1 } };
	struct bytes image = tempting_image(3 * MIB), file = zst_compress(image, false, parameters, 2);
	for (int round = 0; round < 8; round++) {
		const struct kept *mark = kept_so_far();
		struct bytes edited = bytes_copy(image);
		uint64_t start = round == 0 ? 0 : rnd_below(image.len - 64), len = round < 7 ? 64 : MIB;
		struct blockz_range range = { start, min(start + len, image.len) };
		scribble(edited, range);
		if (round == 7) { /* nothing of it compresses any more, but much of it did */
			range = (struct blockz_range){ 0, MIB };
			rnd_fill(edited.data, MIB);
		}
		struct splice_record record = splice_record(file, image, edited);
		bool done = round == 7;
		record.keep_length = true;
		ck_assert_int_eq(splice(&record, bytes_source(file), true, &range, 1, &done, NULL), BLOCKZ_OK);
		ck_assert_int_eq(done, round < 7);
		if (done)
			ck_assert_uint_eq(finish(&record).len, file.len);
		forget_since(mark);
	}
}
END_TEST

/* ---- Frames by hand ---- */

/* Raw blocks, repeated bytes, blocks without content before and behind them, and at last one that ends the frame. */
START_TEST(blocks_of_all_types)
{
	struct zst_file file = { .room = 0 };
	struct bytes image = image_new(IMAGE_TEXT, 300000);
	memset(image.data + 100000, 'x', 100000);
	zst_put_header(&file, ZST_CHECKSUM | ZST_SIZE_4, 7 << 3, image.len);
	zst_put_block(&file, false, ZST_RAW, 0, "");
	zst_put_block(&file, false, ZST_RAW, 100000, image.data);
	zst_put_block(&file, false, ZST_RAW, 0, "");
	zst_put_block(&file, false, ZST_RLE, 100000, "x");
	zst_put_block(&file, false, ZST_RLE, 0, "y");
	zst_put_block(&file, false, ZST_RAW, 100000, image.data + 200000);
	if (_i)
		zst_put_block(&file, true, ZST_RAW, 0, "");
	else
		file.bytes.data[file.bytes.len - 100000 - 3] |= 1;
	zst_put_checksum(&file, image);
	splice_everywhere(file.bytes, image);
	for (uint64_t start = 99990; start < 200010; start += 33337) {
		struct blockz_range range = { start, start + 10 };
		struct bytes edited = bytes_copy(image);
		scribble(edited, range);
		splice_ranges(file.bytes, image, edited, &range, 1);
	}
}
END_TEST

/* A frame whose checksum stands in the seek table alone: that is compared, and the new one told. */
START_TEST(checksum_of_a_seek_table)
{
	struct bytes image = tempting_image(400000), frame = zst_compress(image, true, NULL, 0), edited = bytes_copy(image);
	struct blockz_range range = { 1000, 1100 };
	scribble(edited, range);
	for (int lie = 0; lie < 2; lie++) {
		struct zst_file file = { .room = 0 };
		struct seek_entry entry = { (uint32_t)frame.len, (uint32_t)image.len, zst_sum(image.data, image.len) };
		entry.checksum ^= (uint32_t)lie << 7;
		zst_put(&file, frame.data, frame.len);
		zst_put_table(&file, &entry, 1, true);
		struct splice_record record = splice_record(file.bytes, image, edited);
		bool done = false;
		ck_assert_int_eq(splice(&record, bytes_source(file.bytes), false, &range, 1, &done, NULL),
				 lie ? BLOCKZ_DAMAGED : BLOCKZ_OK);
		ck_assert(done == !lie);
	}
}
END_TEST

/* ---- What goes wrong ---- */

/* Each read of the file, and each replacement, fails in turn. */
START_TEST(failures)
{
	const struct zst_parameter checksum = { ZSTD_c_checksumFlag, 1 };
	struct bytes image = image_new(IMAGE_NOISE, 2 * MIB), file = zst_compress(image, true, &checksum, 1);
	struct bytes edited = bytes_copy(image);
	struct blockz_range range = { 500000, 500001 };
	scribble(edited, range);
	bool done = false;
	for (unsigned fail_at = 1; !done; fail_at++) {
		struct splice_record record = splice_record(file, image, edited);
		struct flaky_source flaky = { .bytes = file, .fail_at = fail_at };
		struct blockz_fault fault = { .text = "" };
		enum blockz_status status = splice(&record, flaky_source(&flaky), true, &range, 1, &done, &fault);
		ck_assert_int_eq(status, flaky.reads >= fail_at ? BLOCKZ_FAILED : BLOCKZ_OK);
		ck_assert_int_eq(fault.status, status);
		ck_assert_uint_ge(fail_at > 1 ? fail_at : flaky.reads, 1);
	}
	unsigned calls = UINT_MAX;
	for (unsigned fail_at = 1; fail_at <= calls; fail_at++) {
		struct splice_record record = splice_record(file, image, edited);
		struct blockz_fault fault = { .text = "" };
		record.fail_at = fail_at;
		enum blockz_status status = splice(&record, bytes_source(file), true, &range, 1, &done, &fault);
		ck_assert_int_eq(status, record.calls >= fail_at ? BLOCKZ_FAILED : BLOCKZ_OK);
		ck_assert(status == BLOCKZ_OK || (fault.offset == 77 && record.calls == fail_at));
		calls = status == BLOCKZ_OK ? record.calls : calls;
	}
	ck_assert_uint_ge(calls, 4); /* an edit laid over, what has changed, blocks, a checksum */
}
END_TEST

static enum blockz_status lay_nothing(void *ctx, uint8_t *bytes, size_t len, uint64_t off, struct blockz_fault *fault)
{
	(void)ctx, (void)bytes, (void)len, (void)off, (void)fault;
	return BLOCKZ_OK;
}

/* Bits turned over, behind the header: the frame's checksum tells, if nothing else does. */
START_TEST(damage)
{
	const struct zst_parameter checksum = { ZSTD_c_checksumFlag, 1 };
	struct bytes image = tempting_image(200000), file = zst_compress(image, false, &checksum, 1);
	struct blockz_range range = { 3000, 3100 };
	for (int round = 0; round < 300; round++) {
		const struct kept *mark = kept_so_far();
		struct bytes bad = bytes_copy(file);
		size_t at = round < 4 ? file.len - 1 - (size_t)round : 6 + (size_t)rnd_below(file.len - 6);
		bad.data[at] ^= (uint8_t)(1 << rnd() % 8);
		struct blockz_source source = bytes_source(bad);
		struct blockz_map *map = NULL;
		struct splice_record record = splice_record(bad, image, image);
		bool done = false;
		if (blockz_map_read(&source, &(struct blockz_map_options){ .scan = true }, &map, NULL) == BLOCKZ_OK) {
			struct blockz_fault fault = { .text = "" };
			struct piece_edit edit = {
				.file = &source, .map = map, .ranges = &range, .count = 1, .lay_over = lay_nothing,
				.replace = record_replace, .changed = record_changed, .ctx = &record,
			};
			ck_assert_int_eq(format_zstd.splice(&edit, &done, &fault), BLOCKZ_DAMAGED);
			ck_assert(fault.text[0] != 0 && !done);
		}
		blockz_map_free(map);
		forget_since(mark);
	}
}
END_TEST

/* ---- Its parts ---- */

START_TEST(window_of_text)
{
	for (size_t size = 1; size < 40; size += 3) {
		struct text_window window = { .size = 0 };
		struct bytes text = image_new(IMAGE_NOISE, 300);
		ck_assert(text_window_begin(&window, size));
		for (size_t pos = 0, part; pos < text.len; pos += part) {
			part = min(rnd_below(2 * size), text.len - pos);
			text_window_add(&window, text.data + pos, part);
			size_t most = pos + part < size ? pos + part : size, len = (size_t)rnd_below(size + 2);
			struct text_part parts[2];
			text_window_last(&window, len, parts);
			len = len < most ? len : most;
			ck_assert_uint_eq(parts[0].len + parts[1].len, len);
			const uint8_t *expected = text.data + pos + part - len;
			ck_assert(parts[0].len == 0 || memcmp(parts[0].bytes, expected, parts[0].len) == 0);
			ck_assert(parts[1].len == 0 || memcmp(parts[1].bytes, expected + parts[0].len, parts[1].len) == 0);
		}
		buffer_free(&window.ring);
	}
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("zstd_splice");
	tcase_add_loop_test(tcase, levels, 0, 7);
	tcase_add_loop_test(tcase, windows_and_threads, 0, 5);
	tcase_add_test(tcase, short_frames);
	tcase_add_test(tcase, several_ranges);
	tcase_add_test(tcase, what_is_there_already);
	tcase_add_loop_test(tcase, growth, 0, 7);
	tcase_add_test(tcase, kept_lengths);
	tcase_add_loop_test(tcase, blocks_of_all_types, 0, 2);
	tcase_add_test(tcase, checksum_of_a_seek_table);
	tcase_add_test(tcase, failures);
	tcase_add_test(tcase, damage);
	tcase_add_test(tcase, window_of_text);
	return case_run("zstd_splice", tcase);
}
