/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NEW, item by item as it lies in the file.  Items do not depend on each other, so threads work on them in parallel, and what
 * comes of them is joined in order.
 */
#ifndef DELTA_MAKE_WALK_H
#define DELTA_MAKE_WALK_H

#include "delta/make/findings.h"

struct item {
	uint8_t fate;   /* as of a block; bytes between blocks are open */
	uint32_t block; /* TEXT_NO_BLOCK: bytes between blocks */
	size_t part;    /* open: of NEW's text */
	uint64_t file_off, file_len;
};

/* A block whose content is in the stream. */
static inline bool item_is_open_block(const struct item *item)
{
	return item->fate == FATE_OPEN && item->block != TEXT_NO_BLOCK;
}

/* Where the next item begins; zeros at first. */
struct walk {
	size_t block, part;
	uint64_t pos;
};

/* False at the end of NEW; items have the fates that the selection tells now. */
bool walk_next(const struct findings *findings, struct walk *walk, struct item *item_ret);

#endif
