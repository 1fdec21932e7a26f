/* SPDX-License-Identifier: BSD-3-Clause */
/* Names are kept until there is an image in which they can be found. */
#include "disks/rawchoice.h"

#include <errno.h>
#include <stdlib.h>

#include "cli/fault.h"
#include "disks/partition.h"
#include "disks/partition_table.h"

enum blockz_status rawchoice_add(struct rawchoice *choice, const char *name, struct blockz_fault *fault)
{
	if (choice->count == choice->room) {
		size_t room = choice->room == 0 ? 8 : 2 * choice->room;
		const char **names = reallocarray(choice->names, room, sizeof(*names));
		if (names == NULL)
			return tool_fault_errno(fault, ENOMEM, "%zu names of partitions", room);
		choice->names = names;
		choice->room = room;
	}
	choice->names[choice->count++] = name;
	return BLOCKZ_OK;
}

bool rawchoice_looks(const struct rawchoice *choice)
{
	return choice->table || choice->count > 0;
}

static enum blockz_status add_table(const struct rawchoice *choice, const struct blockz_source *image,
				    struct rawlist *list, struct blockz_fault *fault)
{
	struct partition_table table = { 0 };
	enum blockz_status status = partition_table_find(image, choice->disk_off, choice->sector_size, &table, fault);
	if (status == BLOCKZ_OK && table.ranges.count == 0)
		status = tool_fault(fault, BLOCKZ_USAGE, "raw-table: there is no partition table");
	for (size_t i = 0; i < table.ranges.count && status == BLOCKZ_OK; i++)
		status = rawlist_add(list, table.ranges.items[i], fault);
	rawlist_free(&table.ranges);
	return status;
}

static enum blockz_status add_partitions(const struct rawchoice *choice, const struct blockz_source *image,
					 struct rawlist *list, struct blockz_fault *fault)
{
	struct partitions partitions = { 0 };
	enum blockz_status first = partitions_read(image, choice->disk_off, choice->sector_size, &partitions, fault);
	for (size_t i = 0; i < choice->count && (first == BLOCKZ_OK || partitions.count > 0); i++) {
		struct blockz_range range;
		struct blockz_fault *where = first == BLOCKZ_OK ? fault : NULL;
		enum blockz_status status = partition_find(&partitions, choice->names[i], &range, where);
		if (status == BLOCKZ_OK)
			status = rawlist_add(list, range, where);
		first = first == BLOCKZ_OK ? status : first;
	}
	partitions_free(&partitions);
	return first;
}

enum blockz_status rawchoice_find(const struct rawchoice *choice, const struct blockz_source *image, struct rawlist *list,
				  struct blockz_fault *fault)
{
	enum blockz_status table = BLOCKZ_OK, partitions = BLOCKZ_OK;
	if (choice->table)
		table = add_table(choice, image, list, fault);
	if (choice->count > 0)
		partitions = add_partitions(choice, image, list, table == BLOCKZ_OK ? fault : NULL);
	return table != BLOCKZ_OK ? table : partitions;
}

void rawchoice_free(struct rawchoice *choice)
{
	free(choice->names);
	*choice = (struct rawchoice){ 0 };
}
