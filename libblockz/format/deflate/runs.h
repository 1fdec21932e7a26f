/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The runs of a piece one behind the other, and what they replace in the file.
 *
 * A run that has ended is handed on when the next one begins: if both lie in the final block, its BFINAL has to be cleared.
 */
#ifndef FORMAT_DEFLATE_RUNS_H
#define FORMAT_DEFLATE_RUNS_H

#include "format/deflate/bits.h"
#include "format/deflate/recode.h"
#include "format/deflate/walk.h"
#include "format/format.h"

/* What is decoded, and decided on, at once: a block, or symbols of one. */
struct stretch {
	const struct walk_block *block;
	uint64_t start_bit, end_bit;
	uint64_t out; /* text offset of its first byte */
	size_t len;
	bool inside;  /* the block's header and other symbols stand before it */
	bool ends;    /* with its block */
	bool is_last; /* and the piece with it */
};

enum runs_state {
	RUNS_NONE,
	RUNS_OPEN,
	RUNS_HELD, /* the last one has ended, and waits */
};

struct runs {
	const struct piece_edit *edit;
	const struct walker *walker;
	struct recoder *recoder;
	enum runs_state state;
	/* The last run: its bits, and the byte of the piece at which they begin. */
	struct bits bits;
	uint64_t start_byte;
	bool in_block; /* they end among symbols of a block of the piece, by its code */
	struct own_block own; /* that of the last stretch, unless this was stored */
	uint64_t held_end; /* of the run that waits: behind which byte of the piece it ends, */
	uint64_t final_bit; /* and where in it BFINAL of the next block is; BLOCKZ_UNKNOWN: it has none */
};

/* The piece's own part of the map, and of the file. */
const struct piece *runs_piece(const struct runs *runs);
enum blockz_status runs_read(const struct runs *runs, void *bytes, size_t len, uint64_t off, struct blockz_fault *fault);

/*
 * Encodes a stretch, of this text; opens a run if none is open.  A long one is handed on in parts, unless its length is to
 * be kept.
 */
enum blockz_status runs_add(struct runs *runs, const struct stretch *stretch, const struct edited_text *text,
			    struct blockz_fault *fault);
/* Ends the open run before or behind a stretch; it stays open where its length cannot be kept. */
enum blockz_status runs_end(struct runs *runs, const struct stretch *stretch, bool behind, struct blockz_fault *fault);
/* Replaces bytes of the piece behind all runs by as many. */
enum blockz_status runs_overwrite(struct runs *runs, uint64_t off, const uint8_t *bytes, size_t len,
				  struct blockz_fault *fault);
/* Hands on what waits. */
enum blockz_status runs_hand_on(struct runs *runs, struct blockz_fault *fault);

#endif
