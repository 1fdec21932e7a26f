/* SPDX-License-Identifier: BSD-3-Clause */
/* What the map tells of edits is what plans make of them. */
#include <string.h>

#include "format/formats.h"
#include "growing_store.h"
#include "images.h"

enum { IMAGE_LEN = 3 * MIB + 70001 };

static const struct blockz_range raw[] = { { 300000, 500000 }, { 2 * MIB, 2 * MIB + 4096 } };

static struct bytes new_image(void)
{
	struct bytes image = image_new(IMAGE_TEXT, IMAGE_LEN);
	memset(image.data + MIB, 0, MIB / 2 + 12345);
	rnd_fill(image.data + 2 * MIB - 100000, 200000);
	return image;
}

static uint64_t piece_end(const struct blockz_map *map, uint64_t off)
{
	size_t index = map_find_piece(map, off);
	const struct piece *piece = &map->pieces[index];
	uint64_t len = (map_piece_end(map, index) - piece->start) / piece->copies;
	return piece->start + ((off - piece->start) / len + 1) * len;
}

/* ---- By plans ---- */

/* By a splice, as in place neighbours may be encoded, too. */
static struct blockz_plan_info planned(struct blockz_source file, const struct blockz_map *map, const struct blockz_edit *edits,
				       size_t count, unsigned threads)
{
	struct growing_store scratch = { .len = 0 };
	struct blockz_store store = growing_store(&scratch);
	const struct blockz_anywhere how = { .way = BLOCKZ_WAY_SPLICE, .scratch = &store, .work = { .threads = threads } };
	struct blockz_plan *plan = NULL;
	struct blockz_fault fault;
	ck_assert_msg(blockz_plan_anywhere(&file, map, edits, count, &how, &plan, &fault) == BLOCKZ_OK, "%s", fault.text);
	struct blockz_plan_info info = blockz_plan_info(plan);
	blockz_plan_free(plan);
	growing_store_free(&scratch);
	return info;
}

static void compare_with_plan(const struct blockz_edit_cost *cost, const struct blockz_plan_renewed *renewed)
{
	ck_assert_uint_eq(renewed->pieces, cost->how != BLOCKZ_EDIT_RAW);
	ck_assert_uint_eq(renewed->image_bytes, cost->piece_image_bytes);
	ck_assert_uint_eq(renewed->file_bytes, cost->piece_file_bytes);
	if (cost->how != BLOCKZ_EDIT_RAW)
		ck_assert_uint_eq(cost->ns, cost->new_file ? renewed->splice_ns : renewed->in_place_ns);
}

START_TEST(costs_are_those_that_plans_have)
{
	const struct blockz_format *format = format_of(_i);
	const struct blockz_pack_options options = { .level = 2, .piece_size = format->piece_size_min, .raw = raw, .raw_count = 2 };
	struct bytes image = new_image(), file = pack_image(format, image, options, NULL);
	struct blockz_source source = bytes_source(file);
	struct blockz_map *map = map_of(source, false);
	size_t raw_edits = 0, piece_edits = 0;
	for (int round = 0; round < (few_rounds ? 20 : 40); round++) {
		uint64_t start = round & 1 ? rnd_below(image.len) : 290000 + rnd_below(220000);
		const struct blockz_range range = { start, start + 1 + rnd_below(piece_end(map, start) - start) };
		struct bytes edited = bytes_copy(image);
		complement(edited, range);
		const struct blockz_edit edit = edit_from(edited, range);
		const struct blockz_edit_cost cost = blockz_map_edit_cost(map, range);
		const struct blockz_plan_info info = planned(source, map, &edit, 1, 1 + (unsigned)rnd_below(4));
		compare_with_plan(&cost, &info.renewed);
		raw_edits += cost.how == BLOCKZ_EDIT_RAW;
		piece_edits += cost.how == BLOCKZ_EDIT_PIECE;
	}
	ck_assert_uint_gt(raw_edits, 0);
	ck_assert_uint_gt(piece_edits, 0);
	blockz_map_free(map);
}
END_TEST

/* What is shared by threads takes no less than the longest of the pieces. */
START_TEST(threads_share_pieces)
{
	enum { PIECES = 4 };
	const struct blockz_format *format = format_of(_i);
	const uint64_t size = format->piece_size_min;
	struct bytes image = image_new(IMAGE_TEXT, (size_t)(PIECES * size)), edited = bytes_copy(image);
	struct blockz_source file =
		bytes_source(pack_image(format, image, (struct blockz_pack_options){ .piece_size = size }, NULL));
	struct blockz_map *map = map_of(file, false);
	struct blockz_edit edits[PIECES];
	for (size_t i = 0; i < PIECES; i++) {
		const struct blockz_range range = { i * size + 5, i * size + 6 };
		complement(edited, range);
		edits[i] = edit_from(edited, range);
	}
	uint64_t one = planned(file, map, edits, 1, 1).renewed.splice_ns, all = planned(file, map, edits, PIECES, 1).renewed.splice_ns;
	uint64_t half = planned(file, map, edits, PIECES, 2).renewed.splice_ns;
	ck_assert_uint_gt(all, half);
	ck_assert_uint_gt(half, one);
	ck_assert_uint_eq(planned(file, map, edits, PIECES, 100).renewed.splice_ns, one);
	blockz_map_free(map);
}
END_TEST

/* ---- By lengths ---- */

