/* SPDX-License-Identifier: BSD-3-Clause */
/* What an index may claim: entries put together by hand, and random changes, all with a CRC that is right. */
#include <string.h>

#include "base/bytes.h"
#include "check/crc.h"
#include "format/deflate/encode.h"
#include "format/gzip/index_read.h"
#include "format/gzip/index_write.h"
#include "memory.h"
#include "random.h"

enum { INDEX_OFF = 16, INDEX_LEN = 600, PIECE_LOG = 16, PIECE = 1 << PIECE_LOG };

/* An index, and the file that it speaks of. */
struct claim {
	uint8_t bytes[INDEX_LEN];
	size_t pos; /* behind the last entry */
	uint64_t image_size, file_size;
	uint8_t trailer[GZIP_TRAILER_LEN];
};

static void put_varint(struct claim *claim, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		claim->bytes[claim->pos++] = (uint8_t)(value | 0x80);
	claim->bytes[claim->pos++] = (uint8_t)value;
}

static void put_entry(struct claim *claim, enum index_type type, uint64_t file_len, uint64_t value)
{
	put_varint(claim, file_len << 2 | type);
	if (type != INDEX_DATA)
		put_varint(claim, value);
}

static void reseal(struct claim *claim)
{
	size_t end = INDEX_LEN - INDEX_CRC_LEN;
	store_le32(claim->bytes + end, crc32_update(0, claim->bytes, end));
}

static void begin(struct claim *claim, uint64_t entries)
{
	memset(claim, 0, sizeof(*claim));
	claim->bytes[INDEX_VERSION_OFF] = INDEX_VERSION_PIECES;
	claim->bytes[INDEX_PIECE_LOG_OFF] = PIECE_LOG;
	claim->pos = INDEX_COUNT_OFF;
	put_varint(claim, entries);
}

/* Makes the facts fit an image and pieces of so many bytes. */
static void finish(struct claim *claim, uint64_t image_size, uint64_t pieces_len)
{
	claim->image_size = image_size;
	claim->file_size = INDEX_OFF + INDEX_LEN + pieces_len + END_LEN + GZIP_TRAILER_LEN;
	store_le32(claim->trailer + 4, (uint32_t)image_size);
	store_le64(claim->bytes + INDEX_IMAGE_SIZE_OFF, image_size);
	store_le64(claim->bytes + INDEX_FILE_SIZE_OFF, claim->file_size);
	memcpy(claim->bytes + INDEX_TRAILER_OFF, claim->trailer, GZIP_TRAILER_LEN);
	reseal(claim);
}

/* ---- Reading ---- */

static struct blockz_fault fault;

static enum blockz_status read_claim(const struct claim *claim, size_t len, struct blockz_map **map_ret)
{
	/* Memory that ends where the index ends, for the sanitizer to see. */
	struct bytes copy = bytes_new(len);
	memcpy(copy.data, claim->bytes, len < INDEX_LEN ? len : INDEX_LEN);
	fault = (struct blockz_fault){ .status = BLOCKZ_OK };
	*map_ret = map_new(NULL, claim->file_size);
	enum blockz_status status =
		index_read(copy.data, len, INDEX_OFF, INDEX_OFF + INDEX_LEN, claim->trailer, *map_ret, &fault);
	ck_assert_int_eq(status, fault.status);
	return status;
}

static void assert_refused(const struct claim *claim, const char *what)
{
	struct blockz_map *map;
	ck_assert_msg(read_claim(claim, INDEX_LEN, &map) == BLOCKZ_DAMAGED, "%s", what);
	ck_assert(strlen(fault.text) > 0 && fault.offset >= INDEX_OFF && fault.offset <= INDEX_OFF + INDEX_LEN);
	blockz_map_free(map);
}

