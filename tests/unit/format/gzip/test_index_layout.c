/* SPDX-License-Identifier: BSD-3-Clause */
/* The gzip index: written from random layouts of pieces, read back, and compared with what was written. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "check/crc.h"
#include "format/deflate/encode.h"
#include "format/gzip/index_read.h"
#include "format/gzip/index_write.h"
#include "memory.h"
#include "random.h"

static uint32_t crc32_of_zeros(uint64_t len)
{
	return (uint32_t)crc_zeros(&crc32_poly, len);
}

enum { INDEX_OFF = 16 };

/* Pieces as pack writes them: cut at multiples of the piece size and at the edges of raw ranges. */
struct layout {
	uint64_t piece_size, image_size, body_off;
	size_t raw_count;
	struct written_piece *pieces;
	uint64_t *file_offs; /* of the pieces, from body_off on */
	size_t count, room;
	uint64_t file_pos, zero_len; /* zero_len: of the encoding of one piece of zeros */
	struct index_facts facts;
};

static struct layout layout;
static uint8_t index_bytes[INDEX_LEN_MAX];
static size_t index_len;
static struct blockz_map *map;

/* ---- Layouts ---- */

static void add(enum blockz_kind kind, uint64_t end, uint64_t copies)
{
	if (layout.count == layout.room) {
		layout.room = layout.room == 0 ? 64 : 2 * layout.room;
		layout.pieces = realloc(layout.pieces, layout.room * sizeof(*layout.pieces));
		layout.file_offs = realloc(layout.file_offs, layout.room * sizeof(*layout.file_offs));
	}
	uint64_t start = layout.image_size, len = end - start;
	struct written_piece piece = { .kind = kind, .start = start, .end = end, .copies = copies };
	piece.tag = kind == BLOCKZ_ZERO ? crc32_of_zeros(len) : (uint32_t)rnd();
	piece.file_len = kind == BLOCKZ_RAW    ? stored_len(start, end)
			 : kind == BLOCKZ_ZERO ? copies * layout.zero_len
					       : FLUSH_MARK_LEN + rnd_below(len + 100);
	layout.file_offs[layout.count] = layout.file_pos;
	layout.pieces[layout.count++] = piece;
	layout.file_pos += piece.file_len;
	layout.image_size = end;
}

static uint64_t edge_behind(uint64_t off)
{
	return off - off % layout.piece_size + layout.piece_size;
}

static bool at_edge(void)
{
	return layout.image_size % layout.piece_size == 0;
}

/* A raw range, cut into pieces. */
static void add_raw(uint64_t len)
{
	uint64_t end = layout.image_size + len;
	while (layout.image_size < end)
		add(BLOCKZ_RAW, edge_behind(layout.image_size) < end ? edge_behind(layout.image_size) : end, 1);
	layout.raw_count++;
}

/* Data up to the next edge of a piece, or to somewhere before it. */
static void add_data(bool stop_short)
{
	uint64_t edge = edge_behind(layout.image_size);
	add(BLOCKZ_COMPRESSED, stop_short ? layout.image_size + 1 + rnd_below(edge - layout.image_size) : edge, 1);
}

static void add_zeros(uint64_t copies)
{
	add(BLOCKZ_ZERO, layout.image_size + copies * layout.piece_size, copies);
}

static void begin_layout(uint64_t piece_size)
{
	layout.count = layout.raw_count = 0;
	layout.image_size = layout.file_pos = 0;
	layout.piece_size = piece_size;
	layout.zero_len = FLUSH_MARK_LEN + rnd_below(200);
}

/* Raw ranges do not touch, and data ends short only before one of them or with the image. */
static void random_layout(uint64_t piece_size, size_t steps)
{
	begin_layout(piece_size);
	for (size_t i = 0; i < steps; i++) {
		unsigned what = (unsigned)rnd_below(8);
		bool raw_before = layout.count > 0 && layout.pieces[layout.count - 1].kind == BLOCKZ_RAW;
		if (!raw_before && (what == 0 || !at_edge()))
			add_raw(1 + rnd_below(rnd_below(2) == 0 ? 3 * piece_size : 5000));
		else if (what == 1 && at_edge())
			add_zeros(1 + rnd_below(9));
		else
			add_data(what == 2 || i + 1 == steps);
	}
}

/* ---- Writing and reading ---- */

