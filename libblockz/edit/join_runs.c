/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A run begins with a write that is longer or shorter than what it replaces, and ends with the one that makes up for that.
 * Its new bytes are copied, with what lies between its writes, to the scratch once more, in parts of a transaction's length.
 */
#include "edit/join_runs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fault.h"
#include "check/crc.h"
#include "io/access.h"
#include "edit/patch.h"

/* The part of a run that is being collected. */
struct run_part {
	struct planner *planner;
	uint64_t file_off;
	size_t len;
	uint8_t bytes[PLAN_WRITE_MAX];
};

static enum blockz_status give_part(struct run_part *part)
{
	const struct planner *planner = part->planner;
	struct blockz_range range = { part->file_off, part->file_off + part->len };
	part->file_off = range.end;
	part->len = 0;
	return plan_add_new(planner->plan, range, part->bytes, (size_t)(range.end - range.start), PLAN_PIECE, planner->fault);
}

/* Counts len bytes in that were put behind the others; the part is given away when it is full. */
static enum blockz_status count_in(struct run_part *part, size_t len)
{
	part->len += len;
	return part->len == sizeof(part->bytes) ? give_part(part) : BLOCKZ_OK;
}

static size_t room_for(const struct run_part *part, uint64_t len)
{
	return (size_t)min(len, sizeof(part->bytes) - part->len);
}

static enum blockz_status add_new(struct run_part *part, const struct plan_write *write)
{
	const struct planner *planner = part->planner;
	enum blockz_status status = BLOCKZ_OK;
	uint32_t crc = 0;
	size_t len;
	for (uint64_t at = 0; at < write->new_length && status == BLOCKZ_OK; at += len) {
		uint8_t *bytes = part->bytes + part->len;
		len = room_for(part, write->new_length - at);
		status = patch_read_new(planner->plan, write, at, bytes, len, planner->fault);
		if (status != BLOCKZ_OK)
			return status;
		crc = crc32_update(crc, bytes, len);
		status = count_in(part, len);
	}
	return status == BLOCKZ_OK ? patch_check_new(write, crc, planner->fault) : status;
}

static enum blockz_status add_moved(struct run_part *part, uint64_t start, uint64_t end)
{
	const struct planner *planner = part->planner;
	enum blockz_status status = BLOCKZ_OK;
	size_t len;
	for (; start < end && status == BLOCKZ_OK; start += len) {
		len = room_for(part, end - start);
		status = read_file(planner->file, part->bytes + part->len, len, start, planner->fault);
		if (status == BLOCKZ_OK)
			status = count_in(part, len);
	}
	return status;
}

/* Adds the writes that writes [first, end) become. */
static enum blockz_status join_run(struct run_part *part, size_t first, size_t end)
{
	const struct blockz_plan *plan = part->planner->plan;
	enum blockz_status status = BLOCKZ_OK;
	part->file_off = plan->writes[first].file_off;
	for (size_t i = first; i < end && status == BLOCKZ_OK; i++) {
		const struct plan_write write = plan->writes[i]; /* the array may move */
		status = add_new(part, &write);
		if (status == BLOCKZ_OK && i + 1 < end)
			status = add_moved(part, write.file_off + write.length, plan->writes[i + 1].file_off);
	}
	return status == BLOCKZ_OK && part->len > 0 ? give_part(part) : status;
}

static size_t run_end(const struct blockz_plan *plan, size_t first, size_t count)
{
	uint64_t growth = 0; /* modulo 2^64 */
	do {
		growth += (uint64_t)plan->writes[first].new_length - plan->writes[first].length;
		first++;
	} while (growth != 0 && first < count);
	assert(growth == 0);
	return first;
}

static enum blockz_status join_all(struct run_part *part)
{
	struct planner *planner = part->planner;
	struct blockz_plan *plan = planner->plan;
	size_t count = plan->write_count;
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = planner->raw_count, end; i < count && status == BLOCKZ_OK; i = end) {
		const struct plan_write write = plan->writes[i];
		end = run_end(plan, i, count);
		status = end == i + 1 ? plan_add(plan, &write, planner->fault) : join_run(part, i, end);
	}
	if (status != BLOCKZ_OK)
		return status;
	plan->write_count -= count - planner->raw_count;
	memmove(plan->writes + planner->raw_count, plan->writes + count,
		(plan->write_count - planner->raw_count) * sizeof(*plan->writes));
	return BLOCKZ_OK;
}

enum blockz_status join_runs(struct planner *planner)
{
	struct run_part *part = calloc(1, sizeof(*part));
	if (part == NULL)
		return fault_nomem(planner->fault);
	part->planner = planner;
	plan_sort_from(planner->plan, planner->raw_count);
	enum blockz_status status = join_all(part);
	free(part);
	return status;
}
