/* SPDX-License-Identifier: BSD-3-Clause */
/* A format sees the old file with the checks as they will be, and says what else has to become different. */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/checked.h"
#include "base/fault.h"
#include "edit/plan_anywhere.h"

/* The old file with the fields of checks as they will be. */
struct fields_over {
	const struct blockz_source *file;
	const struct blockz_plan *plan;
};

static int read_over(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	const struct fields_over *self = ctx;
	const struct blockz_plan *plan = self->plan;
	int error = self->file->ops->read(self->file->ctx, buf, len, off, got_ret);
	if (error != 0)
		return error;
	uint64_t end = off + *got_ret;
	for (size_t i = plan_first(plan, plan->write_count, true, off > CHECK_LEN_MAX ? off - CHECK_LEN_MAX : 0);
	     i < plan->write_count && plan->writes[i].file_off < end; i++) {
		const struct plan_write *write = &plan->writes[i];
		uint64_t from = write->file_off > off ? write->file_off : off, to = min(write->file_off + write->length, end);
		if (write->edit == PLAN_CHECK && from < to)
			memcpy((uint8_t *)buf + (from - off), plan->fields + write->bytes_off + (from - write->file_off), (size_t)(to - from));
	}
	return 0;
}

/* What takes the place of the index is collected first, since the file is read by the plan meanwhile. */
struct index_change {
	struct blockz_range old;
	uint8_t *bytes;
	size_t len;
};

struct index_changes {
	struct index_change *items;
	size_t count;
};

static enum blockz_status collect_change(void *ctx, struct blockz_range old, const uint8_t *bytes, size_t len,
					 struct blockz_fault *fault)
{
	struct index_changes *changes = ctx;
	struct index_change *room = array_room(changes->items, changes->count, sizeof(*room));
	if (room == NULL)
		return fault_nomem(fault);
	changes->items = room;
	uint8_t *copy = malloc(len + 1);
	if (copy == NULL)
		return fault_nomem(fault);
	memcpy(copy, bytes, len);
	changes->items[changes->count++] = (struct index_change){ old, copy, len };
	return BLOCKZ_OK;
}

/* Checks of the index itself come with its new bytes. */
static enum blockz_status drop_checks(struct planner *planner, const struct index_changes *changes)
{
	struct blockz_range *ranges = calloc(changes->count + 1, sizeof(*ranges));
	if (ranges == NULL)
		return fault_nomem(planner->fault);
	for (size_t i = 0; i < changes->count; i++)
		ranges[i] = changes->items[i].old;
	plan_drop(planner->plan, ranges, blockz_ranges_unite(ranges, changes->count), PLAN_CHECK);
	free(ranges);
	return BLOCKZ_OK;
}

static enum blockz_status add_index_changes(struct planner *planner, const struct index_changes *changes)
{
	enum blockz_status status = drop_checks(planner, changes);
	for (size_t i = 0; i < changes->count && status == BLOCKZ_OK; i++) {
		const struct index_change *change = &changes->items[i];
		status = plan_add_new(planner->plan, change->old, change->bytes, change->len, PLAN_INDEX, planner->fault);
	}
	plan_sort(planner->plan);
	return status;
}

enum blockz_status renew_index(struct planner *planner)
{
	static const struct blockz_source_ops ops = { .read = read_over };
	static const struct renewed_piece none;
	struct fields_over over = { planner->file, planner->plan };
	const struct blockz_source file = { .ops = &ops, .ctx = &over, .size = planner->file->size };
	struct index_changes changes = { 0 };
	const struct renewal renewal = {
		.file = &file, .map = planner->map, .pieces = planner->piece_count > 0 ? planner->pieces : &none, .count = planner->piece_count,
		.file_size = plan_file_size(planner->plan), .end = planner->end, .replace = collect_change, .ctx = &changes,
	};
	enum blockz_status status = planner->map->format->renew_index(&renewal, planner->fault);
	if (status == BLOCKZ_OK)
		status = add_index_changes(planner, &changes);
	for (size_t i = 0; i < changes.count; i++)
		free(changes.items[i].bytes);
	free(changes.items);
	return status;
}
