/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decoding one frame.  libzstd verifies its checksum.
 *
 * Decoding to memory that holds the whole frame, libzstd takes matches from further back than the window reaches, which a
 * decoder that keeps no more than the window cannot.  Strict decoding makes it keep no more.
 */
#include "format/zstd/read.h"

#include <inttypes.h>
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/fault.h"
#include "base/plural.h"
#include "format/zstd/frame.h"
#include "io/access.h"

enum { LONG_BUFFER = 256 * 1024 };

struct decoder {
	ZSTD_DCtx *context;
	uint64_t window_max;
};

void *zstd_decoder_new(uint64_t window_max)
{
	struct decoder *decoder = malloc(sizeof(*decoder));
	if (decoder == NULL)
		return NULL;
	*decoder = (struct decoder){ ZSTD_createDCtx(), window_max };
	/* The limit is compared by ourselves, to the byte. */
	ZSTD_bounds bounds = ZSTD_dParam_getBounds(ZSTD_d_windowLogMax);
	if (decoder->context == NULL ||
	    ZSTD_isError(ZSTD_DCtx_setParameter(decoder->context, ZSTD_d_windowLogMax, bounds.upperBound))) {
		zstd_decoder_free(decoder);
		return NULL;
	}
	return decoder;
}

void zstd_decoder_free(void *memory)
{
	struct decoder *decoder = memory;
	if (decoder == NULL)
		return;
	ZSTD_freeDCtx(decoder->context);
	free(decoder);
}

enum blockz_status zstd_refuse_frame(size_t result, uint64_t file_off, struct blockz_fault *fault)
{
	switch (ZSTD_getErrorCode(result)) {
	case ZSTD_error_memory_allocation:
		return fault_nomem(fault);
	case ZSTD_error_frameParameter_windowTooLarge:
		return fault_set(fault, BLOCKZ_LIMIT, file_off, "a frame's window is larger than libzstd takes");
	default:
		return fault_set(fault, BLOCKZ_DAMAGED, file_off, "a frame does not decode: %s", ZSTD_getErrorName(result));
	}
}

enum blockz_status zstd_check_window(const struct frame_header *header, uint64_t window_max, uint64_t file_off,
				     struct blockz_fault *fault)
{
	if (header->window > window_max)
		return fault_set(fault, BLOCKZ_LIMIT, file_off,
				 "a window of %" PRIu64 " bytes, at most %" PRIu64 " are allowed", header->window, window_max);
	return BLOCKZ_OK;
}

/* The last byte comes alone: libzstd decodes a frame that it has whole as if it were not asked to stream. */
static size_t decode_strict(ZSTD_DCtx *context, const struct encoded_piece *encoded, uint8_t *out, size_t out_len)
{
	ZSTD_outBuffer to = { out, out_len, 0 };
	ZSTD_inBuffer from = { encoded->bytes, encoded->len - 1, 0 };
	size_t result = ZSTD_DCtx_reset(context, ZSTD_reset_session_only);
	for (size_t before = 1; !ZSTD_isError(result) && from.pos + to.pos != before;) {
		before = from.pos + to.pos;
		if (from.pos == from.size)
			from.size = encoded->len;
		result = ZSTD_decompressStream(context, &to, &from);
		if (result == 0)
			break;
	}
	return ZSTD_isError(result) ? result : result == 0 && from.pos == encoded->len ? to.pos : 0;
}

enum blockz_status zstd_decode(void *memory, const struct encoded_piece *encoded, uint8_t *out, size_t out_len,
			       struct blockz_fault *fault)
{
	const struct decoder *decoder = memory;
	struct frame_header header;
	enum blockz_status status = frame_walk(encoded->bytes, encoded->len, encoded->file_off, &header, fault);
	if (status == BLOCKZ_OK && encoded->strict)
		status = zstd_check_window(&header, decoder->window_max, encoded->file_off, fault);
	if (status != BLOCKZ_OK)
		return status;
	size_t result = encoded->strict && header.window < out_len
				? decode_strict(decoder->context, encoded, out, out_len)
				: ZSTD_decompressDCtx(decoder->context, out, out_len, encoded->bytes, encoded->len);
	if (ZSTD_isError(result))
		return zstd_refuse_frame(result, encoded->file_off, fault);
	if (result != out_len)
		return fault_set(fault, BLOCKZ_DAMAGED, encoded->file_off, "a frame decodes to %zu byte%s, expected %zu", result,
				 plural(result),
				 out_len);
	return BLOCKZ_OK;
}

