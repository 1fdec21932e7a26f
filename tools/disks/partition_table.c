/* SPDX-License-Identifier: BSD-3-Clause */
/* Found without libblkid, which does not say where the tables lie. */
#include "disks/partition_table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "cli/fault.h"
#include "disks/gpt.h"
#include "disks/mbr.h"
#include "disks/sectors.h"
#include "disks/view.h"

enum { SECTOR_MAX = 4096 };

struct disk {
	const struct blockz_source *image;
	uint64_t off, len; /* in the image */
	uint64_t sectors;  /* whole ones */
	unsigned sector_size;
};

struct gpt {
	struct gpt_header primary, backup;
	uint64_t backup_lba;
};

static void set_sector_size(struct disk *disk, unsigned sector_size)
{
	disk->sector_size = sector_size;
	disk->sectors = disk->len / sector_size;
}

/* lba: on the disk. */
static enum blockz_status read_sector(const struct disk *disk, void *buf, uint64_t lba, struct blockz_fault *fault)
{
	return view_image(disk->image, buf, disk->sector_size, disk->off + lba * disk->sector_size, fault);
}

/* Adds what the image has of some sectors; count is at most that of GPT_ENTRIES_LEN_MAX bytes. */
static enum blockz_status add_sectors(struct rawlist *list, const struct disk *disk, uint64_t lba, uint64_t count,
				      struct blockz_fault *fault)
{
	if (lba >= disk->sectors)
		return BLOCKZ_OK;
	if (count > disk->sectors - lba)
		count = disk->sectors - lba;
	uint64_t start = disk->off + lba * disk->sector_size;
	return rawlist_add(list, (struct blockz_range){ start, start + count * disk->sector_size }, fault);
}

/* ---- MBR */

struct ebrs {
	uint64_t lbas[PARTITION_TABLE_EBRS_MAX];
	size_t count;
};

static bool was_seen(const struct ebrs *seen, uint64_t lba)
{
	for (size_t i = 0; i < seen->count; i++) {
		if (seen->lbas[i] == lba)
			return true;
	}
	return false;
}

/* The start of the next EBR, counted from the first; 0: this is the last. */
static uint64_t next_ebr(const uint8_t *ebr)
{
	for (unsigned i = 0; i < MBR_ENTRIES; i++) {
		struct mbr_entry entry = mbr_entry(ebr, i);
		if (mbr_is_extended(entry))
			return entry.start;
	}
	return 0;
}

/* Adds the EBRs of the extended partition at first; ends where the chain leaves the image or comes back to itself. */
static enum blockz_status add_chain(struct rawlist *list, const struct disk *disk, uint64_t first, struct ebrs *seen,
				    struct blockz_fault *fault)
{
	uint8_t ebr[SECTOR_MAX];
	uint64_t lba = first;
	for (uint64_t next = 1; next != 0; lba = first + next) {
		if (lba >= disk->sectors || was_seen(seen, lba))
			return BLOCKZ_OK;
		enum blockz_status status = read_sector(disk, ebr, lba, fault);
		if (status != BLOCKZ_OK || !mbr_has_signature(ebr))
			return status;
		if (seen->count == PARTITION_TABLE_EBRS_MAX)
			return tool_fault(fault, BLOCKZ_LIMIT, "the partition table has more than %d EBRs",
					  PARTITION_TABLE_EBRS_MAX);
		seen->lbas[seen->count++] = lba;
		status = add_sectors(list, disk, lba, 1, fault);
		if (status != BLOCKZ_OK)
			return status;
		next = next_ebr(ebr);
	}
	return BLOCKZ_OK;
}

static enum blockz_status add_mbr(struct rawlist *list, const struct disk *disk, const uint8_t *mbr,
				  struct blockz_fault *fault)
{
	struct ebrs seen = { .count = 0 };
	enum blockz_status status = add_sectors(list, disk, 0, 1, fault);
	for (unsigned i = 0; status == BLOCKZ_OK && i < MBR_ENTRIES; i++) {
		struct mbr_entry entry = mbr_entry(mbr, i);
		if (mbr_is_extended(entry))
			status = add_chain(list, disk, entry.start, &seen, fault);
	}
	return status;
}

/* ---- GPT */

