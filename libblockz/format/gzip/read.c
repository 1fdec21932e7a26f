/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decoding one piece.
 *
 * A piece in memory is decoded by libdeflate, which wants a whole deflate stream: the two bytes of an empty final block
 * are put behind it.  That it then decodes does not prove that a serial decoder would go on at the next piece: a piece
 * whose own last block is final and unfinished takes those two bytes for its end.  Where proof is asked for, the walker
 * shows that the piece's bytes alone are whole blocks, none of them final.
 */
#include <inttypes.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/fault.h"
#include "format/gzip/deflate.h"
#include "format/gzip/walk.h"
#include "io/access.h"

enum { LONG_BUFFER = 256 * 1024 };

struct decoder {
	struct libdeflate_decompressor *decompressor;
	struct walker *walker;
};

void deflate_decoder_free(void *context)
{
	struct decoder *decoder = context;
	if (decoder == NULL)
		return;
	libdeflate_free_decompressor(decoder->decompressor);
	walker_free(decoder->walker);
	free(decoder);
}

void *deflate_decoder_new(void)
{
	struct decoder *decoder = calloc(1, sizeof(*decoder));
	if (decoder == NULL)
		return NULL;
	decoder->decompressor = libdeflate_alloc_decompressor();
	if (decoder->decompressor == NULL || walker_new(&decoder->walker, NULL) != BLOCKZ_OK) {
		deflate_decoder_free(decoder);
		return NULL;
	}
	return decoder;
}

static enum blockz_status prove_piece(struct walker *walker, const uint8_t *in, size_t in_len, bool ends_stream,
				      size_t out_len, uint64_t file_off, struct blockz_fault *fault)
{
	struct walk_block block = { 0 };
	walker_reset_memory(walker, in, in_len);
	while (block.end_bit < (uint64_t)in_len * 8 && !block.final) {
		enum blockz_status status = walker_next(walker, &block, NULL, fault);
		if (status != BLOCKZ_OK) {
			if (fault != NULL)
				fault->offset += file_off;
			return status;
		}
	}
	if (block.final != ends_stream)
		return fault_set(fault, BLOCKZ_DAMAGED, file_off + block.header_bit / 8,
				 ends_stream ? "deflate stream does not end with its last piece"
					     : "a final deflate block in the middle of the stream");
	if ((block.end_bit + 7) / 8 != in_len || (!ends_stream && block.end_bit % 8 != 0) || block.out_end != out_len)
		return fault_set(fault, BLOCKZ_DAMAGED, file_off + block.end_bit / 8,
				 "a piece does not end at a block boundary");
	return BLOCKZ_OK;
}

enum blockz_status deflate_decode(void *context, uint8_t *in, size_t in_len, bool ends_stream, uint8_t *out,
				  size_t out_len, bool prove, uint64_t file_off, struct blockz_fault *fault)
{
	struct decoder *decoder = context;
	size_t stream_len = in_len, used = 0, made = 0;
	if (!ends_stream) {
		in[stream_len++] = 0x03;
		in[stream_len++] = 0x00;
	}
	enum libdeflate_result result = libdeflate_deflate_decompress_ex(decoder->decompressor, in, stream_len, out,
									 out_len, &used, &made);
	if (result == LIBDEFLATE_INSUFFICIENT_SPACE || (result == LIBDEFLATE_SUCCESS && made != out_len))
		return fault_set(fault, BLOCKZ_DAMAGED, file_off, "a piece decodes to another length than %zu bytes",
				 out_len);
	if (result != LIBDEFLATE_SUCCESS || used != stream_len) {
		/* libdeflate does not say where; the walker does. */
		enum blockz_status status =
			prove_piece(decoder->walker, in, in_len, ends_stream, out_len, file_off, fault);
		return status != BLOCKZ_OK ? status
					   : fault_set(fault, BLOCKZ_DAMAGED, file_off, "a piece does not decode alone");
	}
	return prove ? prove_piece(decoder->walker, in, in_len, ends_stream, out_len, file_off, fault) : BLOCKZ_OK;
}

/* Feeds and drains one inflate call; *stop when the piece has given all its bytes, or emit wants no more. */
struct long_piece {
	const struct blockz_source *file;
	const struct piece *piece;
	uint64_t fed, made, image_len;
	decode_emit emit;
	void *ctx;
	uint8_t in[LONG_BUFFER], out[LONG_BUFFER];
};

static enum blockz_status inflate_step(struct long_piece *job, z_stream *stream, bool *stop_ret,
				       struct blockz_fault *fault)
{
	if (stream->avail_in == 0 && job->fed < job->piece->file_len) {
		uint64_t left = job->piece->file_len - job->fed;
		size_t part = left < LONG_BUFFER ? (size_t)left : LONG_BUFFER;
		enum blockz_status status = read_file(job->file, job->in, part, job->piece->file_off + job->fed, fault);
		if (status != BLOCKZ_OK)
			return status;
		stream->next_in = job->in;
		stream->avail_in = (uInt)part;
		job->fed += part;
	}
	stream->next_out = job->out;
	stream->avail_out = LONG_BUFFER;
	int result = inflate(stream, Z_NO_FLUSH);
	uint64_t at = job->piece->file_off + job->fed - stream->avail_in;
	size_t made = LONG_BUFFER - stream->avail_out;
	if (result == Z_MEM_ERROR)
		return fault_nomem(fault);
	if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
		return fault_set(fault, BLOCKZ_DAMAGED, at, "invalid deflate data: %s",
				 stream->msg != NULL ? stream->msg : "no detail");
	if (made > job->image_len - job->made)
		return fault_set(fault, BLOCKZ_DAMAGED, at, "a piece decodes to more than %" PRIu64 " bytes",
				 job->image_len);
	job->made += made;
	bool more = made == 0 || job->emit(job->ctx, job->out, made);
	bool over = result == Z_STREAM_END || (made == 0 && stream->avail_in == 0 && job->fed == job->piece->file_len);
	if (more && over && (job->made < job->image_len || (result == Z_STREAM_END && !job->piece->ends_stream)))
		return fault_set(fault, BLOCKZ_DAMAGED, at, "a piece ends after %" PRIu64 " of %" PRIu64 " bytes",
				 job->made, job->image_len);
	*stop_ret = !more || over;
	return BLOCKZ_OK;
}

enum blockz_status deflate_decode_long(void *context, const struct blockz_source *file, const struct piece *piece,
				       uint64_t image_len, decode_emit emit, void *ctx, struct blockz_fault *fault)
{
	(void)context;
	struct long_piece *job = malloc(sizeof(*job));
	z_stream stream = { 0 };
	if (job == NULL || inflateInit2(&stream, -15) != Z_OK) {
		free(job);
		return fault_nomem(fault);
	}
	job->file = file;
	job->piece = piece;
	job->fed = job->made = 0;
	job->image_len = image_len;
	job->emit = emit;
	job->ctx = ctx;
	enum blockz_status status = BLOCKZ_OK;
	for (bool stop = false; !stop && status == BLOCKZ_OK;)
		status = inflate_step(job, &stream, &stop, fault);
	inflateEnd(&stream);
	free(job);
	return status;
}