struct long_frame {
	const struct blockz_source *file;
	const struct piece *piece;
	uint64_t fed, made, image_len;
	decode_emit emit;
	void *ctx;
	ZSTD_inBuffer in;
	uint8_t in_bytes[LONG_BUFFER], out_bytes[LONG_BUFFER];
};

static enum blockz_status feed(struct long_frame *frame, struct blockz_fault *fault)
{
	uint64_t left = frame->piece->file_len - frame->fed;
	size_t part = left < LONG_BUFFER ? (size_t)left : LONG_BUFFER;
	if (frame->in.pos < frame->in.size || part == 0)
		return BLOCKZ_OK;
	enum blockz_status status =
		read_file(frame->file, frame->in_bytes, part, frame->piece->file_off + frame->fed, fault);
	frame->in = (ZSTD_inBuffer){ frame->in_bytes, part, 0 };
	frame->fed += part;
	return status;
}

/* *stop_ret: the frame has ended, or emit wants no more. */
static enum blockz_status step(struct long_frame *frame, ZSTD_DCtx *context, bool *stop_ret, struct blockz_fault *fault)
{
	enum blockz_status status = feed(frame, fault);
	if (status != BLOCKZ_OK)
		return status;
	ZSTD_outBuffer out = { frame->out_bytes, LONG_BUFFER, 0 };
	size_t before = frame->in.pos, result = ZSTD_decompressStream(context, &out, &frame->in);
	uint64_t at = frame->piece->file_off + frame->fed - (frame->in.size - frame->in.pos);
	if (ZSTD_isError(result))
		return zstd_refuse_frame(result, at, fault);
	bool stuck = out.pos == 0 && frame->in.pos == before;
	bool ended = result == 0, whole = frame->fed == frame->piece->file_len && frame->in.pos == frame->in.size;
	frame->made += out.pos;
	bool short_of = frame->image_len != BLOCKZ_UNKNOWN && frame->made < frame->image_len;
	if (frame->made > frame->image_len || (ended && (!whole || short_of)) || (stuck && !ended))
		return fault_set(fault, BLOCKZ_DAMAGED, at, "a frame's length is not that of its piece");
	bool more = out.pos == 0 || frame->emit(frame->ctx, frame->out_bytes, out.pos);
	*stop_ret = ended || !more;
	return BLOCKZ_OK;
}

/* In parts frames need their window; others are decoded to memory that is there, which strict decoders do not rely on. */
static enum blockz_status check_long_window(const struct long_frame *frame, uint64_t window_max,
					    struct blockz_fault *fault)
{
	uint8_t bytes[FRAME_HEADER_LEN_MAX];
	struct frame_header header;
	const struct piece *piece = frame->piece;
	size_t len = piece->file_len < sizeof(bytes) ? (size_t)piece->file_len : sizeof(bytes);
	enum blockz_status status = read_file(frame->file, bytes, len, piece->file_off, fault);
	if (status == BLOCKZ_OK)
		status = frame_header_parse(bytes, len, piece->file_off, &header, fault);
	return status == BLOCKZ_OK ? zstd_check_window(&header, window_max, piece->file_off, fault) : status;
}

enum blockz_status zstd_decode_long(void *memory, const struct blockz_source *file, const struct piece *piece,
				    uint64_t image_len, decode_emit emit, void *ctx, struct blockz_fault *fault)
{
	const struct decoder *decoder = memory;
	struct long_frame *frame = malloc(sizeof(*frame));
	if (frame == NULL)
		return fault_nomem(fault);
	frame->file = file;
	frame->piece = piece;
	frame->image_len = image_len;
	frame->emit = emit;
	frame->ctx = ctx;
	frame->fed = frame->made = 0;
	frame->in = (ZSTD_inBuffer){ frame->in_bytes, 0, 0 };
	enum blockz_status status = check_long_window(frame, decoder->window_max, fault);
	ZSTD_DCtx_reset(decoder->context, ZSTD_reset_session_only);
	for (bool stop = false; !stop && status == BLOCKZ_OK;)
		status = step(frame, decoder->context, &stop, fault);
	free(frame);
	return status;
}
