/* SPDX-License-Identifier: BSD-3-Clause */
/* Edits are sorted by where they start; those that reach into the window are kept in the order in which they were given. */
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

enum blockz_status edited_window_start(struct edited_window *window, const struct edits *edits, struct blockz_fault *fault)
{
	*window = (struct edited_window){ .count = edits->count };
	window->sorted = calloc(edits->count + 1, sizeof(*window->sorted));
	window->active = calloc(edits->count + 1, sizeof(*window->active));
	if (window->sorted == NULL || window->active == NULL) {
		edited_window_free(window);
		return tool_fault_errno(fault, ENOMEM, "%zu edit%s", edits->count, plural(edits->count));
	}
	for (size_t i = 0; i < edits->count; i++)
		window->sorted[i] = &edits->items[i];
	qsort(window->sorted, window->count, sizeof(*window->sorted), by_start);
	return BLOCKZ_OK;
}

void edited_window_free(struct edited_window *window)
{
	free(window->sorted);
	free(window->active);
	*window = (struct edited_window){ 0 };
}

/* All edits stand in one array, so their addresses tell which was given later. */
static void activate(struct edited_window *window, const struct blockz_edit *edit)
{
	size_t i = window->active_count++;
	for (; i > 0 && window->active[i - 1] > edit; i--)
		window->active[i] = window->active[i - 1];
	window->active[i] = edit;
}

static void move_to(struct edited_window *window, uint64_t start, uint64_t end)
{
	size_t kept = 0;
	for (size_t i = 0; i < window->active_count; i++)
		if (window->active[i]->range.end > start)
			window->active[kept++] = window->active[i];
	window->active_count = kept;
	for (; window->next < window->count && window->sorted[window->next]->range.start < end; window->next++)
		if (window->sorted[window->next]->range.end > start)
			activate(window, window->sorted[window->next]);
}

int edited_window_apply(struct edited_window *window, void *buf, size_t len, uint64_t off)
{
	move_to(window, off, off + len);
	for (size_t i = 0; i < window->active_count; i++) {
		const struct blockz_edit *edit = window->active[i];
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
