/* SPDX-License-Identifier: BSD-3-Clause */
#include "patch/edited_window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fault.h"
#include "cli/size.h"

static int by_start(const void *a, const void *b)
{
	const struct blockz_edit *const *left = a, *const *right = b;
	return ((*left)->range.start > (*right)->range.start) - ((*left)->range.start < (*right)->range.start);
}

enum blockz_status overlay_start(struct overlay *overlay, const struct edits *edits, struct blockz_fault *fault)
{
	*overlay = (struct overlay){ .count = edits->count };
	overlay->sorted = calloc(edits->count + 1, sizeof(*overlay->sorted));
	overlay->active = calloc(edits->count + 1, sizeof(*overlay->active));
	if (overlay->sorted == NULL || overlay->active == NULL) {
		overlay_free(overlay);
		return tool_fault_errno(fault, ENOMEM, "%zu edit%s", edits->count, plural(edits->count));
	}
	for (size_t i = 0; i < edits->count; i++)
		overlay->sorted[i] = &edits->items[i];
	qsort(overlay->sorted, overlay->count, sizeof(*overlay->sorted), by_start);
	return BLOCKZ_OK;
}

void overlay_free(struct overlay *overlay)
{
	free(overlay->sorted);
	free(overlay->active);
	*overlay = (struct overlay){ 0 };
}

/* All edits stand in one array, so their addresses tell which was given later. */
static void activate(struct overlay *overlay, const struct blockz_edit *edit)
{
	size_t i = overlay->active_count++;
	for (; i > 0 && overlay->active[i - 1] > edit; i--)
		overlay->active[i] = overlay->active[i - 1];
	overlay->active[i] = edit;
}

static void move_to(struct overlay *overlay, uint64_t start, uint64_t end)
{
	size_t kept = 0;
	for (size_t i = 0; i < overlay->active_count; i++)
		if (overlay->active[i]->range.end > start)
			overlay->active[kept++] = overlay->active[i];
	overlay->active_count = kept;
	for (; overlay->next < overlay->count && overlay->sorted[overlay->next]->range.start < end; overlay->next++)
		if (overlay->sorted[overlay->next]->range.end > start)
			activate(overlay, overlay->sorted[overlay->next]);
}

int overlay_apply(struct overlay *overlay, void *buf, size_t len, uint64_t off)
{
	move_to(overlay, off, off + len);
	for (size_t i = 0; i < overlay->active_count; i++) {
		const struct blockz_edit *edit = overlay->active[i];
		uint64_t start = edit->range.start > off ? edit->range.start : off;
		uint64_t end = edit->range.end < off + len ? edit->range.end : off + len;
		size_t got = 0, want = (size_t)(end - start);
		int error = edit->data.ops->read(edit->data.ctx, (char *)buf + (start - off), want,
						 edit->data_off + (start - edit->range.start), &got);
		if (error != 0 || got < want)
			return error != 0 ? error : EIO;
	}
	return 0;
}