START_TEST(a_range_costs_what_its_worst_piece_does)
{
	const struct blockz_format *format = format_of(_i);
	const struct blockz_pack_options options = { .level = 2, .piece_size = format->piece_size_min, .raw = raw, .raw_count = 2 };
	struct bytes image = new_image(), file = pack_image(format, image, options, NULL);
	struct blockz_map *map = map_of(bytes_source(file), false);
	uint64_t most = 0;
	for (uint64_t off = 0; off < image.len; off = piece_end(map, off)) {
		const struct blockz_edit_cost cost = blockz_map_edit_cost(map, (struct blockz_range){ off, off + 1 });
		most = cost.ns > most ? cost.ns : most;
	}
	ck_assert_uint_eq(blockz_map_edit_cost(map, (struct blockz_range){ 0, image.len }).ns, most);
	ck_assert(blockz_map_edit_cost(map, raw[0]).how == BLOCKZ_EDIT_RAW);
	ck_assert(blockz_map_edit_cost(map, (struct blockz_range){ raw[0].start, raw[0].end + 1 }).how == BLOCKZ_EDIT_PIECE);
	blockz_map_free(map);
}
END_TEST

/* One piece of such lengths, in a file a thousand times as long. */
static struct blockz_edit_cost cost_of_piece(const struct format *format, uint64_t image_len, uint64_t file_len)
{
	const struct piece piece = { .file_len = file_len, .kind = BLOCKZ_COMPRESSED, .copies = 1 };
	struct blockz_map *map = map_new(format, file_len * 1000);
	map->image_size = image_len;
	ck_assert_int_eq(map_add_piece(map, &piece, NULL), BLOCKZ_OK);
	const struct blockz_edit_cost cost = blockz_map_edit_cost(map, (struct blockz_range){ 0, image_len });
	blockz_map_free(map);
	return cost;
}

START_TEST(long_pieces_are_edited_in_part_or_not_at_all)
{
	const struct format *format = format_by_name(format_of(_i)->name);
	enum blockz_edit_how how = format->splice != NULL ? BLOCKZ_EDIT_PART : BLOCKZ_EDIT_NONE;
	ck_assert(cost_of_piece(format, 4 * MIB, MIB).how == BLOCKZ_EDIT_PIECE);
	ck_assert(cost_of_piece(format, 4 * MIB, UINT64_C(257) * MIB).how == how);
	ck_assert(cost_of_piece(format, UINT64_C(257) * MIB, MIB).how == how);
	ck_assert(cost_of_piece(format, UINT64_C(1) << 62, UINT64_C(1) << 50).how == how);
	const struct blockz_edit_cost first = cost_of_piece(format, 5 * MIB, 0), second = cost_of_piece(format, 6 * MIB, 0);
	ck_assert_uint_eq(second.ns - first.ns, (uint64_t)MIB * format->splice_ns);
}
END_TEST

START_TEST(a_piece_that_takes_long_asks_for_a_new_file)
{
	const struct format *format = format_by_name(format_of(_i)->name);
	const struct blockz_edit_cost small = cost_of_piece(format, MIB, MIB / 3), alone = cost_of_piece(format, MIB, 0);
	ck_assert(small.how == BLOCKZ_EDIT_PIECE && !small.new_file);
	ck_assert_uint_ge(small.ns, (uint64_t)MIB * format->renew_ns);
	ck_assert(alone.ns >= (uint64_t)MIB * format->renew_ns && alone.ns < small.ns);
	const struct blockz_edit_cost large = cost_of_piece(format, UINT64_C(200) * MIB, 1000);
	ck_assert(large.how != BLOCKZ_EDIT_PIECE || (large.new_file && large.ns >= UINT64_C(200) * MIB * format->renew_ns));
}
END_TEST

/* In place only where to copy the file takes as long. */
START_TEST(a_length_that_is_dear_to_keep_asks_for_a_new_file)
{
	const struct format *format = format_by_name(format_of(_i)->name);
	const struct blockz_edit_cost short_file = cost_of_piece(format, 5 * MIB, 100 * KIB);
	const struct blockz_edit_cost long_file = cost_of_piece(format, 5 * MIB, 3 * MIB);
	ck_assert(short_file.how == BLOCKZ_EDIT_PIECE || short_file.new_file == (format->fit_ns > 0));
	ck_assert(long_file.how == BLOCKZ_EDIT_PIECE || !long_file.new_file);
}
END_TEST

START_TEST(nothing_is_edited_where_an_index_is_unknown)
{
	const struct blockz_format *format = format_of(_i);
	const struct blockz_pack_options options = { .level = 2, .raw = raw, .raw_count = 2 };
	struct blockz_map *map = map_of(bytes_source(pack_image(format, new_image(), options, NULL)), false);
	map->index_fault.status = BLOCKZ_UNSUPPORTED;
	const struct blockz_edit_cost cost = blockz_map_edit_cost(map, raw[0]);
	ck_assert(cost.how == BLOCKZ_EDIT_NONE && cost.ns == BLOCKZ_UNKNOWN && !cost.new_file);
	blockz_map_free(map);
}
END_TEST

int main(void)
{
	TCase *c = case_new("edit-cost");
	case_add_formats(c, costs_are_those_that_plans_have);
	case_add_formats(c, threads_share_pieces);
	case_add_formats(c, a_range_costs_what_its_worst_piece_does);
	case_add_formats(c, long_pieces_are_edited_in_part_or_not_at_all);
	case_add_formats(c, a_piece_that_takes_long_asks_for_a_new_file);
	case_add_formats(c, a_length_that_is_dear_to_keep_asks_for_a_new_file);
	case_add_formats(c, nothing_is_edited_where_an_index_is_unknown);
	return case_run("edit-cost", c);
}
