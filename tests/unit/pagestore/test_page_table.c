/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of a shard's pages against a plain array, and at the ends of the largest one. */
#include "base/checked.h"
#include "blockz_pages.h"
#include "memory.h"
#include "pagestore/page_table.h"
#include "random.h"

enum { PAGES = 3000, STEPS = 3000, BIG = 1 << 30 };

static const uint64_t most = UINT64_C(1) << 51; /* pages */

static struct memory memory;

static bool are_equal(struct page_entry a, struct page_entry b)
{
	return a.kind == b.kind && a.waits == b.waits && a.writes == b.writes && a.len == b.len && a.first == b.first;
}

static struct page_entry entry_new(void)
{
	static const struct page_entry entries[] = {
		{ .kind = PAGE_ZERO },
		{ .kind = PAGE_ZERO, .waits = true },
		{ .kind = PAGE_BASE, .waits = true },
		{ .kind = PAGE_RAW, .writes = PAGE_WRITES_MAX, .len = BLOCKZ_PAGE_SIZE_MAX, .first = UINT32_MAX },
		{ .kind = PAGE_FRAME, .waits = true, .len = 1, .first = 1 },
		{ .kind = PAGE_FRAME, .len = 20000, .first = 7 },
	};
	return entries[rnd_below(sizeof(entries) / sizeof(entries[0]))];
}

static enum page_sort sort_of(struct page_entry entry)
{
	return entry.waits || entry.len > 0 ? SORT_STORED : entry.kind == PAGE_BASE ? SORT_BASE : SORT_ZERO;
}

/* ---- Against an array ---- */

struct model {
	struct page_table *table;
	uint64_t pages, next; /* the lowest page that may be dropped next */
	struct page_entry entries[PAGES];
};

static void drop(void *ctx, uint64_t page, struct page_entry entry)
{
	struct model *model = ctx;
	ck_assert_uint_ge(page, model->next);
	ck_assert(are_equal(entry, model->entries[page]));
	ck_assert(sort_of(entry) == SORT_STORED);
	model->entries[page] = (struct page_entry){ .kind = PAGE_ZERO };
	model->next = page + 1;
}

static void zero(struct model *model)
{
	uint64_t first = rnd_below(model->pages), end = first + rnd_below(model->pages - first + 1);
	if (rnd_below(2) == 0)
		end = min(end, first + 3);
	model->next = first;
	ck_assert(page_table_zero(model->table, first, end, drop, model));
	for (uint64_t i = first; i < end; i++) {
		ck_assert(sort_of(model->entries[i]) != SORT_STORED); /* it was dropped */
		model->entries[i] = (struct page_entry){ .kind = PAGE_ZERO };
	}
}

static void check_sorts(const struct model *model)
{
	uint64_t page = rnd_below(model->pages), end = page + rnd_below(model->pages - page + 1), differs = page;
	enum page_sort sort = (enum page_sort)rnd_below(3);
	while (differs < end && sort_of(model->entries[differs]) == sort)
		differs++;
	ck_assert_uint_eq(page_table_differs(model->table, page, end, sort), differs);
	ck_assert_int_eq(page_table_sort(model->table, page), sort_of(model->entries[page]));
}

static void check_all(const struct model *model)
{
	for (uint64_t i = 0; i < model->pages; i++)
		ck_assert(are_equal(page_table_get(model->table, i), model->entries[i]));
}

