/* SPDX-License-Identifier: BSD-3-Clause */
/* The four entries of an MBR or EBR, and what tells a table from a boot sector. */
#include "disks/mbr.h"

#include <endian.h>
#include <string.h>

enum {
	ENTRIES_OFF = 446,
	ENTRY_LEN = 16,
	SIGNATURE_OFF = 510,
	ENTRY_BOOT_OFF = 0,
	ENTRY_TYPE_OFF = 4,
	ENTRY_START_OFF = 8,
	ENTRY_COUNT_OFF = 12,
	TYPE_GPT = 0xee,
};

static const uint8_t *bytes_of(const uint8_t *mbr, unsigned index)
{
	return mbr + ENTRIES_OFF + index * ENTRY_LEN;
}

static uint32_t load32(const uint8_t *from)
{
	uint32_t value;
	memcpy(&value, from, sizeof(value));
	return le32toh(value);
}

struct mbr_entry mbr_entry(const uint8_t mbr[MBR_LEN], unsigned index)
{
	const uint8_t *bytes = bytes_of(mbr, index);
	return (struct mbr_entry){ bytes[ENTRY_TYPE_OFF], load32(bytes + ENTRY_START_OFF), load32(bytes + ENTRY_COUNT_OFF) };
}

bool mbr_has_signature(const uint8_t mbr[MBR_LEN])
{
	return mbr[SIGNATURE_OFF] == 0x55 && mbr[SIGNATURE_OFF + 1] == 0xaa;
}

static bool is_boot_sector(const uint8_t *sector)
{
	return memcmp(sector + 3, "NTFS    ", 8) == 0 || memcmp(sector + 3, "EXFAT   ", 8) == 0 ||
	       memcmp(sector + 54, "FAT1", 4) == 0 || memcmp(sector + 82, "FAT32   ", 8) == 0;
}

bool mbr_is_table(const uint8_t mbr[MBR_LEN])
{
	if (!mbr_has_signature(mbr) || is_boot_sector(mbr))
		return false;
	for (unsigned i = 0; i < MBR_ENTRIES; i++) {
		if ((bytes_of(mbr, i)[ENTRY_BOOT_OFF] & 0x7f) != 0)
			return false;
	}
	return true;
}

bool mbr_is_protective(const uint8_t mbr[MBR_LEN])
{
	for (unsigned i = 0; i < MBR_ENTRIES; i++) {
		if (mbr_entry(mbr, i).type == TYPE_GPT)
			return true;
	}
	return false;
}

bool mbr_is_partition(struct mbr_entry entry)
{
	return entry.type != 0 && entry.type != TYPE_GPT && entry.start != 0 && entry.count != 0;
}

bool mbr_is_extended(struct mbr_entry entry)
{
	return mbr_is_partition(entry) && (entry.type == 0x05 || entry.type == 0x0f || entry.type == 0x85);
}
