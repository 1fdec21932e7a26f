/* SPDX-License-Identifier: BSD-3-Clause */
/* A growing list of ranges, and its text form. */
#ifndef DISKS_RAWLIST_H
#define DISKS_RAWLIST_H

#include <stdio.h>

#include "blockz.h"

enum { RAWLIST_MAX = 1 << 20 };

/* Starts as zeros. */
struct rawlist {
	struct blockz_range *items;
	size_t count;
	/* Private. */
	size_t room;
};

/* Adds a range; one that touches the last is united with it.  Errors: BLOCKZ_LIMIT (RAWLIST_MAX), BLOCKZ_FAILED. */
enum blockz_status rawlist_add(struct rawlist *list, struct blockz_range range, struct blockz_fault *fault);

/*
 * Adds the ranges of a text: one a line, as START-END (END is exclusive), START+LENGTH, or START and LENGTH with blanks
 * between; numbers as size_parse() takes them, any order.  Empty lines are skipped, and what follows a '#'.
 * Errors: BLOCKZ_USAGE (a line by its number; or a list of no range), BLOCKZ_LIMIT, BLOCKZ_FAILED.
 */
enum blockz_status rawlist_read(struct rawlist *list, FILE *in, struct blockz_fault *fault);

/* Fine for zeros, and twice. */
void rawlist_free(struct rawlist *list);

#endif