START_TEST(is_like_an_array)
{
	static const uint64_t counts[][2] = { { 1, 0 }, { 1, 1 }, { 512, 100 }, { 513, 0 }, { PAGES, 0 }, { PAGES, 700 },
					      { PAGES, PAGES } };
	struct model *model = keep(sizeof(*model));
	model->pages = counts[_i][0];
	model->table = page_table_new(&memory, model->pages, counts[_i][1]);
	for (uint64_t i = 0; i < model->pages; i++)
		model->entries[i].kind = i < counts[_i][1] ? PAGE_BASE : PAGE_ZERO;
	for (int i = 0; i < STEPS; i++) {
		uint64_t page = rnd_below(model->pages);
		struct page_entry entry = entry_new();
		if (i % 500 == 499)
			check_all(model);
		if (rnd_below(40) == 0)
			zero(model);
		if (entry.kind == PAGE_BASE && page >= counts[_i][1])
			continue;
		ck_assert(page_table_set(model->table, page, entry));
		model->entries[page] = entry;
		check_sorts(model);
	}
	check_all(model);
	page_table_free(model->table);
	ck_assert_uint_eq(memory.used, 0);
}
END_TEST

/* ---- The largest ---- */

static void drop_none(void *ctx, uint64_t page, struct page_entry entry)
{
	(void)ctx;
	ck_abort_msg("page %ju, kind %d", (uintmax_t)page, (int)entry.kind);
}

static void drop_some(void *ctx, uint64_t page, struct page_entry entry)
{
	(void)entry;
	*(uint64_t *)ctx = page;
}

START_TEST(zeroing_takes_no_memory)
{
	uint64_t base_pages = _i == 0 ? 0 : _i == 1 ? most / 2 + 12345 : most, last = 0;
	struct page_table *table = page_table_new(&memory, most, base_pages);
	uint64_t used = memory.used;
	ck_assert(page_table_zero(table, 1, most, drop_none, NULL));
	ck_assert_uint_le(memory.used - used, 60 * KIB); /* a node of 4 KiB for each level at each end */
	ck_assert_int_eq(page_table_sort(table, 0), _i == 0 ? SORT_ZERO : SORT_BASE);
	ck_assert_uint_eq(page_table_differs(table, 1, most, SORT_ZERO), most);
	ck_assert(page_table_zero(table, 0, 1, drop_none, NULL));
	ck_assert_uint_eq(page_table_differs(table, 0, most, SORT_ZERO), most);
	ck_assert_uint_le(memory.used - used, 5 * KIB); /* all was folded, but for the root over a base */
	used = memory.used;
	struct page_entry entry = { .kind = PAGE_FRAME, .len = 5, .first = 6 };
	ck_assert(page_table_set(table, most - 1, entry));
	ck_assert(are_equal(page_table_get(table, most - 1), entry));
	ck_assert_uint_eq(page_table_differs(table, 0, most, SORT_ZERO), most - 1);
	ck_assert(page_table_zero(table, BIG, most, drop_some, &last));
	ck_assert_uint_eq(last, most - 1);
	ck_assert_uint_eq(memory.used, used);
	page_table_free(table);
}
END_TEST

START_TEST(without_memory_nothing_changes)
{
	struct page_table *table = page_table_new(&memory, most, most);
	struct page_entry entry = { .kind = PAGE_RAW, .len = 5, .first = 6 };
	for (uint64_t room = 0; room < 20; room++) {
		memory.max = memory.used + room * KIB;
		uint64_t used = memory.used;
		if (page_table_set(table, BIG, entry)) {
			ck_assert_uint_gt(room, 4);
			ck_assert(are_equal(page_table_get(table, BIG), entry));
			entry.kind = PAGE_FRAME;
			memory.max = 1;
			ck_assert(page_table_set(table, BIG, entry)); /* takes none */
		} else {
			ck_assert_int_eq(page_table_sort(table, BIG), SORT_BASE);
			ck_assert_uint_eq(memory.used, used);
			ck_assert(!page_table_zero(table, BIG, BIG + 2, drop_none, NULL));
			ck_assert_uint_eq(memory.used, used);
		}
	}
	page_table_free(table);
	ck_assert_uint_eq(memory.used, 0);
}
END_TEST

int main(void)
{
	TCase *c = case_new("page_table");
	tcase_add_loop_test(c, is_like_an_array, 0, 7);
	tcase_add_loop_test(c, zeroing_takes_no_memory, 0, 3);
	tcase_add_test(c, without_memory_nothing_changes);
	return case_run("page_table", c);
}
