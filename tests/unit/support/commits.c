/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps as in blockz_disk.h, with nothing but what that offers. */
#include "commits.h"

#include <stdlib.h>

enum blockz_status overlay_plan_make(struct overlay_plan *plan, const struct blockz_overlay *overlay,
				     const struct blockz_source *file, enum blockz_way way, struct blockz_fault *fault)
{
	struct blockz_map *map = NULL;
	struct blockz_edit *edits = NULL;
	size_t count = 0;
	*plan = (struct overlay_plan){ 0 };
	plan->scratch = growing_store(&plan->memory);
	const struct blockz_anywhere how = { .way = way, .scratch = &plan->scratch, .work = { .threads = 1 } };
	enum blockz_status status = blockz_map_read(file, NULL, &map, fault);
	if (status == BLOCKZ_OK)
		status = blockz_overlay_edits(overlay, &edits, &count, fault);
	if (status == BLOCKZ_OK)
		status = blockz_plan_anywhere(file, map, edits, count, &how, &plan->plan, fault);
	free(edits);
	blockz_map_free(map);
	return status;
}

void overlay_plan_free(struct overlay_plan *plan)
{
	blockz_plan_free(plan->plan);
	growing_store_free(&plan->memory);
}

enum blockz_status commit_in_place(struct blockz_overlay *overlay, const struct blockz_store *store, struct blockz_fault *fault)
{
	const struct blockz_source file = blockz_store_source(store);
	struct overlay_plan plan;
	if (blockz_overlay_info(overlay).state == BLOCKZ_OVERLAY_NONE)
		return BLOCKZ_OK;
	enum blockz_status status = overlay_plan_make(&plan, overlay, &file, BLOCKZ_WAY_IN_PLACE, fault);
	if (status == BLOCKZ_OK)
		status = blockz_overlay_announce(overlay, plan.plan, &file, fault);
	if (status == BLOCKZ_OK)
		status = blockz_plan_apply(plan.plan, store, fault);
	if (status == BLOCKZ_OK)
		status = blockz_overlay_drop(overlay, fault);
	overlay_plan_free(&plan);
	return status;
}

struct bytes commit_to_copy(struct blockz_overlay *overlay, const struct blockz_source *file)
{
	struct growing_sink copy = { 0 };
	const struct blockz_sink sink = growing_sink(&copy);
	struct overlay_plan plan;
	struct blockz_fault fault;
	enum blockz_status status = overlay_plan_make(&plan, overlay, file, BLOCKZ_WAY_SPLICE, &fault);
	ck_assert_msg(status == BLOCKZ_OK, "plan: %s", fault.text);
	ck_assert_int_eq(blockz_overlay_announce(overlay, plan.plan, file, &fault), BLOCKZ_OK);
	ck_assert_int_eq(blockz_plan_copy(plan.plan, file, &sink, &fault), BLOCKZ_OK);
	overlay_plan_free(&plan);
	return copy.bytes;
}
