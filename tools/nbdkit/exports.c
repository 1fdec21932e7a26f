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

/* ---- Raw ranges */

static bool is_raw(const struct blockz_map_range *range)
{
	return range->kind == BLOCKZ_RAW && range->patchable;
}

/* Steps to the next raw range at or after *off; false: there is none. */
static bool next_raw(const struct blockz_map *map, uint64_t *off, struct blockz_range *range_ret)
{
	struct blockz_map_range part = { 0 };
	while (blockz_map_range_at(map, *off, &part) && !is_raw(&part))
		*off = part.end;
	range_ret->start = *off;
	while (blockz_map_range_at(map, *off, &part) && is_raw(&part))
		*off = part.end;
	range_ret->end = *off;
	return range_ret->start < range_ret->end;
}

static enum blockz_status collect_raw(struct exports *exports, const struct blockz_map *map, struct blockz_fault *fault)
{
	uint64_t off = 0;
	struct blockz_range range;
	while (next_raw(map, &off, &range))
		exports->raw_count++;
	exports->raw = calloc(exports->raw_count + 1, sizeof(*exports->raw));
	if (exports->raw == NULL)
		return tool_fault_errno(fault, ENOMEM, "list of raw ranges");
	off = 0;
	for (size_t i = 0; i < exports->raw_count && next_raw(map, &off, &exports->raw[i]); i++)
		;
	return BLOCKZ_OK;
}

/* The first raw range that ends behind an offset, or NULL. */
static const struct blockz_range *raw_behind(const struct exports *exports, uint64_t off)
{
	size_t low = 0, high = exports->raw_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (exports->raw[middle].end > off)
			high = middle;
		else
			low = middle + 1;
	}
	return low < exports->raw_count ? &exports->raw[low] : NULL;
}

bool exports_has_raw(const struct exports *exports, struct blockz_range range)
{
	const struct blockz_range *raw = raw_behind(exports, range.start);
	return raw != NULL && raw->start < range.end;
}

bool exports_is_raw(const struct exports *exports, struct blockz_range range)
{
	const struct blockz_range *raw = raw_behind(exports, range.start);
	return raw != NULL && raw->start <= range.start && range.end <= raw->end;
}

/* ---- What there is */

enum blockz_status exports_read(struct exports *exports, struct blockz_disk *disk, unsigned sector_size,
				struct blockz_fault *fault)
{
	const struct blockz_map *map = blockz_disk_map(disk);
	exports->image_size = blockz_map_info(map).image_size;
	if (partitions_of_disk(disk, exports->image_size, sector_size, &exports->partitions, &exports->table_fault) == BLOCKZ_OK)
		exports->table_fault.status = BLOCKZ_OK;
	return collect_raw(exports, map, fault);
}

void exports_free(struct exports *exports)
{
	free(exports->raw);
	partitions_free(&exports->partitions);
	*exports = (struct exports){ 0 };
}

/* ---- Names */

static enum blockz_status find_raw(const struct exports *exports, const char *name, struct blockz_range *range_ret,
				   struct blockz_fault *fault)
{
	errno = 0;
	uint64_t number = strtoull(name, NULL, 10);
	if (errno != 0 || number < 1 || number > exports->raw_count)
		return tool_fault(fault, BLOCKZ_USAGE, "no raw range %.256s, there are %zu", name, exports->raw_count);
	*range_ret = exports->raw[number - 1];
	return BLOCKZ_OK;
}

enum blockz_status exports_find(const struct exports *exports, const char *name, struct blockz_range *range_ret,
				struct blockz_fault *fault)
{
	if (name[0] == '\0') {
		*range_ret = (struct blockz_range){ 0, exports->image_size };
		return BLOCKZ_OK;
	}
	if (name[strspn(name, "0123456789")] == '\0')
		return find_raw(exports, name, range_ret, fault);
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
	int error = 0;
	for (size_t i = 0; error == 0 && i < exports->raw_count && i < EXPORTS_LISTED; i++) {
		const struct blockz_range *range = &exports->raw[i];
		char name[32], size[32], text[96];
		snprintf(name, sizeof(name), "%zu", i + 1);
		size_human(size, sizeof(size), range->end - range->start);
		snprintf(text, sizeof(text), "raw range of %s at %" PRIu64, size, range->start);
		error = add(ctx, name, text);
	}
	return error;
}

static int add_partition(const struct exports *exports, const struct partition *partition,
			 int (*add)(void *, const char *, const char *), void *ctx)
{
	char size[32], text[96], number[NUMBER_LEN];
	const char *name = name_of(exports, partition, number);
	bool raw = exports_is_raw(exports, partition->range);
	if (name == NULL || !(raw || exports->list_all))
		return 0;
	size_human(size, sizeof(size), partition->range.end - partition->range.start);
	snprintf(text, sizeof(text), "partition %u of %s at %" PRIu64 "%s", partition->number, size, partition->range.start,
		 raw ? ", raw" : "");
	return add(ctx, name, text);
}

int exports_list(const struct exports *exports, int (*add)(void *, const char *, const char *), void *ctx)
{
	int error = add(ctx, "", "the whole image");
	if (error == 0)
		error = add_raw(exports, add, ctx);
	for (size_t i = 0; error == 0 && i < exports->partitions.count; i++)
		error = add_partition(exports, &exports->partitions.items[i], add, ctx);
	return error;
}
