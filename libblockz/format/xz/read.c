/* SPDX-License-Identifier: BSD-3-Clause */
/* Decoding one Block.  liblzma verifies its Check, and that it has the sizes that its header says. */
#include "format/xz/read.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/fault.h"
#include "format/xz/block.h"

struct decoder {
	lzma_stream stream; /* keeps its memory from Block to Block */
	uint64_t window_max;
};

void *xz_decoder_new(uint64_t window_max)
{
	struct decoder *decoder = malloc(sizeof(*decoder));
	if (decoder != NULL)
		*decoder = (struct decoder){ LZMA_STREAM_INIT, window_max };
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
		return fault_set(fault, BLOCKZ_UNSUPPORTED, file_off, "a Block with filters that are not supported");
	default:
		return fault_set(fault, BLOCKZ_DAMAGED, file_off, "an xz Block does not decode, or does not match its Check");
	}
}

enum blockz_status xz_block_start(lzma_stream *stream, struct xz_block *block, uint64_t image_len, uint64_t window_max,
				  uint64_t file_off, struct blockz_fault *fault)
{
	for (size_t i = 0; block->filters[i].id != LZMA_VLI_UNKNOWN; i++) {
		lzma_options_lzma *options = block->filters[i].options;
		if (block->filters[i].id != LZMA_FILTER_LZMA2)
			continue;
		if (options->dict_size > image_len)
			options->dict_size = image_len < LZMA_DICT_SIZE_MIN ? LZMA_DICT_SIZE_MIN : (uint32_t)image_len;
		if (options->dict_size > window_max)
			return fault_set(fault, BLOCKZ_LIMIT, file_off,
					 "a dictionary of %" PRIu32 " bytes, at most %" PRIu64 " are allowed",
					 options->dict_size, window_max);
	}
	lzma_ret result = lzma_block_decoder(stream, &block->block);
	return result == LZMA_OK ? BLOCKZ_OK : xz_refuse_block(result, file_off, fault);
}

enum blockz_status xz_block_check_length(const struct xz_block *block, uint64_t file_len, unsigned padding,
					 uint64_t file_off, struct blockz_fault *fault)
{
	if (lzma_block_unpadded_size(&block->block) != file_len - padding)
		return fault_set(fault, BLOCKZ_DAMAGED, file_off, "an xz Block has other sizes than the Index says");
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
		return fault_set(fault, BLOCKZ_DAMAGED, at, "an xz Block has other sizes than the Index says");
	return xz_block_check_length(block, encoded->len, encoded->padding, encoded->file_off, fault);
}

enum blockz_status xz_decode(void *decoder, const struct encoded_piece *encoded, uint8_t *out, size_t out_len,
			     struct blockz_fault *fault)
{
	struct xz_block block;
	enum blockz_status status = xz_block_parse(encoded->bytes, encoded->len, encoded->method, encoded->file_off,
						    &block, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = decode_block(decoder, encoded, &block, out, out_len, fault);
	xz_block_free(&block);
	return status;
}
