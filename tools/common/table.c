/* SPDX-License-Identifier: BSD-3-Clause */
#include "table.h"

#include <endian.h>
#include <inttypes.h>
#include <string.h>
#include <zlib.h>

#include "fault.h"

enum { SECTOR_MAX = 4096 };

/* The MBR, and each EBR.  There are four entries of 16 bytes. */
enum {
	MBR_LEN = 512,
	MBR_ENTRIES_OFF = 446,
	MBR_ENTRY_LEN = 16,
	MBR_ENTRIES = 4,
	MBR_SIGNATURE_OFF = 510,
	ENTRY_BOOT_OFF = 0,
	ENTRY_TYPE_OFF = 4,
	ENTRY_START_OFF = 8,
	ENTRY_SECTORS_OFF = 12,
	TYPE_GPT = 0xee,
};

/* The GPT's header: UEFI 2.10, 5.3.2. */
enum {
	GPT_PRIMARY_LBA = 1,
	GPT_ENTRIES_LBA = 2, /* where every tool writes the primary's entries */
	GPT_HEADER_LEN_OFF = 12,
	GPT_HEADER_LEN_MIN = 92,
	GPT_CRC_OFF = 16,
	GPT_MY_LBA_OFF = 24,
	GPT_ALTERNATE_LBA_OFF = 32,
	GPT_LAST_USABLE_LBA_OFF = 48,
	GPT_ENTRIES_LBA_OFF = 72,
	GPT_ENTRY_COUNT_OFF = 80,
	GPT_ENTRY_LEN_OFF = 84,
	GPT_ENTRY_LEN_MIN = 128,
};

struct disk {
	const struct blockz_source *image;
	uint64_t off, len; /* in the image */
	uint64_t sectors;  /* whole ones */
	unsigned sector_size;
};

struct gpt_header {
	bool good;
	uint64_t alternate_lba, last_usable_lba, entries_lba, entries_len;
};

struct gpt {
	struct gpt_header primary, backup;
	uint64_t backup_lba;
};

static uint32_t load32(const uint8_t *from)
{
	uint32_t value;
	memcpy(&value, from, sizeof(value));
	return le32toh(value);
}

static uint64_t load64(const uint8_t *from)
{
	uint64_t value;
	memcpy(&value, from, sizeof(value));
	return le64toh(value);
}

enum blockz_status table_read(const struct blockz_source *image, void *buf, size_t len, uint64_t off,
			      struct blockz_fault *fault)
{
	size_t got = 0;
	int error = image->ops->read(image->ctx, buf, len, off, &got);
	if (error != 0)
		return tool_fault_errno(fault, error, "read %zu bytes at image offset %" PRIu64, len, off);
	if (got < len)
		return tool_fault(fault, BLOCKZ_FAILED,
				  "the image ends at byte %" PRIu64 ", expected %" PRIu64 " bytes: it became shorter",
				  off + got, image->size);
	return BLOCKZ_OK;
}

static void set_sector_size(struct disk *disk, unsigned sector_size)
{
	disk->sector_size = sector_size;
	disk->sectors = disk->len / sector_size;
}

/* lba: on the disk. */
static enum blockz_status read_sector(const struct disk *disk, void *buf, uint64_t lba, struct blockz_fault *fault)
{
	return table_read(disk->image, buf, disk->sector_size, disk->off + lba * disk->sector_size, fault);
}

/* Adds what the image has of some sectors; count is at most that of TABLE_ENTRIES_LEN_MAX bytes. */
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

static const uint8_t *mbr_entry(const uint8_t *mbr, unsigned index)
{
	return mbr + MBR_ENTRIES_OFF + index * MBR_ENTRY_LEN;
}

static bool has_signature(const uint8_t *mbr)
{
	return mbr[MBR_SIGNATURE_OFF] == 0x55 && mbr[MBR_SIGNATURE_OFF + 1] == 0xaa;
}

/* These have the MBR's signature too, and code where its entries are. */
static bool is_boot_sector(const uint8_t *sector)
{
	return memcmp(sector + 3, "NTFS    ", 8) == 0 || memcmp(sector + 3, "EXFAT   ", 8) == 0 ||
	       memcmp(sector + 54, "FAT1", 4) == 0 || memcmp(sector + 82, "FAT32   ", 8) == 0;
}

