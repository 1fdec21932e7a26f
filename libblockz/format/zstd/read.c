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

struct decoder {
	ZSTD_DCtx *context;
	uint64_t window_max;
};

ZSTD_DCtx *zstd_context_new(void)
{
	ZSTD_DCtx *context = ZSTD_createDCtx();
	ZSTD_bounds bounds = ZSTD_dParam_getBounds(ZSTD_d_windowLogMax);
	if (context != NULL && ZSTD_isError(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, bounds.upperBound))) {
		ZSTD_freeDCtx(context);
		return NULL;
	}
	return context;
}

void *zstd_decoder_new(uint64_t window_max)
{
	struct decoder *decoder = malloc(sizeof(*decoder));
	if (decoder == NULL)
		return NULL;
	*decoder = (struct decoder){ zstd_context_new(), window_max };
	if (decoder->context == NULL) {
		free(decoder);
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