/* All that a map promises to those who read and patch by it. */
static bool map_is_sound(const struct blockz_map *map)
{
	uint64_t pos = INDEX_OFF + INDEX_LEN, start = 0;
	for (size_t i = 0; i < map->piece_count; i++) {
		const struct piece *piece = &map->pieces[i];
		uint64_t end = map_piece_end(map, i);
		if (piece->start != start || end <= start || piece->file_off != pos || piece->copies == 0 ||
		    piece->file_len / piece->copies == 0 || piece->file_len % piece->copies != 0 ||
		    (end - start) % piece->copies != 0 || (piece->copies > 1 && piece->kind != BLOCKZ_ZERO))
			return false;
		start = end;
		pos += piece->file_len;
	}
	if (start != map->image_size || pos + END_LEN + GZIP_TRAILER_LEN != map->file_size)
		return false;
	for (size_t i = 0; i < map->span_count; i++) {
		const struct span *span = &map->spans[i];
		const struct piece *first = &map->pieces[map_find_piece(map, span->start)];
		const struct piece *last = &map->pieces[map_find_piece(map, span->end - 1)];
		if (span->start >= span->end || (i > 0 && span->start < map->spans[i - 1].end) ||
		    span->end > map->image_size || first->kind != BLOCKZ_RAW || first->file_off != span->file_off ||
		    last->file_off + last->file_len != span_file_end(span))
			return false;
	}
	for (size_t i = 0; i < map->check_count; i++) {
		const struct check *check = &map->checks[i];
		bool in_index = check->field_off >= INDEX_OFF && check->field_off + 4 <= INDEX_OFF + INDEX_LEN;
		uint64_t limit = !check->of_file ? map->image_size : map->file_size;
		if (check->start > check->end || check->end > limit ||
		    (!in_index && check->field_off != map->file_size - GZIP_TRAILER_LEN))
			return false;
	}
	return true;
}

/* One of each kind: data, raw, data that ends short, raw again, zeros, data. */
static void honest(struct claim *claim)
{
	uint64_t first_raw = stored_len(PIECE, PIECE + 100000), raw = stored_len(3 * PIECE - 50, 3 * PIECE);
	begin(claim, 6);
	put_entry(claim, INDEX_DATA, 5000, 0);
	put_entry(claim, INDEX_RAW, first_raw, 100000);
	put_entry(claim, INDEX_SHORT, 700, 2 * PIECE - 100050);
	put_entry(claim, INDEX_RAW, raw, 50);
	put_entry(claim, INDEX_ZERO, 90, 1000);
	put_entry(claim, INDEX_DATA, 60, 0);
	for (int i = 0; i < 3; i++) {
		store_le32(claim->bytes + claim->pos, (uint32_t)rnd());
		claim->pos += INDEX_CRC_LEN;
	}
	finish(claim, 1003 * (uint64_t)PIECE + 10, 5000 + first_raw + 700 + raw + 90 * 1000 + 60);
}

START_TEST(the_truth_is_believed)
{
	struct claim claim;
	struct blockz_map *map;
	honest(&claim);
	ck_assert_msg(read_claim(&claim, INDEX_LEN, &map) == BLOCKZ_OK, "%s", fault.text);
	ck_assert(map_is_sound(map));
	ck_assert_uint_eq(map->piece_count, 7);
	ck_assert_uint_eq(map->span_count, 2);
	ck_assert_uint_eq(map->check_count, 3 + 3);
	blockz_map_free(map);
}
END_TEST

/* ---- Damage, without a good CRC ---- */

START_TEST(each_changed_byte_is_found)
{
	struct claim claim;
	honest(&claim);
	for (size_t i = 0; i < INDEX_LEN; i++) {
		uint8_t flip = (uint8_t)(1 + rnd_below(255));
		claim.bytes[i] ^= flip;
		assert_refused(&claim, "a changed byte");
		claim.bytes[i] ^= flip;
	}
}
END_TEST

START_TEST(each_other_length_is_refused)
{
	struct claim claim;
	struct blockz_map *map;
	honest(&claim);
	for (size_t len = 0; len <= INDEX_LEN + 5; len++) {
		if (len == INDEX_LEN)
			continue;
		ck_assert_int_eq(read_claim(&claim, len, &map), BLOCKZ_DAMAGED);
		blockz_map_free(map);
	}
	ck_assert_int_eq(read_claim(&claim, INDEX_LEN_MAX + 1, &map), BLOCKZ_DAMAGED);
	blockz_map_free(map);
}
END_TEST

/* ---- Lies ---- */

