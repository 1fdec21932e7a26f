/* SPDX-License-Identifier: BSD-3-Clause */
/* A map as two coloured bars, for the terminal. */
#ifndef DRAW_BAR_H
#define DRAW_BAR_H

#include <stdio.h>

#include "blockz.h"
#include "disks/partition.h"

enum { BAR_COLUMNS_MIN = 40, BAR_COLUMNS_MAX = 400 };

/* The width of the terminal behind out, or 0 where it is none. */
unsigned bar_columns(FILE *out);

/* Whether people want colours there: NO_COLOR is not set, and TERM is not "dumb". */
bool bar_colours(void);

/*
 * Prints the image and the file, each to its own scale over the whole width, and a legend.  Partition numbers stand
 * where their partitions start.
 */
void bar_print(FILE *out, const struct blockz_map *map, const struct partitions *partitions, unsigned columns,
	       bool colours);

#endif
