/* SPDX-License-Identifier: BSD-3-Clause */
/* Encoding blocks for the middle of a frame. */
#ifndef FORMAT_ZSTD_BLOCK_ENCODER_H
#define FORMAT_ZSTD_BLOCK_ENCODER_H

#include <zstd.h>

#include "format/format.h"
#include "format/zstd/text_window.h"

/* Ways to encode, 0 the weakest. */
enum { ENCODE_WAYS = 5 };

struct block_encoder {
	ZSTD_CCtx *context;
	uint64_t spent_ns[ENCODE_WAYS]; /* by estimate, on a CPU of today */
};

/* False: no memory. */
bool block_encoder_begin(struct block_encoder *encoder);
void block_encoder_end(struct block_encoder *encoder);

/* Text that is to become blocks. */
struct plain_run {
	const struct text_window *window; /* what stands before it */
	uint64_t reach;                   /* how far back the frame's blocks may refer */
	const uint8_t *bytes;
	size_t len;
};

/* False: it would take longer than what is left of a limit on all that is encoded, or it brings nothing. */
bool block_encoder_can(const struct block_encoder *encoder, const struct plain_run *run, unsigned way);

/*
 * Makes blocks, none of them the last of a frame, that decode to the run behind any blocks that decode to the window: they
 * use no table and no offset of a block before.  Errors: BLOCKZ_FAILED, BLOCKZ_UNSUPPORTED (libzstd has no threads).
 */
enum blockz_status block_encoder_run(struct block_encoder *encoder, const struct plain_run *run, unsigned way,
				     struct encoding *encoding, struct blockz_fault *fault);

#endif
