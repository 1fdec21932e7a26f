/* SPDX-License-Identifier: BSD-3-Clause */
/* Ranges that overlap or touch become one. */
#include "base/export.h"
#include "blockz.h"

#include <stdlib.h>

static int compare_ranges(const void *a, const void *b)
{
	const struct blockz_range *ra = a, *rb = b;
	return (ra->start > rb->start) - (ra->start < rb->start);
}

EXPORT size_t blockz_ranges_unite(struct blockz_range *ranges, size_t count)
{
	if (count > 1)
		qsort(ranges, count, sizeof(*ranges), compare_ranges);
	size_t kept = 0;
	for (size_t i = 0; i < count; i++) {
		if (ranges[i].start == ranges[i].end)
			continue;
		if (kept > 0 && ranges[i].start <= ranges[kept - 1].end) {
			if (ranges[i].end > ranges[kept - 1].end)
				ranges[kept - 1].end = ranges[i].end;
		} else {
			ranges[kept++] = ranges[i];
		}
	}
	return kept;
}
