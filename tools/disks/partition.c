/* SPDX-License-Identifier: BSD-3-Clause */
/* libblkid is asked; what it says of each partition is copied. */
#include "disks/partition.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fault.h"
#include "cli/json.h"
#include "disks/gpt.h"
#include "disks/partition_table.h"
#include "disks/view.h"
#include "files/laid_over.h"

enum { UNIT = 512 }; /* libblkid counts in these, whatever the sectors of the disk */

/* ---- One partition */

/* False: no memory. */
static bool set_text(char **to, const char *text)
{
	*to = strdup(text != NULL ? text : "");
	return *to != NULL;
}

static bool set_value(char **to, blkid_probe probe, const char *name)
{
	const char *text = NULL;
	return set_text(to, blkid_probe_lookup_value(probe, name, &text, NULL) == 0 ? text : NULL);
}

static bool set_type(char **to, blkid_partition part)
{
	char number[16];
	const char *text = blkid_partition_get_type_string(part);
	snprintf(number, sizeof(number), "0x%02x", (unsigned)blkid_partition_get_type(part));
	return set_text(to, text != NULL ? text : number);
}

static bool set_texts(struct partition *item, blkid_partition part, blkid_probe superblocks)
{
	return set_text(&item->label, blkid_partition_get_name(part)) &&
	       set_text(&item->uuid, blkid_partition_get_uuid(part)) && set_type(&item->type, part) &&
	       set_value(&item->fs_label, superblocks, "LABEL") && set_value(&item->fs_uuid, superblocks, "UUID") &&
	       set_value(&item->fs_type, superblocks, "TYPE");
}

/* Sets range and beyond.  False: it is of no bytes, or of more than a disk can have. */
static bool set_range(struct partition *item, blkid_partition part, uint64_t disk_off, uint64_t image_size)
{
	uint64_t start = (uint64_t)blkid_partition_get_start(part), len = (uint64_t)blkid_partition_get_size(part);
	uint64_t limit = (INT64_MAX - disk_off) / UNIT;
	if (len == 0 || start > limit || len > limit - start)
		return false;
	uint64_t image_start = disk_off + start * UNIT, image_end = image_start + len * UNIT;
	item->range.start = image_start < image_size ? image_start : image_size;
	item->range.end = image_end < image_size ? image_end : image_size;
	item->beyond = image_end > image_size;
	return true;
}

/* ---- All of them */

/* Takes the signature of a header away, so that libblkid does not see it. */
static enum blockz_status hide_header(const struct view *view, uint64_t off, struct blockz_fault *fault)
{
	static const uint8_t zeros[8];
	return view_write(view, zeros, sizeof(zeros), off, fault);
}

/* libblkid takes entries of GPT_ENTRY_LEN alone; those that do not match are left for it to refuse. */
static enum blockz_status shorten_entries(const struct view *view, uint8_t *sector, const struct gpt_header *header,
					  uint64_t off, struct blockz_fault *fault)
{
	size_t len = (size_t)header->entries_len;
	if (header->entries_lba > INT64_MAX / view->sector_size)
		return BLOCKZ_OK;
	uint64_t entries_off = header->entries_lba * view->sector_size;
	uint8_t *entries = malloc(len);
	enum blockz_status status = BLOCKZ_OK;
	if (entries == NULL)
		return tool_fault_errno(fault, ENOMEM, "a partition table of %zu bytes", len);
	if (view_read(view, entries, len, entries_off) && gpt_entries_match(header, entries)) {
		len = gpt_shorten(sector, header, entries);
		status = view_write(view, entries, len, entries_off, fault);
		if (status == BLOCKZ_OK)
			status = view_write(view, sector, view->sector_size, off, fault);
	}
	free(entries);
	return status;
}

/* Makes of a header what libblkid understands.  It makes room for as many entries as one claims, whatever that is. */
static enum blockz_status fit_header(const struct view *view, uint64_t lba, struct blockz_fault *fault)
{
	uint8_t sector[4096];
	uint64_t off = lba * view->sector_size;
	if (!view_read(view, sector, view->sector_size, off))
		return BLOCKZ_OK;
	struct gpt_header header = gpt_header(sector, view->sector_size, lba);
	if (!header.good)
		return hide_header(view, off, fault);
	return header.entry_len > GPT_ENTRY_LEN ? shorten_entries(view, sector, &header, off, fault) : BLOCKZ_OK;
}

