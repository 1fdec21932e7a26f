/* SPDX-License-Identifier: BSD-3-Clause */
/* .xz files that are damaged, or lie: never good with other content, and never repaired by a patch. */
#include <string.h>

#include "base/bytes.h"
#include "damage.h"
#include "foreign_xz.h"

enum { CHUNK = 65536 };

static const char *const check_names[] = { "crc64", "crc32", "sha256", "none" };
static const lzma_check checks[] = { LZMA_CHECK_CRC64, LZMA_CHECK_CRC32, LZMA_CHECK_SHA256, LZMA_CHECK_NONE };

static struct bytes pack(struct bytes image, uint64_t piece_size, const char *check, const struct blockz_range *raw)
{
	struct blockz_pack_options options = {
		.level = 1, .check = check, .piece_size = piece_size, .raw = raw, .raw_count = raw != NULL,
	};
	return pack_image(format_named("xz"), image, options, NULL);
}

enum { SMALL_FILES = 9, SMALL_LEN = 300 };

static struct bytes small_file(int kind)
{
	struct bytes image = image_new(IMAGE_TEXT, SMALL_LEN);
	struct blockz_range raw = { 50, 170 };
	if (kind < 4)
		return pack(image, CHUNK, check_names[kind], &raw);
	if (kind < 8)
		return xz_easy(image, 1, checks[kind - 4]);
	return bytes_join(bytes_join(xz_easy(image, 1, LZMA_CHECK_CRC32), bytes_new(8)), pack(image, CHUNK, "crc64", &raw));
}

START_TEST(every_truncation)
{
	struct bytes file = small_file(_i);
	struct blockz_verify_result result;
	struct blockz_fault fault;
	for (size_t len = 0; len < file.len; len++) {
		struct bytes cut = { file.data, len };
		enum blockz_status status = verify_file(cut, false, &result, &fault);
		/* A file of two Streams that is cut behind the first, or within padding by fours, is one of one. */
		if (status == BLOCKZ_OK)
			ck_assert(_i == 8);
		else
			ck_assert_int_eq(status, len < 6 ? BLOCKZ_UNSUPPORTED : BLOCKZ_DAMAGED);
		is_good("xz", bytes_copy(cut));
	}
}
END_TEST

START_TEST(every_flipped_bit)
{
	struct bytes file = small_file(_i);
	struct blockz_verify_result result;
	for (size_t bit = 0; bit < file.len * 8; bit++) {
		struct bytes flipped = bytes_flipped(file, bit);
		if (_i % 4 != 3 || _i == 8) /* without a check damage to content cannot be seen */
			ck_assert_int_ne(verify_file(flipped, false, &result, NULL), BLOCKZ_OK);
		is_good("xz", flipped);
	}
}
END_TEST

static uint8_t rnd_byte(void)
{
	return (uint8_t)(rnd() % 3 ? rnd() : rnd() % 4);
}

/* Bytes changed at random, with the CRCs over Index and Block Headers made right again. */
START_TEST(resealed_noise)
{
	struct bytes file = small_file(_i);
	size_t index = xz_index_off(file);
	for (int round = 0; round < (few_rounds ? 1000 : 10000); round++) {
		struct bytes noisy = bytes_copy(file);
		size_t header_len = ((size_t)file.data[12] + 1) * 4;
		for (uint64_t n = 1 + rnd_below(3); n > 0; n--) {
			if (rnd() % 2)
				noisy.data[index + rnd_below(file.len - 16 - index)] = rnd_byte();
			else
				noisy.data[13 + rnd_below(header_len - 5)] = rnd_byte();
		}
		xz_reseal_index(noisy);
		xz_reseal_block_header(noisy, 12);
		is_good("xz", noisy);
	}
}
END_TEST

/* ---- An Index that lies, its CRC right ---- */

/* Like file, with another Index; its records are unpadded and uncompressed sizes. */
static struct bytes with_index(struct bytes file, const uint64_t (*records)[2], size_t count, lzma_check check)
{
	lzma_index *index = lzma_index_init(NULL);
	for (size_t i = 0; i < count; i++)
		ck_assert_int_eq(lzma_index_append(index, NULL, records[i][0], records[i][1]), LZMA_OK);
	lzma_stream_flags flags = { .check = check, .backward_size = lzma_index_size(index) };
	struct bytes tail = bytes_new((size_t)flags.backward_size + 12);
	size_t pos = 0;
	ck_assert_int_eq(lzma_index_buffer_encode(index, tail.data, &pos, tail.len), LZMA_OK);
	ck_assert_int_eq(lzma_stream_footer_encode(&flags, tail.data + pos), LZMA_OK);
	lzma_index_end(index, NULL);
	return bytes_join((struct bytes){ file.data, xz_index_off(file) }, tail);
}

