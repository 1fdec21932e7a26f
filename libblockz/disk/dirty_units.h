/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Units: what a disk keeps account of where it is written to.  One is 1 MiB of raw payload within one piece, between
 * multiples of 1 MiB of the image; where the check is not linear, it is the whole piece, which that check covers.
 */
#ifndef DISK_DIRTY_UNITS_H
#define DISK_DIRTY_UNITS_H

#include <stdatomic.h>

#include "journal/intent.h"
#include "mapped/piece.h"

enum { UNIT_SIZE = 1 << 20 };

enum unit_state {
	UNIT_CLEAN,   /* as at the last commit, as far as we know */
	UNIT_MARKING, /* its record is on its way to the journal */
	UNIT_DIRTY,   /* can be written to */
};

struct unit_item {
	uint64_t start; /* image offset */
	uint64_t old;   /* unless it is clean: the linear check of its bytes as they were */
	_Atomic uint32_t state; /* enum unit_state */
	_Atomic bool written;   /* since the last commit: what was only marked ahead is none of a commit's business */
};

struct units {
	const struct blockz_map *map;
	struct unit_item *items; /* ascending */
	size_t count;
	uint64_t recorded; /* how many of them have a check, and so a record in the journal */
};

/* Errors: BLOCKZ_LIMIT, BLOCKZ_FAILED. */
enum blockz_status units_init(struct units *units, const struct blockz_map *map, struct blockz_fault *fault);
void units_free(struct units *units);

/*
 * The units that [off, end) of the image lies in, all of it: *first_ret and *last_ret.  Errors: BLOCKZ_UNSUPPORTED, for
 * the first byte that cannot be written.
 */
enum blockz_status units_find(const struct units *units, uint64_t off, uint64_t end, size_t *first_ret,
			      size_t *last_ret, struct blockz_fault *fault);

/* The first unit that starts at image offset off or behind it; the count if there is none. */
size_t units_from(const struct units *units, uint64_t off);

/* Returns the image offset at which a unit ends. */
uint64_t unit_end(const struct units *units, size_t index);

/* Returns the same unit as the journal has it. */
struct intent_unit unit_intent(const struct units *units, size_t index);

#endif
