/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packing: pieces come from a feed, are encoded by any thread, and written in order, with what the format puts before and
 * behind them.
 */
#ifndef MAPPED_PACK_H
#define MAPPED_PACK_H

#include "format/format.h"

/* One piece, or a run of zero pieces. */
struct pack_piece {
	enum blockz_kind kind;
	uint64_t start, end; /* image offsets */
	uint64_t copies;     /* BLOCKZ_ZERO: so many equal pieces, more than one only of zero_size each; else 1 */
	bool may_be_zero;    /* becomes BLOCKZ_ZERO if its bytes are found to be zeros */
};

/* What pieces come from. */
struct pack_feed {
	void *ctx;
	/*
	 * Fills the next piece, all 0 before; start == end: there is none.  Called by one thread at a time, in order.  bytes: room
	 * for the largest piece of data, for those that have to read now.
	 */
	enum blockz_status (*next)(void *ctx, struct pack_piece *piece, uint8_t *bytes, struct blockz_fault *fault);
	/*
	 * NULL: next has read.  Else reads the bytes of a piece that is not BLOCKZ_ZERO, or fills encoding, of len 0
	 * before.  Called by any thread, several at once, in any order.
	 */
	enum blockz_status (*fetch)(void *ctx, const struct pack_piece *piece, uint8_t *bytes, struct encoding *encoding,
				    struct blockz_fault *fault);
};

struct pack_task {
	const struct format *format;
	struct pack_params params; /* piece_size and raw_size: what pieces of data have at most */
	uint64_t zero_size;        /* bytes of the zero pieces that are many: they are encoded once */
	bool store_incompressible; /* what would not become smaller by a sixteenth is encoded as if it were in a raw range */
	struct pack_feed feed;
	const struct blockz_sink *sink;
	const struct blockz_work *work;
	unsigned threads; /* as pool_run() has them */
};

/*
 * Runs a task.  The output depends on what the feed gives and on the parameters, not on threads.
 * Errors: those of the feed, BLOCKZ_FAILED (write error, no memory, interrupted).
 */
enum blockz_status pack_run(const struct pack_task *task, struct blockz_pack_result *result_ret,
			    struct blockz_fault *fault);

/* Is told of each piece, in order, once it is written. */
typedef enum blockz_status (*pack_written)(void *ctx, const struct written_piece *piece, struct blockz_fault *fault);

/* The same for pieces alone: without what the format puts before and behind them.  Errors: those of `written`, too. */
enum blockz_status pack_run_pieces(const struct pack_task *task, pack_written written, void *ctx, struct blockz_fault *fault);

#endif
