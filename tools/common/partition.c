/* SPDX-License-Identifier: BSD-3-Clause */
#include "partition.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fault.h"
#include "json.h"
#include "table.h"

enum {
	UNIT = 512,                /* libblkid counts in these, whatever the sectors of the disk */
	SUPERBLOCKS_LEN = 1 << 20, /* holds those of all file systems, but see range_elsewhere() */
};

/* ---- What libblkid looks at: a sparse file in memory */

struct view {
	const struct blockz_source *image;
	int fd;
	unsigned sector_size;
	blkid_probe tables, superblocks;
};

static enum blockz_status view_open(struct view *view, const struct blockz_source *image, unsigned sector_size,
				    struct blockz_fault *fault)
{
	*view = (struct view){
		.image = image,
		.fd = memfd_create("blockz", MFD_CLOEXEC),
		.sector_size = sector_size,
		.tables = blkid_new_probe(),
		.superblocks = blkid_new_probe(),
	};
	if (view->fd < 0)
		return tool_fault_errno(fault, errno, "a file in memory for libblkid");
	if (view->tables == NULL || view->superblocks == NULL)
		return tool_fault_errno(fault, ENOMEM, "libblkid");
	return BLOCKZ_OK;
}

static void view_close(struct view *view)
{
	blkid_free_probe(view->tables);
	blkid_free_probe(view->superblocks);
	if (view->fd >= 0)
		close(view->fd);
}

/* Makes it len zeros. */
static enum blockz_status view_clear(const struct view *view, uint64_t len, struct blockz_fault *fault)
{
	if (ftruncate(view->fd, 0) != 0 || ftruncate(view->fd, (off_t)len) != 0)
		return tool_fault_errno(fault, errno, "a file in memory of %" PRIu64 " bytes for libblkid", len);
	return BLOCKZ_OK;
}

static enum blockz_status view_write(const struct view *view, const void *buf, size_t len, uint64_t off,
				     struct blockz_fault *fault)
{
	ssize_t put = pwrite(view->fd, buf, len, (off_t)off);
	if (put != (ssize_t)len)
		return tool_fault_errno(fault, put < 0 ? errno : ENOSPC, "a file in memory for libblkid");
	return BLOCKZ_OK;
}

/* Copies a range of the image so that offset base of it is the view's first byte. */
static enum blockz_status view_copy(const struct view *view, struct blockz_range range, uint64_t base,
				    struct blockz_fault *fault)
{
	uint8_t buf[1 << 14];
	enum blockz_status status = BLOCKZ_OK;
	for (uint64_t off = range.start; off < range.end && status == BLOCKZ_OK;) {
		size_t len = range.end - off < sizeof(buf) ? (size_t)(range.end - off) : sizeof(buf);
		status = table_read(view->image, buf, len, off, fault);
		if (status == BLOCKZ_OK)
			status = view_write(view, buf, len, off - base, fault);
		off += len;
	}
	return status;
}

/* Makes a probe look at the view's first len bytes. */
static enum blockz_status view_probe(const struct view *view, blkid_probe probe, uint64_t len,
				     struct blockz_fault *fault)
{
	if (blkid_probe_set_device(probe, view->fd, 0, (blkid_loff_t)len) != 0 ||
	    blkid_probe_set_sectorsize(probe, view->sector_size) != 0)
		return tool_fault_errno(fault, errno, "libblkid");
	return BLOCKZ_OK;
}

/* ---- File systems */

static uint16_t load16(const uint8_t *from)
{
	return (uint16_t)(from[0] | from[1] << 8);
}

static uint64_t load32(const uint8_t *from)
{
	return load16(from) | (uint64_t)load16(from + 2) << 16;
}

/*
 * What libblkid reads of a partition of len bytes apart from the boot sector: FAT32 has its label in the root
 * directory, NTFS in the fourth record of the MFT.  Empty for anything else.
 */
static struct blockz_range range_elsewhere(const uint8_t boot[UNIT], uint64_t len)
{
	enum { FAT_ROOT_MIN = 2, MFT_RECORDS_LEN = 4 * 4096 };
	uint64_t sector_len = load16(boot + 11), cluster_len = boot[13] * sector_len;
	struct blockz_range range = { 0, 0 };
	if (memcmp(boot + 82, "FAT32   ", 8) == 0 && load32(boot + 44) >= FAT_ROOT_MIN) {
		uint64_t fats = load16(boot + 14) + boot[16] * load32(boot + 36);
		range.start = fats * sector_len + (load32(boot + 44) - FAT_ROOT_MIN) * cluster_len;
		range.end = range.start + cluster_len;
	} else if (memcmp(boot + 3, "NTFS    ", 8) == 0 && load32(boot + 52) == 0) {
		range.start = load32(boot + 48) * cluster_len;
		range.end = range.start + MFT_RECORDS_LEN;
	}
	return range.end <= len ? range : (struct blockz_range){ 0, 0 };
}

