/* SPDX-License-Identifier: BSD-3-Clause */
/* The header and the entries of a GPT, as the UEFI specification has them. */
#include "disks/gpt.h"

#include <endian.h>
#include <string.h>
#include <zlib.h>

enum {
	LEN_OFF = 12,
	LEN_MIN = 92,
	CRC_OFF = 16,
	MY_LBA_OFF = 24,
	ALTERNATE_LBA_OFF = 32,
	LAST_USABLE_LBA_OFF = 48,
	ENTRIES_LBA_OFF = 72,
	ENTRY_COUNT_OFF = 80,
	ENTRY_LEN_OFF = 84,
	ENTRIES_CRC_OFF = 88,
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

static void store32(uint8_t *to, uint32_t value)
{
	value = htole32(value);
	memcpy(to, &value, sizeof(value));
}

static uint32_t crc(const uint8_t *bytes, size_t len)
{
	return (uint32_t)crc32(0, bytes, (uInt)len);
}

/* The checksum counts as zero in itself.  len: at least LEN_MIN. */
static uint32_t header_crc(const uint8_t *sector, uint32_t len)
{
	static const uint8_t zeros[4];
	uLong value = crc32(crc32(0, sector, CRC_OFF), zeros, sizeof(zeros));
	return (uint32_t)crc32(value, sector + CRC_OFF + sizeof(zeros), (uInt)(len - CRC_OFF - sizeof(zeros)));
}

static bool is_good(const uint8_t *sector, unsigned sector_size, uint64_t lba)
{
	uint32_t len = load32(sector + LEN_OFF);
	return memcmp(sector, "EFI PART", 8) == 0 && len >= LEN_MIN && len <= sector_size &&
	       load64(sector + MY_LBA_OFF) == lba && header_crc(sector, len) == load32(sector + CRC_OFF);
}

struct gpt_header gpt_header(const uint8_t *sector, unsigned sector_size, uint64_t lba)
{
	uint32_t entry_len = load32(sector + ENTRY_LEN_OFF), count = load32(sector + ENTRY_COUNT_OFF);
	uint64_t entries_len = (uint64_t)entry_len * count;
	return (struct gpt_header){
		.good = is_good(sector, sector_size, lba) && entry_len >= GPT_ENTRY_LEN && entries_len > 0 &&
			entries_len <= GPT_ENTRIES_LEN_MAX,
		.alternate_lba = load64(sector + ALTERNATE_LBA_OFF),
		.last_usable_lba = load64(sector + LAST_USABLE_LBA_OFF),
		.entries_lba = load64(sector + ENTRIES_LBA_OFF),
		.entry_len = entry_len,
		.entry_count = count,
		.entries_len = entries_len,
		.entries_crc = load32(sector + ENTRIES_CRC_OFF),
	};
}

bool gpt_entries_match(const struct gpt_header *header, const uint8_t *entries)
{
	return crc(entries, (size_t)header->entries_len) == header->entries_crc;
}

size_t gpt_shorten(uint8_t *sector, const struct gpt_header *header, uint8_t *entries)
{
	size_t len = (size_t)header->entry_count * GPT_ENTRY_LEN;
	for (size_t i = 0; i < header->entry_count; i++)
		memmove(entries + i * GPT_ENTRY_LEN, entries + i * header->entry_len, GPT_ENTRY_LEN);
	store32(sector + ENTRY_LEN_OFF, GPT_ENTRY_LEN);
	store32(sector + ENTRIES_CRC_OFF, crc(entries, len));
	store32(sector + CRC_OFF, header_crc(sector, load32(sector + LEN_OFF)));
	return len;
}