START_TEST(lying_index)
{
	struct bytes image = image_new(IMAGE_TEXT, 2 * CHUNK + 1000);
	struct blockz_range raw = { CHUNK, 2 * CHUNK };
	struct bytes file = pack(image, CHUNK, "crc64", &raw);
	lzma_index *index = NULL;
	uint64_t limit = UINT64_MAX, good[3][2];
	size_t pos = xz_index_off(file);
	ck_assert_int_eq(lzma_index_buffer_decode(&index, &limit, NULL, file.data, &pos, file.len), LZMA_OK);
	lzma_index_iter iter;
	lzma_index_iter_init(&iter, index);
	for (size_t i = 0; !lzma_index_iter_next(&iter, LZMA_INDEX_ITER_BLOCK); i++) {
		good[i][0] = iter.block.unpadded_size;
		good[i][1] = iter.block.uncompressed_size;
	}
	lzma_index_end(index, NULL);
	assert_verifies(with_index(file, good, 3, LZMA_CHECK_CRC64));
	struct blockz_verify_result result;
	struct blockz_fault fault;
	for (size_t i = 0; i < 6; i++) {
		static const int64_t deltas[] = { 1, -1, 2, 4, -4, 1 << 20, -100 };
		for (size_t d = 0; d < sizeof(deltas) / sizeof(deltas[0]); d++) {
			uint64_t bad[3][2];
			memcpy(bad, good, sizeof(bad));
			if ((int64_t)good[i / 2][i % 2] + deltas[d] < 5)
				continue;
			bad[i / 2][i % 2] += (uint64_t)deltas[d];
			struct bytes lie = with_index(file, bad, 3, LZMA_CHECK_CRC64);
			for (int quick = 0; quick < 2; quick++)
				ck_assert_int_eq(verify_file(lie, quick, &result, &fault), BLOCKZ_DAMAGED);
			is_good("xz", lie);
			/* One Block gives to the next what it lacks. */
			if ((int64_t)good[(i / 2 + 1) % 3][i % 2] - deltas[d] < 5)
				continue;
			bad[(i / 2 + 1) % 3][i % 2] -= (uint64_t)deltas[d];
			lie = with_index(file, bad, 3, LZMA_CHECK_CRC64);
			ck_assert_int_eq(verify_file(lie, true, &result, &fault), BLOCKZ_DAMAGED);
			is_good("xz", lie);
		}
	}
	const uint64_t joined[][2] = { { good[0][0], good[0][1] },
				       { (good[1][0] + 3) / 4 * 4 + good[2][0], good[1][1] + good[2][1] } };
	const uint64_t huge[][2] = { { LZMA_VLI_MAX / 2, 5 } }, many[][2] = { { 5, LZMA_VLI_MAX } };
	const struct bytes lies[] = {
		with_index(file, joined, 2, LZMA_CHECK_CRC64), with_index(file, good, 2, LZMA_CHECK_CRC64),
		with_index(file, good, 0, LZMA_CHECK_CRC64), with_index(file, good, 3, LZMA_CHECK_CRC32),
		with_index(file, huge, 1, LZMA_CHECK_CRC64), with_index(file, many, 1, LZMA_CHECK_CRC64),
	};
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
		ck_assert_int_eq(verify_file(lies[i], true, &result, &fault), BLOCKZ_DAMAGED);
}
END_TEST

/* Without sizes in the header, and within the same four bytes, only the Index tells how long a Block is. */
START_TEST(lengths_within_the_padding)
{
	for (size_t len = 300; len < 310; len++) {
		struct bytes file = xz_easy(image_new(IMAGE_TEXT, len), 1, checks[_i]);
		lzma_index *index = NULL;
		uint64_t limit = UINT64_MAX;
		size_t pos = xz_index_off(file);
		lzma_index_iter iter;
		ck_assert_int_eq(lzma_index_buffer_decode(&index, &limit, NULL, file.data, &pos, file.len), LZMA_OK);
		lzma_index_iter_init(&iter, index);
		ck_assert(!lzma_index_iter_next(&iter, LZMA_INDEX_ITER_BLOCK));
		uint64_t unpadded = iter.block.unpadded_size, padded = (unpadded + 3) / 4 * 4;
		lzma_index_end(index, NULL);
		for (uint64_t said = padded - 3; said <= padded; said++) {
			const uint64_t records[][2] = { { said, len } };
			struct bytes lie = with_index(file, records, 1, checks[_i]);
			ck_assert(is_good("xz", lie) == (said == unpadded));
		}
	}
}
END_TEST

