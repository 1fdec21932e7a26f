/* SPDX-License-Identifier: BSD-3-Clause */
/* Raw ranges have numbers, partitions names; a name that would lead elsewhere is not listed. */
#include "exports.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fault.h"
#include "cli/size.h"

void exports_read(struct exports *exports, const struct blockz_source *file, const struct blockz_map *map,
		  unsigned sector_size)
{
	*exports = (struct exports){ .map = map };
	if (partitions_of_file(file, map, NULL, sector_size, &exports->partitions, &exports->table_fault) == BLOCKZ_OK)
		exports->table_fault.status = BLOCKZ_OK;
}

void exports_free(struct exports *exports)
{
	partitions_free(&exports->partitions);
}

/* ---- Raw ranges */

static bool is_raw(const struct blockz_map_range *range)
{
	return range->kind == BLOCKZ_RAW && range->patchable;
}

uint64_t exports_first(const struct blockz_map *map, struct blockz_range range, bool raw)
{
	struct blockz_map_range part;
	while (range.start < range.end && blockz_map_range_at(map, range.start, &part) && is_raw(&part) != raw)
		range.start = part.end;
	return range.start < range.end ? range.start : range.end;
}

/* Steps to the next raw range at or after *off; false: there is none. */
static bool next_raw(const struct blockz_map *map, uint64_t *off, struct blockz_range *range_ret)
{
	struct blockz_range rest = { *off, blockz_map_info(map).image_size };
	range_ret->start = exports_first(map, rest, true);
	rest.start = range_ret->start;
	range_ret->end = *off = exports_first(map, rest, false);
	return range_ret->start < range_ret->end;
}

static enum blockz_status find_raw(const struct blockz_map *map, const char *name, struct blockz_range *range_ret,
				   struct blockz_fault *fault)
{
	uint64_t off = 0, count = 0;
	struct blockz_range range;
	errno = 0;
	uint64_t number = strtoull(name, NULL, 10);
	if (errno != 0)
		number = 0;
	while (next_raw(map, &off, &range)) {
		count++;
		if (count != number)
			continue;
		*range_ret = range;
		return BLOCKZ_OK;
	}
	return tool_fault(fault, BLOCKZ_USAGE, "no raw range %.256s, there are %" PRIu64, name, count);
}

enum blockz_status exports_find(const struct exports *exports, const char *name, struct blockz_range *range_ret,
				struct blockz_fault *fault)
{
	if (name[0] == '\0') {
		*range_ret = (struct blockz_range){ 0, blockz_map_info(exports->map).image_size };
		return BLOCKZ_OK;
	}
	if (name[strspn(name, "0123456789")] == '\0')
		return find_raw(exports->map, name, range_ret, fault);
	if (exports->table_fault.status != BLOCKZ_OK) {
		*fault = exports->table_fault;
		return fault->status;
	}
	return partition_find(&exports->partitions, name, range_ret, fault);
}

/* ---- The list */

/* A name that leads back to this partition, of text that a terminal can show. */
static bool is_good_name(const struct exports *exports, const struct partition *partition, const char *name)
{
	struct blockz_range range;
	struct blockz_fault fault;
	char *escaped = escape(name);
	bool plain = escaped != NULL && strcmp(escaped, name) == 0;
	free(escaped);
	return plain && name[0] != '\0' && exports_find(exports, name, &range, &fault) == BLOCKZ_OK &&
	       range.start == partition->range.start && range.end == partition->range.end;
}

enum { NUMBER_LEN = 24 };

/* The label, or else the number as partition_find() knows it, written to number; NULL: it goes on beyond the image. */
static const char *name_of(const struct exports *exports, const struct partition *partition, char number[NUMBER_LEN])
{
	snprintf(number, NUMBER_LEN, "PARTN=%u", partition->number);
	const char *names[] = { partition->label[0] != '\0' ? partition->label : partition->fs_label, number };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (is_good_name(exports, partition, names[i]))
			return names[i];
	}
	return NULL;
}

static int add_raw(const struct exports *exports, int (*add)(void *, const char *, const char *), void *ctx)
{
	uint64_t off = 0;
	struct blockz_range range;
	int error = 0;
	for (int number = 1; error == 0 && number <= EXPORTS_LISTED && next_raw(exports->map, &off, &range); number++) {
		char name[16], size[32], text[96];
		snprintf(name, sizeof(name), "%d", number);
		size_human(size, sizeof(size), range.end - range.start);
		snprintf(text, sizeof(text), "raw range of %s at %" PRIu64, size, range.start);
		error = add(ctx, name, text);
	}
	return error;
}

int exports_list(const struct exports *exports, int (*add)(void *, const char *, const char *), void *ctx)
{
	int error = add(ctx, "", "the whole image");
	if (error == 0)
		error = add_raw(exports, add, ctx);
	for (size_t i = 0; error == 0 && i < exports->partitions.count; i++) {
		const struct partition *partition = &exports->partitions.items[i];
		char size[32], text[96], number[NUMBER_LEN];
		const char *name = name_of(exports, partition, number);
		if (name == NULL || exports_first(exports->map, partition->range, false) < partition->range.end)
			continue;
		size_human(size, sizeof(size), partition->range.end - partition->range.start);
		snprintf(text, sizeof(text), "partition %u of %s at %" PRIu64 ", raw", partition->number, size,
			 partition->range.start);
		error = add(ctx, name, text);
	}
	return error;
}
