/* SPDX-License-Identifier: BSD-3-Clause */
/* The writes of a plan are collected in any order, and sorted when it is complete. */
#include "range/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bisect.h"
#include "base/checked.h"
#include "base/export.h"
#include "base/fault.h"
#include "check/crc.h"

struct blockz_plan *plan_new(uint64_t file_size, const struct blockz_edit *edits, size_t count)
{
	struct blockz_plan *plan = calloc(1, sizeof(*plan));
	if (plan == NULL)
		return NULL;
	plan->file_size = file_size;
	plan->edits = calloc(count + 1, sizeof(*edits));
	if (plan->edits == NULL) {
		free(plan);
		return NULL;
	}
	if (count > 0)
		memcpy(plan->edits, edits, count * sizeof(*edits));
	return plan;
}

EXPORT void blockz_plan_free(struct blockz_plan *plan)
{
	if (plan == NULL)
		return;
	free(plan->edits);
	free(plan->writes);
	free(plan->changes);
	free(plan->fields);
	free(plan);
}

enum blockz_status plan_add(struct blockz_plan *plan, const struct plan_write *write, struct blockz_fault *fault)
{
	struct plan_write *room = array_room(plan->writes, plan->write_count, sizeof(*room));
	if (room == NULL)
		return fault_nomem(fault);
	plan->writes = room;
	plan->writes[plan->write_count++] = *write;
	return BLOCKZ_OK;
}

enum blockz_status plan_add_field(struct blockz_plan *plan, uint64_t file_off, const uint8_t *old, const uint8_t *new,
				  size_t len, struct blockz_fault *fault)
{
	uint8_t *fields = realloc(plan->fields, plan->fields_len + len);
	if (fields == NULL)
		return fault_nomem(fault);
	plan->fields = fields;
	memcpy(fields + plan->fields_len, new, len);
	struct plan_write write = {
		.file_off = file_off, .bytes_off = plan->fields_len, .length = (uint32_t)len, .new_length = (uint32_t)len,
		.edit = PLAN_CHECK,
		.delta = crc32_update(0, old, len) ^ crc32_update(0, new, len),
	};
	plan->fields_len += len;
	return plan_add(plan, &write, fault);
}

/* Copies new bytes to the scratch, and adds the write of them. */
static enum blockz_status add_new(struct blockz_plan *plan, const struct plan_write *write, const uint8_t *bytes,
				  struct blockz_fault *fault)
{
	struct plan_write added = *write;
	const struct blockz_store *scratch = plan->scratch;
	int error = write->new_length > 0
			    ? scratch->ops->write(scratch->ctx, bytes, write->new_length, plan->scratch_len) : 0;
	if (error != 0)
		return fault_errno(fault, error, BLOCKZ_UNKNOWN, "writing what is encoded again to a temporary file");
	added.bytes_off = plan->scratch_len;
	added.value = crc32_update(0, bytes, write->new_length);
	plan->scratch_len += write->new_length;
	return plan_add(plan, &added, fault);
}

enum blockz_status plan_add_new(struct blockz_plan *plan, struct blockz_range old, const uint8_t *bytes, size_t len,
				uint32_t source, struct blockz_fault *fault)
{
	uint64_t old_len = old.end - old.start, part_max = old_len == len ? PLAN_WRITE_MAX : UINT32_MAX;
	enum blockz_status status = BLOCKZ_OK;
	if (old_len != len && (old_len > UINT32_MAX || len > UINT32_MAX))
		return fault_set(fault, BLOCKZ_LIMIT, old.start, "more than 4 GiB would have to be replaced at once");
	for (uint64_t pos = 0; (pos < old_len || (pos == 0 && len > 0)) && status == BLOCKZ_OK; pos += part_max) {
		const struct plan_write write = {
			.file_off = old.start + pos, .image_off = BLOCKZ_UNKNOWN, .length = (uint32_t)min(old_len - pos, part_max),
			.new_length = (uint32_t)min(len - pos, part_max), .edit = source,
		};
		status = add_new(plan, &write, bytes + pos, fault);
	}
	return status;
}