static bool is_mbr(const uint8_t *mbr)
{
	if (is_boot_sector(mbr))
		return false;
	for (unsigned i = 0; i < MBR_ENTRIES; i++) {
		if ((mbr_entry(mbr, i)[ENTRY_BOOT_OFF] & 0x7f) != 0)
			return false;
	}
	return true;
}

static bool is_protective(const uint8_t *mbr)
{
	for (unsigned i = 0; i < MBR_ENTRIES; i++) {
		if (mbr_entry(mbr, i)[ENTRY_TYPE_OFF] == TYPE_GPT)
			return true;
	}
	return false;
}

static bool is_extended(const uint8_t *entry)
{
	uint8_t type = entry[ENTRY_TYPE_OFF];
	return (type == 0x05 || type == 0x0f || type == 0x85) && load32(entry + ENTRY_SECTORS_OFF) != 0 &&
	       load32(entry + ENTRY_START_OFF) != 0;
}

struct ebrs {
	uint64_t lbas[TABLE_EBRS_MAX];
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
static uint32_t next_ebr(const uint8_t *ebr)
{
	for (unsigned i = 0; i < MBR_ENTRIES; i++) {
		if (is_extended(mbr_entry(ebr, i)))
			return load32(mbr_entry(ebr, i) + ENTRY_START_OFF);
	}
	return 0;
}

/* Adds the EBRs of the extended partition at first; ends where the chain leaves the image or comes back to itself. */
static enum blockz_status add_chain(struct rawlist *list, const struct disk *disk, uint64_t first, struct ebrs *seen,
				    struct blockz_fault *fault)
{
	uint8_t ebr[SECTOR_MAX];
	uint64_t lba = first;
	for (uint32_t next = 1; next != 0; lba = first + next) {
		if (lba >= disk->sectors || was_seen(seen, lba))
			return BLOCKZ_OK;
		enum blockz_status status = read_sector(disk, ebr, lba, fault);
		if (status != BLOCKZ_OK || !has_signature(ebr))
			return status;
		if (seen->count == TABLE_EBRS_MAX)
			return tool_fault(fault, BLOCKZ_LIMIT, "the partition table has more than %d EBRs",
					  TABLE_EBRS_MAX);
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
		const uint8_t *entry = mbr_entry(mbr, i);
		if (is_extended(entry))
			status = add_chain(list, disk, load32(entry + ENTRY_START_OFF), &seen, fault);
	}
	return status;
}

/* ---- GPT */

static bool is_gpt_header(uint8_t *sector, unsigned sector_size, uint64_t lba)
{
	uint32_t len = load32(sector + GPT_HEADER_LEN_OFF), crc = load32(sector + GPT_CRC_OFF);
	if (memcmp(sector, "EFI PART", 8) != 0 || len < GPT_HEADER_LEN_MIN || len > sector_size ||
	    load64(sector + GPT_MY_LBA_OFF) != lba)
		return false;
	memset(sector + GPT_CRC_OFF, 0, sizeof(crc));
	return crc32(0, sector, len) == crc;
}

static enum blockz_status read_header(const struct disk *disk, uint64_t lba, struct gpt_header *header_ret,
				      struct blockz_fault *fault)
{
	uint8_t sector[SECTOR_MAX];
	*header_ret = (struct gpt_header){ .good = false };
	if (lba < GPT_PRIMARY_LBA || lba >= disk->sectors)
		return BLOCKZ_OK;
	enum blockz_status status = read_sector(disk, sector, lba, fault);
	if (status != BLOCKZ_OK || !is_gpt_header(sector, disk->sector_size, lba))
		return status;
	uint64_t entry_len = load32(sector + GPT_ENTRY_LEN_OFF);
	uint64_t entries_len = entry_len * load32(sector + GPT_ENTRY_COUNT_OFF);
	*header_ret = (struct gpt_header){
		.good = entry_len >= GPT_ENTRY_LEN_MIN && entries_len > 0 && entries_len <= TABLE_ENTRIES_LEN_MAX,
		.alternate_lba = load64(sector + GPT_ALTERNATE_LBA_OFF),
		.last_usable_lba = load64(sector + GPT_LAST_USABLE_LBA_OFF),
		.entries_lba = load64(sector + GPT_ENTRIES_LBA_OFF),
		.entries_len = entries_len,
	};
	return BLOCKZ_OK;
}

static enum blockz_status read_headers(const struct disk *disk, struct gpt *gpt_ret, struct blockz_fault *fault)
{
	enum blockz_status status = read_header(disk, GPT_PRIMARY_LBA, &gpt_ret->primary, fault);
	if (status != BLOCKZ_OK)
		return status;
	gpt_ret->backup_lba = gpt_ret->primary.good ? gpt_ret->primary.alternate_lba : disk->sectors - 1;
	return read_header(disk, gpt_ret->backup_lba, &gpt_ret->backup, fault);
}

/* Sets the sector size by the first good header, the primary ones first; *found_ret: there is one. */
static enum blockz_status find_gpt(struct disk *disk, unsigned sector_size, struct gpt *gpt_ret, bool *found_ret,
				   struct blockz_fault *fault)
{
	static const unsigned sizes[] = { 512, 4096 };
	struct gpt found = { 0 };
	unsigned found_size = 0;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct gpt gpt = { 0 };
		set_sector_size(disk, sizes[i]);
		if ((sector_size != 0 && sector_size != sizes[i]) || disk->sectors == 0)
			continue;
		enum blockz_status status = read_headers(disk, &gpt, fault);
		if (status != BLOCKZ_OK)
			return status;
		if (gpt.primary.good ? !found.primary.good : gpt.backup.good && found_size == 0) {
			found = gpt;
			found_size = sizes[i];
		}
	}
	set_sector_size(disk, found_size != 0 ? found_size : sector_size != 0 ? sector_size : sizes[0]);
	*gpt_ret = found;
	*found_ret = found_size != 0;
	return BLOCKZ_OK;
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
	if (status == BLOCKZ_OK)
		status = add_sectors(list, disk, primary_entries, count, fault);
	if (status == BLOCKZ_OK)
		status = add_sectors(list, disk, backup_entries, backup_count, fault);
	if (status == BLOCKZ_OK)
		status = add_sectors(list, disk, gpt->backup_lba, 1, fault);
	return status;
}

