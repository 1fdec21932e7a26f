/* SPDX-License-Identifier: BSD-3-Clause */
/* Sectors that wait, compared with arrays that say the same in the simplest way. */
#include <stdlib.h>
#include <string.h>

#include "images.h"
#include "pagestore/write_buffer.h"

enum { PAGES = 40, SECTOR = PAGE_SECTOR_SIZE, STRIDE = 7 };

static struct write_buffer *buffer_new(struct memory *memory, unsigned sectors_per_page, size_t sectors_max)
{
	struct write_buffer *buffer = write_buffer_new(memory, sectors_per_page, sectors_max);
	ck_assert_ptr_nonnull(buffer);
	return buffer;
}

static void fill(uint8_t *bytes, uint64_t value)
{
	for (size_t i = 0; i < SECTOR; i += sizeof(value))
		memcpy(bytes + i, &value, sizeof(value));
}

static bool is_filled(const uint8_t *bytes, uint64_t value)
{
	return memcmp(bytes, &value, sizeof(value)) == 0 && memcmp(bytes, bytes + sizeof(value), SECTOR - sizeof(value)) == 0;
}

/* ---- The model ---- */

struct model {
	struct write_buffer *buffer;
	unsigned sectors_per_page;
	size_t sectors_max, count;
	uint64_t base; /* number of the first page; each has a number STRIDE more than the one before */
	uint64_t clock;
	struct {
		uint64_t mask, changed;
		uint64_t values[PAGE_SECTORS_MAX];
	} pages[PAGES];
};

static uint64_t number_of(const struct model *model, size_t page)
{
	return model->base + page * STRIDE;
}

static void model_put(struct model *model, size_t page, unsigned sector)
{
	uint64_t bit = UINT64_C(1) << sector;
	bool waits = (model->pages[page].mask & bit) != 0;
	uint8_t *bytes = write_buffer_put(model->buffer, number_of(model, page), sector);
	ck_assert_int_eq(bytes != NULL, waits || model->count < model->sectors_max);
	if (bytes == NULL)
		return;
	if (waits)
		ck_assert(is_filled(bytes, model->pages[page].values[sector]));
	model->count += !waits;
	model->pages[page].mask |= bit;
	model->pages[page].changed = ++model->clock;
	model->pages[page].values[sector] = rnd();
	fill(bytes, model->pages[page].values[sector]);
}

static void model_drop(struct model *model, size_t page, uint64_t mask)
{
	uint64_t dropped = model->pages[page].mask & mask;
	write_buffer_drop(model->buffer, number_of(model, page), mask);
	model->count -= (size_t)__builtin_popcountll(dropped);
	model->pages[page].mask &= ~mask;
	if (dropped != 0)
		model->pages[page].changed = ++model->clock;
}

static bool is_before(const struct model *model, size_t a, size_t b)
{
	int more = __builtin_popcountll(model->pages[a].mask) - __builtin_popcountll(model->pages[b].mask);
	return more > 0 || (more == 0 && model->pages[a].changed < model->pages[b].changed);
}

static void assert_next(const struct model *model)
{
	size_t first = 0;
	uint64_t page = 1;
	for (size_t i = 1; i < PAGES; i++)
		if (is_before(model, i, first))
			first = i;
	ck_assert_int_eq(write_buffer_next(model->buffer, &page), model->count > 0);
	ck_assert_uint_eq(page, model->count > 0 ? number_of(model, first) : 1);
}

static void assert_page(const struct model *model, size_t page)
{
	uint64_t number = number_of(model, page), mask = model->pages[page].mask;
	ck_assert_uint_eq(write_buffer_mask(model->buffer, number), mask);
	ck_assert_uint_eq(write_buffer_mask(model->buffer, number + 1), 0);
	for (unsigned i = 0; i < model->sectors_per_page; i++)
		if (mask >> i & 1)
			ck_assert(is_filled(write_buffer_sector(model->buffer, number, i), model->pages[page].values[i]));
}

static void model_step(struct model *model)
{
	size_t page = (size_t)rnd_below(PAGES);
	uint64_t next = 0, what = rnd_below(100);
	if (what < 80) {
		model_put(model, rnd_below(3) > 0 ? page % 8 : page, (unsigned)rnd_below(model->sectors_per_page));
	} else if (what < 92) {
		model_drop(model, page, rnd_below(2) > 0 ? UINT64_MAX : rnd());
	} else if (what < 99 && write_buffer_next(model->buffer, &next)) {
		model_drop(model, (next - model->base) / STRIDE, UINT64_MAX);
	} else if (rnd_below(20) == 0) {
		for (size_t i = 0; i < PAGES; i++)
			model_drop(model, i, UINT64_MAX);
	}
}