static uint64_t write_index(void)
{
	const struct pack_params params = {
		.level = 6, .piece_size = layout.piece_size, .image_size = layout.image_size,
		.raw_count = layout.raw_count, .rewritable = true,
	};
	const struct index_cuts cuts = { layout.piece_size, layout.piece_size, layout.piece_size };
	struct index_builder *builder = index_builder_new(cuts);
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < layout.count && status == BLOCKZ_OK; i++)
		status = index_add(builder, &layout.pieces[i], NULL);
	ck_assert_int_eq(status, BLOCKZ_OK);
	index_len = index_room(&params);
	ck_assert_uint_le(index_len, INDEX_LEN_MAX);
	layout.body_off = INDEX_OFF + index_len;
	layout.facts = (struct index_facts){
		.encoder = DEFLATE_BY_LIBDEFLATE, .level = 6, .data_crcs = true, .image_size = layout.image_size,
		.file_size = layout.body_off + layout.file_pos + END_LEN + GZIP_TRAILER_LEN,
	};
	store_le32(layout.facts.trailer, (uint32_t)rnd());
	store_le32(layout.facts.trailer + 4, (uint32_t)layout.image_size);
	uint64_t size = 0;
	ck_assert_int_eq(index_write(builder, &layout.facts, index_bytes, index_len, &size, NULL), BLOCKZ_OK);
	index_builder_free(builder);
	return size;
}

static enum blockz_status read_index(void)
{
	blockz_map_free(map);
	map = map_new(NULL, layout.facts.file_size);
	return index_read(index_bytes, index_len, INDEX_OFF, layout.body_off, layout.facts.trailer, map, NULL);
}

static bool has_groups(void)
{
	return index_bytes[INDEX_VERSION_OFF] == INDEX_VERSION_GROUPS;
}

static bool has_data_crcs(void)
{
	return (index_bytes[INDEX_FLAGS_OFF] & INDEX_FLAG_DATA_CRCS) != 0;
}

/* ---- Comparing a map with the layout ---- */

/* What was written at an image offset; *file_off_ret: where in the file, if that is an edge of a piece or of a copy of one. */
static size_t written_at(uint64_t off, uint64_t *file_off_ret)
{
	size_t low = 0, high = layout.count;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (layout.pieces[middle].start <= off)
			low = middle;
		else
			high = middle;
	}
	const struct written_piece *written = &layout.pieces[low];
	uint64_t copy_len = (written->end - written->start) / written->copies, into = off - written->start;
	*file_off_ret = layout.body_off + layout.file_offs[low] + into / copy_len * (written->file_len / written->copies);
	if (into % copy_len != 0)
		*file_off_ret = BLOCKZ_UNKNOWN;
	return low;
}

/* The CRC of what was written in [start, end), in how many pieces, and a bit for each kind that is in it. */
static uint32_t crc_of(uint64_t start, uint64_t end, uint64_t *count_ret, unsigned *kinds_ret)
{
	uint64_t file_off;
	uint32_t crc = 0;
	*count_ret = 0;
	*kinds_ret = 0;
	for (size_t i = written_at(start, &file_off); i < layout.count && layout.pieces[i].start < end; i++) {
		const struct written_piece *written = &layout.pieces[i];
		uint64_t from = written->start > start ? written->start : start;
		uint64_t to = written->end < end ? written->end : end;
		uint32_t part = written->kind == BLOCKZ_ZERO ? crc32_of_zeros(to - from) : (uint32_t)written->tag;
		crc = crc32_join(crc, part, to - from);
		*kinds_ret |= 1U << written->kind;
		*count_ret += (to - from + layout.piece_size - 1) / layout.piece_size;
	}
	return crc;
}

static bool piece_is_right(size_t i, const struct index_cuts *cuts)
{
	const struct piece *piece = &map->pieces[i];
	uint64_t start = piece->start, end = map_piece_end(map, i), file_off, count;
	unsigned kinds, raw = 1U << BLOCKZ_RAW, zero = 1U << BLOCKZ_ZERO;
	uint32_t crc = crc_of(start, end, &count, &kinds);
	written_at(start, &file_off);
	/* Raw bytes stay among themselves, as zeros do in zero pieces; pieces are as they were, or make groups. */
	if (piece->file_off != file_off || ((kinds & raw) != 0 && kinds != raw) ||
	    (kinds == raw) != (piece->kind == BLOCKZ_RAW) || (piece->kind == BLOCKZ_ZERO && kinds != zero) ||
	    (!has_groups() && kinds != 1U << piece->kind))
		return false;
	if (piece->kind != BLOCKZ_RAW && map_pieces_of(map, i) != count)
		return false;
	if (piece->kind == BLOCKZ_ZERO)
		return piece->copies * cuts->piece == end - start && piece->file_len % piece->copies == 0 &&
		       !piece->has_crc;
	uint64_t cut = piece->kind == BLOCKZ_RAW ? cuts->raw : cuts->group;
	return piece->copies == 1 && start / cut == (end - 1) / cut &&
	       piece->has_crc == (piece->kind == BLOCKZ_RAW || has_data_crcs()) &&
	       (!piece->has_crc || piece->crc == crc);
}