/* What table_layout.disk_len says. */
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

static enum blockz_status find(struct disk *disk, unsigned sector_size, struct table_layout *layout,
			       struct blockz_fault *fault)
{
	uint8_t mbr[MBR_LEN];
	struct gpt gpt = { 0 };
	enum blockz_status status = table_read(disk->image, mbr, sizeof(mbr), disk->off, fault);
	if (status != BLOCKZ_OK || !has_signature(mbr))
		return status;
	if (is_protective(mbr))
		status = find_gpt(disk, sector_size, &gpt, &layout->gpt, fault);
	if (status != BLOCKZ_OK || (!layout->gpt && !is_mbr(mbr)))
		return status;
	layout->sector_size = disk->sector_size;
	layout->disk_len = gpt_disk_len(disk, &gpt.primary);
	return layout->gpt ? add_gpt(&layout->ranges, disk, &gpt, fault) : add_mbr(&layout->ranges, disk, mbr, fault);
}

enum blockz_status table_find(const struct blockz_source *image, uint64_t disk_off, unsigned sector_size,
			      struct table_layout *layout_ret, struct blockz_fault *fault)
{
	if (image->size == BLOCKZ_UNKNOWN)
		return tool_fault(fault, BLOCKZ_USAGE, "partitions cannot be found in a stream");
	if (disk_off > image->size)
		return tool_fault(fault, BLOCKZ_USAGE,
				  "the disk cannot start at %" PRIu64 ", the image has %" PRIu64 " bytes", disk_off,
				  image->size);
	struct disk disk = { .image = image, .off = disk_off, .len = image->size - disk_off };
	set_sector_size(&disk, sector_size != 0 ? sector_size : 512);
	struct table_layout layout = { .sector_size = disk.sector_size, .disk_len = disk.len };
	enum blockz_status status = disk.len >= MBR_LEN ? find(&disk, sector_size, &layout, fault) : BLOCKZ_OK;
	if (status != BLOCKZ_OK) {
		rawlist_free(&layout.ranges);
		return status;
	}
	layout.ranges.count = blockz_ranges_unite(layout.ranges.items, layout.ranges.count);
	*layout_ret = layout;
	return BLOCKZ_OK;
}
