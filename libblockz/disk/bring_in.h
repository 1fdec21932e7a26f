/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Brings an overlay into the file of a disk, in place, while the disk is in use.
 *
 * All that can be refused is refused before the file changes, and the map of what it will be is made by then: so a disk that
 * cannot commit goes on as it was, and one that has committed can be read.
 */
#ifndef DISK_BRING_IN_H
#define DISK_BRING_IN_H

#include "disk/image.h"
#include "journal/overlay.h"

/* Returns true if there are pages, and it is estimated to take a second at most, by the lengths of the pieces they lie in. */
bool bring_in_is_quick(const struct blockz_overlay *overlay, const struct blockz_map *map);

struct bring_in {
	struct blockz_plan *plan;
	struct disk_image image; /* of the file when the plan is carried out */
};

/*
 * Plans it, and announces that; *self is for bring_in_free(), after a failure too.  Nobody writes to the overlay from here
 * on.  scratch as in struct blockz_anywhere.
 * Errors: those of blockz_plan_anywhere(), and BLOCKZ_UNSUPPORTED where raw ranges would be lost; they leave all as it was.
 */
enum blockz_status bring_in_plan(struct bring_in *self, struct blockz_overlay *overlay, const struct disk_image *image,
				 const struct blockz_store *scratch, struct blockz_fault *fault);

void bring_in_free(struct bring_in *self);

#endif