/* That a Block is zeros shows by its size and Check in the Index; its header has to fit all the same. */
START_TEST(headers_of_zero_blocks)
{
	struct bytes file = pack(image_new(IMAGE_ZEROS, 3 * CHUNK), CHUNK, check_names[_i], NULL);
	struct blockz_verify_result result;
	size_t off = 12, header_len = ((size_t)file.data[off] + 1) * 4;
	assert_verifies(file);
	for (int block = 0; block < 3; block++) {
		for (size_t bit = 8; bit < 8 * (header_len - 4); bit++) {
			struct bytes bad = bytes_flipped(file, 8 * off + bit);
			xz_reseal_block_header(bad, off);
			/* Only another dictionary is as good. */
			if (is_good("xz", bad))
				assert_decodes("xz", bad, image_new(IMAGE_ZEROS, 3 * CHUNK));
		}
		/* Both of its sizes. */
		for (size_t field = 2; field < 6; field++) {
			struct bytes bad = bytes_copy(file);
			bad.data[off + field] ^= 1;
			xz_reseal_block_header(bad, off);
			for (int quick = 0; quick < 2; quick++)
				ck_assert_int_ne(verify_file(bad, quick, &result, NULL), BLOCKZ_OK);
		}
		off += (xz_index_off(file) - 12) / 3;
	}
}
END_TEST

/* Numbers of the Index that are encoded as they must not be, or stand for more than there is. */
START_TEST(malformed_index)
{
	static const struct {
		uint8_t bytes[24];
		size_t len;
	} bodies[] = {
		{ { 0, 0x80, 0x00 }, 3 },                                                   /* a zero in two bytes */
		{ { 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01 }, 11 },  /* ten bytes */
		{ { 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f }, 10 },        /* 2^63 - 1 records */
		{ { 0, 1 }, 2 },                                                            /* a record that is not there */
		{ { 0, 1, 4, 1 }, 4 },                                                      /* a Block of 4 bytes */
		{ { 0, 0, 0, 0, 0 }, 5 },                                                   /* longer than it has to be */
		{ { 0, 0, 1 }, 3 },                                                         /* padding */
		{ { 1, 0 }, 2 },                                                            /* no Index */
		{ { 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1 }, 12 },
		{ { 0, 2, 5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 5, 1 }, 14 },
	};
	struct bytes empty = pack(bytes_new(0), CHUNK, "crc32", NULL);
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		size_t len = (bodies[i].len + 3) / 4 * 4 + 4;
		struct bytes file = bytes_new(12 + len + 12);
		lzma_stream_flags flags = { .check = LZMA_CHECK_CRC32, .backward_size = len };
		memcpy(file.data, empty.data, 12);
		memcpy(file.data + 12, bodies[i].bytes, bodies[i].len);
		ck_assert_int_eq(lzma_stream_footer_encode(&flags, file.data + 12 + len), LZMA_OK);
		xz_reseal_index(file);
		struct blockz_verify_result result;
		struct blockz_fault fault;
		ck_assert_int_eq(verify_file(file, false, &result, &fault), BLOCKZ_DAMAGED);
		ck_assert_uint_ge(fault.offset, 12);
		is_good("xz", file);
	}
}
END_TEST

/* ---- Raw pieces that are not what they seem ---- */

