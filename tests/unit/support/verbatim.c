/* SPDX-License-Identifier: BSD-3-Clause */
/* Old and new file are gone through together, from write to write. */
#include "verbatim.h"

#include <string.h>


/* What the plan tells of a write is what stands in the new file. */
static void check_new(const struct blockz_plan *plan, size_t index, const uint8_t *there, uint64_t len)
{
	struct growing_sink sink = { .calls = 0 };
	struct blockz_sink out = growing_sink(&sink);
	ck_assert_int_eq(blockz_plan_copy_new(plan, index, &out, NULL), BLOCKZ_OK);
	ck_assert_uint_eq(sink.bytes.len, len);
	ck_assert(len == 0 || memcmp(sink.bytes.data, there, (size_t)len) == 0);
}

void assert_verbatim(const struct blockz_plan *plan, struct bytes old, struct bytes new)
{
	struct blockz_planned_write write;
	uint64_t pos = 0, now = 0;
	for (size_t i = 0; blockz_plan_write_at(plan, i, &write); i++) {
		ck_assert_uint_ge(write.file_off, pos);
		uint64_t len = write.file_off - pos;
		ck_assert_uint_le(now + len + write.new_length, new.len);
		ck_assert(memcmp(old.data + pos, new.data + now, (size_t)len) == 0);
		check_new(plan, i, new.data + now + len, write.new_length);
		pos = write.file_off + write.length;
		now += len + write.new_length;
	}
	ck_assert_uint_eq(new.len - now, old.len - pos);
	ck_assert(memcmp(old.data + pos, new.data + now, old.len - pos) == 0);
	struct blockz_fault fault;
	struct blockz_sink nowhere = { 0 };
	ck_assert_int_eq(blockz_plan_copy_new(plan, (size_t)blockz_plan_info(plan).writes, &nowhere, &fault), BLOCKZ_USAGE);
}
