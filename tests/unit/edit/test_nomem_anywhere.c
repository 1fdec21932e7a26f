/* SPDX-License-Identifier: BSD-3-Clause */
/* Each allocation of an edit of compressed bytes fails in turn, alone and with all that follow: in place, and as a new file. */
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

#include "growing_store.h"
#include "images.h"
#include "short_memory.h"
#include "stores.h"

enum { LEN = 6 * 64 * KIB + 1000, EDITS = 3, ROOM = 2 * MIB };

static const struct blockz_format *format;
static const struct blockz_range raw[] = { { 300000, 330000 } };
static struct bytes image, edited, shorter, longer, file;
static struct blockz_source file_source;
static struct blockz_map *map;
static struct blockz_edit edits[EDITS], edit_of_shorter, edit_of_longer;
static struct growing_store scratch_room;
static struct blockz_store scratch;
static struct fixed_sink sink;
static struct memory_store store;
static struct blockz_plan *plan;

static enum blockz_status plan_by(enum blockz_way way, struct blockz_fault *fault)
{
	const struct blockz_anywhere how = { .way = way, .scratch = &scratch, .work = { .threads = 1 } };
	return blockz_plan_anywhere(&file_source, map, edits, EDITS, &how, &plan, fault);
}

static void fresh(void)
{
	blockz_plan_free(plan);
	plan = NULL;
	sink.len = 0;
	memory_store_reset(&store, file.data, file.len);
}

static enum blockz_status run_in_place(struct blockz_fault *fault)
{
	struct blockz_store table = memory_store(&store);
	enum blockz_status status = plan_by(BLOCKZ_WAY_IN_PLACE, fault);
	return status == BLOCKZ_OK ? blockz_plan_apply(plan, &table, fault) : status;
}

static bool store_is_new(void)
{
	return !memory_store_has_journal(&store) &&
	       judge_says(format->name, (struct bytes){ store.file.seen, store.file.size }, edited);
}

static bool store_is_old(void)
{
	struct blockz_store table = memory_store(&store);
	enum blockz_recovery recovery;
	memory_store_reopen(&store);
	return blockz_recover(&table, BLOCKZ_REMEDY_RECOVER, &recovery, NULL) == BLOCKZ_OK && !memory_store_has_journal(&store) &&
	       memcmp(store.file.seen, file.data, file.len) == 0;
}

static enum blockz_status run_splice(struct blockz_fault *fault)
{
	struct blockz_sink out = fixed_sink(&sink);
	enum blockz_status status = plan_by(BLOCKZ_WAY_SPLICE, fault);
	return status == BLOCKZ_OK ? blockz_plan_copy(plan, &file_source, &out, fault) : status;
}

static enum blockz_status run_resize(uint64_t size, const struct blockz_edit *last, struct blockz_fault *fault)
{
	const struct blockz_anywhere how = {
		.resize = true, .image_size = size, .scratch = &scratch, .work = { .threads = 1 },
	};
	struct blockz_sink out = fixed_sink(&sink);
	const struct blockz_edit more[] = { edits[0], *last };
	enum blockz_status status = blockz_plan_anywhere(&file_source, map, more, 2, &how, &plan, fault);
	return status == BLOCKZ_OK ? blockz_plan_copy(plan, &file_source, &out, fault) : status;
}

static enum blockz_status run_shorter(struct blockz_fault *fault)
{
	return run_resize(shorter.len, &edit_of_shorter, fault);
}

static enum blockz_status run_longer(struct blockz_fault *fault)
{
	return run_resize(longer.len, &edit_of_longer, fault);
}

static bool sink_has(struct bytes wanted)
{
	return judge_says(format->name, (struct bytes){ sink.room.data, sink.len }, wanted);
}

static bool sink_has_the_edited_file(void)
{
	return sink_has(edited);
}

static bool sink_has_the_shorter_image(void)
{
	return sink_has(shorter);
}

static bool sink_has_the_longer_image(void)
{
	return sink_has(longer);
}

static const struct operation operations[] = {
	{ .name = "edit in place", .prepare = fresh, .run = run_in_place, .is_right = store_is_new, .is_clean = store_is_old },
	{ .name = "edit as a new file", .prepare = fresh, .run = run_splice, .is_right = sink_has_the_edited_file },
	{ .name = "a shorter image", .prepare = fresh, .run = run_shorter, .is_right = sink_has_the_shorter_image },
	{ .name = "a longer image", .prepare = fresh, .run = run_longer, .is_right = sink_has_the_longer_image },
};

enum { OPERATIONS = sizeof(operations) / sizeof(operations[0]), FORMATS = 3 };

/* Two edits in text, and one in a raw range. */
static void set_up(void)
{
	const struct blockz_pack_options options = { .piece_size = 64 * KIB, .level = 1, .raw = raw, .raw_count = 1 };
	const uint64_t places[EDITS] = { 50, 34 * 4 * KIB + 50, 75 * 4 * KIB + 50 };
	libdeflate_set_memory_allocator(malloc, free);
	image = image_new(IMAGE_LINES, LEN);
	edited = bytes_copy(image);
	for (size_t i = 0; i < EDITS; i++) {
		struct blockz_range range = { places[i], places[i] + 10 };
		memcpy(edited.data + range.start, image.data + range.start + 20, 10);
		edits[i] = edit_from(edited, range);
	}
	shorter = bytes_new(150000);
	longer = bytes_new(LEN + 3 * 64 * KIB);
	memcpy(longer.data, image.data, LEN);
	memcpy(longer.data + places[0], edited.data + places[0], 10);
	memcpy(shorter.data, longer.data, shorter.len);
	fill_text(longer.data + longer.len - 10, 10);
	memcpy(shorter.data + shorter.len - 10, image.data, 10);
	edit_of_shorter = edit_from(shorter, (struct blockz_range){ shorter.len - 10, shorter.len });
	edit_of_longer = edit_from(longer, (struct blockz_range){ longer.len - 10, longer.len });
	file = pack_image(format, image, options, NULL);
	file_source = bytes_source(file);
	map = map_of(file_source, false);
	sink.room = bytes_new(ROOM);
	scratch_room = (struct growing_store){ .bytes = bytes_new(ROOM).data, .len = ROOM };
	scratch = growing_store(&scratch_room);
	/* A store that has been used once has all the memory it needs. */
	memory_store_init(&store, file.data, file.len);
	ck_assert_int_eq(run_in_place(NULL), BLOCKZ_OK);
}

static void teardown(void)
{
	blockz_plan_free(plan);
	blockz_map_free(map);
	memory_store_free(&store);
}

START_TEST(each_allocation_fails)
{
	format = format_of(_i / 2 / OPERATIONS);
	set_up();
	fail_allocations(&operations[_i / 2 % OPERATIONS], format->name, _i % 2 != 0);
}
END_TEST

int main(void)
{
	TCase *c = case_new("nomem_anywhere");
	tcase_add_checked_fixture(c, NULL, teardown);
	tcase_add_loop_test(c, each_allocation_fails, 0, 2 * OPERATIONS * FORMATS);
	return case_run("nomem_anywhere", c);
}
