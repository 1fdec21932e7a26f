/* SPDX-License-Identifier: BSD-3-Clause */
/* Decoding one Block.  liblzma verifies its Check, and that it has the sizes that its header says. */
#include "format/xz/read.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/fault.h"
#include "format/xz/block.h"
#include "io/access.h"

enum { LONG_BUFFER = 256 * 1024 };

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

static enum blockz_status refuse_block(lzma_ret result, uint64_t file_off, struct blockz_fault *fault)
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

/* Begins to decode a Block, whose dictionary need not be larger than what it holds. */
static enum blockz_status start_block(struct decoder *decoder, struct xz_block *block, uint64_t image_len, uint64_t file_off,
				struct blockz_fault *fault)
{
	for (size_t i = 0; block->filters[i].id != LZMA_VLI_UNKNOWN; i++) {
		lzma_options_lzma *options = block->filters[i].options;
		if (block->filters[i].id != LZMA_FILTER_LZMA2)
			continue;
		if (options->dict_size > image_len)
			options->dict_size = image_len < LZMA_DICT_SIZE_MIN ? LZMA_DICT_SIZE_MIN : (uint32_t)image_len;
		if (options->dict_size > decoder->window_max)
			return fault_set(fault, BLOCKZ_LIMIT, file_off,
					 "a dictionary of %" PRIu32 " bytes, at most %" PRIu64 " are allowed",
					 options->dict_size, decoder->window_max);
	}
	lzma_ret result = lzma_block_decoder(&decoder->stream, &block->block);
	return result == LZMA_OK ? BLOCKZ_OK : refuse_block(result, file_off, fault);
}

/* What was decoded to its end is as long as the Index says, its padding apart. */
static enum blockz_status check_length(const struct xz_block *block, uint64_t file_len, unsigned padding,
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
	enum blockz_status status = start_block(decoder, block, out_len, encoded->file_off, fault);
	if (status != BLOCKZ_OK)
		return status;
	stream->next_in = encoded->bytes + block->block.header_size;
	stream->avail_in = encoded->len - block->block.header_size;
	stream->next_out = out;
	stream->avail_out = out_len;
	lzma_ret result = lzma_code(stream, LZMA_FINISH);
	uint64_t at = encoded->file_off + encoded->len - stream->avail_in;
	if (result != LZMA_STREAM_END)
		return refuse_block(result, result == LZMA_OPTIONS_ERROR ? encoded->file_off : at, fault);
	if (stream->avail_in != 0 || stream->avail_out != 0)
		return fault_set(fault, BLOCKZ_DAMAGED, at, "an xz Block has other sizes than the Index says");
	return check_length(block, encoded->len, encoded->padding, encoded->file_off, fault);
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

struct long_block {
	const struct blockz_source *file;
	const struct piece *piece;
	uint64_t fed, made, image_len;
	bool ended;
	decode_emit emit;
	void *ctx;
	uint8_t in[LONG_BUFFER], out[LONG_BUFFER];
};

static enum blockz_status feed(struct long_block *block, lzma_stream *stream, struct blockz_fault *fault)
{
	uint64_t left = block->piece->file_len - block->fed;
	size_t part = left < LONG_BUFFER ? (size_t)left : LONG_BUFFER;
	if (stream->avail_in > 0 || part == 0)
		return BLOCKZ_OK;
	enum blockz_status status = read_file(block->file, block->in, part, block->piece->file_off + block->fed, fault);
	stream->next_in = block->in;
	stream->avail_in = status == BLOCKZ_OK ? part : 0;
	block->fed += part;
	return status;
}

/* *stop_ret: the Block has ended, or emit wants no more. */
static enum blockz_status step(struct long_block *block, lzma_stream *stream, bool *stop_ret, struct blockz_fault *fault)
{
	enum blockz_status status = feed(block, stream, fault);
	if (status != BLOCKZ_OK)
		return status;
	bool whole = block->fed == block->piece->file_len;
	stream->next_out = block->out;
	stream->avail_out = LONG_BUFFER;
	lzma_ret result = lzma_code(stream, whole ? LZMA_FINISH : LZMA_RUN);
	uint64_t at = block->piece->file_off + block->fed - stream->avail_in;
	size_t made = LONG_BUFFER - stream->avail_out;
	if (result != LZMA_OK && result != LZMA_STREAM_END)
		return refuse_block(result, at, fault);
	bool ended = block->ended = result == LZMA_STREAM_END;
	block->made += made;
	if (block->made > block->image_len ||
	    (ended && (!whole || stream->avail_in > 0 || block->made < block->image_len)))
		return fault_set(fault, BLOCKZ_DAMAGED, at, "an xz Block has other sizes than the Index says");
	bool more = made == 0 || block->emit(block->ctx, block->out, made);
	*stop_ret = ended || !more;
	return BLOCKZ_OK;
}

static enum blockz_status decode_parts(struct long_block *self, struct decoder *decoder, struct xz_block *block, size_t len,
			      struct blockz_fault *fault)
{
	const struct piece *piece = self->piece;
	lzma_stream *stream = &decoder->stream;
	bool stop = false;
	enum blockz_status status = start_block(decoder, block, self->image_len, piece->file_off, fault);
	self->fed = len;
	stream->next_in = self->in + block->block.header_size;
	stream->avail_in = len - block->block.header_size;
	while (!stop && status == BLOCKZ_OK)
		status = step(self, stream, &stop, fault);
	/* Stopped before its end, it is not known. */
	return status == BLOCKZ_OK && self->ended
		       ? check_length(block, piece->file_len, piece->padding, piece->file_off, fault)
		       : status;
}

enum blockz_status xz_decode_long(void *decoder, const struct blockz_source *file, const struct piece *piece,
				  uint64_t image_len, decode_emit emit, void *ctx, struct blockz_fault *fault)
{
	struct xz_block block;
	struct long_block *self = calloc(1, sizeof(*self));
	if (self == NULL)
		return fault_nomem(fault);
	self->file = file;
	self->piece = piece;
	self->image_len = image_len;
	self->emit = emit;
	self->ctx = ctx;
	size_t len = piece->file_len < BLOCK_HEADER_LEN_MAX ? (size_t)piece->file_len : BLOCK_HEADER_LEN_MAX;
	enum blockz_status status = read_file(file, self->in, len, piece->file_off, fault);
	if (status == BLOCKZ_OK)
		status = xz_block_parse(self->in, len, piece->method, piece->file_off, &block, fault);
	if (status == BLOCKZ_OK) {
		status = decode_parts(self, decoder, &block, len, fault);
		xz_block_free(&block);
	}
	free(self);
	return status;
}