START_TEST(lies_about_the_file)
{
	struct claim claim;
	struct blockz_map *map;
	honest(&claim);
	claim.file_size++;
	assert_refused(&claim, "a file that has grown");
	honest(&claim);
	claim.trailer[0]++;
	assert_refused(&claim, "another trailer");
	honest(&claim);
	store_le64(claim.bytes + INDEX_IMAGE_SIZE_OFF, claim.image_size + ((uint64_t)1 << 32));
	reseal(&claim);
	assert_refused(&claim, "an image larger by what ISIZE does not tell");
	store_le64(claim.bytes + INDEX_IMAGE_SIZE_OFF, claim.image_size + ((uint64_t)1 << 63));
	reseal(&claim);
	assert_refused(&claim, "an image larger than can be");
	for (uint8_t log = 0; log < 255; log++) {
		honest(&claim);
		claim.bytes[INDEX_PIECE_LOG_OFF] = log;
		reseal(&claim);
		if (log != PIECE_LOG)
			assert_refused(&claim, "another piece size");
	}
	honest(&claim);
	claim.bytes[INDEX_VERSION_OFF] = INDEX_VERSION_GROUPS + 1;
	reseal(&claim);
	ck_assert_int_eq(read_claim(&claim, INDEX_LEN, &map), BLOCKZ_UNSUPPORTED);
	blockz_map_free(map);
}
END_TEST

/* Up to two entries; the facts fit what a reader would make of them that does not look. */
struct lie {
	const char *what;
	uint64_t count; /* of entries, as the index says */
	struct {
		enum index_type type;
		uint64_t file_len, value;
	} entries[2];
	uint64_t image_size, pieces_len;
};

enum { RAW_100 = 100 + STORED_HEADER_LEN };

static const struct lie lies[] = {
	{ "no pieces", 0, { { 0 } }, 100, 0 },
	{ "too few pieces", 1, { { INDEX_DATA, 50, 0 } }, PIECE + 1, 50 },
	{ "too many pieces", 2, { { INDEX_DATA, 50, 0 }, { INDEX_DATA, 50, 0 } }, PIECE, 100 },
	{ "an entry that is not there", 2, { { INDEX_DATA, 50, 0 } }, PIECE + 1, 50 },
	{ "entries without end", UINT64_MAX >> 1, { { INDEX_DATA, 50, 0 } }, PIECE, 50 },
	{ "a piece shorter than can be", 1, { { INDEX_DATA, 3, 0 } }, PIECE, 3 },
	{ "a piece of nothing", 1, { { INDEX_DATA, 0, 0 } }, PIECE, 0 },
	{ "a piece longer than can be", 1, { { INDEX_DATA, 2 * PIECE, 0 } }, PIECE, 2 * PIECE },
	{ "a piece beyond the file", 1, { { INDEX_DATA, 51, 0 } }, PIECE, 50 },
	{ "less than the file", 1, { { INDEX_DATA, 49, 0 } }, PIECE, 50 },
	{ "a piece as long as can be written", 1, { { INDEX_DATA, UINT64_MAX >> 3, 0 } }, PIECE, 50 },
	{ "short data of nothing", 2, { { INDEX_SHORT, 50, 0 }, { INDEX_DATA, 50, 0 } }, PIECE, 100 },
	{ "short data of a whole piece", 1, { { INDEX_SHORT, 50, PIECE } }, PIECE, 50 },
	{ "short data over an edge", 1, { { INDEX_SHORT, 50, PIECE + 1 } }, PIECE + 1, 50 },
	{ "short data beyond the image", 1, { { INDEX_SHORT, 50, 101 } }, 100, 50 },
	{ "raw bytes that are too few", 1, { { INDEX_RAW, RAW_100 - 1, 100 } }, 100, RAW_100 - 1 },
	{ "raw bytes that are too many", 1, { { INDEX_RAW, RAW_100 + 1, 100 } }, 100, RAW_100 + 1 },
	{ "a raw range of nothing", 2, { { INDEX_RAW, 0, 0 }, { INDEX_DATA, 50, 0 } }, PIECE, 50 },
	{ "a raw range beyond the image", 1, { { INDEX_RAW, RAW_100, 100 } }, 99, RAW_100 },
	{ "a raw range without end", 1, { { INDEX_RAW, RAW_100, INT64_MAX } }, 100, RAW_100 },
	{ "no zeros", 2, { { INDEX_ZERO, 50, 0 }, { INDEX_DATA, 50, 0 } }, PIECE, 100 },
	{ "zeros within a piece", 2, { { INDEX_SHORT, 50, 9 }, { INDEX_ZERO, 50, 1 } }, PIECE + 9, 100 },
	{ "zeros beyond the image", 1, { { INDEX_ZERO, 50, 2 } }, PIECE, 100 },
	{ "zeros that end within a piece", 1, { { INDEX_ZERO, 50, 2 } }, PIECE + 5, 100 },
	{ "zeros beyond the file", 1, { { INDEX_ZERO, 50, 1000 } }, 1000 * PIECE, 49999 },
	{ "2^48 zero pieces", 1, { { INDEX_ZERO, 50, (uint64_t)1 << 48 } }, 0, 0 },
	{ "zeros that overflow to one piece", 1, { { INDEX_ZERO, 50, ((uint64_t)1 << 48) + 1 } }, PIECE, 50 },
	{ "zeros in a file that overflows", 1, { { INDEX_ZERO, (uint64_t)1 << 52, 4096 } }, 4096 * (uint64_t)PIECE, 0 },
};

