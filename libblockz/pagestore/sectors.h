/* SPDX-License-Identifier: BSD-3-Clause */
/* The sectors of a page: what is written to a page in part is kept sector by sector, and a mask says of which sectors. */
#ifndef PAGESTORE_SECTORS_H
#define PAGESTORE_SECTORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/checked.h"

enum {
	PAGE_SECTOR_SIZE = 4096,
	PAGE_SECTORS_MAX = 64, /* since a mask has so many bits; the lowest one is the first sector's */
};

/* The mask of the sectors that [off, off + len) of a page touches; len: at least 1. */
static inline uint64_t sectors_touched(size_t off, size_t len)
{
	size_t first = off / PAGE_SECTOR_SIZE, last = (off + len - 1) / PAGE_SECTOR_SIZE;
	return UINT64_MAX >> (63 - (last - first)) << first;
}

/* Bytes of a page. */
struct overlap {
	size_t start, end;
};

/* The bytes that are both in the sector and in [off, off + len), which touches it. */
static inline struct overlap sector_overlap(unsigned sector, size_t off, size_t len)
{
	size_t start = (size_t)sector * PAGE_SECTOR_SIZE, end = start + PAGE_SECTOR_SIZE;
	return (struct overlap){ start < off ? off : start, (size_t)min(end, off + len) };
}

#endif
