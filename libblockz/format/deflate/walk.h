/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The deflate walker: a reader of deflate symbols (RFC 1951) that writes no output.
 *
 * It finds block edges, stored blocks, the header bit of the last block, and how far back matches reach, several
 * times faster than a decoder, because literals are counted instead of copied.  Who wants the text as well goes through
 * each block in parts.
 */
#ifndef FORMAT_DEFLATE_WALK_H
#define FORMAT_DEFLATE_WALK_H

#include "blockz.h"

enum { WALK_WINDOW = 32768 }; /* RFC 1951, section 2: matches reach at most this far back */

enum walk_type { WALK_STORED = 0, WALK_FIXED = 1, WALK_DYNAMIC = 2 }; /* values of BTYPE */

struct walk_block {
	enum walk_type type;
	bool final;                   /* BFINAL */
	uint64_t header_bit, end_bit; /* bit offsets in the input (bit 0: least significant of byte 0): the BFINAL bit,
				       * and the first bit behind the block */
	uint64_t symbols_bit;         /* other than stored blocks: the first bit behind the header */
	uint64_t payload_off;         /* stored blocks: byte offset of the first payload byte in the input */
	uint64_t out_start, out_end;  /* output offsets, from where the walk began */
};

/* What matches have reached; kept by the walker where the caller passes one. */
struct walk_reach {
	/* Least output offset that any match copied from since the caller last set this (to UINT64_MAX). */
	uint64_t lowest;
	/*
	 * Bytes below watch_end that a match copied from are marked in ring: output byte p as bit p % WALK_WINDOW (of
	 * word p % WALK_WINDOW / 64).  Only the last WALK_WINDOW bytes below watch_end can be meant.  The caller
	 * sets watch_end and clears bits between blocks.  0: nothing is marked.
	 */
	uint64_t watch_end;
	uint64_t ring[WALK_WINDOW / 64];
};

struct walker;

/*
 * A walker for a deflate stream that begins at byte 0 of bytes with an empty history; or, from a source, at file
 * offset start and not beyond end (which must be within the source).  Input offsets count from there.  Payload of
 * stored blocks is skipped, not read.  bytes or source must outlive the walker.  The memory form can be given the next
 * stream with walker_reset, so that tables are allocated once a thread.
 */
enum blockz_status walker_new(struct walker **walker_ret, struct blockz_fault *fault);
void walker_reset_memory(struct walker *walker, const uint8_t *bytes, size_t len);
void walker_reset_source(struct walker *walker, const struct blockz_source *source, uint64_t start, uint64_t end);
void walker_free(struct walker *walker);

/*
 * Walks one block.  reach may be NULL (faster).  May be called again behind a final block: a new block is expected
 * there, with the history kept; the caller decides when a stream is at its end.
 * Errors, with the offset of the byte at fault (from the source's beginning, for walks of a source): BLOCKZ_DAMAGED for
 * what zlib's inflate rejects: reserved block type, LEN/NLEN mismatch, invalid or incomplete code sets (zlib's rules:
 * incomplete only as a single one-bit code), symbols without a code, length or distance symbols out of range, a
 * distance beyond the beginning of the walk's output, input that ends within the block; BLOCKZ_FAILED for read errors
 * and for a source that has become shorter; BLOCKZ_LIMIT beyond 2^60 bytes of input or 2^63 of output.  After an error
 * *reach means nothing, and the walker has to be reset.
 */
enum blockz_status walker_next(struct walker *walker, struct walk_block *block_ret, struct walk_reach *reach,
			       struct blockz_fault *fault);

/* The text of a walk, behind so many bytes before it as matches can reach. */
struct walk_text {
	uint8_t *bytes;
	size_t len; /* so much of it is text */
	size_t room; /* at least WALK_TEXT_SLACK more than is to be text */
};

enum { WALK_TEXT_SLACK = 2 + 258 + 31 }; /* two literals, a match, and what a fast copy writes behind it */

/* A match, or a literal: of those len is 1, and dist 0. */
struct walk_token {
	uint16_t len, dist;
};

/* What symbols stand for, one behind the other; with room for as many as there can be bytes of text. */
struct walk_tokens {
	struct walk_token *list;
	size_t count;
};

enum { WALK_LITLEN_SYMBOLS = 288, WALK_DIST_SYMBOLS = 32 }; /* with those that only fixed blocks have, and nobody may use */

/* How many bits the symbols of a block have; 0: there is no such symbol. */
struct walk_lens {
	uint8_t litlen[WALK_LITLEN_SYMBOLS], dist[WALK_DIST_SYMBOLS];
};

/*
 * The same in parts, with text: walker_begin() reads a block's header, and passes a stored block whole, as walker_next()
 * does.  In others walker_text() decodes symbols, until there is no room for the longest match, or the block has ended
 * (*ended_ret; then end_bit and out_end of block are set, else they tell how far it is).  Appends to tokens, unless that is
 * NULL (faster), what it has decoded.  Errors: as walker_next().
 */
enum blockz_status walker_begin(struct walker *walker, struct walk_block *block_ret, struct blockz_fault *fault);
enum blockz_status walker_text(struct walker *walker, struct walk_block *block, struct walk_text *text,
			       struct walk_tokens *tokens, bool *ended_ret, struct blockz_fault *fault);
/* Where a walk of a source with text stands, for another walk to go on there. */
struct walk_place {
	uint64_t bit;        /* of the input: the first one that was not taken */
	uint64_t out;        /* the output offset there */
	uint64_t header_bit; /* of the block whose symbols the walk is among; BLOCKZ_UNKNOWN: it is between blocks */
};

/*
 * Goes on where a walk of the same source and range, with walker_begin() and walker_text(), was.  Among symbols, fills *block_ret
 * for walker_text(), but for out_start; between blocks, walker_begin() is next.  The text has the WALK_WINDOW bytes before
 * place->out, or all of them.  Errors: as walker_next().
 */
enum blockz_status walker_resume(struct walker *walker, const struct walk_place *place, struct walk_block *block_ret,
				 struct blockz_fault *fault);
/* The code of a block which is none of stored bytes and was begun last. */
struct walk_lens walker_lens(const struct walker *walker, const struct walk_block *block);

/* True when the walk stands at the end of its input, with fewer than 8 bits left. */
bool walker_at_end(const struct walker *walker);

/* Restarts the history (a new gzip member): distances may not reach below the output so far. */
void walker_forget_history(struct walker *walker);

#endif
