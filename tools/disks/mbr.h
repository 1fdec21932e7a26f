/* SPDX-License-Identifier: BSD-3-Clause */
/* A master boot record (MBR), and the extended ones (EBR) that lead to logical partitions. */
#ifndef DISKS_MBR_H
#define DISKS_MBR_H

#include <stdbool.h>
#include <stdint.h>

enum {
	MBR_LEN = 512, /* of the first sector, whatever the size of sectors */
	MBR_ENTRIES = 4,
};

struct mbr_entry {
	uint8_t type;
	uint64_t start, count; /* in sectors; of 32 bits each */
};

/* index: below MBR_ENTRIES. */
struct mbr_entry mbr_entry(const uint8_t mbr[MBR_LEN], unsigned index);

/* Whether the last two bytes are those of an MBR or EBR. */
bool mbr_has_signature(const uint8_t mbr[MBR_LEN]);

/* Whether this can be a table: a file system's boot sector has the signature too, and code where entries would be. */
bool mbr_is_table(const uint8_t mbr[MBR_LEN]);

/* Whether it protects a GPT. */
bool mbr_is_protective(const uint8_t mbr[MBR_LEN]);

/* Whether an entry says where a partition is; the one that protects a GPT does not. */
bool mbr_is_partition(struct mbr_entry entry);

/* Whether it is a partition with a chain of EBRs. */
bool mbr_is_extended(struct mbr_entry entry);

#endif
