/* SPDX-License-Identifier: BSD-3-Clause */
/* Other programs' files whose images get another size: one stream or frame, several, long ones, with what stands behind them. */
#include <stdlib.h>
#include <string.h>

#include "foreign.h"
#include "foreign_xz.h"
#include "foreign_zst.h"
#include "resized.h"

enum { LEN = 300000, LONG = 34 * MIB };

/* ---- Writers ---- */

struct foreign {
	const char *format;
	struct bytes image, file;
};

static struct foreign by_zlib(void)
{
	struct bytes image = image_new(rnd_below(4) == 0 ? IMAGE_NOISE : IMAGE_TEXT, LEN + (size_t)rnd_below(16));
	return (struct foreign){ "gzip", image, zlib_pack(image, (int)rnd_below(10), rnd_below(3) == 0 ? Z_FIXED : Z_DEFAULT_STRATEGY) };
}

static struct foreign by_libdeflate(void)
{
	struct bytes image = image_new(IMAGE_TEXT, LEN + (size_t)rnd_below(16));
	return (struct foreign){ "gzip", image, libdeflate_pack(image, 1 + (int)rnd_below(12)) };
}

/* A stream that ends as pigz has it: an empty last block, at the edge of a byte or not. */
static struct foreign by_parts(void)
{
	struct bytes image = image_new(IMAGE_TEXT, LEN);
	struct zlib_file *file = zlib_begin(6, Z_DEFAULT_STRATEGY, LEN);
	for (size_t pos = 0; pos < LEN; pos += 50000)
		zlib_put(file, image.data + pos, 50000, rnd_below(2) == 0 ? Z_FULL_FLUSH : Z_NO_FLUSH);
	return (struct foreign){ "gzip", image, zlib_end(file) };
}

/* Members, some of them empty, and zeros behind the last. */
static struct foreign of_members(void)
{
	struct foreign all = { "gzip", bytes_new(0), bytes_new(0) };
	for (int i = 0; i < 4; i++) {
		struct bytes image = image_new(IMAGE_TEXT, i == 2 ? 0 : LEN / 3);
		all.image = bytes_join(all.image, image);
		all.file = bytes_join(all.file, zlib_pack(image, 6, Z_DEFAULT_STRATEGY));
	}
	if (rnd_below(2) == 0)
		all.file = bytes_join(all.file, bytes_new(512));
	return all;
}

static struct foreign by_xz(void)
{
	struct bytes image = image_new(IMAGE_TEXT, LEN);
	return (struct foreign){ "xz", image, xz_easy(image, 1, rnd_below(2) == 0 ? LZMA_CHECK_CRC32 : LZMA_CHECK_SHA256) };
}

static struct foreign by_xz_threads(void)
{
	struct bytes image = image_new(IMAGE_TEXT, LEN);
	return (struct foreign){ "xz", image, xz_threaded(image, 1, LZMA_CHECK_CRC64, 65536) };
}

/* Streams with other checks each, padding between them, and one without Blocks. */
static struct foreign of_streams(void)
{
	static const lzma_check checks[] = { LZMA_CHECK_CRC32, LZMA_CHECK_CRC64, LZMA_CHECK_NONE, LZMA_CHECK_SHA256 };
	struct foreign all = { "xz", bytes_new(0), bytes_new(0) };
	lzma_options_lzma options;
	const lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	ck_assert(!lzma_lzma_preset(&options, 0));
	for (int i = 0; i < 4; i++) {
		struct xz_stream *stream = xz_begin(checks[i]);
		for (int blocks = i == 1 ? 0 : 2; blocks > 0; blocks--) {
			struct bytes image = image_new(IMAGE_TEXT, LEN / 7);
			stream->no_sizes = blocks == 1;
			xz_put(stream, image, filters);
			all.image = bytes_join(all.image, image);
		}
		all.file = bytes_join(all.file, xz_end(stream));
		if (rnd_below(2) == 0)
			all.file = bytes_join(all.file, bytes_new(4 + 4 * (size_t)rnd_below(3)));
	}
	return all;
}

static struct foreign by_zstd(void)
{
	const struct zst_parameter parameters[] = {
		{ ZSTD_c_compressionLevel, 1 + (int)rnd_below(5) }, { ZSTD_c_checksumFlag, (int)rnd_below(2) },
	};
	struct bytes image = image_new(IMAGE_TEXT, LEN);
	return (struct foreign){ "zstd", image, zst_compress(image, rnd_below(2) == 0, parameters, 2) };
}