static enum blockz_status read_header(const struct disk *disk, uint64_t lba, struct gpt_header *header_ret,
				      struct blockz_fault *fault)
{
	uint8_t sector[SECTOR_MAX];
	*header_ret = (struct gpt_header){ .good = false };
	if (lba < GPT_PRIMARY_LBA || lba >= disk->sectors)
		return BLOCKZ_OK;
	enum blockz_status status = read_sector(disk, sector, lba, fault);
	if (status == BLOCKZ_OK)
		*header_ret = gpt_header(sector, disk->sector_size, lba);
	return status;
}

static enum blockz_status read_headers(const struct disk *disk, struct gpt *gpt_ret, struct blockz_fault *fault)
{
	enum blockz_status status = read_header(disk, GPT_PRIMARY_LBA, &gpt_ret->primary, fault);
	if (status != BLOCKZ_OK)
		return status;
	gpt_ret->backup_lba = gpt_ret->primary.good ? gpt_ret->primary.alternate_lba : disk->sectors - 1;
	return read_header(disk, gpt_ret->backup_lba, &gpt_ret->backup, fault);
}

static const struct gpt_header *best_header(const struct gpt *gpt)
{
	return gpt->primary.good ? &gpt->primary : &gpt->backup;
}

/* *found_ret: there are entries that fit the best header. */
static enum blockz_status find_entries(const struct disk *disk, const struct gpt *gpt, bool *found_ret,
				       struct blockz_fault *fault)
{
	const struct gpt_header *header = best_header(gpt);
	size_t len = (size_t)header->entries_len;
	*found_ret = false;
	if (header->entries_lba >= disk->sectors || len > (disk->sectors - header->entries_lba) * disk->sector_size)
		return BLOCKZ_OK;
	uint8_t *entries = malloc(len);
	if (entries == NULL)
		return tool_fault_errno(fault, ENOMEM, "a partition table of %zu bytes", len);
	uint64_t off = disk->off + header->entries_lba * disk->sector_size;
	enum blockz_status status = view_image(disk->image, entries, len, off, fault);
	*found_ret = status == BLOCKZ_OK && gpt_entries_match(header, entries);
	free(entries);
	return status;
}

