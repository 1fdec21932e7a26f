/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decoding one Block.  Where it has other filters than LZMA2, liblzma does, which verifies its Check, and that it has the sizes
 * that its header says.
 */
#include "format/xz/read.h"

#include <stdlib.h>

#include "base/fault.h"
#include "format/xz/block.h"
#include "format/xz/unpack.h"

struct decoder {
	lzma_stream stream; /* keeps its memory from Block to Block */
	uint64_t window_max;
	struct xz_unpacked unpacked;
};

void *xz_decoder_new(uint64_t window_max)
{
	struct decoder *decoder = malloc(sizeof(*decoder));
	if (decoder == NULL)
		return NULL;
	decoder->stream = (lzma_stream)LZMA_STREAM_INIT;
	decoder->window_max = window_max;
	return decoder;
}

void xz_decoder_free(void *memory)
{
	struct decoder *decoder = memory;
	if (decoder == NULL)
		return;
	lzma_end(&decoder->stream);
	free(decoder);
}

enum blockz_status xz_refuse_block(lzma_ret result, uint64_t file_off, struct blockz_fault *fault)
{
	switch (result) {
	case LZMA_MEM_ERROR:
		return fault_nomem(fault);
	case LZMA_OPTIONS_ERROR:
		return xz_block_unsupported(file_off, fault);
	default:
		return xz_block_damaged(file_off, fault);
	}
}

enum blockz_status xz_block_start(lzma_stream *stream, struct xz_block *block, uint64_t image_len, uint64_t window_max,
				  uint64_t file_off, struct blockz_fault *fault)
{
	uint32_t dictionary;
	enum blockz_status status = xz_block_dictionary(block, image_len, window_max, file_off, &dictionary, fault);
	if (status != BLOCKZ_OK)
		return status;
	xz_block_lzma2(block)->dict_size = dictionary;
	lzma_ret result = lzma_block_decoder(stream, &block->block);
	return result == LZMA_OK ? BLOCKZ_OK : xz_refuse_block(result, file_off, fault);
}

enum blockz_status xz_block_check_length(const struct xz_block *block, uint64_t file_len, unsigned padding,
					 uint64_t file_off, struct blockz_fault *fault)
{
	if (lzma_block_unpadded_size(&block->block) != file_len - padding)
		return xz_block_other_sizes(file_off, fault);
	return BLOCKZ_OK;
}

static enum blockz_status decode_block(struct decoder *decoder, const struct encoded_piece *encoded,
				       struct xz_block *block, uint8_t *out, size_t out_len, struct blockz_fault *fault)
{
	lzma_stream *stream = &decoder->stream;
	enum blockz_status status = xz_block_start(stream, block, out_len, decoder->window_max, encoded->file_off, fault);
	if (status != BLOCKZ_OK)
		return status;
	stream->next_in = encoded->bytes + block->block.header_size;
	stream->avail_in = encoded->len - block->block.header_size;
	stream->next_out = out;
	stream->avail_out = out_len;
	lzma_ret result = lzma_code(stream, LZMA_FINISH);
	uint64_t at = encoded->file_off + encoded->len - stream->avail_in;
	if (result != LZMA_STREAM_END)
		return xz_refuse_block(result, result == LZMA_OPTIONS_ERROR ? encoded->file_off : at, fault);
	if (stream->avail_in != 0 || stream->avail_out != 0)
		return xz_block_other_sizes(at, fault);
	return xz_block_check_length(block, encoded->len, encoded->padding, encoded->file_off, fault);
}

enum blockz_status xz_decode_step(void *memory, const struct encoded_piece *encoded, void *step, uint8_t *out, size_t out_len,
				  size_t wanted, size_t *made_ret, struct blockz_fault *fault)
{
	struct decoder *decoder = memory;
	struct xz_unpacked *unpacked = step;
	struct xz_block block;
	enum blockz_status status = xz_block_parse(encoded->bytes, encoded->len, encoded->method, encoded->file_off,
						    &block, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = block.lzma2_only ?
		xz_unpack(unpacked, encoded, &block, decoder->window_max, out, out_len, wanted, fault) :
		decode_block(decoder, encoded, &block, out, out_len, fault);
	*made_ret = block.lzma2_only ? unpacked->out_pos : out_len;
	xz_block_free(&block);
	return status;
}

enum blockz_status xz_decode(void *memory, const struct encoded_piece *encoded, uint8_t *out, size_t out_len,
			     struct blockz_fault *fault)
{
	struct decoder *decoder = memory;
	size_t made;
	decoder->unpacked.begun = false;
	return xz_decode_step(decoder, encoded, &decoder->unpacked, out, out_len, out_len, &made, fault);
}
