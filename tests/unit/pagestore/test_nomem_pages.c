/* SPDX-License-Identifier: BSD-3-Clause */
/* Each allocation of each operation on a page store fails in turn, alone and with all that follow. */
#include <string.h>

#include "blockz_pages.h"
#include "growing_store.h"
#include "images.h"
#include "short_memory.h"

enum { PAGE = 4096 * 4, PAGES = 24, LEN = PAGES * PAGE - 100 };

static const struct blockz_range raw[] = { { PAGE + 1, 2 * PAGE } };

/* What the operations write: pages in whole and in parts, one after the other; NULL: zeros. */
static const struct step {
	uint64_t off;
	size_t len;
	bool zeros;
} steps[] = {
	{ 0, 2 * PAGE, false },         { 3 * PAGE + 100, 5000, false }, { 4 * PAGE, PAGE / 2, false },
	{ 4 * PAGE + 5, PAGE, false },  { 7 * PAGE, 3 * PAGE, true },    { 10 * PAGE + 4096, 4096, true },
	{ 12 * PAGE, PAGE - 1, false }, { 20 * PAGE, LEN - 20 * PAGE, false },
};

static struct bytes old_image, new_image, room;
static struct blockz_map *map;
static struct growing_store scratch; /* with room for all */
static struct blockz_source base, file;
static struct blockz_pages *pages;
static struct fixed_sink sink;
static enum blockz_pages_layout layout;

static struct blockz_pages_options options_now(void)
{
	return (struct blockz_pages_options){
		.size = LEN, .page_size = PAGE, .layout = layout, .cache = 300 * KIB, .base = &base,
	};
}

/* The first half of the old image is in the base, the rest is written, and noise at its end. */
static void set_up(void)
{
	old_image = image_new(IMAGE_TEXT, LEN);
	rnd_fill(old_image.data + 18 * PAGE, 3 * PAGE);
	new_image = bytes_copy(old_image);
	struct bytes other = image_new(IMAGE_DISK, LEN);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (steps[i].zeros)
			memset(new_image.data + steps[i].off, 0, steps[i].len);
		else
			memcpy(new_image.data + steps[i].off, other.data + steps[i].off, steps[i].len);
	}
	base = bytes_source((struct bytes){ old_image.data, 12 * PAGE });
	const struct blockz_pack_options options = { .level = 2, .piece_size = 64 * KIB };
	file = bytes_source(pack_image(format_named("zstd"), old_image, options, NULL));
	map = map_of(file, false);
	scratch = (struct growing_store){ .bytes = bytes_new(2 * LEN).data, .len = 2 * LEN };
	room = bytes_new(LEN);
	sink.room = bytes_new(2 * LEN);
}

static void no_map(void)
{
	blockz_map_free(map);
	map = NULL;
}

static void no_store(void)
{
	blockz_pages_free(pages);
	pages = NULL;
}

static void old_store(void)
{
	const struct blockz_pages_options options = options_now();
	no_store();
	ck_assert_int_eq(blockz_pages_new(&options, &pages, NULL), BLOCKZ_OK);
	ck_assert_int_eq(blockz_pages_write(pages, old_image.data + 12 * PAGE, LEN - 12 * PAGE, 12 * PAGE, NULL), BLOCKZ_OK);
	sink.len = 0;
}

static enum blockz_status write_steps(struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && status == BLOCKZ_OK; i++)
		status = blockz_pages_write(pages, steps[i].zeros ? NULL : new_image.data + steps[i].off, steps[i].len,
					    steps[i].off, fault);
	return status;
}

static void new_store(void)
{
	old_store();
	ck_assert_int_eq(write_steps(NULL), BLOCKZ_OK);
}

static void read_back(void)
{
	ck_assert_int_eq(blockz_pages_read(pages, room.data, LEN, 0, NULL), BLOCKZ_OK);
}

/* ---- Operations, and whether they have done what they say ---- */

static enum blockz_status run_new(struct blockz_fault *fault)
{
	const struct blockz_pages_options options = options_now();
	return blockz_pages_new(&options, &pages, fault);
}

static bool store_is_there(void)
{
	return blockz_pages_info(pages).size == LEN;
}

