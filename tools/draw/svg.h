/* SPDX-License-Identifier: BSD-3-Clause */
/* A map as a picture: the image above, the file below, and bands that show where each part went. */
#ifndef DRAW_SVG_H
#define DRAW_SVG_H

#include <stdio.h>

#include "blockz.h"
#include "disks/partition.h"

struct svg_picture {
	const char *title; /* any bytes */
	const struct blockz_map *map;
	const struct partitions *partitions;
};

/*
 * Writes a self-contained SVG 1.1 document.  Image and file are each to their own scale; ranges too small to see are
 * drawn a little wider, and many of them side by side as one.  The document stays below 4 MiB whatever the map.
 * Returns 0 or an errno value; errors of out itself show in ferror(out).
 */
int svg_write(FILE *out, const struct svg_picture *picture);

#endif
