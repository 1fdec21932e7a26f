/* SPDX-License-Identifier: BSD-3-Clause */
/* The edits that the options of blockz-patch ask for. */
#ifndef PATCH_CHOSEN_EDITS_H
#define PATCH_CHOSEN_EDITS_H

#include "patch/edits.h"
#include "patch/patch_options.h"

/* The file that is to be edited. */
struct edited_file {
	const struct blockz_source *source;
	const struct blockz_map *map;
	unsigned sector_size; /* of its disk; 0: as found */
};

/*
 * Adds them, in the order in which they were given; the caller frees the edits, on failure too.
 * Errors: those of edits_add_input() and its like, of partitions_of_file() and of partition_find().
 */
enum blockz_status chosen_edits_add(struct edits *edits, const struct patch_options *options, const struct edited_file *file,
				    struct blockz_fault *fault);

#endif
