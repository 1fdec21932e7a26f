/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What libblkid looks at.  It reads descriptors only, and an image may be inside a compressed file, so what it needs is
 * copied into a sparse file in memory: partition tables, or of one partition the first MiB and the little that FAT32,
 * exFAT and NTFS keep elsewhere.
 */
#ifndef DISKS_VIEW_H
#define DISKS_VIEW_H

#include <blkid/blkid.h>

#include "blockz.h"

struct view {
	const struct blockz_source *image;
	unsigned sector_size; /* of the disk; to be set before anything is looked at */
	blkid_probe tables, superblocks;
	/* Private. */
	int fd;
	unsigned clusters; /* of directories that may still be followed: hostile chains lead all over an image */
};

/* image: of known size; it must live as long.  Errors: BLOCKZ_FAILED; view_close() is due even then. */
enum blockz_status view_open(struct view *view, const struct blockz_source *image, struct blockz_fault *fault);
void view_close(struct view *view);

/* Makes it len zeros.  This and all that write to it: Errors: BLOCKZ_FAILED. */
enum blockz_status view_clear(const struct view *view, uint64_t len, struct blockz_fault *fault);
enum blockz_status view_write(const struct view *view, const void *buf, size_t len, uint64_t off,
			      struct blockz_fault *fault);

/* Copies a range of the image so that offset base of it is the view's first byte. */
enum blockz_status view_copy(const struct view *view, struct blockz_range range, uint64_t base,
			     struct blockz_fault *fault);

/* False: it does not have all of that. */
bool view_read(const struct view *view, void *buf, size_t len, uint64_t off);

/* Makes a probe look at the first len bytes. */
enum blockz_status view_probe(const struct view *view, blkid_probe probe, uint64_t len, struct blockz_fault *fault);

/*
 * Makes superblocks know what lies in a range of the image: a file system, swap, LVM and the like.  Several in one place
 * are found, but their values are not known.  *found_ret: there is something.  A few MiB are read.
 */
enum blockz_status view_file_system(struct view *view, struct blockz_range range, bool *found_ret,
				    struct blockz_fault *fault);

/* Reads exactly len bytes of an image of known size.  Errors: BLOCKZ_FAILED. */
enum blockz_status view_image(const struct blockz_source *image, void *buf, size_t len, uint64_t off,
			      struct blockz_fault *fault);

#endif
