/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory of a heap: granules, numbered from 0, in regions of address space, which the OS gives memory for a page of
 * its own at a time as they are touched.  Such an OS page is counted before any granule of it is free to be taken (it is
 * *backed*), and stays so until a trim finds all of it free: what is counted is what is resident.
 */
#ifndef PAGESTORE_REGIONS_H
#define PAGESTORE_REGIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pagestore/memory.h"

enum {
	/*
	 * zstd -3 makes 12.0 KB of a page of 32 KiB of /usr.  More memory than such bytes at their most, fresh, and after 100
	 * rounds in which each became a little longer or shorter: 64: +0.7 %, +2.8 % in 10.5 runs each; 128: +0.8 %, +2.8 % in
	 * 7.6; 256: +1.2 %, +3.2 % in 8.4.
	 */
	GRANULE = 128,
	REGION_LEN = 1 << 20,
	GRANULES = REGION_LEN / GRANULE, /* of a region */
	WORDS = GRANULES / 64,
	OS_PAGE_MIN = 4096,
	OS_PAGES_MAX = REGION_LEN / OS_PAGE_MIN,
	REGIONS_MIN = 4, /* in the first table of them */
};

#define NOWHERE UINT32_MAX
/* So that a granule's number leaves a bit free, and is never NOWHERE: 256 GiB. */
#define REGIONS_MAX ((uint32_t)INT32_MAX / GRANULES)

struct region_bits {
	uint64_t free[WORDS];   /* and backed */
	uint64_t joined[WORDS]; /* to the next, in a run: the heap's */
	uint64_t backed[OS_PAGES_MAX / 64];
};

struct region {
	uint8_t *bytes;
	struct region_bits *bits;
	uint32_t free;   /* granules */
	uint32_t backed; /* OS pages */
};

struct regions {
	struct memory *memory;
	struct region *list;
	uint32_t count, room;
	uint32_t os_page;      /* its bytes */
	uint32_t os_pages;     /* of a region */
	uint32_t cold;         /* no region before it has an OS page that is not backed */
	uint64_t free, backed; /* granules */
	uint64_t swept;        /* those left free by the last trim */
};

/* Sets up no regions, to be counted in memory, which has to outlive them; and gives all of them back. */
void regions_init(struct regions *regions, struct memory *memory);
void regions_free(struct regions *regions);

/* Backs one more OS page, the first that is not: its first granule, or NOWHERE and memory_fault() says why. */
uint32_t regions_grow(struct regions *regions);

/* As heap_trim(). */
void regions_trim(struct regions *regions);

/* The region of a granule, and the granule's bytes. */
static inline struct region *regions_at(const struct regions *regions, uint32_t granule)
{
	return &regions->list[granule / GRANULES];
}

static inline uint8_t *regions_bytes(const struct regions *regions, uint32_t granule)
{
	return regions_at(regions, granule)->bytes + (size_t)(granule % GRANULES) * GRANULE;
}

#endif
