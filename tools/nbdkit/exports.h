/* SPDX-License-Identifier: BSD-3-Clause */
/* The names under which parts of an image are served, each as a disk of its own. */
#ifndef NBDKIT_EXPORTS_H
#define NBDKIT_EXPORTS_H

#include "blockz_disk.h"
#include "disks/partition.h"

/* Raw ranges beyond these are served too, but not listed: a foreign file can have a million. */
enum { EXPORTS_LISTED = 1000 };

/* Starts as zeros. */
struct exports {
	uint64_t image_size;
	struct blockz_range *raw; /* and patchable, as they were when the server started, ascending */
	size_t raw_count;
	bool list_all; /* partitions are listed whether or not they are raw; the caller's to set */
	struct partitions partitions;
	struct blockz_fault table_fault; /* status: why the table is empty; BLOCKZ_OK: it was read */
};

/*
 * Reads what there is now.  A partition table that cannot be read is no error before a partition is asked for.
 * sector_size: as in partitions_of_disk().  Errors: BLOCKZ_FAILED (no memory).
 */
enum blockz_status exports_read(struct exports *exports, struct blockz_disk *disk, unsigned sector_size,
				struct blockz_fault *fault);
/* Fine for zeros, and twice. */
void exports_free(struct exports *exports);

/*
 * The range of the image that a name means.  "": all of it.  Digits: the raw range of this number, from 1.  Else a
 * partition, raw or not, as partition_find() knows it.  Errors: BLOCKZ_USAGE, and why the table was not read.
 */
enum blockz_status exports_find(const struct exports *exports, const char *name, struct blockz_range *range_ret,
				struct blockz_fault *fault);

/*
 * Calls add with "", each raw range, and the label of each raw partition, or of each (or PARTN= and its number, where that
 * does not lead to it); stops and returns what add does where not 0.
 */
int exports_list(const struct exports *exports, int (*add)(void *ctx, const char *name, const char *description),
		 void *ctx);

/* Whether any byte of a range is raw, and whether all are. */
bool exports_has_raw(const struct exports *exports, struct blockz_range range);
bool exports_is_raw(const struct exports *exports, struct blockz_range range);

#endif