static struct blockz_range first_bytes(struct blockz_range range, uint64_t len)
{
	if (range.end - range.start > len)
		range.end = range.start + len;
	return range;
}

static enum blockz_status view_superblocks(const struct view *view, struct blockz_range range,
					   struct blockz_fault *fault)
{
	uint8_t boot[UNIT];
	uint64_t len = range.end - range.start;
	enum blockz_status status = view_clear(view, len, fault);
	if (status == BLOCKZ_OK)
		status = view_copy(view, first_bytes(range, SUPERBLOCKS_LEN), range.start, fault);
	if (status != BLOCKZ_OK || pread(view->fd, boot, sizeof(boot), 0) != sizeof(boot))
		return status;
	struct blockz_range elsewhere = range_elsewhere(boot, len);
	elsewhere.start += range.start;
	elsewhere.end += range.start;
	return view_copy(view, first_bytes(elsewhere, SUPERBLOCKS_LEN), range.start, fault);
}

/* Several superblocks in one place count as none. */
static enum blockz_status find_file_system(const struct view *view, struct blockz_range range,
					   struct blockz_fault *fault)
{
	enum blockz_status status = view_superblocks(view, range, fault);
	if (status == BLOCKZ_OK)
		status = view_probe(view, view->superblocks, range.end - range.start, fault);
	if (status == BLOCKZ_OK && blkid_do_safeprobe(view->superblocks) != 0)
		blkid_reset_probe(view->superblocks);
	return status;
}

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

/* libblkid makes room for as many entries as a header claims: undo one that table_find() does not take. */
static enum blockz_status undo_large_header(const struct view *view, uint64_t off, struct blockz_fault *fault)
{
	enum { COUNT_OFF = 80, ENTRY_LEN = 128 };
	static const uint8_t zeros[8];
	uint8_t count[4];
	if (pread(view->fd, count, sizeof(count), (off_t)off + COUNT_OFF) != sizeof(count) ||
	    load32(count) <= TABLE_ENTRIES_LEN_MAX / ENTRY_LEN)
		return BLOCKZ_OK;
	return view_write(view, zeros, sizeof(zeros), off, fault);
}

static enum blockz_status view_tables(const struct view *view, const struct table_layout *layout, uint64_t disk_off,
				      struct blockz_fault *fault)
{
	uint64_t last_sector = (layout->disk_len / layout->sector_size - 1) * layout->sector_size;
	enum blockz_status status = view_clear(view, layout->disk_len, fault);
	for (size_t i = 0; status == BLOCKZ_OK && i < layout->ranges.count; i++)
		status = view_copy(view, layout->ranges.items[i], disk_off, fault);
	if (status == BLOCKZ_OK && layout->gpt)
		status = undo_large_header(view, layout->sector_size, fault);
	if (status == BLOCKZ_OK && layout->gpt)
		status = undo_large_header(view, last_sector, fault);
	return status;
}

