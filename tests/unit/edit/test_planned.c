/* SPDX-License-Identifier: BSD-3-Clause */
/* The file that a plan makes is read before it is made, and is the one that is made. */
#include <string.h>

#include "growing_store.h"
#include "images.h"
#include "edit/planned.h"

enum { LEN = 3 * MIB + 777, PIECE = 64 * KIB };

static const struct blockz_range raw[] = { { 100 * KIB, 300 * KIB } };

/* Edits anywhere in an image, by both ways. */
static void plan_and_compare(const struct blockz_format *format, enum blockz_way way, bool no_index)
{
	struct bytes image = image_new(IMAGE_DISK, LEN), edited = bytes_copy(image);
	const struct blockz_pack_options options = {
		.level = 2, .piece_size = format->piece_size_min > PIECE ? format->piece_size_min : PIECE, .raw = raw, .raw_count = 1,
		.no_index = no_index,
	};
	struct bytes file = pack_image(format, image, options, NULL);
	struct blockz_source source = bytes_source(file);
	struct blockz_map *map = map_of(source, false);
	struct blockz_edit edits[6];
	for (size_t i = 0; i < 6; i++) {
		struct blockz_range range = { (i + 1) * LEN / 8, (i + 1) * LEN / 8 + 1 + rnd_below(5000) };
		rnd_fill(edited.data + range.start, (size_t)(range.end - range.start));
		edits[i] = edit_from(edited, range);
	}
	struct growing_store memory = { 0 };
	const struct blockz_store scratch = growing_store(&memory);
	const struct blockz_anywhere how = { .way = way, .scratch = &scratch };
	struct blockz_plan *plan = NULL;
	struct blockz_fault fault;
	struct planned_file planned;
	struct growing_sink copy = { 0 };
	const struct blockz_sink sink = growing_sink(&copy);
	enum blockz_status status = blockz_plan_anywhere(&source, map, edits, 6, &how, &plan, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "plan: %s", fault.text);
	ck_assert_int_eq(blockz_plan_copy(plan, &source, &sink, NULL), BLOCKZ_OK);
	ck_assert_int_eq(planned_init(&planned, plan, &source, NULL), BLOCKZ_OK);
	const struct blockz_source made = planned_source(&planned);
	ck_assert_uint_eq(made.size, copy.bytes.len);
	struct bytes found = bytes_new(copy.bytes.len);
	for (int i = 0; i < 300; i++) {
		uint64_t off = rnd_below(made.size + 1);
		size_t len = (size_t)rnd_below(i % 10 == 0 ? found.len + 1 : 5000), got = 0;
		ck_assert_int_eq(made.ops->read(made.ctx, found.data, len, off, &got), 0);
		ck_assert_uint_eq(got, len < made.size - off ? len : made.size - off);
		ck_assert(memcmp(found.data, copy.bytes.data + off, got) == 0);
	}
	planned_free(&planned);
	blockz_plan_free(plan);
	blockz_map_free(map);
	growing_store_free(&memory);
}

START_TEST(it_is_the_file_that_is_made)
{
	for (int no_index = 0; no_index < 2; no_index++) {
		plan_and_compare(format_of(_i), BLOCKZ_WAY_AUTO, no_index != 0);
		plan_and_compare(format_of(_i), BLOCKZ_WAY_SPLICE, no_index != 0);
	}
}
END_TEST

int main(void)
{
	TCase *c = case_new("planned");
	case_add_formats(c, it_is_the_file_that_is_made);
	return case_run("planned", c);
}
