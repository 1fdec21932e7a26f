/* SPDX-License-Identifier: BSD-3-Clause */
/* Decoding one Block.  liblzma verifies its Check, and that it has the sizes that its header says. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/fault.h"
#include "format/xz/block.h"
#include "format/xz/codec.h"
#include "io/access.h"

enum { LONG_BUFFER = 256 * 1024 };

void *xz_decoder_new(void)
{
	lzma_stream *stream = malloc(sizeof(*stream));
	if (stream != NULL)
		*stream = (lzma_stream)LZMA_STREAM_INIT;
	return stream;
}

void xz_decoder_free(void *decoder)
{
	if (decoder == NULL)
		return;
	lzma_end(decoder);
	free(decoder);
}

static enum blockz_status refuse(lzma_ret result, uint64_t file_off, struct blockz_fault *fault)
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

enum blockz_status xz_decode(void *decoder, const struct unit *unit, uint8_t *out, size_t out_len,
			     struct blockz_fault *fault)
{
	lzma_stream *stream = decoder;
	struct xz_block block;
	enum blockz_status status = xz_block_parse(unit->bytes, unit->len, unit->method, unit->file_off, &block, fault);
	if (status != BLOCKZ_OK)
		return status;
	lzma_ret result = lzma_block_decoder(stream, &block.block);
	if (result == LZMA_OK) {
		stream->next_in = unit->bytes + block.block.header_size;
		stream->avail_in = unit->len - block.block.header_size;
		stream->next_out = out;
		stream->avail_out = out_len;
		result = lzma_code(stream, LZMA_FINISH);
	}
	xz_block_free(&block);
	uint64_t at = unit->file_off + unit->len - stream->avail_in;
	if (result != LZMA_STREAM_END)
		return refuse(result, result == LZMA_OPTIONS_ERROR ? unit->file_off : at, fault);
	if (stream->avail_in != 0 || stream->avail_out != 0)
		return fault_set(fault, BLOCKZ_DAMAGED, at, "an xz Block has other sizes than the Index says");
	return BLOCKZ_OK;
}

struct long_block {
	const struct blockz_source *file;
	const struct piece *piece;
	uint64_t fed, made, image_len;
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
		return refuse(result, at, fault);
	bool ended = result == LZMA_STREAM_END;
	block->made += made;
	if (block->made > block->image_len ||
	    (ended && (!whole || stream->avail_in > 0 || block->made < block->image_len)))
		return fault_set(fault, BLOCKZ_DAMAGED, at, "an xz Block has other sizes than the Index says");
	bool more = made == 0 || block->emit(block->ctx, block->out, made);
	*stop_ret = ended || !more;
	return BLOCKZ_OK;
}

static enum blockz_status run(struct long_block *job, lzma_stream *stream, struct blockz_fault *fault)
{
	struct xz_block block;
	size_t len = job->piece->file_len < BLOCK_HEADER_LEN_MAX ? (size_t)job->piece->file_len : BLOCK_HEADER_LEN_MAX;
	enum blockz_status status = read_file(job->file, job->in, len, job->piece->file_off, fault);
	if (status == BLOCKZ_OK)
		status = xz_block_parse(job->in, len, job->piece->method, job->piece->file_off, &block, fault);
	if (status != BLOCKZ_OK)
		return status;
	lzma_ret result = lzma_block_decoder(stream, &block.block);
	if (result != LZMA_OK)
		status = refuse(result, job->piece->file_off, fault);
	job->fed = len;
	stream->next_in = job->in + block.block.header_size;
	stream->avail_in = len - block.block.header_size;
	for (bool stop = false; !stop && status == BLOCKZ_OK;)
		status = step(job, stream, &stop, fault);
	xz_block_free(&block);
	return status;
}

enum blockz_status xz_decode_long(void *decoder, const struct blockz_source *file, const struct piece *piece,
				  uint64_t image_len, decode_emit emit, void *ctx, struct blockz_fault *fault)
{
	struct long_block *job = calloc(1, sizeof(*job));
	if (job == NULL)
		return fault_nomem(fault);
	job->file = file;
	job->piece = piece;
	job->image_len = image_len;
	job->emit = emit;
	job->ctx = ctx;
	enum blockz_status status = run(job, decoder, fault);
	free(job);
	return status;
}