/* Frames, with others between them that decoders pass over; with a table, if there is one, that has no checksums. */
static struct foreign of_frames(void)
{
	struct foreign all = { "zstd", bytes_new(0), bytes_new(0) };
	struct seek_entry entries[10];
	size_t count = 0;
	bool with_table = rnd_below(2) == 0;
	for (int i = 0; i < 5; i++) {
		struct bytes image = image_new(IMAGE_TEXT, LEN / 5 - 10 * (size_t)i), frame = zst_compress(image, true, NULL, 0);
		struct zst_file skipped = { .room = 0 };
		zst_put_skippable(&skipped, i, 5 + (size_t)i);
		all.image = bytes_join(all.image, image);
		all.file = bytes_join(all.file, bytes_join(skipped.bytes, frame));
		entries[count++] = (struct seek_entry){ .file_len = (uint32_t)skipped.bytes.len };
		entries[count++] = (struct seek_entry){ .file_len = (uint32_t)frame.len, .image_len = (uint32_t)image.len };
	}
	if (with_table) {
		struct zst_file table = { .room = 0 };
		zst_put_table(&table, entries, count, false);
		all.file = bytes_join(all.file, table.bytes);
	}
	return all;
}

static struct foreign (*const writers[])(void) = {
	by_zlib, by_libdeflate, by_parts, of_members, by_xz, by_xz_threads, of_streams, by_zstd, of_frames,
};

enum { WRITERS = sizeof(writers) / sizeof(writers[0]) };

/* ---- Any size, with edits ---- */

static void assert_any(const char *format, struct bytes file, struct bytes image)
{
	struct bytes room = { keep(image.len + 1), image.len + 1 };
	struct blockz_verify_result result;
	struct blockz_fault fault;
	size_t len = 0;
	ck_assert_msg(judge_any(format, file, room, &len), "%s: refused", format);
	assert_bytes((struct bytes){ room.data, len }, image);
	ck_assert_msg(verify_file(file, false, &result, &fault) == BLOCKZ_OK, "%s", fault.text);
	ck_assert_uint_eq(result.map.image_size, image.len);
}

static uint64_t random_size(uint64_t now)
{
	switch (rnd_below(8)) {
	case 0:
		return rnd_below(2) * now;
	case 1:
		return now + rnd_below(9) - (now > 4 ? 4 : now);
	case 2:
		return LEN / 3 * rnd_below(5); /* an edge of members */
	case 3:
		return 65536 * rnd_below(6); /* of Blocks */
	default:
		return rnd_below(2 * LEN);
	}
}

START_TEST(random_sizes)
{
	for (int round = 0; round < (few_rounds ? 6 : 10); round++) {
		const struct kept *mark = kept_so_far();
		struct foreign foreign = writers[_i]();
		for (int again = 0; again < 3; again++) {
			uint64_t size = random_size(foreign.image.len);
			struct bytes edited = plain_resize(foreign.image, size);
			struct blockz_edit edits[2];
			size_t count = size > 0 ? (size_t)rnd_below(3) : 0;
			for (size_t i = 0; i < count; i++)
				edits[i] = edit_about(edited, foreign.image.len);
			foreign.file = resize(foreign.file, false, size, edits, count);
			foreign.image = edited;
			assert_any(foreign.format, foreign.file, edited);
		}
		forget_since(mark);
	}
}
END_TEST

/* The end of a stream at each phase, in blocks of all types, is opened. */
static struct bytes ended(struct bytes image, int how)
{
	static const int strategies[] = { Z_DEFAULT_STRATEGY, Z_FIXED, Z_HUFFMAN_ONLY, Z_RLE };
	if (how < 4)
		return zlib_pack(image, 6, strategies[how]);
	return how < 7 ? libdeflate_pack(image, 1 + how) : zlib_pack(image, 0, Z_DEFAULT_STRATEGY);
}

START_TEST(each_end_of_a_stream)
{
	for (size_t len = 1; len < 60; len++)
		for (int how = 0; how < 8; how++) {
			const struct kept *mark = kept_so_far();
			struct bytes image = image_new(IMAGE_TEXT, len);
			struct bytes resized = resize(ended(image, how), false, len + 7, NULL, 0);
			assert_decodes("gzip", resized, plain_resize(image, len + 7)); /* one member still */
			assert_any("gzip", resized, plain_resize(image, len + 7));
			forget_since(mark);
		}
}
END_TEST

/* ---- Long pieces ---- */

static struct foreign long_file(int i)
{
	struct bytes image = image_new(IMAGE_TEXT, LONG);
	const struct zst_parameter fast[] = { { ZSTD_c_compressionLevel, 1 }, { ZSTD_c_checksumFlag, 1 } };
	/* For it to be short work: text at both ends, and where the image may end. */
	memset(image.data + MIB, 0, 512 * KIB);
	memset(image.data + 2 * MIB + 64 * KIB, 0, LONG - 3 * MIB - 64 * KIB);
	switch (i) {
	case 0:
		return (struct foreign){ "gzip", image, zlib_pack(image, 1, Z_DEFAULT_STRATEGY) };
	case 1:
		return (struct foreign){ "xz", image, xz_easy(image, 0, LZMA_CHECK_CRC64) };
	default:
		return (struct foreign){ "zstd", image, zst_compress(image, true, fast, 2) };
	}
}

