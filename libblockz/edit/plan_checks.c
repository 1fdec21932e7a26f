/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The checks over what changes: linear ones are moved by the difference, others are verified over the old bytes and made
 * anew.  Those of pieces that are encoded again are the encoder's.
 */
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "io/access.h"
#include "edit/planner.h"

/* Plans the new field of a check, if it differs from the one in the file. */
static enum blockz_status plan_field(struct planner *planner, const struct check *check, const uint8_t *old,
				     const uint8_t *new)
{
	size_t len = check_methods[check->method].len;
	return memcmp(old, new, len) == 0 ? BLOCKZ_OK
					  : plan_add_field(planner->plan, check->field_off, old, new, len, planner->fault);
}

static enum blockz_status read_field(struct planner *planner, const struct check *check, uint8_t *field)
{
	return read_file(planner->reader.file, field, check_methods[check->method].len, check->field_off, planner->fault);
}

/* Moves a linear check by the first count writes, which are sorted by the key that its kind goes by. */
static enum blockz_status move_check(struct planner *planner, const struct check *check, size_t count)
{
	const struct check_facts *facts = &check_methods[check->method];
	uint64_t delta = plan_delta(planner->plan, count, check);
	if (delta == 0)
		return BLOCKZ_OK;
	uint8_t old[CHECK_LEN_MAX], new[CHECK_LEN_MAX];
	enum blockz_status status = read_field(planner, check, old);
	for (size_t i = 0; i < facts->len; i++)
		new[i] = (uint8_t)(old[i] ^ delta >> 8 * i);
	return status == BLOCKZ_OK ? plan_field(planner, check, old, new) : status;
}

/* Puts the new bytes of the first count writes that lie in a piece over its old ones. */
static enum blockz_status lay_over(struct planner *planner, size_t count, uint64_t start, uint64_t end, uint8_t *bytes)
{
	const struct blockz_plan *plan = planner->plan;
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = plan_first(plan, count, false, start); i < count && status == BLOCKZ_OK; i++) {
		const struct plan_write *write = &plan->writes[i];
		const struct blockz_edit *edit = &planner->edits[write->edit];
		if (write->image_off >= end)
			break;
		status = read_data(&edit->data, bytes + (write->image_off - start), write->length,
				   edit->data_off + (write->image_off - edit->range.start), BLOCKZ_ABOUT_EDIT, planner->fault);
	}
	return status;
}

/* What a check that is not linear is over the old bytes of its piece, and over the new ones. */
static enum blockz_status renew_values(struct planner *planner, const struct check *check, size_t count)
{
	const struct blockz_map *map = planner->map;
	struct renewed *renewed = &planner->renewed;
	size_t index = map_find_piece(map, check->start), len = (size_t)(check->end - check->start);
	if (renewed->start == check->start && renewed->end == check->end && renewed->method == check->method)
		return BLOCKZ_OK;
	if (piece_is_long(map, index))
		return fault_set(planner->fault, BLOCKZ_UNSUPPORTED, check->field_off,
				 "the %s over %zu bytes of image cannot be made anew: that is too much",
				 check_methods[check->method].name, len);
	if (!buffer_reserve(&planner->old, len + DECODE_SLACK))
		return fault_nomem(planner->fault);
	uint8_t *bytes = planner->old.bytes;
	enum blockz_status status = map->pieces[index].kind == BLOCKZ_RAW
					    ? piece_read_raw_checked(&planner->reader, index, bytes, NULL, planner->fault)
					    : piece_decode(&planner->reader, &map->pieces[index], len, bytes, NULL, planner->fault);
	if (status != BLOCKZ_OK)
		return status;
	renewed->end = 0; /* until both are there */
	if (!check_sum(check->method, bytes, len, renewed->old))
		return fault_nomem(planner->fault);
	status = lay_over(planner, count, check->start, check->end, bytes);
	if (status != BLOCKZ_OK)
		return status;
	if (!check_sum(check->method, bytes, len, renewed->new))
		return fault_nomem(planner->fault);
	renewed->start = check->start;
	renewed->end = check->end;
	renewed->method = check->method;
	return BLOCKZ_OK;
}

static enum blockz_status renew_check(struct planner *planner, const struct check *check, size_t count)
{
	size_t first = plan_first(planner->plan, count, false, check->start);
	if (first == count || planner->plan->writes[first].image_off >= check->end)
		return BLOCKZ_OK;
	uint8_t old[CHECK_LEN_MAX];
	enum blockz_status status = renew_values(planner, check, count);
	if (status != BLOCKZ_OK)
		return status;
	status = read_field(planner, check, old);
	if (status != BLOCKZ_OK)
		return status;
	if (memcmp(old, planner->renewed.old, check_methods[check->method].len) != 0)
		return fault_set(planner->fault, BLOCKZ_DAMAGED, check->field_off,
				 "%s of image bytes %" PRIu64 "-%" PRIu64 " does not match them",
				 check_methods[check->method].name, check->start, check->end);
	return plan_field(planner, check, old, planner->renewed.new);
}

/* A check of one piece that is encoded again, whose field comes with the encoding, or cannot be moved. */
static bool is_renewed(const struct planner *planner, const struct check *check)
{
	if (renewed_find(planner, check->start) == NULL)
		return false;
	return check_methods[check->method].poly == NULL || map_check_is_inside(planner->map, check);
}

/* Those over image bytes come first in the map; those over file bytes see their fields as writes too. */
enum blockz_status planner_add_checks(struct planner *planner)
{
	const struct blockz_map *map = planner->map;
	enum blockz_status status = BLOCKZ_OK;
	size_t payload = planner->raw_count, i = 0;
	for (; i < map->check_count && !map->checks[i].of_file && status == BLOCKZ_OK; i++) {
		const struct check *check = &map->checks[i];
		if (is_renewed(planner, check))
			continue;
		status = check_methods[check->method].poly != NULL ? move_check(planner, check, payload)
								   : renew_check(planner, check, payload);
	}
	plan_sort(planner->plan);
	for (; i < map->check_count && status == BLOCKZ_OK; i++) {
		status = move_check(planner, &map->checks[i], planner->plan->write_count);
		plan_sort(planner->plan);
	}
	return status;
}

