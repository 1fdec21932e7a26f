/* SPDX-License-Identifier: BSD-3-Clause */
/* The image bytes of a piece from a Block: rows of struct format. */
#ifndef FORMAT_XZ_READ_H
#define FORMAT_XZ_READ_H

#include "format/format.h"
#include "format/xz/block.h"

void *xz_decoder_new(uint64_t window_max);
void xz_decoder_free(void *decoder);
enum blockz_status xz_decode(void *decoder, const struct encoded_piece *encoded, uint8_t *out, size_t out_len,
			     struct blockz_fault *fault);
enum blockz_status xz_decode_step(void *decoder, const struct encoded_piece *encoded, void *step, uint8_t *out, size_t out_len,
				  size_t wanted, size_t *made_ret, struct blockz_fault *fault);

/* For who decodes Blocks otherwise: says why liblzma has refused one, at file_off, by what it has returned. */
enum blockz_status xz_refuse_block(lzma_ret result, uint64_t file_off, struct blockz_fault *fault);
/*
 * Begins to decode a Block that stands at file_off, whose dictionary need not be larger than what it holds.  The Block must
 * live, where it is, until the stream decodes another one.  Errors: BLOCKZ_LIMIT, BLOCKZ_UNSUPPORTED, BLOCKZ_FAILED.
 */
enum blockz_status xz_block_start(lzma_stream *stream, struct xz_block *block, uint64_t image_len, uint64_t window_max,
				  uint64_t file_off, struct blockz_fault *fault);
/* What was decoded to its end is as long as the Index says, its padding apart. */
enum blockz_status xz_block_check_length(const struct xz_block *block, uint64_t file_len, unsigned padding,
					 uint64_t file_off, struct blockz_fault *fault);

#endif
