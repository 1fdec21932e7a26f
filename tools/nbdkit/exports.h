/* SPDX-License-Identifier: BSD-3-Clause */
/* The names under which parts of an image are served, each as a disk of its own. */
#ifndef NBDKIT_EXPORTS_H
#define NBDKIT_EXPORTS_H

#include "blockz.h"
#include "disks/partition.h"

/* Raw ranges beyond these are served too, but not listed: a foreign file can have a million. */
enum { EXPORTS_LISTED = 1000 };

struct exports {
	const struct blockz_map *map;
	struct partitions partitions;
	struct blockz_fault table_fault; /* status: why the table is empty; BLOCKZ_OK: it was read */
};

/*
 * Reads the partitions as they are now.  A table that cannot be read is no error before a partition is asked for.
 * sector_size: as in partitions_of_file().
 */
void exports_read(struct exports *exports, const struct blockz_source *file, const struct blockz_map *map,
		  unsigned sector_size);
void exports_free(struct exports *exports);

/*
 * The range of the image that a name means.  "": all of it.  Digits: the raw range of this number, from 1.  Else a
 * partition, raw or not, as partition_find() knows it.  Errors: BLOCKZ_USAGE, and why the table was not read.
 */
enum blockz_status exports_find(const struct exports *exports, const char *name, struct blockz_range *range_ret,
				struct blockz_fault *fault);

/*
 * Calls add with "", each raw range, and each raw partition's label (or PARTN= and its number, where that does not lead
 * to it); stops and returns what add does where not 0.
 */
int exports_list(const struct exports *exports, int (*add)(void *ctx, const char *name, const char *description),
		 void *ctx);

/* The first byte of the range that is raw and patchable, or is not, as wanted; range.end where there is none. */
uint64_t exports_first(const struct blockz_map *map, struct blockz_range range, bool raw);

#endif
