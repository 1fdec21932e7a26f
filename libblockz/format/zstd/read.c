/* SPDX-License-Identifier: BSD-3-Clause */
/* Decoding one frame.  libzstd verifies its checksum. */
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/fault.h"
#include "format/zstd/codec.h"
#include "format/zstd/layout.h"
#include "io/access.h"

enum { LONG_BUFFER = 256 * 1024, WINDOW_LOG_MAX = 27 };

_Static_assert(1 << WINDOW_LOG_MAX == WINDOW_MAX, "libzstd's limit is that of the map");

void *zstd_decoder_new(void)
{
	ZSTD_DCtx *context = ZSTD_createDCtx();
	if (context != NULL && ZSTD_isError(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, WINDOW_LOG_MAX))) {
		ZSTD_freeDCtx(context);
		return NULL;
	}
	return context;
}

void zstd_decoder_free(void *decoder)
{
	ZSTD_freeDCtx(decoder);
}

static enum blockz_status refuse(size_t result, uint64_t file_off, struct blockz_fault *fault)
{
	switch (ZSTD_getErrorCode(result)) {
	case ZSTD_error_memory_allocation:
		return fault_nomem(fault);
	case ZSTD_error_frameParameter_windowTooLarge:
		return fault_set(fault, BLOCKZ_LIMIT, file_off, "a frame's window is too large");
	default:
		return fault_set(fault, BLOCKZ_DAMAGED, file_off, "a frame does not decode: %s", ZSTD_getErrorName(result));
	}
}

enum blockz_status zstd_decode(void *decoder, const struct unit *unit, uint8_t *out, size_t out_len,
			       struct blockz_fault *fault)
{
	size_t frame_len = ZSTD_findFrameCompressedSize(unit->bytes, unit->len);
	if (ZSTD_isError(frame_len))
		return refuse(frame_len, unit->file_off, fault);
	if (frame_len != unit->len)
		return fault_set(fault, BLOCKZ_DAMAGED, unit->file_off + frame_len, "a frame ends here, before its piece does");
	size_t result = ZSTD_decompressDCtx(decoder, out, out_len, unit->bytes, unit->len);
	if (ZSTD_isError(result))
		return refuse(result, unit->file_off, fault);
	if (result != out_len)
		return fault_set(fault, BLOCKZ_DAMAGED, unit->file_off, "a frame decodes to %zu bytes, expected %zu", result,
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
		return refuse(result, at, fault);
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

enum blockz_status zstd_decode_long(void *decoder, const struct blockz_source *file, const struct piece *piece,
				    uint64_t image_len, decode_emit emit, void *ctx, struct blockz_fault *fault)
{
	struct long_frame *frame = calloc(1, sizeof(*frame));
	if (frame == NULL)
		return fault_nomem(fault);
	frame->file = file;
	frame->piece = piece;
	frame->image_len = image_len;
	frame->emit = emit;
	frame->ctx = ctx;
	enum blockz_status status = BLOCKZ_OK;
	ZSTD_DCtx_reset(decoder, ZSTD_reset_session_only);
	for (bool stop = false; !stop && status == BLOCKZ_OK;)
		status = step(frame, decoder, &stop, fault);
	free(frame);
	return status;
}
