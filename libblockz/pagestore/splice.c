/* SPDX-License-Identifier: BSD-3-Clause */
/* Saving a store as an edit of the file that it started from: what was written to it, and all else as it stands there. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/export.h"
#include "base/fault.h"
#include "pagestore/snapshot.h"
#include "pagestore/store.h"

struct edits {
	struct blockz_edit *items;
	size_t count;
};

static enum blockz_status add_edit(struct edits *edits, const struct blockz_edit *edit, struct blockz_fault *fault)
{
	struct blockz_edit *room = array_room(edits->items, edits->count, sizeof(*room));
	if (room == NULL)
		return fault_nomem(fault);
	edits->items = room;
	edits->items[edits->count++] = *edit;
	return BLOCKZ_OK;
}

/*
 * What is not in the base any more.  Without a base that is all of it, of which most is as it was in the file: then a piece
 * that is too long for memory is compared first.
 */
static enum blockz_status list_edits(const struct blockz_pages *pages, struct edits *edits, struct blockz_fault *fault)
{
	struct blockz_edit edit = { .data = snapshot_source(pages), .same_elsewhere = pages->base == NULL };
	enum blockz_status status = BLOCKZ_OK;
	for (uint64_t off = 0; off < pages->size && status == BLOCKZ_OK; off = edit.range.end) {
		edit.range = snapshot_changed(pages, off);
		edit.data_off = edit.range.start;
		if (edit.range.start < edit.range.end)
			status = add_edit(edits, &edit, fault);
	}
	return status;
}

static enum blockz_status copy_edited(const struct edits *edits, const struct blockz_pages_origin *origin,
				      const struct blockz_sink *sink, struct blockz_plan_info *info_ret,
				      struct blockz_fault *fault)
{
	const struct blockz_anywhere how = { .way = BLOCKZ_WAY_SPLICE, .scratch = origin->scratch, .work = origin->work };
	struct blockz_plan *plan = NULL;
	enum blockz_status status =
		blockz_plan_anywhere(origin->file, origin->map, edits->items, edits->count, &how, &plan, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = blockz_plan_copy(plan, origin->file, sink, fault);
	if (status == BLOCKZ_OK)
		*info_ret = blockz_plan_info(plan);
	blockz_plan_free(plan);
	return status;
}

EXPORT enum blockz_status blockz_pages_splice(struct blockz_pages *pages, const struct blockz_pages_origin *origin,
					      const struct blockz_sink *sink, struct blockz_plan_info *info_ret,
					      struct blockz_fault *fault)
{
	const uint64_t image_size = blockz_map_info(origin->map).image_size;
	struct edits edits = { .count = 0 };
	if (image_size != pages->size)
		return fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "the file's image has %" PRIu64 " bytes, the store %" PRIu64,
				 image_size, pages->size);
	snapshot_begin(pages);
	enum blockz_status status = list_edits(pages, &edits, fault);
	if (status == BLOCKZ_OK)
		status = copy_edited(&edits, origin, sink, info_ret, fault);
	snapshot_end(pages);
	free(edits.items);
	return status;
}
