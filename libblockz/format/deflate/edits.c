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

bool edits_were_copied(const struct edits *edits, const struct walk_reach *reach)
{
	uint64_t both = 0;
	for (size_t i = 0; i < WALK_WINDOW / 64; i++)
		both |= edits->ring[i] & reach->ring[i];
	return both != 0;
}

/* The text goes on: its bytes take the places of those that no match can reach from behind them. */
static void forget(struct edits *edits, uint64_t off, size_t len)
{
	if (len >= WALK_WINDOW)
		memset(edits->ring, 0, sizeof(edits->ring));
	else
		for (uint64_t p = off; p < off + len; p++)
			edits->ring[p % WALK_WINDOW / 64] &= ~(UINT64_C(1) << p % 64);
}

static void mark(struct edits *edits, uint64_t start, uint64_t end)
{
	if (!edits_are_near(edits, start))
		memset(edits->ring, 0, sizeof(edits->ring));
	uint64_t first = end - start > WALK_WINDOW ? end - WALK_WINDOW : start;
	for (uint64_t p = first; p < end; p++)
		edits->ring[p % WALK_WINDOW / 64] |= UINT64_C(1) << p % 64;
	edits->changed_end = end;
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
	mark(edits, off + same, off + end);
	*changed_ret = true;
	return edit->changed(edit->ctx, edits->image_start + off + same, old + same, new + same, end - same, fault);
}

enum blockz_status edits_lay(struct edits *edits, uint64_t off, const uint8_t *old, uint8_t *new, size_t len,
			       bool *changed_ret, struct blockz_fault *fault)
{
	const uint64_t end = off + len;
	*changed_ret = false;
	if (edits_are_near(edits, off))
		forget(edits, off, len);
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
