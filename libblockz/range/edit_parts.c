/* SPDX-License-Identifier: BSD-3-Clause */
/* Edits that do not overlap are their own parts; others are cut at all their edges, and the last one wins. */
#include "range/edit_parts.h"

#include <stdlib.h>

#include "base/fault.h"

static int compare_offsets(const void *a, const void *b)
{
	const uint64_t *oa = a, *ob = b;
	return (*oa > *ob) - (*oa < *ob);
}

/* The last edit that covers an offset, of `count` edits; count if none does. */
static size_t last_over(const struct blockz_edit *edits, size_t count, uint64_t off)
{
	for (size_t i = count; i > 0; i--)
		if (edits[i - 1].range.start <= off && off < edits[i - 1].range.end)
			return i - 1;
	return count;
}

static void add_part(struct edit_part *parts, size_t *count, uint64_t start, uint64_t end, size_t edit)
{
	struct edit_part *last = *count > 0 ? &parts[*count - 1] : NULL;
	if (last != NULL && last->end == start && last->edit == edit)
		last->end = end;
	else
		parts[(*count)++] = (struct edit_part){ start, end, (uint32_t)edit };
}

/* An edit and its place among the others. */
struct placed {
	struct blockz_range range;
	size_t edit;
};

static int compare_placed(const void *a, const void *b)
{
	const struct placed *pa = a, *pb = b;
	return (pa->range.start > pb->range.start) - (pa->range.start < pb->range.start);
}

/* Makes parts of edits that do not overlap, in whatever order they come; false: some do, and parts mean nothing. */
static bool sort_apart(const struct blockz_edit *edits, size_t count, struct placed *placed, struct edit_part *parts,
		       size_t *made)
{
	for (size_t i = 0; i < count; i++)
		placed[i] = (struct placed){ edits[i].range, i };
	qsort(placed, count, sizeof(*placed), compare_placed);
	uint64_t end = 0;
	for (size_t i = 0; i < count; i++) {
		if (placed[i].range.start == placed[i].range.end)
			continue;
		if (placed[i].range.start < end)
			return false;
		end = placed[i].range.end;
		add_part(parts, made, placed[i].range.start, end, placed[i].edit);
	}
	return true;
}

/* Between two neighbouring edges one edit is on top. */
static void cut_at_edges(const struct blockz_edit *edits, size_t count, uint64_t *edges, struct edit_part *parts,
			 size_t *made)
{
	for (size_t i = 0; i < count; i++) {
		edges[2 * i] = edits[i].range.start;
		edges[2 * i + 1] = edits[i].range.end;
	}
	qsort(edges, 2 * count, sizeof(*edges), compare_offsets);
	for (size_t i = 0; i + 1 < 2 * count; i++) {
		size_t edit = edges[i] < edges[i + 1] ? last_over(edits, count, edges[i]) : count;
		if (edit < count)
			add_part(parts, made, edges[i], edges[i + 1], edit);
	}
}

enum blockz_status edit_parts_make(const struct blockz_edit *edits, size_t count, struct edit_part **parts_ret,
				size_t *count_ret, struct blockz_fault *fault)
{
	struct edit_part *parts = calloc(2 * count + 1, sizeof(*parts));
	uint64_t *edges = calloc(2 * count + 1, sizeof(*edges));
	struct placed *placed = calloc(count + 1, sizeof(*placed));
	size_t made = 0;
	bool good = parts != NULL && edges != NULL && placed != NULL;
	if (good && !sort_apart(edits, count, placed, parts, &made)) {
		made = 0;
		cut_at_edges(edits, count, edges, parts, &made);
	}
	free(edges);
	free(placed);
	if (!good) {
		free(parts);
		return fault_nomem(fault);
	}
	*parts_ret = parts;
	*count_ret = made;
	return BLOCKZ_OK;
}