/* A table for other sectors than before can leave a header of that one: its entries are gone. */
static enum blockz_status choose_gpt(struct disk *disk, const struct gpt gpts[SECTORS_SIZES], size_t *chosen_ret,
				     struct blockz_fault *fault)
{
	bool found[SECTORS_SIZES] = { false };
	for (size_t i = 0; i < SECTORS_SIZES; i++) {
		set_sector_size(disk, sectors_sizes[i]);
		enum blockz_status status = find_entries(disk, &gpts[i], &found[i], fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	if (found[0] == found[1])
		return sectors_undecided(fault);
	*chosen_ret = found[1];
	return BLOCKZ_OK;
}

/* 2: there is a good primary header; 1: a backup's; 0: none. */
static int rank(const struct gpt *gpt)
{
	return gpt->primary.good ? 2 : gpt->backup.good;
}

/* Sets the sector size by the good headers, the primary ones first; *found_ret: there is one. */
static enum blockz_status find_gpt(struct disk *disk, unsigned sector_size, struct gpt *gpt_ret, bool *found_ret,
				   struct blockz_fault *fault)
{
	struct gpt gpts[SECTORS_SIZES] = { 0 };
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < SECTORS_SIZES && status == BLOCKZ_OK; i++) {
		set_sector_size(disk, sectors_sizes[i]);
		if ((sector_size == 0 || sector_size == sectors_sizes[i]) && disk->sectors > 0)
			status = read_headers(disk, &gpts[i], fault);
	}
	size_t chosen = rank(&gpts[1]) > rank(&gpts[0]);
	*found_ret = rank(&gpts[chosen]) > 0;
	if (status == BLOCKZ_OK && *found_ret && rank(&gpts[0]) == rank(&gpts[1]))
		status = choose_gpt(disk, gpts, &chosen, fault);
	set_sector_size(disk, sectors_sizes[chosen]);
	*gpt_ret = gpts[chosen];
	return status;
}

static uint64_t entry_sectors(const struct disk *disk, const struct gpt_header *header)
{
	return (header->entries_len + disk->sector_size - 1) / disk->sector_size;
}

static enum blockz_status add_gpt(struct rawlist *list, const struct disk *disk, const struct gpt *gpt,
				  struct blockz_fault *fault)
{
	const struct gpt_header *primary = &gpt->primary, *backup = &gpt->backup;
	uint64_t count = entry_sectors(disk, primary->good ? primary : backup);
	uint64_t backup_count = entry_sectors(disk, backup->good ? backup : primary);
	uint64_t primary_entries = primary->good ? primary->entries_lba : GPT_ENTRIES_LBA;
	uint64_t backup_entries = backup->good ? backup->entries_lba : gpt->backup_lba - backup_count;
	enum blockz_status status = add_sectors(list, disk, 0, GPT_PRIMARY_LBA + 1, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = add_sectors(list, disk, primary_entries, count, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = add_sectors(list, disk, backup_entries, backup_count, fault);
	return status == BLOCKZ_OK ? add_sectors(list, disk, gpt->backup_lba, 1, fault) : status;
}

/* What partition_table.disk_len says. */
static uint64_t gpt_disk_len(const struct disk *disk, const struct gpt_header *primary)
{
	uint64_t last = primary->alternate_lba;
	if (!primary->good)
		return disk->len;
	if (last < primary->last_usable_lba)
		last = primary->last_usable_lba;
	return last < INT64_MAX / disk->sector_size ? (last + 1) * disk->sector_size : disk->len;
}

/* ---- Both */

static enum blockz_status find_mbr(struct disk *disk, unsigned sector_size, const uint8_t *mbr,
				   struct blockz_fault *fault)
{
	struct sectors_disk sectors = { disk->image, disk->off, disk->len, mbr };
	enum blockz_status status = BLOCKZ_OK;
	if (sector_size == 0)
		status = sectors_find(&sectors, &sector_size, fault);
	if (status == BLOCKZ_OK)
		set_sector_size(disk, sector_size);
	return status;
}

static enum blockz_status find_table(struct disk *disk, unsigned sector_size, struct partition_table *table,
				     struct blockz_fault *fault)
{
	uint8_t mbr[MBR_LEN];
	struct gpt gpt = { 0 };
	enum blockz_status status = view_image(disk->image, mbr, sizeof(mbr), disk->off, fault);
	if (status == BLOCKZ_OK && mbr_has_signature(mbr) && mbr_is_protective(mbr))
		status = find_gpt(disk, sector_size, &gpt, &table->gpt, fault);
	if (status != BLOCKZ_OK || (!table->gpt && !mbr_is_table(mbr)))
		return status;
	if (!table->gpt)
		status = find_mbr(disk, sector_size, mbr, fault);
	if (status != BLOCKZ_OK)
		return status;
	table->sector_size = disk->sector_size;
	table->disk_len = gpt_disk_len(disk, &gpt.primary);
	table->has_backup = table->gpt && gpt.backup.good;
	return table->gpt ? add_gpt(&table->ranges, disk, &gpt, fault) : add_mbr(&table->ranges, disk, mbr, fault);
}

enum blockz_status partition_table_find(const struct blockz_source *image, uint64_t disk_off, unsigned sector_size,
					struct partition_table *table_ret, struct blockz_fault *fault)
{
	if (image->size == BLOCKZ_UNKNOWN)
		return tool_fault(fault, BLOCKZ_USAGE, "partitions cannot be found in a stream");
	if (disk_off > image->size)
		return tool_fault(fault, BLOCKZ_USAGE,
				  "the disk cannot start at %" PRIu64 ", the image has %" PRIu64 " bytes", disk_off,
				  image->size);
	struct disk disk = { .image = image, .off = disk_off, .len = image->size - disk_off };
	struct partition_table table = { .disk_len = disk.len };
	enum blockz_status status = disk.len >= MBR_LEN ? find_table(&disk, sector_size, &table, fault) : BLOCKZ_OK;
	if (status != BLOCKZ_OK) {
		rawlist_free(&table.ranges);
		return status;
	}
	table.ranges.count = blockz_ranges_unite(table.ranges.items, table.ranges.count);
	*table_ret = table;
	return BLOCKZ_OK;
}
