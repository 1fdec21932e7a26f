/* SPDX-License-Identifier: BSD-3-Clause */
/* The checks of a disk that is written to: which there are, and what they say before the first write. */
#ifndef DISK_DIRTY_CHECKS_H
#define DISK_DIRTY_CHECKS_H

#include "disk/dirty_units.h"

/* Verifies old content; each piece once, or, where the check is not linear, each time before it is written to. */
struct old_checks {
	struct piece_reader reader;
	struct buffer bytes;
	uint8_t *pieces, *spans; /* a bit for each that was looked at */
};

/* The file and the map must live as long; *old is for old_checks_free(), after a failure too.  Errors: BLOCKZ_FAILED. */
enum blockz_status old_checks_init(struct old_checks *old, const struct blockz_source *file,
				   const struct blockz_map *map, struct blockz_fault *fault);
void old_checks_free(struct old_checks *old);

/*
 * Verifies what is known of a clean unit, and keeps the linear check of its bytes in it.  *has_check_ret: there is one,
 * linear or not.  Errors: BLOCKZ_DAMAGED, BLOCKZ_FAILED.
 */
enum blockz_status old_checks_take(struct old_checks *old, struct units *units, size_t index, bool *has_check_ret,
				   struct blockz_fault *fault);

/* Fills in what of an intent journal the map tells: checks over units, blanks, room for records. */
enum blockz_status dirty_collect(struct intent *intent, const struct units *units, struct blockz_fault *fault);

#endif
