/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The edits of one call of blockz-patch, and the files that their bytes come from.
 *
 * This folder has what stands around a plan: the options, the edits, what two images differ in, patched copies, the report.  It
 * calls disks/, files/ and cli/; the plan and the transaction are the library's, and nothing here writes to the file that is
 * patched.
 */
#ifndef PATCH_EDITS_H
#define PATCH_EDITS_H

#include "blockz.h"
#include "files/audience.h"

struct edits {
	struct blockz_edit *items;
	size_t count;
	struct audience *audience; /* to which the inputs are added */
	int *fds; /* of the inputs, open until edits_free() */
	size_t fd_count;
};

/*
 * Adds "write the file at path to the image from place.start on, and not beyond place.end".  path "-": standard input.
 * What is no regular file or block device is copied to an unnamed file (see scratch.h) first, since edits
 * are read twice.  same_elsewhere: as in struct blockz_edit.
 * Errors: BLOCKZ_USAGE (an empty file, or no room for it), BLOCKZ_FAILED.
 */
enum blockz_status edits_add_input(struct edits *edits, const char *path, struct blockz_range place,
				   bool same_elsewhere, struct blockz_fault *fault);

/*
 * Adds "make the raw ranges those of the image at path", which must have image_size bytes and equal the compressed
 * image elsewhere.  Errors: BLOCKZ_USAGE (another size), BLOCKZ_FAILED.
 */
enum blockz_status edits_add_image(struct edits *edits, const char *path, uint64_t image_size,
				   struct blockz_fault *fault);

/* The same, where the images edited and base differ, and nowhere else.  Errors: as above. */
enum blockz_status edits_add_difference(struct edits *edits, const char *edited, const char *base,
					uint64_t image_size, struct blockz_fault *fault);

/* True if some of the bytes that edits name are not raw, or cannot be overwritten. */
bool edits_are_elsewhere(const struct edits *edits, const struct blockz_map *map);

/* Closes the inputs.  Fine for zeros, and twice. */
void edits_free(struct edits *edits);

#endif