/* Near the beginning, where all behind it is encoded again, or at the new end. */
START_TEST(long_pieces)
{
	static const struct {
		uint64_t end, at;
	} cases[] = {
		{ 100, 50 }, { 2 * MIB + 5, 50 }, { 2 * MIB + 5, 2 * MIB - 15 }, { 20 * MIB, 50 }, { 20 * MIB, 20 * MIB - 20 },
		{ LONG - 1, LONG - 21 }, { LONG + 1, 50 }, { LONG + 10 * MIB, LONG + 10 * MIB - 20 },
	};
	const struct foreign foreign = long_file(_i);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct kept *mark = kept_so_far();
		struct bytes edited = plain_resize(foreign.image, cases[i].end);
		fill_text(edited.data + cases[i].at, 20);
		struct blockz_edit edit = edit_from(edited, (struct blockz_range){ cases[i].at, cases[i].at + 20 });
		assert_any(foreign.format, resize(foreign.file, false, cases[i].end, &edit, 1), edited);
		forget_since(mark);
	}
}
END_TEST

/* Of a long piece that is cut, little is encoded again, and what stands before that stays as it was. */
START_TEST(long_pieces_end_early)
{
	enum { BEFORE = 1000 }; /* where a header may have another size, or a bit of the last byte differs */
	const struct foreign foreign = long_file(_i);
	const uint64_t ends[] = { 2 * MIB + 5, 20 * MIB, LONG - 1 };
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		const struct kept *mark = kept_so_far();
		struct outcome outcome;
		struct blockz_fault fault;
		ck_assert_msg(resize_by(foreign.file, false, ends[i], NULL, 0, BLOCKZ_WAY_AUTO, &outcome, &fault) == BLOCKZ_OK, "%s",
			      fault.text);
		assert_any(foreign.format, outcome.file, plain_resize(foreign.image, ends[i]));
		ck_assert_uint_lt(outcome.info.renewed.image_bytes, ends[i] == 20 * MIB ? 10 * MIB : MIB);
		size_t same = foreign.file.len / 3; /* which is less than what stands before 2 MiB, half of the text */
		same = ends[i] < 3 * MIB ? foreign.file.len / 5 : same;
		ck_assert(memcmp(outcome.file.data + BEFORE, foreign.file.data + BEFORE, same) == 0);
		forget_since(mark);
	}
}
END_TEST

/* Damage before and behind a cut inside of a long piece: it is refused, or shows afterwards. */
START_TEST(damage_of_long_pieces)
{
	const struct foreign foreign = long_file(_i);
	const struct blockz_format *format = format_named(foreign.format);
	const uint64_t end = 31 * MIB + 500000;
	for (int round = 0; round < (few_rounds ? 3 : 12); round++) {
		const struct kept *mark = kept_so_far();
		struct bytes file = bytes_flipped(foreign.file, rnd_below(8 * foreign.file.len)), room = { keep(LONG), LONG };
		const struct blockz_source source = bytes_source(file);
		struct blockz_map *map = NULL;
		struct outcome outcome;
		size_t len = 0;
		if (blockz_map_read(&source, NULL, &map, NULL) == BLOCKZ_OK &&
		    resize_by(file, false, end, NULL, 0, BLOCKZ_WAY_AUTO, &outcome, NULL) == BLOCKZ_OK &&
		    called_good(format, outcome.file, room, &len))
			assert_bytes((struct bytes){ room.data, len }, plain_resize(foreign.image, end));
		blockz_map_free(map);
		forget_since(mark);
	}
}
END_TEST

/* The last block of a long stream cannot be edited and followed at once, but one after the other. */
START_TEST(the_end_of_a_long_stream)
{
	const struct foreign foreign = long_file(0);
	struct bytes edited = plain_resize(foreign.image, LONG + 5);
	struct outcome outcome;
	struct blockz_fault fault;
	edited.data[LONG - 1] ^= 1;
	struct blockz_edit edit = edit_from(edited, (struct blockz_range){ LONG - 1, LONG });
	ck_assert_int_eq(resize_by(foreign.file, false, LONG + 5, &edit, 1, BLOCKZ_WAY_AUTO, &outcome, &fault), BLOCKZ_UNSUPPORTED);
	ck_assert_msg(strstr(fault.text, "one after the other can") != NULL, "%s", fault.text);
	struct bytes longer = resize(foreign.file, false, LONG + 5, NULL, 0);
	assert_any("gzip", resize(longer, false, LONG + 5, &edit, 1), edited);
}
END_TEST

int main(void)
{
	TCase *c = case_new("resize_foreign");
	tcase_add_loop_test(c, random_sizes, 0, WRITERS);
	tcase_add_test(c, each_end_of_a_stream);
	tcase_add_loop_test(c, long_pieces, 0, 3);
	tcase_add_loop_test(c, long_pieces_end_early, 0, 3);
	tcase_add_loop_test(c, damage_of_long_pieces, 0, 3);
	tcase_add_test(c, the_end_of_a_long_stream);
	return case_run("resize_foreign", c);
}
