/* SPDX-License-Identifier: BSD-3-Clause */
/* Which parts of a disk are to be raw, by the names that people have for them: partitions, and the tables themselves. */
#ifndef DISKS_RAWCHOICE_H
#define DISKS_RAWCHOICE_H

#include "blockz.h"
#include "disks/rawlist.h"

/* Starts as zeros. */
struct rawchoice {
	bool table;           /* the partition tables */
	uint64_t disk_off;    /* where in the image the disk starts */
	unsigned sector_size; /* 512 or 4096; 0: as found */
	/* Private. */
	const char **names;
	size_t count, room;
};

/* Adds a partition as partition_find() knows it; name must live as long.  Errors: BLOCKZ_FAILED. */
enum blockz_status rawchoice_add(struct rawchoice *choice, const char *name, struct blockz_fault *fault);

/* Whether there is anything to look for. */
bool rawchoice_looks(const struct rawchoice *choice);

/*
 * Adds the ranges of what was chosen, in an image of known size.  What is not found is left out, and the fault is that of
 * the first.  Errors: BLOCKZ_USAGE (there is no such partition, or no table); those of partitions_read().
 */
enum blockz_status rawchoice_find(const struct rawchoice *choice, const struct blockz_source *image, struct rawlist *list,
				  struct blockz_fault *fault);

/* Fine for zeros, and twice. */
void rawchoice_free(struct rawchoice *choice);

#endif
