/* SPDX-License-Identifier: BSD-3-Clause */
/* Decoding a frame block by block, as a decoder does that keeps no more than the window. */
#ifndef FORMAT_ZSTD_BLOCK_DECODER_H
#define FORMAT_ZSTD_BLOCK_DECODER_H

#include <zstd.h>

#include "blockz.h"
#include "format/zstd/layout.h"
#include "format/zstd/text_window.h"

struct block_decoder {
	ZSTD_DCtx *context;
	bool ended; /* the frame has */
	size_t len; /* of text: what was decoded last */
	uint8_t text[BLOCK_MAX + 1]; /* a byte more than there may be */
};

/* NULL: no memory. */
struct block_decoder *block_decoder_new(void);
void block_decoder_free(struct block_decoder *decoder);

/* Begins anew, with a frame whose header is what is decoded next. */
void block_decoder_reset(struct block_decoder *decoder);

/*
 * Begins anew, as if there had been blocks before that decoded to what the window holds, and have left nothing else.  reach:
 * how far back blocks to come may refer.  Errors: BLOCKZ_LIMIT, BLOCKZ_FAILED.
 */
enum blockz_status block_decoder_prime(struct block_decoder *decoder, const struct text_window *window, uint64_t reach,
				       struct blockz_fault *fault);

/*
 * Decodes a frame's header, a block with its header, or the checksum: len bytes, which stand at file_off.  What was decoded
 * before is gone.  Errors: BLOCKZ_DAMAGED, BLOCKZ_LIMIT, BLOCKZ_FAILED.
 */
enum blockz_status block_decoder_next(struct block_decoder *decoder, const uint8_t *bytes, size_t len, uint64_t file_off,
				      struct blockz_fault *fault);

#endif
