/* SPDX-License-Identifier: BSD-3-Clause */
/* Each range is cut down to what differs in the part of the text that is there. */
#include "format/deflate/edits.h"

#include <string.h>

#include "base/checked.h"
#include "base/equal.h"

bool edits_begin_before(const struct edits *edits, uint64_t off)
{
	const struct piece_edit *edit = edits->edit;
	return edits->next < edit->count && edit->ranges[edits->next].start - edits->image_start < off;
}

bool edits_are_near(const struct edits *edits, uint64_t off)
{
	return edits->changed_end > 0 && off < edits->changed_end + WALK_WINDOW;
}

/* One range's part of the text. */
static enum blockz_status lay_part(struct edits *edits, uint64_t off, const uint8_t *old, uint8_t *new, size_t len,
				   bool *changed_ret, struct blockz_fault *fault)
{
	const struct piece_edit *edit = edits->edit;
	enum blockz_status status = edit->lay_over(edit->ctx, new, len, edits->image_start + off, fault);
	if (status != BLOCKZ_OK)
		return status;
	size_t same = equal_ahead(old, new, len);
	if (same == len)
		return BLOCKZ_OK;
	size_t end = len - equal_behind(old + len, new + len, len - same);
	edits->changed_end = off + end;
	*changed_ret = true;
	return edit->changed(edit->ctx, edits->image_start + off + same, old + same, new + same, end - same, fault);
}

enum blockz_status edits_lay(struct edits *edits, uint64_t off, const uint8_t *old, uint8_t *new, size_t len,
			       bool *changed_ret, struct blockz_fault *fault)
{
	const uint64_t end = off + len;
	*changed_ret = false;
	while (len > 0 && edits_begin_before(edits, end)) {
		const struct blockz_range *range = &edits->edit->ranges[edits->next];
		uint64_t from = range->start - edits->image_start, to = range->end - edits->image_start;
		uint64_t first = from > off ? from : off, last = min(to, end);
		enum blockz_status status = lay_part(edits, first, old + (first - off), new + (first - off),
						     (size_t)(last - first), changed_ret, fault);
		if (status != BLOCKZ_OK)
			return status;
		if (to > end)
			break;
		edits->next++;
	}
	return BLOCKZ_OK;
}
