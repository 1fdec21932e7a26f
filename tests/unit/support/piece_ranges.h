/* SPDX-License-Identifier: BSD-3-Clause */
/* Ranges of an image, as each piece of its file sees them. */
#ifndef PIECE_RANGES_H
#define PIECE_RANGES_H

#include "range/map.h"

/* Fills within, room for count, with those parts of the ranges that lie in a piece; returns how many. */
size_t ranges_in(const struct blockz_map *map, size_t piece, const struct blockz_range *ranges, size_t count,
		 struct blockz_range *within);

#endif