/* *again_ret: what was put in between and copied to the scratch last begins with these bytes. */
static enum blockz_status is_put_again(const struct blockz_plan *plan, const uint8_t *bytes, size_t len, bool *again_ret,
				       struct blockz_fault *fault)
{
	uint8_t part[4096];
	*again_ret = len <= plan->put_len;
	for (size_t pos = 0, got = 0; pos < len && *again_ret; pos += got) {
		size_t want = len - pos < sizeof(part) ? len - pos : sizeof(part);
		int error = plan->scratch->ops->read(plan->scratch->ctx, part, want, plan->put_off + pos, &got);
		if (error != 0 || got < want)
			return fault_errno(fault, error != 0 ? error : EIO, BLOCKZ_UNKNOWN,
					   "reading what was encoded again from a temporary file");
		*again_ret = memcmp(part, bytes + pos, want) == 0;
	}
	return BLOCKZ_OK;
}

enum blockz_status plan_put(struct blockz_plan *plan, uint64_t file_off, const uint8_t *bytes, size_t len,
			    struct blockz_fault *fault)
{
	struct plan_write write = {
		.file_off = file_off, .image_off = plan->put_count++, .bytes_off = plan->put_off, .new_length = (uint32_t)len,
		.edit = PLAN_PIECE, .value = crc32_update(0, bytes, len),
	};
	bool again = false;
	enum blockz_status status = is_put_again(plan, bytes, len, &again, fault);
	if (status != BLOCKZ_OK || again)
		return status == BLOCKZ_OK ? plan_add(plan, &write, fault) : status;
	plan->put_off = plan->scratch_len;
	plan->put_len = len;
	return add_new(plan, &write, bytes, fault);
}

enum blockz_status plan_leave_out(struct blockz_plan *plan, struct blockz_range old, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	for (uint64_t pos = old.start; pos < old.end && status == BLOCKZ_OK; pos += min(old.end - pos, UINT32_MAX)) {
		const struct plan_write write = {
			.file_off = pos, .image_off = BLOCKZ_UNKNOWN, .length = (uint32_t)min(old.end - pos, UINT32_MAX),
			.edit = PLAN_PIECE,
		};
		status = plan_add(plan, &write, fault);
	}
	return status;
}

bool plan_replaces(const struct blockz_plan *plan, struct blockz_range range, uint32_t source)
{
	for (size_t i = 0; i < plan->write_count; i++) {
		const struct plan_write *write = &plan->writes[i];
		if (write->edit == source && write->file_off < range.end && write->file_off + write->length > range.start)
			return true;
	}
	return false;
}

enum blockz_status plan_add_change(struct blockz_plan *plan, const struct plan_change *change, struct blockz_fault *fault)
{
	struct plan_change *room = array_room(plan->changes, plan->change_count, sizeof(*room));
	if (room == NULL)
		return fault_nomem(fault);
	plan->changes = room;
	plan->changes[plan->change_count++] = *change;
	return BLOCKZ_OK;
}

static bool is_range_before(const void *ranges, uint64_t i, uint64_t off)
{
	return ((const struct blockz_range *)ranges)[i].end <= off;
}

void plan_drop(struct blockz_plan *plan, const struct blockz_range *ranges, size_t count, uint32_t source)
{
	size_t kept = 0;
	for (size_t i = 0; i < plan->write_count; i++) {
		const struct plan_write *write = &plan->writes[i];
		size_t k = write->edit == source ? (size_t)bisect(count, is_range_before, ranges, write->file_off) : count;
		if (k == count || write->file_off < ranges[k].start)
			plan->writes[kept++] = *write;
	}
	plan->write_count = kept;
}

uint64_t plan_file_size(const struct blockz_plan *plan)
{
	uint64_t size = plan->file_size;
	for (size_t i = 0; i < plan->write_count; i++)
		size += (uint64_t)plan->writes[i].new_length - plan->writes[i].length;
	return size;
}

static int compare_writes(const void *a, const void *b)
{
	const struct plan_write *wa = a, *wb = b;
	if (wa->file_off == wb->file_off)
		return (wa->image_off > wb->image_off) - (wa->image_off < wb->image_off);
	return wa->file_off < wb->file_off ? -1 : 1;
}

void plan_sort(struct blockz_plan *plan)
{
	plan_sort_from(plan, 0);
}

void plan_sort_from(struct blockz_plan *plan, size_t first)
{
	if (plan->write_count > first)
		qsort(plan->writes + first, plan->write_count - first, sizeof(*plan->writes), compare_writes);
}

static bool is_before_in_file(const void *plan, uint64_t i, uint64_t off)
{
	return ((const struct blockz_plan *)plan)->writes[i].file_off < off;
}

