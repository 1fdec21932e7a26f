/* SPDX-License-Identifier: BSD-3-Clause */
/* The header of a GUID partition table, and its entries: UEFI 2.10, 5.3.2 and 5.3.3. */
#ifndef DISKS_GPT_H
#define DISKS_GPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	GPT_PRIMARY_LBA = 1,
	GPT_ENTRIES_LBA = 2,   /* where every tool writes the primary's entries */
	GPT_ENTRY_LEN = 128,   /* the least, and what tools write; the specification has 128 << n */
	GPT_ENTRIES_LEN_MAX = 1 << 20, /* 8192 such entries, where tools write 128 */
};

struct gpt_header {
	bool good; /* its checksum is right, and its entries are no longer than GPT_ENTRIES_LEN_MAX */
	uint64_t alternate_lba, last_usable_lba, entries_lba;
	uint32_t entry_len, entry_count; /* the product is entries_len */
	uint64_t entries_len;
	uint32_t entries_crc;
};

/* Reads the sector at lba. */
struct gpt_header gpt_header(const uint8_t *sector, unsigned sector_size, uint64_t lba);

/* Whether a good header's checksum of its entries is theirs. */
bool gpt_entries_match(const struct gpt_header *header, const uint8_t *entries);

/*
 * Makes each entry GPT_ENTRY_LEN bytes long, in a good header with entries that match: what entries have behind these is
 * left out, and both checksums are made anew.  Returns the new length of the entries.
 */
size_t gpt_shorten(uint8_t *sector, const struct gpt_header *header, uint8_t *entries);

#endif
