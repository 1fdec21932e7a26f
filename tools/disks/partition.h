/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The partitions of a disk image, as libblkid sees them.
 *
 * This folder knows what lies where on a disk: partition tables, partitions by name, file systems by their beginning, and by
 * these the ranges that are to be raw.  It reads an image as a source, calls files/ and cli/, and writes nothing.
 *
 * libblkid gets to see the partition tables as partition_table_find() finds them, then one partition after the other, as view.h
 * says.
 */
#ifndef DISKS_PARTITION_H
#define DISKS_PARTITION_H

#include <jansson.h>

#include "blockz_disk.h"

enum { PARTITIONS_MAX = 256 };

/* Strings are never NULL, "" where there is none, and may hold any bytes: escape() what is printed. */
struct partition {
	unsigned number;
	struct blockz_range range; /* of the image, cut off at its end */
	bool beyond;               /* the table says that it goes on behind the image's end */
	char *label;               /* PARTLABEL, its name in a GPT */
	char *uuid;                /* PARTUUID */
	char *type;                /* a GPT type's UUID, or "0x83" */
	char *fs_label, *fs_uuid, *fs_type;
};

/*
 * No partition table, or one without partitions: a count of 0.  An extended partition is listed like the logical ones
 * in it.
 */
struct partitions {
	struct partition *items; /* by ascending start, an extended one before those in it */
	size_t count;
	unsigned sector_size; /* 512 or 4096; 0: no table */
	uint64_t backup_end;  /* image offset behind the backup of a GPT; 0: there is none */
};

/*
 * Reads the partitions of the disk that starts at disk_off in the image and ends with it.  image: of known size; only a
 * few MiB of it are read, from this thread.  sector_size: 512 or 4096; 0: as partition_table_find() finds it.
 * partitions_ret is the caller's to free.
 * Errors: those of partition_table_find(), BLOCKZ_LIMIT (more than PARTITIONS_MAX partitions), BLOCKZ_FAILED.
 */
enum blockz_status partitions_read(const struct blockz_source *image, uint64_t disk_off, unsigned sector_size,
				   struct partitions *partitions_ret, struct blockz_fault *fault);

/*
 * The same of the image in a compressed file, as a disk with this overlay shows it (NULL: none).  Errors: those of a
 * blockz_reader too.
 */
enum blockz_status partitions_of_file(const struct blockz_source *file, const struct blockz_map *map,
				      const struct blockz_overlay *overlay, unsigned sector_size,
				      struct partitions *partitions_ret, struct blockz_fault *fault);

/* The same of an open disk of this image size, which starts no thread for that.  Errors: those of blockz_disk_peek() too. */
enum blockz_status partitions_of_disk(struct blockz_disk *disk, uint64_t size, unsigned sector_size,
				      struct partitions *partitions_ret, struct blockz_fault *fault);

/* Fine for zeros, and twice. */
void partitions_free(struct partitions *partitions);

/*
 * The range of the one partition that NAME means: its number, PARTLABEL or PARTUUID, or the LABEL or UUID of its file system;
 * or one of these alone, where NAME is PARTN=NUMBER, PARTLABEL=TEXT and so on.
 * Errors: BLOCKZ_USAGE: none or several, and the text lists what there is; or it lies partly beyond the image.
 */
enum blockz_status partition_find(const struct partitions *partitions, const char *name,
				  struct blockz_range *range_ret, struct blockz_fault *fault);

/* {"number", "label", "uuid", "type", "start", "end", "fs_label", "fs_uuid", "fs_type"}; NULL: no memory. */
json_t *partition_json(const struct partition *partition);

#endif
