/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which pages of an image an overlay holds: a bit for each, in memory and in the overlay.
 *
 * Bits are only ever added.  So a block of them that is torn on its way to the disk is not damaged: it has some of the bits,
 * each of which is true once the pages are durable.
 */
#ifndef JOURNAL_OVERLAY_PAGES_H
#define JOURNAL_OVERLAY_PAGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blockz_disk.h"

enum {
	OVERLAY_BLOCK_LEN = 4096, /* bytes of bits that are written together */
	OVERLAY_BLOCK_PAGES = 8 * OVERLAY_BLOCK_LEN,
};

/* Such a file is what ext4 takes; its bits are 512 MiB, of which those of pages alone are in memory. */
#define OVERLAY_IMAGE_MAX (UINT64_C(1) << 44)

struct overlay_pages {
	uint64_t count;           /* of the image */
	uint64_t block_count;
	_Atomic uint64_t *words;  /* of 64 pages each; all of a block's */
	_Atomic bool *changed;    /* of each block: bits were added since it was written */
	bool *has_room;           /* of each block: it was written once, so that writing it again takes no more room */
	_Atomic uint64_t held;
};

/* How many blocks of bits the pages of an image have. */
uint64_t overlay_pages_blocks(uint64_t image_size);

/* Those of an image of at most OVERLAY_IMAGE_MAX bytes, none held.  False: no memory.  Zeros are those of no image. */
bool overlay_pages_init(struct overlay_pages *pages, uint64_t image_size);
void overlay_pages_free(struct overlay_pages *pages);

/* Any thread may call these two at any time.  Pages behind the image are not held. */
bool overlay_pages_has(const struct overlay_pages *pages, uint64_t page);
void overlay_pages_add(struct overlay_pages *pages, uint64_t page);

/* The first of pages [page, end) that is held, or that is not; end if there is none. */
uint64_t overlay_pages_find(const struct overlay_pages *pages, uint64_t page, uint64_t end, bool held);

/*
 * If bits of a block were added since the last call, writes the block, OVERLAY_BLOCK_LEN bytes, and returns true.  What is added
 * meanwhile may be in it, and is told of again.
 */
bool overlay_pages_take(struct overlay_pages *pages, uint64_t block, uint8_t *bytes);

/* It could not be written: the next call tells of it again. */
void overlay_pages_give_back(struct overlay_pages *pages, uint64_t block);

/* Adds the bits of a block.  False: one of them is of a page that the image does not have. */
bool overlay_pages_load(struct overlay_pages *pages, uint64_t block, const uint8_t *bytes);

#endif
