/* SPDX-License-Identifier: BSD-3-Clause */
/* Marks stand in an array by ascending offset. */
#include "mapped/marks.h"

#include <stdlib.h>
#include <string.h>

#include "base/bisect.h"

void marks_free(struct marks *marks)
{
	for (size_t i = 0; i < marks->count; i++)
		free(marks->items[i].bytes);
	free(marks->items);
	*marks = (struct marks)MARKS_INIT;
}

/* What a mark takes, with what malloc() keeps for itself. */
static uint64_t cost_of(size_t len)
{
	return len + sizeof(struct mark) + 2 * sizeof(void *);
}

static bool is_not_behind(const void *ctx, uint64_t i, uint64_t pos)
{
	const struct mark *items = ctx;
	return items[i].pos <= pos;
}

/* How many stand at pos or before. */
static size_t count_up_to(const struct marks *marks, uint64_t pos)
{
	return (size_t)bisect(marks->count, is_not_behind, marks->items, pos);
}

const struct mark *marks_find(const struct marks *marks, uint64_t pos)
{
	size_t behind = count_up_to(marks, pos);
	return behind > 0 ? &marks->items[behind - 1] : NULL;
}

bool marks_want(const struct marks *marks, uint64_t start, uint64_t pos)
{
	size_t behind = count_up_to(marks, pos);
	uint64_t before = behind > 0 && marks->items[behind - 1].pos > start ? marks->items[behind - 1].pos : start;
	return pos - before >= marks->spacing &&
	       (behind == marks->count || marks->items[behind].pos - pos >= marks->spacing);
}

/* Keeps each second mark. */
static void thin_out(struct marks *marks)
{
	size_t kept = 0;
	for (size_t i = 0; i < marks->count; i++) {
		if (i % 2 == 1) {
			marks->items[kept++] = marks->items[i];
			continue;
		}
		marks->bytes -= cost_of(marks->items[i].len);
		free(marks->items[i].bytes);
	}
	marks->count = kept;
	marks->spacing *= 2;
}

void marks_add(struct marks *marks, uint64_t pos, const uint8_t *bytes, size_t len)
{
	size_t at = count_up_to(marks, pos);
	uint8_t *copy = malloc(len);
	struct mark *items = copy != NULL ? realloc(marks->items, (marks->count + 1) * sizeof(*items)) : NULL;
	if (items == NULL) {
		free(copy);
		return;
	}
	marks->items = items;
	memcpy(copy, bytes, len);
	memmove(items + at + 1, items + at, (marks->count - at) * sizeof(*items));
	items[at] = (struct mark){ pos, copy, len };
	marks->count++;
	marks->bytes += cost_of(len);
	while (marks->bytes > MARKS_BYTES_MAX)
		thin_out(marks);
}
