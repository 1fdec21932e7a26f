/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes of a plan that something else takes the place of, compared with looking at each range for each write. */
#include <string.h>

#include "memory.h"
#include "random.h"
#include "range/plan.h"

enum { FILE_SIZE = 1000, WRITES = 300 };

static bool is_dropped(const struct plan_write *write, const struct blockz_range *ranges, size_t count, uint32_t source)
{
	for (size_t i = 0; i < count; i++)
		if (write->edit == source && ranges[i].start <= write->file_off && write->file_off < ranges[i].end)
			return true;
	return false;
}

static struct blockz_plan *rnd_plan(void)
{
	static const uint32_t sources[] = { PLAN_CHECK, PLAN_PIECE, PLAN_INDEX };
	struct blockz_plan *plan = plan_new(FILE_SIZE, NULL, 0);
	ck_assert_ptr_nonnull(plan);
	for (size_t i = 0; i < WRITES; i++) {
		const struct plan_write write = {
			.file_off = rnd_below(FILE_SIZE), .bytes_off = i, .length = 1, .new_length = 1, .edit = sources[rnd() % 3],
		};
		ck_assert_int_eq(plan_add(plan, &write, NULL), BLOCKZ_OK);
	}
	return plan;
}

/* Those that stay keep their order. */
START_TEST(writes_are_dropped)
{
	for (int round = 0; round < 200; round++) {
		struct blockz_plan *plan = rnd_plan();
		struct plan_write before[WRITES];
		struct blockz_range ranges[20];
		size_t count = (size_t)rnd_below(20), kept = 0;
		memcpy(before, plan->writes, sizeof(before));
		for (size_t i = 0; i < count; i++) {
			uint64_t start = rnd_below(FILE_SIZE);
			ranges[i] = (struct blockz_range){ start, start + rnd_below(40) };
		}
		count = blockz_ranges_unite(ranges, count);
		plan_drop(plan, ranges, count, PLAN_CHECK);
		for (size_t i = 0; i < WRITES; i++) {
			if (is_dropped(&before[i], ranges, count, PLAN_CHECK))
				continue;
			ck_assert_uint_lt(kept, plan->write_count);
			ck_assert_mem_eq(&plan->writes[kept], &before[i], sizeof(before[i]));
			kept++;
		}
		ck_assert_uint_eq(kept, plan->write_count);
		blockz_plan_free(plan);
	}
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("plan");
	tcase_add_test(tcase, writes_are_dropped);
	return case_run("plan", tcase);
}
