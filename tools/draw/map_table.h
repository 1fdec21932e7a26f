/* SPDX-License-Identifier: BSD-3-Clause */
/* A map as a table for people, with a bar above it on a terminal and the partitions below. */
#ifndef DRAW_MAP_TABLE_H
#define DRAW_MAP_TABLE_H

#include "draw/map_rows.h"

/* Prints it to stdout. */
void map_table_print(const struct map_view *view);

#endif