/* Each raw range is one span. */
static void check_spans(void)
{
	size_t i = 0;
	for (size_t first = 0, behind; first < layout.count; first = behind) {
		behind = first + 1;
		if (layout.pieces[first].kind != BLOCKZ_RAW)
			continue;
		while (behind < layout.count && layout.pieces[behind].kind == BLOCKZ_RAW)
			behind++;
		ck_assert(i < map->span_count);
		const struct span *span = &map->spans[i++];
		ck_assert(span->start == layout.pieces[first].start && span->end == layout.pieces[behind - 1].end &&
			  span->file_off == layout.body_off + layout.file_offs[first] && span->patchable &&
			  span->stride == STORED_PAYLOAD && span->header_len == STORED_HEADER_LEN);
	}
	ck_assert_uint_eq(i, map->span_count);
}

/* One check for each CRC of a piece, where it stands in the index, and three over everything. */
static void check_checks(void)
{
	size_t next = 0;
	for (size_t i = 0; i < map->piece_count; i++) {
		if (!map->pieces[i].has_crc)
			continue;
		const struct check *check = &map->checks[next++];
		ck_assert(!check->of_file && check->start == map->pieces[i].start &&
			  check->end == map_piece_end(map, i) &&
			  load_le32(index_bytes + (check->field_off - INDEX_OFF)) == map->pieces[i].crc);
	}
	ck_assert_uint_eq(map->check_count, next + 3);
	const struct check *trailer = &map->checks[next], *copy = trailer + 1, *self = trailer + 2;
	ck_assert(trailer->start == 0 && trailer->end == layout.image_size);
	ck_assert_uint_eq(trailer->field_off, layout.facts.file_size - GZIP_TRAILER_LEN);
	ck_assert(copy->start == 0 && copy->end == layout.image_size);
	ck_assert_uint_eq(copy->field_off, INDEX_OFF + INDEX_TRAILER_OFF);
	ck_assert(self->of_file && self->start == INDEX_OFF);
	ck_assert(self->end == self->field_off && self->end == INDEX_OFF + index_len - INDEX_CRC_LEN);
}

static void check_map(void)
{
	const struct index_cuts cuts = index_cuts_of(index_bytes);
	uint64_t file_pos = layout.body_off;
	ck_assert_uint_eq(cuts.piece, layout.piece_size);
	ck_assert_uint_eq(map->group_cut, has_groups() ? layout.piece_size : 0);
	ck_assert_uint_eq(map->image_size, layout.image_size);
	for (size_t i = 0; i < map->piece_count; i++) {
		bool right = map->pieces[i].file_off == file_pos && piece_is_right(i, &cuts);
		ck_assert_msg(right, "piece %zu", i);
		file_pos += map->pieces[i].file_len;
	}
	ck_assert_uint_eq(file_pos + END_LEN + GZIP_TRAILER_LEN, layout.facts.file_size);
	check_spans();
	check_checks();
}

/* Returns the piece size of the index; 0: none was written. */
static uint64_t round_trip(void)
{
	uint64_t size = write_index();
	ck_assert_int_eq(read_index(), size != 0 ? BLOCKZ_OK : BLOCKZ_UNSUPPORTED);
	if (size != 0)
		check_map();
	return size;
}

static void teardown(void)
{
	blockz_map_free(map);
	free(layout.pieces);
	free(layout.file_offs);
}

/* ---- Tests ---- */

START_TEST(random_layouts_come_back)
{
	for (int round = 0; round < 300; round++) {
		uint64_t piece_size = (uint64_t)1 << (INDEX_PIECE_LOG_MIN + rnd_below(8));
		random_layout(piece_size, (size_t)(1 + rnd_below(40)));
		ck_assert_uint_eq(round_trip(), piece_size);
		ck_assert(has_data_crcs() && !has_groups());
		ck_assert_uint_eq(index_bytes[INDEX_ENCODER_OFF], DEFLATE_BY_LIBDEFLATE);
		ck_assert_uint_eq(index_bytes[INDEX_LEVEL_OFF], 6);
	}
}
END_TEST

START_TEST(an_empty_image_has_an_index)
{
	begin_layout(1 << 20);
	ck_assert_uint_eq(round_trip(), 1 << 20);
	ck_assert_uint_eq(map->piece_count, 0);
}
END_TEST

