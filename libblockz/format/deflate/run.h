/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A run of blocks that takes the place of another one: zlib's deflate encodes it with the text before it at hand, from any
 * bit on, and filler leads to the bit at which the rest of the stream goes on.  It is encoded in more than one way, since
 * what suits text makes noise and digests longer.
 */
#ifndef FORMAT_DEFLATE_RUN_H
#define FORMAT_DEFLATE_RUN_H

#include <zlib.h>

#include "blockz.h"
#include "format/deflate/bits.h"

/* Where a run ends in the old stream. */
struct run_end {
	uint64_t bit;           /* of the stream */
	/* What has to stand before the rest: of the bytes at header so many bits from this one on. */
	const uint8_t *header;
	uint64_t header_first, header_count;
	bool is_final;          /* the stream ends there; bit is at a byte's edge */
	bool keep_length;
};

/* One way to encode it. */
struct run_encoder {
	z_stream stream;
	struct bits bits; /* while the run is open, whole bytes of it */
	bool ready;       /* the stream has to be ended */
	bool active;      /* in this run */
};

enum { RUN_ENCODERS = 2 };

struct run {
	struct run_encoder encoders[RUN_ENCODERS];
	uint64_t start_byte; /* of the old stream, whose place the bits begin at */
	struct bits *bits;   /* of the encoder that has been chosen; NULL: none has */
};

/* Errors: BLOCKZ_FAILED. */
enum blockz_status run_new(struct run *run, struct blockz_fault *fault);
void run_free(struct run *run);

/*
 * Begins at a bit of the stream: byte is the one there, of which the bits before stay, and end_code of so many bits is put
 * before the first block.  dict is the text before it, as far as it counts.
 */
enum blockz_status run_begin(struct run *run, uint64_t bit, uint8_t byte, unsigned end_code, unsigned end_code_len,
			     const uint8_t *dict, size_t dict_len, struct blockz_fault *fault);
enum blockz_status run_add(struct run *run, const uint8_t *text, size_t len, struct blockz_fault *fault);
/* Bytes so far, by the encoder that has made fewest of them. */
size_t run_len(const struct run *run);
/* Goes on with this encoder alone. */
void run_choose(struct run *run);
/*
 * Ends with what has to stand before the rest, and chooses the shortest encoding.  *fits_ret false: its length could not be
 * kept; then the run goes on.
 */
enum blockz_status run_finish(struct run *run, const struct run_end *end, bool *fits_ret, struct blockz_fault *fault);

#endif