static void compare(unsigned sectors_per_page, size_t sectors_max, uint64_t base)
{
	struct memory memory = { .max = 0 };
	struct model *model = keep(sizeof(*model));
	model->buffer = buffer_new(&memory, sectors_per_page, sectors_max);
	model->sectors_per_page = sectors_per_page;
	model->sectors_max = sectors_max;
	model->base = base;
	uint64_t empty = memory.used;
	for (int i = 0; i < (few_rounds ? 2000 : 10000); i++) {
		model_step(model);
		ck_assert_uint_eq(write_buffer_count(model->buffer), model->count);
		assert_next(model);
		assert_page(model, (size_t)rnd_below(PAGES));
		ck_assert_uint_ge(memory.used, empty + model->count * SECTOR);
	}
	for (size_t i = 0; i < PAGES; i++)
		assert_page(model, i);
	write_buffer_free(model->buffer);
	ck_assert_uint_eq(memory.used, 0);
}

START_TEST(random_requests)
{
	static const unsigned sectors[] = { 1, 2, 8, 64 };
	static const size_t most[] = { 0, 1, 13, 64, SIZE_MAX };
	for (size_t i = 0; i < sizeof(sectors) / sizeof(sectors[0]); i++)
		for (size_t j = 0; j < sizeof(most) / sizeof(most[0]); j++)
			compare(sectors[i], most[j], j % 2 == 0 ? 0 : UINT64_MAX - (PAGES + 1) * STRIDE);
}
END_TEST

/* ---- Memory ---- */

/* Where memory ends, what waits goes on to do so, and once a page is dropped there is room again. */
START_TEST(memory_that_ends)
{
	struct memory memory = { .max = 1 * MIB };
	struct write_buffer *buffer = buffer_new(&memory, 8, SIZE_MAX);
	uint64_t page = 0;
	for (uint8_t *bytes; (bytes = write_buffer_put(buffer, page, page % 8)) != NULL; page++)
		fill(bytes, page);
	ck_assert_uint_ge(page, 200);
	ck_assert_uint_eq(write_buffer_count(buffer), page);
	ck_assert_uint_eq(write_buffer_mask(buffer, page), 0);
	for (uint64_t i = 0; i < page; i++) {
		ck_assert_uint_eq(write_buffer_mask(buffer, i), 1u << i % 8);
		ck_assert(is_filled(write_buffer_sector(buffer, i, i % 8), i));
	}
	write_buffer_drop(buffer, 3, UINT64_MAX);
	ck_assert_ptr_nonnull(write_buffer_put(buffer, page, 0));
	write_buffer_free(buffer);
	ck_assert_uint_eq(memory.used, 0);
	ck_assert_uint_le(memory.peak, 1 * MIB);
	memory.max = 16;
	ck_assert_ptr_null(write_buffer_new(&memory, 8, 100));
}
END_TEST

/* What is beside the sectors is a few percent; what is kept when nothing waits does not grow with what waited. */
START_TEST(memory_is_given_back)
{
	struct memory memory = { .max = 0 };
	struct write_buffer *buffer = buffer_new(&memory, 8, 4096);
	uint64_t empty = memory.used, page;
	for (uint64_t i = 0; i < 4096; i++)
		ck_assert_ptr_nonnull(write_buffer_put(buffer, i, 5));
	ck_assert_uint_le(memory.used, 4096 * SECTOR * 103 / 100);
	while (write_buffer_next(buffer, &page))
		write_buffer_drop(buffer, page, UINT64_MAX);
	ck_assert_uint_le(memory.used, empty + 80 * KIB);
	ck_assert_ptr_nonnull(write_buffer_put(buffer, 77, 7));
	write_buffer_free(buffer);
	ck_assert_uint_eq(memory.used, 0);
}
END_TEST

int main(void)
{
	TCase *c = case_new("write_buffer");
	tcase_add_test(c, random_requests);
	tcase_add_test(c, memory_that_ends);
	tcase_add_test(c, memory_is_given_back);
	return case_run("write_buffer", c);
}