/* More and more pieces: first the CRCs of data are dropped, then there are groups, and at last raw ranges are too many. */
START_TEST(an_index_shrinks_until_it_fits)
{
	bool dropped = false, groups = false;
	for (size_t steps = 100, size = 1; size != 0; steps += steps / 2) {
		ck_assert_uint_lt(steps, 1000000);
		random_layout(1 << 16, steps);
		size = round_trip();
		dropped |= size != 0 && !has_groups() && !has_data_crcs();
		groups |= size != 0 && has_groups();
	}
	ck_assert(dropped);
	ck_assert(groups);
}
END_TEST

/* However many pieces there are; groups are no longer than they have to be. */
START_TEST(groups_grow_with_the_image)
{
	uint64_t before = 1 << 16;
	for (size_t count = 1000; count < 1 << 20; count *= 2) {
		begin_layout(1 << 16);
		while (layout.count < count)
			add_data(false);
		ck_assert_uint_eq(round_trip(), 1 << 16);
		uint64_t group = index_cuts_of(index_bytes).group;
		ck_assert(group == before || group == 2 * before);
		ck_assert_uint_eq(map->piece_count, (layout.image_size + group - 1) / group);
		before = group;
	}
	ck_assert_uint_eq(before, 256 << 16);
}
END_TEST

/* A disk that has something everywhere, between zeros. */
START_TEST(zeros_join_groups)
{
	begin_layout(1 << 16);
	for (int i = 0; i < 100000; i++) {
		add_data(false);
		add_zeros(1 + rnd_below(3));
	}
	ck_assert_uint_eq(round_trip(), 1 << 16);
	ck_assert(has_groups());
}
END_TEST

/* More CRCs than there is room for; pieces of data are hardly longer for that. */
START_TEST(raw_pieces_grow_by_themselves)
{
	begin_layout(1 << 16);
	for (int i = 0; i < 10; i++) {
		add_data(false);
		add_raw(1000 << 16);
	}
	ck_assert_uint_eq(round_trip(), 1 << 16);
	const struct index_cuts cuts = index_cuts_of(index_bytes);
	ck_assert_uint_gt(cuts.raw, 1 << 16);
	ck_assert_uint_le(cuts.raw, 1 << INDEX_PIECE_LOG_MAX);
	ck_assert_uint_eq(cuts.group, 1 << 16);
}
END_TEST

/* Two pieces that end in one place where one does elsewhere, as after an image was enlarged, are in no group together. */
START_TEST(groups_end_where_pieces_are_cut)
{
	begin_layout(1 << 16);
	for (int i = 0; i < 10000; i++)
		add_data(i == 5000);
	add_data(false);
	ck_assert_uint_eq(round_trip(), 1 << 16);
	ck_assert(has_groups());
}
END_TEST

START_TEST(zeros_cost_nothing_however_many)
{
	begin_layout(1 << 16);
	add_data(false);
	for (int i = 0; i < 5000; i++)
		add_zeros(4096);
	add_data(true);
	ck_assert_uint_eq(round_trip(), 1 << 16);
	/* As many items as their counts need, and the data before and behind. */
	ck_assert_uint_eq(map->piece_count, 2 + (5000 * 4096 + PIECE_COPIES_MAX - 1) / PIECE_COPIES_MAX);
}
END_TEST

/* More raw ranges than there is room for: no index, and what is there says so. */
START_TEST(where_nothing_fits_there_is_no_index)
{
	static const uint8_t zeros[INDEX_LEN_MAX];
	for (size_t count = 5000; count <= 50000; count *= 10) {
		begin_layout(1 << 16);
		while (layout.count < count) {
			add_raw(100);
			add(BLOCKZ_COMPRESSED, layout.image_size + 1, 1);
		}
		ck_assert_uint_eq(round_trip(), 0);
		ck_assert_uint_eq(index_len, INDEX_LEN_MAX);
		ck_assert_mem_eq(index_bytes, zeros, index_len - INDEX_CRC_LEN);
		ck_assert_uint_eq(load_le32(index_bytes + index_len - INDEX_CRC_LEN),
				  crc32_of_zeros(index_len - INDEX_CRC_LEN));
	}
}
END_TEST

int main(void)
{
	TCase *c = case_new("index_layout");
	tcase_add_checked_fixture(c, NULL, teardown);
	tcase_add_test(c, random_layouts_come_back);
	tcase_add_test(c, an_empty_image_has_an_index);
	tcase_add_test(c, an_index_shrinks_until_it_fits);
	tcase_add_test(c, groups_grow_with_the_image);
	tcase_add_test(c, zeros_join_groups);
	tcase_add_test(c, raw_pieces_grow_by_themselves);
	tcase_add_test(c, groups_end_where_pieces_are_cut);
	tcase_add_test(c, zeros_cost_nothing_however_many);
	tcase_add_test(c, where_nothing_fits_there_is_no_index);
	return case_run("index_layout", c);
}
