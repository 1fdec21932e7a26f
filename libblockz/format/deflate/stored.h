/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which stored bytes of a stream that somebody else wrote can be changed?
 *
 * Those that no match behind them copies from.  Every way in which decoded bytes depend on earlier ones starts with a
 * match that copies them, and a match reaches back 32 KiB at most, so it is enough to mark what matches copy while
 * the stream is walked, and to decide on a byte when the walk is 32 KiB further.
 */
#ifndef FORMAT_DEFLATE_STORED_H
#define FORMAT_DEFLATE_STORED_H

#include "blockz.h"
#include "format/deflate/walk.h"
#include "range/map.h"

struct stored_block {
	uint64_t start, end; /* output offsets in the member */
	uint64_t payload_off; /* file offset */
};

struct stored {
	struct blockz_map *map; /* spans are added to it */
	uint64_t image_base;    /* image offset of the member */
	struct walk_reach *reach;
	/* Blocks that are not decided on yet: queue[first .. count), at most one a byte of the window. */
	struct stored_block *queue;
	size_t first, count, room;
	uint64_t run_len;  /* bytes of the run of stored blocks that the walk is in */
	size_t run_blocks; /* how many blocks of the queue it has */
	struct span open;  /* the span that is being built; empty: start == end */
};

/* A new member begins at image offset image_base. */
void stored_begin(struct stored *stored, uint64_t image_base);

/* The walk has passed a block; for stored ones payload_off is a file offset. */
enum blockz_status stored_pass(struct stored *stored, const struct walk_block *block, uint64_t payload_off,
			       struct blockz_fault *fault);

/* The member has ended: decides on all that is left. */
enum blockz_status stored_end(struct stored *stored, struct blockz_fault *fault);

void stored_free(struct stored *stored);

#endif
