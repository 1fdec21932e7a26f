/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How large the sectors of a disk with an MBR are.
 *
 * An MBR counts in sectors and does not say of how many bytes: a disk with sectors of 4096 bytes has each partition at
 * eight times the offset.  To take the wrong ones is to read and write at another place, so this looks for evidence and
 * does not guess:
 *
 *  - content: a file system (or whatever else libblkid knows: swap, LUKS, LVM, RAID), or an EBR, lies where a partition
 *    starts with sectors of one size, and none does with the other.  What lies where partitions start with either counts
 *    for neither.
 *  - room: with 512 all partitions lie within the image, and with 4096 they go on beyond its end.  Most disks are full
 *    of partitions, so this alone decides for 512 where nothing is formatted.
 *
 *	content with 512      no      yes     no      yes
 *	and with 4096         no      no      yes     yes
 *	room only with 512    512     512     -       512
 *	else                  -       512     4096    -
 */
#ifndef DISKS_SECTORS_H
#define DISKS_SECTORS_H

#include "blockz.h"

enum { SECTORS_SIZES = 2 };

/* What sectors can have, the smaller first. */
extern const unsigned sectors_sizes[SECTORS_SIZES];

struct sectors_disk {
	const struct blockz_source *image; /* of known size */
	uint64_t off, len;                 /* of the disk in it */
	const uint8_t *mbr;
};

/*
 * Sets the size of the sectors; 512 where the MBR has no partition.  At most four places of each size are looked at, as
 * view_file_system() does.  Errors: those of sectors_undecided(), BLOCKZ_FAILED.
 */
enum blockz_status sectors_find(const struct sectors_disk *disk, unsigned *size_ret, struct blockz_fault *fault);

/* Says that the size has to be given.  Returns BLOCKZ_USAGE. */
enum blockz_status sectors_undecided(struct blockz_fault *fault);

#endif