START_TEST(lies_about_pieces)
{
	const struct lie *lie = &lies[_i];
	struct claim claim;
	begin(&claim, lie->count);
	for (int i = 0; i < 2; i++)
		if (lie->entries[i].file_len != 0 || lie->entries[i].type != INDEX_DATA || i == 0)
			put_entry(&claim, lie->entries[i].type, lie->entries[i].file_len, lie->entries[i].value);
	finish(&claim, lie->image_size, lie->pieces_len);
	assert_refused(&claim, lie->what);
}
END_TEST

START_TEST(numbers_that_do_not_end)
{
	struct claim claim;
	begin(&claim, 1);
	memset(claim.bytes + claim.pos, 0xff, 12);
	finish(&claim, PIECE, 50);
	assert_refused(&claim, "a number of more bits than there are");
	begin(&claim, 1);
	memset(claim.bytes + claim.pos, 0x80, INDEX_LEN - claim.pos);
	finish(&claim, PIECE, 50);
	assert_refused(&claim, "a number that goes on behind the index");
}
END_TEST

START_TEST(crcs_that_are_not_there)
{
	struct claim claim;
	uint64_t count = (INDEX_LEN - INDEX_COUNT_OFF - INDEX_CRC_LEN) / 3;
	begin(&claim, count);
	for (uint64_t i = 0; i < count - 1; i++)
		put_entry(&claim, INDEX_DATA, 50, 0);
	put_entry(&claim, INDEX_RAW, RAW_100, 100);
	finish(&claim, (count - 1) * PIECE + 100, (count - 1) * 50 + RAW_100);
	claim.bytes[INDEX_FLAGS_OFF] = INDEX_FLAG_DATA_CRCS;
	reseal(&claim);
	assert_refused(&claim, "CRCs behind the index");
}
END_TEST

START_TEST(random_lies_make_no_map_that_is_not_sound)
{
	struct claim truth, claim;
	struct blockz_map *map;
	int believed = 0;
	honest(&truth);
	for (int round = 0; round < 20000; round++) {
		claim = truth;
		for (uint64_t i = 1 + rnd_below(4); i > 0; i--) {
			size_t off = (size_t)rnd_below(truth.pos + 4);
			claim.bytes[off] = (uint8_t)(rnd_below(2) == 0 ? rnd() : claim.bytes[off] ^ 1U << rnd_below(8));
		}
		reseal(&claim);
		if (read_claim(&claim, INDEX_LEN, &map) == BLOCKZ_OK) {
			believed++;
			ck_assert(map_is_sound(map));
		}
		blockz_map_free(map);
	}
	ck_assert_int_gt(believed, 0); /* a CRC or the level was changed */
}
END_TEST

int main(void)
{
	TCase *c = case_new("index_claims");
	tcase_add_test(c, the_truth_is_believed);
	tcase_add_test(c, each_changed_byte_is_found);
	tcase_add_test(c, each_other_length_is_refused);
	tcase_add_test(c, lies_about_the_file);
	tcase_add_loop_test(c, lies_about_pieces, 0, sizeof(lies) / sizeof(lies[0]));
	tcase_add_test(c, numbers_that_do_not_end);
	tcase_add_test(c, crcs_that_are_not_there);
	tcase_add_test(c, random_lies_make_no_map_that_is_not_sound);
	return case_run("index_claims", c);
}
