/* SPDX-License-Identifier: BSD-3-Clause */
/* A list that grows, and a file of one range a line. */
#include "disks/rawlist.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fault.h"
#include "cli/size.h"

#define BLANKS " \t\r\n"

enum blockz_status rawlist_add(struct rawlist *list, struct blockz_range range, struct blockz_fault *fault)
{
	struct blockz_range *last = list->count > 0 ? &list->items[list->count - 1] : NULL;
	if (last != NULL && last->end == range.start) {
		last->end = range.end;
		return BLOCKZ_OK;
	}
	if (list->count == RAWLIST_MAX)
		return tool_fault(fault, BLOCKZ_LIMIT, "more than %d raw ranges", RAWLIST_MAX);
	if (list->count == list->room) {
		size_t room = list->room == 0 ? 64 : 2 * list->room;
		struct blockz_range *items = reallocarray(list->items, room, sizeof(*items));
		if (items == NULL)
			return tool_fault_errno(fault, ENOMEM, "%zu raw ranges", room);
		list->items = items;
		list->room = room;
	}
	list->items[list->count++] = range;
	return BLOCKZ_OK;
}

/* Parses START LENGTH, or one of the forms of size_parse_range(). */
static enum blockz_status parse_line(char *line, struct blockz_range *range_ret, struct blockz_fault *fault)
{
	char *rest = NULL;
	const char *first = strtok_r(line, BLANKS, &rest), *second = strtok_r(NULL, BLANKS, &rest);
	if (second == NULL)
		return size_parse_range(first, range_ret, fault);
	const char *third = strtok_r(NULL, BLANKS, &rest);
	if (third != NULL)
		return tool_fault(fault, BLOCKZ_USAGE, "expected one or two columns, found '%s' in a third", third);
	uint64_t start, len;
	enum blockz_status status = size_parse(first, &start, fault);
	if (status == BLOCKZ_OK)
		status = size_parse(second, &len, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (len == 0)
		return tool_fault(fault, BLOCKZ_USAGE, "'%s %s' is a range of no bytes", first, second);
	if (len > INT64_MAX - start)
		return tool_fault(fault, BLOCKZ_USAGE, "'%s %s' ends behind 2^63-1", first, second);
	*range_ret = (struct blockz_range){ start, start + len };
	return BLOCKZ_OK;
}

/* *found: set where there is a range. */
static enum blockz_status add_line(struct rawlist *list, char *line, bool *found, struct blockz_fault *fault)
{
	struct blockz_range range;
	line[strcspn(line, "#")] = '\0';
	line += strspn(line, BLANKS);
	if (*line == '\0')
		return BLOCKZ_OK;
	*found = true;
	enum blockz_status status = parse_line(line, &range, fault);
	return status == BLOCKZ_OK ? rawlist_add(list, range, fault) : status;
}

enum blockz_status rawlist_read(struct rawlist *list, FILE *in, struct blockz_fault *fault)
{
	/* No range needs more; a longer line, comment or not, is no list of ranges. */
	char line[4096];
	bool found = false;
	enum blockz_status status = BLOCKZ_OK;
	for (unsigned long number = 1; status == BLOCKZ_OK && fgets(line, sizeof(line), in) != NULL; number++) {
		struct blockz_fault why;
		size_t len = strlen(line);
		if (len > 0 && line[len - 1] != '\n' && !feof(in))
			return tool_fault(fault, BLOCKZ_USAGE, "line %lu is too long, or no text", number);
		status = add_line(list, line, &found, &why);
		if (status != BLOCKZ_OK)
			tool_fault(fault, status, "line %lu: %s", number, why.text);
	}
	if (status == BLOCKZ_OK && ferror(in))
		return tool_fault_errno(fault, errno, "read");
	if (status == BLOCKZ_OK && !found)
		return tool_fault(fault, BLOCKZ_USAGE, "there is no range in it");
	return status;
}

void rawlist_free(struct rawlist *list)
{
	free(list->items);
	*list = (struct rawlist){ 0 };
}
