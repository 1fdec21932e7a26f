/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a disk image keeps its partition tables. */
#ifndef DISKS_PARTITION_TABLE_H
#define DISKS_PARTITION_TABLE_H

#include "blockz.h"
#include "disks/rawlist.h"

enum { PARTITION_TABLE_EBRS_MAX = 256 };

struct partition_table {
	unsigned sector_size;   /* 512 or 4096; 0: there is no table */
	bool gpt;               /* false: an MBR */
	/*
	 * The disk as it was when it got its GPT, since an image can be enlarged or cut afterwards: the backup's header
	 * is the last sector.  Without a good primary header: what the image has from disk_off on.
	 */
	uint64_t disk_len;
	bool has_backup; /* there is a GPT with a good one, at the end of disk_len */
	struct rawlist ranges;  /* of the image: whole sectors, sorted, apart */
};

/*
 * Finds the bytes of the partition tables of the disk that starts at disk_off in the image: the MBR and every EBR of
 * its chain; or the protective MBR, the GPT's primary header and entries, and the backup of both where the primary
 * header (or, without a good one, the end of the image) says.  One copy that is not good is listed where the other has
 * its place.  sector_size: 512 or 4096; 0: as found, by the place of a GPT's header, and as sectors_find() says of an MBR.
 * An image without a partition table, or with a file system in place of its MBR: no ranges.  What lies beyond the image
 * is left out.  table_ret->ranges is the caller's to free.
 * Errors: BLOCKZ_USAGE (disk_off beyond the image, an image of unknown size, a size of sectors that nothing tells),
 * BLOCKZ_LIMIT (more than PARTITION_TABLE_EBRS_MAX EBRs), BLOCKZ_FAILED.
 */
enum blockz_status partition_table_find(const struct blockz_source *image, uint64_t disk_off, unsigned sector_size,
					struct partition_table *table_ret, struct blockz_fault *fault);

#endif
