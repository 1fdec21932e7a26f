/* SPDX-License-Identifier: BSD-3-Clause */
/* The deflate walker's inner loops: they follow the symbols of a block to its end. */
#ifndef FORMAT_DEFLATE_WALK_SYMBOLS_H
#define FORMAT_DEFLATE_WALK_SYMBOLS_H

#include "format/deflate/walk.h"
#include "format/deflate/walk_input.h"
#include "format/deflate/walk_tables.h"

enum walk_stop {
	WALK_STOP_INPUT,    /* no load is possible in this window: call again with the next */
	WALK_STOP_FAR,      /* from here on no distance can be too far */
	WALK_STOP_ROOM,     /* there is no room for more text */
	WALK_STOP_END,      /* behind the end of the block */
	WALK_STOP_SYMBOL,   /* no symbol has this code */
	WALK_STOP_DISTANCE, /* beyond history_start */
};

/*
 * Follows symbols and checks each distance.  in and *out move on.  With reach, marks in it what matches copy, and never
 * stops for WALK_STOP_FAR.  Returns why it stopped.
 */
enum walk_stop walk_symbols_near(struct walk_input *in, uint64_t *out, const struct walk_codes *codes,
				 uint64_t history_start, struct walk_reach *reach);

/*
 * Does the same fast, for where at least WALK_WINDOW bytes of history are there, so that distances need no check.  *table:
 * 0 at first, for the caller to keep while it calls again in the same block.
 */
enum walk_stop walk_symbols_far(struct walk_input *in, uint64_t *out, const struct walk_codes *codes, uint32_t *table);

/*
 * Follows symbols, checks each distance, and writes what they stand for behind text, which has as much before it as
 * distances can reach; and to tokens, unless that is NULL.
 */
enum walk_stop walk_symbols_text(struct walk_input *in, uint64_t *out, const struct walk_codes *codes,
				 uint64_t history_start, struct walk_text *text, struct walk_tokens *tokens);

#endif
