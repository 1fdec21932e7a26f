/* SPDX-License-Identifier: BSD-3-Clause */
/* Compressed files by their pieces, and files that are plain bytes. */
#include <string.h>
#include <zlib.h>

#include "codec/prove.h"
#include "foreign.h"
#include "foreign_xz.h"
#include "images.h"
#include "taken_apart.h"

static struct bytes join_plain(const struct taken_apart *file)
{
	struct bytes joined = { NULL, 0 };
	for (size_t i = 0; i < file->blocks.count; i++)
		joined = bytes_join(joined, file->plain[i]);
	return joined;
}

/* The image without a range. */
static struct bytes without(struct bytes image, struct blockz_range range)
{
	return bytes_join((struct bytes){ image.data, (size_t)range.start },
			  (struct bytes){ image.data + range.end, image.len - (size_t)range.end });
}

START_TEST(compressed_pieces_are_blocks)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = image_new(IMAGE_TEXT, 3 * MIB + 12345);
	const struct blockz_range raw = { MIB, 2 * MIB };
	struct blockz_pack_options options = { .level = 1, .piece_size = 256 * KIB, .raw = &raw, .raw_count = 1 };
	for (int has_raw = 0; has_raw < 2; has_raw++) {
		options.raw_count = (size_t)has_raw;
		struct bytes file = pack_image(format, image, options, NULL);
		struct taken_apart apart = take_apart(file, NULL);
		ck_assert_str_eq(apart.blocks.container, format->name);
		ck_assert_str_eq(apart.blocks.note, "");
		ck_assert_uint_eq(apart.blocks.size, file.len);
		ck_assert_uint_eq(apart.blocks.count, has_raw ? 9 : 13);
		assert_bytes(join_plain(&apart), has_raw ? without(image, raw) : image);
		taken_apart_free(&apart);
	}
}
END_TEST

enum { PROVED_MAX = 16 };

/* All blocks of a file are made again, by the candidates that are returned. */
static void assert_proved(struct bytes file, size_t count, uint8_t proof[PROVED_MAX])
{
	static const uint32_t wanted[PROVED_MAX] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	struct taken_apart apart = take_apart(file, NULL);
	struct blockz_source source = bytes_source(file);
	const struct codec_env env = { NULL };
	const struct blockz_work work = { .threads = 2 };
	uint64_t cost[PROVED_MAX];
	ck_assert_uint_eq(apart.blocks.count, count);
	const struct proofs proofs = { &source, &apart.blocks, &env, wanted, count, proof, cost, NULL };
	ck_assert_int_eq(prove_blocks(&proofs, &work, NULL), BLOCKZ_OK);
	for (size_t block = 0; block < count; block++)
		ck_assert_msg(proof[block] != PROVE_NONE, "block %zu", block);
	taken_apart_free(&apart);
}

/* At the default level and another, with the default check and none: the encoder is among the candidates. */
START_TEST(the_encoder_is_suggested)
{
	const struct blockz_format *format = format_of(_i);
	struct bytes image = image_new(IMAGE_TEXT, 700 * KIB);
	for (int i = 0; i < 2; i++) {
		const struct blockz_pack_options options = { .piece_size = 256 * KIB, .level = i == 0 ? 0 : 2, .extreme = false };
		uint8_t proof[PROVED_MAX];
		assert_proved(pack_image(format, image, options, NULL), 3, proof);
		ck_assert(i == 1 || proof[0] == 0);
	}
}
END_TEST

/* A last Block that is so short that blockz would have written a shorter header. */
START_TEST(short_blocks_have_long_headers)
{
	static const size_t lasts[] = { 500, 3 * KIB, 200 * KIB };
	uint8_t proof[PROVED_MAX];
	for (size_t i = 0; i < sizeof(lasts) / sizeof(lasts[0]); i++) {
		struct bytes image = image_new(IMAGE_TEXT, 2 * 256 * KIB + lasts[i]);
		assert_proved(xz_threaded(image, 1, LZMA_CHECK_CRC64, 256 * KIB), 3, proof);
		assert_proved(pack_image(format_named("xz"), image, (struct blockz_pack_options){ .piece_size = 256 * KIB }, NULL),
			      3, proof);
	}
}
END_TEST

/* Without threads liblzma writes no sizes, and of how many bytes the Check is shows only where the chunks end. */
START_TEST(headers_may_lack_sizes)
{
	static const lzma_check checks[] = { LZMA_CHECK_NONE, LZMA_CHECK_CRC32, LZMA_CHECK_CRC64, LZMA_CHECK_SHA256 };
	uint8_t proof[PROVED_MAX];
	for (uint32_t i = 0; i < 4; i++)
		assert_proved(xz_easy(image_new(IMAGE_TEXT, 700 * KIB + i), i, checks[i]), 1, proof);
	assert_proved(xz_easy(image_new(IMAGE_TEXT, 2 * MIB), 4 | LZMA_PRESET_EXTREME, LZMA_CHECK_CRC64), 1, proof);
}
END_TEST

/* Blocks of one file may be laid out in different ways: here with as much room for sizes as these very sizes need. */
START_TEST(headers_may_differ)
{
	struct bytes image = image_new(IMAGE_TEXT, 2200 * KIB);
	struct xz_stream *stream = xz_begin(LZMA_CHECK_CRC32);
	lzma_options_lzma options;
	uint8_t proof[PROVED_MAX];
	ck_assert(!lzma_lzma_preset(&options, 0));
	const lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	for (int i = 0; i < 6; i++) {
		stream->no_sizes = i % 3 == 0;
		xz_put(stream, (struct bytes){ image.data, i % 2 == 0 ? image.len : 5000 }, filters);
	}
	assert_proved(xz_end(stream), 6, proof);
}
END_TEST