START_TEST(raw_headers)
{
	struct bytes image = image_new(IMAGE_NOISE, 5 * CHUNK);
	struct blockz_range raw = { 5000, 5 * CHUNK - 7 };
	struct blockz_extent extent;
	struct bytes file = pack(image, 8 * CHUNK, check_names[_i], &raw);
	struct blockz_map *map = map_of(bytes_source(file), false);
	for (uint64_t off = raw.start; off < raw.end; off += extent.length) {
		ck_assert(blockz_map_extent_at(map, off, &extent));
		for (int byte = 1; byte <= 3; byte++) {
			for (int bit = 0; bit < 8; bit++) {
				struct bytes bad = bytes_flipped(file, 8 * (extent.file_off - (uint64_t)byte) + (uint64_t)bit);
				struct bytes edited = bytes_copy(image);
				struct blockz_verify_result result;
				for (int quick = off == raw.start; quick < 2; quick++)
					ck_assert_int_eq(verify_file(bad, quick, &result, NULL),
							 off == raw.start && quick ? BLOCKZ_OK : BLOCKZ_DAMAGED);
				if (bit != 3)
					continue;
				complement(edited, (struct blockz_range){ off, off + 1 });
				struct blockz_edit edit = edit_from(edited, (struct blockz_range){ off, off + 1 });
				struct bytes before = bytes_copy(bad);
				ck_assert_int_ne(patch_file(bad, false, &edit, 1, NULL, NULL), BLOCKZ_OK);
				assert_bytes(bad, before);
			}
		}
	}
	blockz_map_free(map);
}
END_TEST

/* ---- A patch repairs nothing ---- */

START_TEST(damage_is_never_laundered)
{
	struct bytes image = image_new(IMAGE_DISK, 4 * CHUNK);
	struct blockz_range raw = { 5000, 3 * CHUNK }, where = { 2 * CHUNK + 100, 2 * CHUNK + 200 };
	struct bytes file = pack(image, CHUNK, check_names[_i], &raw), edited = bytes_copy(image);
	complement(edited, where);
	struct blockz_edit edit = edit_from(edited, where);
	for (int round = 0; round < (few_rounds ? 100 : 400); round++) {
		struct bytes bad;
		if (patch_damaged(file, rnd_below(file.len * 8), &edit, &bad))
			ck_assert(!judge_says("xz", bad, edited));
	}
}
END_TEST

/* The same where raw chunks stand in a Block with others: its Check is moved, or verified first. */
START_TEST(damage_in_a_mixed_block)
{
	lzma_options_lzma options;
	ck_assert(!lzma_lzma_preset(&options, 1));
	struct bytes text = image_new(IMAGE_TEXT, 8192), data = { NULL, 0 };
	chunks_raw(&data, text, true);
	size_t second = data.len;
	chunks_lzma(&data, text, 0xe0, &options);
	chunks_end(&data);
	struct xz_stream *stream = xz_begin(checks[_i]);
	size_t data_off = 12 + 16;
	struct bytes image = bytes_join(text, text), edited = bytes_copy(image);
	xz_put_data(stream, data, image, NULL);
	struct bytes file = xz_end(stream);
	struct blockz_range where = { 10, 20 };
	complement(edited, where);
	struct blockz_edit edit = edit_from(edited, where);
	for (size_t off = data_off + second + 6; off < xz_index_off(file) - 40; off += 7) {
		struct bytes bad = bytes_copy(file);
		struct blockz_verify_result result;
		bad.data[off] ^= 0x10;
		if (verify_file(bad, false, &result, NULL) == BLOCKZ_OK)
			continue; /* without a check */
		enum blockz_status status = patch_file(bad, true, &edit, 1, NULL, NULL);
		ck_assert_int_eq(status, checks[_i] == LZMA_CHECK_SHA256 ? BLOCKZ_DAMAGED : BLOCKZ_OK);
		ck_assert_int_ne(verify_file(bad, false, &result, NULL), BLOCKZ_OK);
	}
}
END_TEST

/* ---- A file that cannot be read ---- */

START_TEST(any_read_that_fails)
{
	assert_reads_can_fail(small_file(_i), _i < 8 ? SMALL_LEN : 2 * SMALL_LEN);
}
END_TEST

int main(void)
{
	TCase *c = case_new("xz_damage");
	tcase_add_loop_test(c, any_read_that_fails, 0, SMALL_FILES);
	tcase_add_loop_test(c, every_truncation, 0, SMALL_FILES);
	tcase_add_loop_test(c, every_flipped_bit, 0, SMALL_FILES);
	tcase_add_loop_test(c, resealed_noise, 0, 8);
	tcase_add_test(c, lying_index);
	tcase_add_loop_test(c, lengths_within_the_padding, 0, 4);
	tcase_add_loop_test(c, headers_of_zero_blocks, 0, 4);
	tcase_add_test(c, malformed_index);
	tcase_add_loop_test(c, raw_headers, 0, 4);
	tcase_add_loop_test(c, damage_is_never_laundered, 0, 4);
	tcase_add_loop_test(c, damage_in_a_mixed_block, 0, 4);
	return case_run("xz_damage", c);
}
