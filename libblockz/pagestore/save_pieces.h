/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a store that stands still (snapshot.h) is cut into the pieces of a .zst.
 *
 * A piece is a page, and where that is kept as a frame, the frame is the piece's encoding already.  Pages are cut
 * where raw ranges begin and end, and these are cut for themselves.  Zeros are cut into frames of zero_size from where
 * they begin on, so that there are as few of them as can be.
 *
 * A map has room for MAP_ITEMS_MAX frames, and for as many checks, of which a raw frame has two: its own, and the copy
 * in the seek table.  So all frames are counted first.  Where zeros are too many, their frames become longer; where
 * pages are, pieces become several pages each, and then everything is encoded anew.
 */
#ifndef PAGESTORE_SAVE_PIECES_H
#define PAGESTORE_SAVE_PIECES_H

#include "blockz_pages.h"
#include "mapped/pack.h"

enum { SAVE_RAW_SIZE = 1 << 20 }; /* of a raw frame: what a patch hashes again */

/* Set up by the caller but for what says otherwise; one thread at a time cuts, any may ask whether a piece is a frame. */
struct save_pieces {
	const struct blockz_pages *pages;
	uint64_t size, page_size;
	const struct blockz_range *raw; /* sorted, and apart */
	size_t raw_count;
	/* Set by save_pieces_choose_sizes(). */
	uint64_t piece_size, zero_size;
	/* Where cutting is: 0 at first. */
	uint64_t pos;      /* image offset of the next piece */
	size_t next_raw;   /* first raw range that ends behind pos */
	uint64_t zero_end; /* known to be zeros up to there, if that is behind pos */
};

/*
 * Chooses the least sizes of pieces and of zero frames with which a map has room for all.  Errors: BLOCKZ_LIMIT (there
 * are none), and those of the base.
 */
enum blockz_status save_pieces_choose_sizes(struct save_pieces *self, struct blockz_fault *fault);

/* Cuts the next piece, or frames of zeros in a row; leaves *piece as it is at the end.  Errors: those of the base. */
enum blockz_status save_pieces_next(struct save_pieces *self, struct pack_piece *piece, struct blockz_fault *fault);

/* Whether a piece is a page that is kept as a frame. */
bool save_pieces_is_frame(const struct save_pieces *self, const struct pack_piece *piece);

#endif
