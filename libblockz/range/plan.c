/* SPDX-License-Identifier: BSD-3-Clause */
/* The writes of a plan are collected in any order, and sorted when it is complete. */
#include "range/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bisect.h"
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
		.file_off = file_off, .image_off = plan->fields_len, .length = (uint32_t)len, .edit = PLAN_CHECK,
		.delta = crc32_update(0, old, len) ^ crc32_update(0, new, len),
	};
	plan->fields_len += len;
	return plan_add(plan, &write, fault);
}

static int compare_writes(const void *a, const void *b)
{
	const struct plan_write *wa = a, *wb = b;
	return (wa->file_off > wb->file_off) - (wa->file_off < wb->file_off);
}

void plan_sort(struct blockz_plan *plan)
{
	if (plan->write_count > 1)
		qsort(plan->writes, plan->write_count, sizeof(*plan->writes), compare_writes);
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

uint64_t plan_delta(const struct blockz_plan *plan, size_t count, const struct check *check)
{
	const struct crc_poly *poly = check_methods[check->method].poly;
	uint64_t delta = 0, pos = check->start;
	for (size_t i = plan_first(plan, count, check->of_file, check->start); i < count; i++) {
		const struct plan_write *write = &plan->writes[i];
		uint64_t off = check->of_file ? write->file_off : write->image_off;
		if (off >= check->end)
			break;
		delta = crc_shift(poly, delta, off + write->length - pos) ^ write->delta;
		pos = off + write->length;
	}
	return crc_shift(poly, delta, check->end - pos);
}

EXPORT struct blockz_plan_info blockz_plan_info(const struct blockz_plan *plan)
{
	struct blockz_plan_info info = { .writes = plan->write_count, .unchecked_bytes = plan->unchecked };
	for (size_t i = 0; i < plan->write_count; i++) {
		if (plan->writes[i].edit == PLAN_CHECK)
			info.check_bytes += plan->writes[i].length;
		else
			info.payload_bytes += plan->writes[i].length;
	}
	return info;
}

EXPORT bool blockz_plan_write_at(const struct blockz_plan *plan, size_t index, struct blockz_planned_write *write_ret)
{
	if (index >= plan->write_count)
		return false;
	const struct plan_write *write = &plan->writes[index];
	*write_ret = (struct blockz_planned_write){
		.file_off = write->file_off,
		.length = write->length,
		.image_off = write->edit == PLAN_CHECK ? BLOCKZ_UNKNOWN : write->image_off,
	};
	return true;
}