static bool is_before_in_image(const void *plan, uint64_t i, uint64_t off)
{
	return ((const struct blockz_plan *)plan)->writes[i].image_off < off;
}

size_t plan_first(const struct blockz_plan *plan, size_t count, bool of_file, uint64_t off)
{
	return (size_t)(of_file ? bisect(count, is_before_in_file, plan, off) : bisect(count, is_before_in_image, plan, off));
}

/* Goes over an interval from its start on, and sums up what was done to the check over it. */
struct delta_sum {
	const struct crc_poly *poly;
	uint64_t pos, delta;
};

static void sum_add(struct delta_sum *sum, uint64_t off, uint64_t length, uint64_t delta)
{
	sum->delta = crc_shift(sum->poly, sum->delta, off + length - sum->pos) ^ delta;
	sum->pos = off + length;
}

static bool is_change_before(const void *plan, uint64_t i, uint64_t off)
{
	return ((const struct blockz_plan *)plan)->changes[i].image_off < off;
}

/* Adds the changes from index *i on that lie before `end`. */
static void sum_changes(struct delta_sum *sum, const struct blockz_plan *plan, size_t *i, uint64_t end)
{
	for (; *i < plan->change_count && plan->changes[*i].image_off < end; (*i)++)
		sum_add(sum, plan->changes[*i].image_off, plan->changes[*i].length, plan->changes[*i].delta);
}

uint64_t plan_delta(const struct blockz_plan *plan, size_t count, const struct check *check)
{
	struct delta_sum sum = { check_methods[check->method].poly, check->start, 0 };
	size_t changes = check->of_file ? plan->change_count
					: (size_t)bisect(plan->change_count, is_change_before, plan, check->start);
	for (size_t i = plan_first(plan, count, check->of_file, check->start); i < count; i++) {
		const struct plan_write *write = &plan->writes[i];
		uint64_t off = check->of_file ? write->file_off : write->image_off;
		if (off >= check->end)
			break;
		if (!check->of_file)
			sum_changes(&sum, plan, &changes, off);
		sum_add(&sum, off, write->length, write->delta);
	}
	if (!check->of_file)
		sum_changes(&sum, plan, &changes, check->end);
	return crc_shift(sum.poly, sum.delta, check->end - sum.pos);
}

EXPORT struct blockz_plan_info blockz_plan_info(const struct blockz_plan *plan)
{
	struct blockz_plan_info info = {
		.writes = plan->write_count, .unchecked_bytes = plan->unchecked, .file_size = plan_file_size(plan),
		.image_size = plan->image_size, .is_splice = plan->is_splice, .renewed = plan->renewed,
	};
	for (size_t i = 0; i < plan->write_count; i++) {
		if (plan->writes[i].edit == PLAN_CHECK)
			info.check_bytes += plan->writes[i].length;
		else if (plan->writes[i].edit < PLAN_EDITS_MAX)
			info.payload_bytes += plan->writes[i].length;
	}
	for (size_t i = 0; i < plan->change_count; i++)
		info.payload_bytes += plan->changes[i].length;
	return info;
}

static enum blockz_written written_kind(const struct plan_write *write)
{
	switch (write->edit) {
	case PLAN_CHECK:
		return BLOCKZ_WRITTEN_CHECK;
	case PLAN_PIECE:
		return BLOCKZ_WRITTEN_PIECE;
	case PLAN_INDEX:
		return BLOCKZ_WRITTEN_INDEX;
	default:
		return BLOCKZ_WRITTEN_PAYLOAD;
	}
}

EXPORT bool blockz_plan_write_at(const struct blockz_plan *plan, size_t index, struct blockz_planned_write *write_ret)
{
	if (index >= plan->write_count)
		return false;
	const struct plan_write *write = &plan->writes[index];
	enum blockz_written kind = written_kind(write);
	*write_ret = (struct blockz_planned_write){
		.kind = kind,
		.file_off = write->file_off,
		.length = write->length,
		.new_length = write->new_length,
		.image_off = kind == BLOCKZ_WRITTEN_PAYLOAD ? write->image_off : BLOCKZ_UNKNOWN,
	};
	return true;
}

EXPORT bool blockz_plan_change_at(const struct blockz_plan *plan, size_t index, struct blockz_range *range_ret)
{
	if (index >= plan->change_count)
		return false;
	const struct plan_change *change = &plan->changes[index];
	*range_ret = (struct blockz_range){ change->image_off, change->image_off + change->length };
	return true;
}