/* Pieces that zlib made are not tried in vain; those of blockz are found by a scan, too. */
START_TEST(pieces_of_zlib_have_no_encoder)
{
	enum { PARTS = 3, PART = 400 * KIB };
	struct bytes image = image_new(IMAGE_TEXT, PARTS * PART);
	struct zlib_file *file = zlib_begin(6, Z_DEFAULT_STRATEGY, image.len);
	for (size_t i = 0; i < PARTS; i++)
		zlib_put(file, image.data + i * PART, PART, Z_FULL_FLUSH);
	struct taken_apart foreign = take_apart(zlib_end(file), NULL);
	ck_assert_uint_ge(foreign.blocks.count, 2);
	ck_assert_uint_eq(foreign.blocks.candidate_count, 0);
	taken_apart_free(&foreign);
	uint8_t proof[PROVED_MAX];
	assert_proved(pack_image(format_named("gzip"), image,
				 (struct blockz_pack_options){ .piece_size = 512 * KIB, .no_index = true, .level = 3 }, NULL),
		      2, proof);
}
END_TEST

START_TEST(zeros_are_no_blocks)
{
	struct bytes file = pack_image(format_of(_i), image_new(IMAGE_ZEROS, 4 * MIB),
				       (struct blockz_pack_options){ .piece_size = 256 * KIB }, NULL);
	struct taken_apart apart = take_apart(file, NULL);
	ck_assert_str_eq(apart.blocks.container, format_of(_i)->name);
	ck_assert_uint_eq(apart.blocks.count, 0);
	ck_assert_str_eq(apart.blocks.note, "");
	taken_apart_free(&apart);
}
END_TEST

static struct bytes gzip_by_zlib(struct bytes image)
{
	struct bytes file = bytes_new(image.len + MIB);
	z_stream stream = { .next_in = image.data, .avail_in = (uInt)image.len };
	ck_assert_int_eq(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	stream.next_out = file.data;
	stream.avail_out = (uInt)file.len;
	ck_assert_int_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
	file.len = stream.total_out;
	deflateEnd(&stream);
	return file;
}

START_TEST(one_stream_has_no_pieces)
{
	struct taken_apart apart = take_apart(gzip_by_zlib(image_new(IMAGE_TEXT, 3 * MIB)), NULL);
	ck_assert_str_eq(apart.blocks.container, "gzip");
	ck_assert_uint_eq(apart.blocks.count, 0);
	ck_assert_str_eq(apart.blocks.note, "one gzip stream of 3072 KiB, no pieces");
	taken_apart_free(&apart);
}
END_TEST

START_TEST(pieces_may_be_too_long)
{
	struct bytes image = image_new(IMAGE_TEXT, CODEC_BLOCK_MAX + MIB);
	struct bytes file = pack_image(format_named("zstd"), image,
				       (struct blockz_pack_options){ .piece_size = 64 * MIB, .level = 1 }, NULL);
	struct taken_apart apart = take_apart(file, NULL);
	ck_assert_uint_eq(apart.blocks.count, 0);
	ck_assert_str_eq(apart.blocks.note, "one zstd frame of 33 MiB; those of more than 32 MiB stay packed");
	taken_apart_free(&apart);
}
END_TEST

START_TEST(others_are_plain)
{
	struct bytes text = image_new(IMAGE_TEXT, 100 * KIB);
	assert_plain(text, NULL);
	assert_plain((struct bytes){ text.data, 1 }, NULL);
	assert_plain((struct bytes){ text.data, 0 }, NULL);
}
END_TEST

START_TEST(damaged_files_are_plain)
{
	struct bytes file = pack_image(format_of(_i), image_new(IMAGE_TEXT, MIB),
				       (struct blockz_pack_options){ .no_index = true }, NULL);
	file.len /= 2;
	assert_plain(file, "pieces: offset");
}
END_TEST

START_TEST(an_error_of_the_system_is_one)
{
	struct bytes file = pack_image(format_of(_i), image_new(IMAGE_TEXT, MIB), (struct blockz_pack_options){ .level = 1 }, NULL);
	const struct codec_env env = { NULL };
	for (unsigned n = 1;; n++) {
		struct flaky_source flaky = { .bytes = file, .fail_at = n };
		struct blockz_source source = flaky_source(&flaky);
		struct blockz_fault fault = { .text = "" };
		struct blocks blocks;
		enum blockz_status status = container_read(&source, &env, &blocks, &fault);
		if (status == BLOCKZ_OK)
			blocks_free(&blocks);
		if (flaky.reads < n)
			break;
		ck_assert_int_eq(status, BLOCKZ_FAILED);
		ck_assert_int_eq(fault.status, BLOCKZ_FAILED);
	}
}
END_TEST

int main(void)
{
	TCase *c = case_new("pieces");
	case_add_formats(c, compressed_pieces_are_blocks);
	case_add_formats(c, the_encoder_is_suggested);
	tcase_add_test(c, short_blocks_have_long_headers);
	tcase_add_test(c, headers_may_lack_sizes);
	tcase_add_test(c, headers_may_differ);
	tcase_add_test(c, pieces_of_zlib_have_no_encoder);
	case_add_formats(c, zeros_are_no_blocks);
	tcase_add_test(c, one_stream_has_no_pieces);
	tcase_add_test(c, pieces_may_be_too_long);
	tcase_add_test(c, others_are_plain);
	case_add_formats(c, damaged_files_are_plain);
	case_add_formats(c, an_error_of_the_system_is_one);
	return case_run("pieces", c);
}