static bool no_store_is_there(void)
{
	return pages == NULL;
}

static bool store_is_new(void)
{
	read_back();
	return memcmp(room.data, new_image.data, LEN) == 0;
}

/* Each page as it was before one of the steps, or after. */
static bool store_is_whole(void)
{
	struct bytes step_image = bytes_copy(old_image);
	bool whole[PAGES] = { false };
	read_back();
	for (size_t i = 0; i <= sizeof(steps) / sizeof(steps[0]); i++) {
		for (size_t page = 0; page < PAGES; page++) {
			size_t off = page * PAGE, len = LEN - off < PAGE ? LEN - off : PAGE;
			whole[page] = whole[page] || memcmp(room.data + off, step_image.data + off, len) == 0;
		}
		if (i < sizeof(steps) / sizeof(steps[0]))
			memcpy(step_image.data + steps[i].off, new_image.data + steps[i].off, steps[i].len);
	}
	for (size_t page = 0; page < PAGES; page++)
		if (!whole[page])
			return false;
	/* Where memory is there again, the rest can be written. */
	return write_steps(NULL) == BLOCKZ_OK && store_is_new();
}

static enum blockz_status run_save(struct blockz_fault *fault)
{
	const struct blockz_pages_save_options options = { .raw = raw, .raw_count = 1, .work.threads = 1 };
	struct blockz_sink out = fixed_sink(&sink);
	struct blockz_pack_result result;
	return blockz_pages_save(pages, &out, &options, &result, fault);
}

/* Over a file whose image is the old one. */
static enum blockz_status run_splice(struct blockz_fault *fault)
{
	struct blockz_store store = growing_store(&scratch);
	const struct blockz_pages_origin origin = { .file = &file, .map = map, .scratch = &store, .work.threads = 1 };
	struct blockz_sink out = fixed_sink(&sink);
	struct blockz_plan_info info;
	return blockz_pages_splice(pages, &origin, &out, &info, fault);
}

static bool sink_has_the_image(void)
{
	return judge_says("zstd", (struct bytes){ sink.room.data, sink.len }, new_image);
}

static const struct operation new = {
	.name = "new", .prepare = no_store, .run = run_new, .is_right = store_is_there, .is_clean = no_store_is_there,
};
static const struct operation write_all = {
	.name = "write", .prepare = old_store, .run = write_steps, .is_right = store_is_new, .is_clean = store_is_whole,
	.may_succeed = true,
};
static const struct operation save = {
	.name = "save", .prepare = new_store, .run = run_save, .is_right = sink_has_the_image, .is_clean = store_is_new,
	.may_succeed = true,
};

static const struct operation splice = {
	.name = "splice", .prepare = new_store, .run = run_splice, .is_right = sink_has_the_image, .is_clean = store_is_new,
};

/* Others have all the memory that they need once a store has been written to. */
static const struct {
	const struct operation *operation;
	const char *with;
	enum blockz_pages_layout layout;
} cases[] = {
	{ &new, "compressed", BLOCKZ_PAGES_COMPRESSED }, { &new, "sparse", BLOCKZ_PAGES_SPARSE },
	{ &new, "direct", BLOCKZ_PAGES_DIRECT },         { &write_all, "compressed", BLOCKZ_PAGES_COMPRESSED },
	{ &save, "compressed", BLOCKZ_PAGES_COMPRESSED }, { &save, "sparse", BLOCKZ_PAGES_SPARSE },
	{ &save, "direct", BLOCKZ_PAGES_DIRECT },         { &splice, "compressed", BLOCKZ_PAGES_COMPRESSED },
};

enum { CASES = sizeof(cases) / sizeof(cases[0]) };

START_TEST(each_allocation_fails)
{
	layout = cases[_i / 2].layout;
	set_up();
	fail_allocations(cases[_i / 2].operation, cases[_i / 2].with, _i % 2 != 0);
	no_map();
}
END_TEST

int main(void)
{
	TCase *c = case_new("nomem_pages");
	tcase_add_checked_fixture(c, NULL, no_store);
	tcase_add_loop_test(c, each_allocation_fails, 0, 2 * CASES);
	return case_run("nomem_pages", c);
}