/* *list_ret: belongs to view->tables; NULL: libblkid does not take this for a table. */
static enum blockz_status list_partitions(const struct view *view, const struct table_layout *layout,
					  uint64_t disk_off, blkid_partlist *list_ret, struct blockz_fault *fault)
{
	char gpt[] = "gpt", dos[] = "dos", *types[] = { layout->gpt ? gpt : dos, NULL };
	enum blockz_status status = view_tables(view, layout, disk_off, fault);
	if (status == BLOCKZ_OK)
		status = view_probe(view, view->tables, layout->disk_len, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (blkid_probe_filter_partitions_type(view->tables, BLKID_FLTR_ONLYIN, types) != 0)
		return tool_fault_errno(fault, ENOMEM, "libblkid");
	*list_ret = blkid_probe_get_partitions(view->tables);
	return BLOCKZ_OK;
}

static enum blockz_status add_partition(const struct view *view, blkid_partition part, uint64_t disk_off,
					struct partition_table *table, struct blockz_fault *fault)
{
	struct partition *item = &table->items[table->count];
	if (!set_range(item, part, disk_off, view->image->size))
		return BLOCKZ_OK;
	table->count++;
	item->number = (unsigned)blkid_partition_get_partno(part);
	blkid_reset_probe(view->superblocks);
	/* Behind the EBR there are leftovers at best. */
	if (item->range.start < item->range.end && !blkid_partition_is_extended(part)) {
		enum blockz_status status = find_file_system(view, item->range, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	return set_texts(item, part, view->superblocks) ? BLOCKZ_OK : tool_fault_errno(fault, ENOMEM, "partitions");
}

static enum blockz_status add_partitions(const struct view *view, blkid_partlist list, uint64_t disk_off,
					 struct partition_table *table, struct blockz_fault *fault)
{
	int count = blkid_partlist_numof_partitions(list);
	enum blockz_status status = BLOCKZ_OK;
	if (count > PARTITIONS_MAX)
		return tool_fault(fault, BLOCKZ_LIMIT, "%d partitions, expected at most %d", count, PARTITIONS_MAX);
	table->items = calloc(count > 0 ? (size_t)count : 1, sizeof(*table->items));
	if (table->items == NULL)
		return tool_fault_errno(fault, ENOMEM, "%d partitions", count);
	for (int i = 0; i < count && status == BLOCKZ_OK; i++)
		status = add_partition(view, blkid_partlist_get_partition(list, i), disk_off, table, fault);
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

static enum blockz_status read_layout(const struct blockz_source *image, uint64_t disk_off,
				      const struct table_layout *layout, struct partition_table *table,
				      struct blockz_fault *fault)
{
	struct view view;
	blkid_partlist list = NULL;
	enum blockz_status status = view_open(&view, image, layout->sector_size, fault);
	if (status == BLOCKZ_OK)
		status = list_partitions(&view, layout, disk_off, &list, fault);
	if (status == BLOCKZ_OK && list != NULL)
		status = add_partitions(&view, list, disk_off, table, fault);
	view_close(&view);
	if (status == BLOCKZ_OK && table->count > 0)
		qsort(table->items, table->count, sizeof(*table->items), compare);
	return status;
}

enum blockz_status partition_table_read(const struct blockz_source *image, uint64_t disk_off, unsigned sector_size,
					struct partition_table *table_ret, struct blockz_fault *fault)
{
	struct table_layout layout;
	struct partition_table table = { 0 };
	enum blockz_status status = table_find(image, disk_off, sector_size, &layout, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (layout.ranges.count > 0)
		status = read_layout(image, disk_off, &layout, &table, fault);
	rawlist_free(&layout.ranges);
	if (status == BLOCKZ_OK)
		*table_ret = table;
	else
		partition_table_free(&table);
	return status;
}

void partition_table_free(struct partition_table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		struct partition *item = &table->items[i];
		char *texts[] = { item->label, item->uuid, item->type, item->fs_label, item->fs_uuid, item->fs_type };
		for (size_t j = 0; j < sizeof(texts) / sizeof(texts[0]); j++)
			free(texts[j]);
	}
	free(table->items);
	*table = (struct partition_table){ 0 };
}

/* ---- In a compressed file */

/* A source that reads through a reader, and keeps the reader's own fault. */
struct image {
	struct blockz_reader *reader;
	uint64_t size;
	enum blockz_status status;
	struct blockz_fault fault;
};

static int image_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	struct image *image = ctx;
	uint64_t left = off < image->size ? image->size - off : 0;
	if (len > left)
		len = (size_t)left;
	image->status = blockz_reader_read(image->reader, buf, len, off, &image->fault);
	*got_ret = len;
	return image->status == BLOCKZ_OK ? 0 : EIO;
}

enum blockz_status partition_table_of_file(const struct blockz_source *file, const struct blockz_map *map,
					   struct partition_table *table_ret, struct blockz_fault *fault)
{
	static const struct blockz_source_ops ops = { .read = image_read };
	struct image image = { .size = blockz_map_info(map).image_size };
	struct blockz_source source = { &ops, &image, image.size };
	enum blockz_status status = blockz_reader_new(file, map, &image.reader, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = partition_table_read(&source, 0, 0, table_ret, fault);
	blockz_reader_free(image.reader);
	if (image.status == BLOCKZ_OK)
		return status;
	if (fault != NULL)
		*fault = image.fault;
	return image.status;
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
static void print_list(char *to, size_t room, const struct partition_table *table, const char *name)
{
	static const char more[] = ", ...";
	const char *comma = "";
	for (size_t i = 0; i < table->count; i++) {
		char text[128];
		const struct partition *item = &table->items[i];
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

enum blockz_status partition_find(const struct partition_table *table, const char *name,
				  const struct partition **partition_ret, struct blockz_fault *fault)
{
	const struct partition *found = NULL;
	size_t matches = 0;
	char list[160] = "";
	for (size_t i = 0; i < table->count; i++) {
		if (is_called(&table->items[i], name)) {
			found = &table->items[i];
			matches++;
		}
	}
	print_list(list, sizeof(list), table, matches > 1 ? name : NULL);
	if (table->count == 0)
		return tool_fault(fault, BLOCKZ_USAGE, "no partition '%.64s': there is no partition table", name);
	if (matches == 0)
		return tool_fault(fault, BLOCKZ_USAGE, "no partition '%.64s', there are: %s", name, list);
	if (matches > 1)
		return tool_fault(fault, BLOCKZ_USAGE,
				  "'%.64s' means several partitions: %s; PARTN=, PARTLABEL=, PARTUUID=, LABEL= or UUID= "
				  "before it says which", name, list);
	if (found->beyond)
		return tool_fault(fault, BLOCKZ_USAGE, "partition '%.64s' goes on beyond the end of the image", name);
	*partition_ret = found;
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