static enum blockz_status view_tables(const struct view *view, const struct partition_table *table, uint64_t disk_off,
				      struct blockz_fault *fault)
{
	enum blockz_status status = view_clear(view, table->disk_len, fault);
	for (size_t i = 0; status == BLOCKZ_OK && i < table->ranges.count; i++)
		status = view_copy(view, table->ranges.items[i], disk_off, fault);
	if (status != BLOCKZ_OK || !table->gpt)
		return status;
	status = fit_header(view, GPT_PRIMARY_LBA, fault);
	return status == BLOCKZ_OK ? fit_header(view, table->disk_len / table->sector_size - 1, fault) : status;
}

/* *list_ret: belongs to view->tables; NULL: libblkid does not take this for a table. */
static enum blockz_status list_partitions(const struct view *view, const struct partition_table *table,
					  uint64_t disk_off, blkid_partlist *list_ret, struct blockz_fault *fault)
{
	char gpt[] = "gpt", dos[] = "dos", *types[] = { table->gpt ? gpt : dos, NULL };
	enum blockz_status status = view_tables(view, table, disk_off, fault);
	if (status == BLOCKZ_OK)
		status = view_probe(view, view->tables, table->disk_len, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (blkid_probe_filter_partitions_type(view->tables, BLKID_FLTR_ONLYIN, types) != 0)
		return tool_fault_errno(fault, ENOMEM, "libblkid");
	*list_ret = blkid_probe_get_partitions(view->tables);
	return BLOCKZ_OK;
}

static enum blockz_status add_partition(struct view *view, blkid_partition part, uint64_t disk_off,
					struct partitions *partitions, struct blockz_fault *fault)
{
	struct partition *item = &partitions->items[partitions->count];
	if (!set_range(item, part, disk_off, view->image->size))
		return BLOCKZ_OK;
	partitions->count++;
	item->number = (unsigned)blkid_partition_get_partno(part);
	bool found = false;
	blkid_reset_probe(view->superblocks);
	/* Behind the EBR there are leftovers at best. */
	if (item->range.start < item->range.end && !blkid_partition_is_extended(part)) {
		enum blockz_status status = view_file_system(view, item->range, &found, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	return set_texts(item, part, view->superblocks) ? BLOCKZ_OK : tool_fault_errno(fault, ENOMEM, "partitions");
}

static enum blockz_status add_partitions(struct view *view, blkid_partlist list, uint64_t disk_off,
					 struct partitions *partitions, struct blockz_fault *fault)
{
	int count = blkid_partlist_numof_partitions(list);
	enum blockz_status status = BLOCKZ_OK;
	if (count > PARTITIONS_MAX)
		return tool_fault(fault, BLOCKZ_LIMIT, "%d partitions, expected at most %d", count, PARTITIONS_MAX);
	partitions->items = calloc(count > 0 ? (size_t)count : 1, sizeof(*partitions->items));
	if (partitions->items == NULL)
		return tool_fault_errno(fault, ENOMEM, "%d partitions", count);
	for (int i = 0; i < count && status == BLOCKZ_OK; i++)
		status = add_partition(view, blkid_partlist_get_partition(list, i), disk_off, partitions, fault);
	return status;
}

/* An extended partition is longer than what is in it. */
static int compare(const void *left, const void *right)
{
	const struct partition *a = left, *b = right;
	if (a->range.start != b->range.start)
		return a->range.start < b->range.start ? -1 : 1;
	if (a->range.end != b->range.end)
		return a->range.end > b->range.end ? -1 : 1;
	return a->number < b->number ? -1 : a->number > b->number;
}

static enum blockz_status read_table(const struct blockz_source *image, uint64_t disk_off,
				     const struct partition_table *table, struct partitions *partitions,
				     struct blockz_fault *fault)
{
	struct view view;
	blkid_partlist list = NULL;
	enum blockz_status status = view_open(&view, image, fault);
	view.sector_size = table->sector_size;
	if (status == BLOCKZ_OK)
		status = list_partitions(&view, table, disk_off, &list, fault);
	if (status == BLOCKZ_OK && list != NULL)
		status = add_partitions(&view, list, disk_off, partitions, fault);
	view_close(&view);
	if (status == BLOCKZ_OK && partitions->count > 0)
		qsort(partitions->items, partitions->count, sizeof(*partitions->items), compare);
	return status;
}

enum blockz_status partitions_read(const struct blockz_source *image, uint64_t disk_off, unsigned sector_size,
				   struct partitions *partitions_ret, struct blockz_fault *fault)
{
	struct partition_table table;
	enum blockz_status status = partition_table_find(image, disk_off, sector_size, &table, fault);
	if (status != BLOCKZ_OK)
		return status;
	struct partitions partitions = {
		.sector_size = table.sector_size, .backup_end = table.has_backup ? disk_off + table.disk_len : 0,
	};
	if (table.ranges.count > 0)
		status = read_table(image, disk_off, &table, &partitions, fault);
	rawlist_free(&table.ranges);
	if (status == BLOCKZ_OK)
		*partitions_ret = partitions;
	else
		partitions_free(&partitions);
	return status;
}

void partitions_free(struct partitions *partitions)
{
	for (size_t i = 0; i < partitions->count; i++) {
		struct partition *item = &partitions->items[i];
		char *texts[] = { item->label, item->uuid, item->type, item->fs_label, item->fs_uuid, item->fs_type };
		for (size_t j = 0; j < sizeof(texts) / sizeof(texts[0]); j++)
			free(texts[j]);
	}
	free(partitions->items);
	*partitions = (struct partitions){ 0 };
}

/* ---- In a compressed file */

/* What a source reads, and its own fault. */
struct image {
	struct blockz_reader *reader; /* or: */
	struct blockz_disk *disk;
	const struct blockz_overlay *overlay; /* of a reader's; NULL: there is none */
	uint64_t size;
	enum blockz_status status;
	struct blockz_fault fault;
};

static int read_file(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	struct image *image = ctx;
	*got_ret = off >= image->size ? 0 : len < image->size - off ? len : (size_t)(image->size - off);
	image->status = blockz_reader_read(image->reader, buf, *got_ret, off, &image->fault);
	return image->status == BLOCKZ_OK ? laid_over_bytes(image->overlay, buf, *got_ret, off) : EIO;
}

static int read_disk(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	struct image *image = ctx;
	*got_ret = off >= image->size ? 0 : len < image->size - off ? len : (size_t)(image->size - off);
	image->status = blockz_disk_peek(image->disk, buf, *got_ret, off, &image->fault);
	return image->status == BLOCKZ_OK ? 0 : EIO;
}

static enum blockz_status read_partitions(struct image *image, const struct blockz_source_ops *ops, unsigned sector_size,
					  struct partitions *partitions_ret, struct blockz_fault *fault)
{
	const struct blockz_source source = { ops, image, image->size };
	enum blockz_status status = partitions_read(&source, 0, sector_size, partitions_ret, fault);
	if (image->status == BLOCKZ_OK)
		return status;
	if (fault != NULL)
		*fault = image->fault;
	return image->status;
}

enum blockz_status partitions_of_file(const struct blockz_source *file, const struct blockz_map *map,
				      const struct blockz_overlay *overlay, unsigned sector_size,
				      struct partitions *partitions_ret, struct blockz_fault *fault)
{
	static const struct blockz_source_ops ops = { .read = read_file };
	struct image image = { .overlay = overlay, .size = blockz_map_info(map).image_size };
	enum blockz_status status = blockz_reader_new(file, map, &image.reader, fault);
	if (status == BLOCKZ_OK)
		status = read_partitions(&image, &ops, sector_size, partitions_ret, fault);
	blockz_reader_free(image.reader);
	return status;
}

enum blockz_status partitions_of_disk(struct blockz_disk *disk, uint64_t size, unsigned sector_size,
				      struct partitions *partitions_ret, struct blockz_fault *fault)
{
	static const struct blockz_source_ops ops = { .read = read_disk };
	struct image image = { .disk = disk, .size = size };
	return read_partitions(&image, &ops, sector_size, partitions_ret, fault);
}

/* ---- Names */

/* What a name can be of, as fstab and the kernel call it; in front of a name it says that this is meant. */
static const char *const keys[] = { "PARTN=", "PARTLABEL=", "PARTUUID=", "LABEL=", "UUID=" };

enum { KEYS = sizeof(keys) / sizeof(keys[0]) };

/* KEYS: name starts with none. */
static size_t key_of(const char *name)
{
	size_t i = 0;
	while (i < KEYS && strncmp(name, keys[i], strlen(keys[i])) != 0)
		i++;
	return i;
}

static bool is_called(const struct partition *partition, const char *name)
{
	char number[16];
	snprintf(number, sizeof(number), "%u", partition->number);
	const char *names[KEYS] = { number, partition->label, partition->uuid, partition->fs_label, partition->fs_uuid };
	size_t key = key_of(name);
	const char *text = key < KEYS ? name + strlen(keys[key]) : name;
	for (size_t i = 0; i < KEYS; i++) {
		if ((key == i || key == KEYS) && text[0] != '\0' && strcmp(names[i], text) == 0)
			return true;
	}
	return false;
}

/* Writes "2 (boot)", "2 (PARTLABEL, LABEL)" or "2". */
static size_t print_names(char *to, size_t room, const struct partition *partition)
{
	const char *label = partition->label, *fs_label = partition->fs_label;
	bool both = label[0] != '\0' && fs_label[0] != '\0' && strcmp(label, fs_label) != 0;
	if (both)
		return (size_t)snprintf(to, room, "%u (%s, %s)", partition->number, label, fs_label);
	if (label[0] != '\0' || fs_label[0] != '\0')
		return (size_t)snprintf(to, room, "%u (%s)", partition->number, label[0] != '\0' ? label : fs_label);
	return (size_t)snprintf(to, room, "%u", partition->number);
}

/* Lists the partitions called name, or with NULL all of them, as far as there is room for whole ones. */
static void print_list(char *to, size_t room, const struct partitions *partitions, const char *name)
{
	static const char more[] = ", ...";
	const char *comma = "";
	for (size_t i = 0; i < partitions->count; i++) {
		char text[512];
		const struct partition *item = &partitions->items[i];
		if (name != NULL && !is_called(item, name))
			continue;
		size_t len = print_names(text, sizeof(text), item);
		if (len >= sizeof(text) || strlen(comma) + len + sizeof(more) > room) {
			snprintf(to, room, "%s", more + (comma[0] == '\0' ? 2 : 0));
			return;
		}
		len = (size_t)snprintf(to, room, "%s%s", comma, text);
		to += len;
		room -= len;
		comma = ", ";
	}
}

enum blockz_status partition_find(const struct partitions *partitions, const char *name,
				  struct blockz_range *range_ret, struct blockz_fault *fault)
{
	const struct partition *found = NULL;
	size_t matches = 0;
	char list[640] = "";
	for (size_t i = 0; i < partitions->count; i++) {
		if (is_called(&partitions->items[i], name)) {
			found = &partitions->items[i];
			matches++;
		}
	}
	print_list(list, sizeof(list), partitions, matches > 1 ? name : NULL);
	if (partitions->count == 0)
		return tool_fault(fault, BLOCKZ_USAGE, "no partition '%.256s': there is no partition table", name);
	if (matches == 0)
		return tool_fault(fault, BLOCKZ_USAGE, "no partition '%.256s', there are: %s", name, list);
	if (matches > 1)
		return tool_fault(fault, BLOCKZ_USAGE,
				  "'%.256s' means several partitions: %s; PARTN=, PARTLABEL=, PARTUUID=, LABEL= or UUID= "
				  "before it says which", name, list);
	if (found->beyond)
		return tool_fault(fault, BLOCKZ_USAGE, "partition '%.256s' goes on beyond the end of the image", name);
	*range_ret = found->range;
	return BLOCKZ_OK;
}

json_t *partition_json(const struct partition *partition)
{
	return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "number", (json_int_t)partition->number,
			 "label", json_name(partition->label), "uuid", json_name(partition->uuid), "type",
			 json_name(partition->type), "start", json_bytes(partition->range.start), "end",
			 json_bytes(partition->range.end), "fs_label", json_name(partition->fs_label), "fs_uuid",
			 json_name(partition->fs_uuid), "fs_type", json_name(partition->fs_type));
}
