/* SPDX-License-Identifier: BSD-3-Clause */
/* libzstd's decoder of streams gives all that it can decode: fed with a block, the text of that block. */
#include "format/zstd/block_decoder.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "format/zstd/frame.h"
#include "format/zstd/read.h"

struct block_decoder *block_decoder_new(void)
{
	struct block_decoder *decoder = malloc(sizeof(*decoder));
	ZSTD_bounds bounds = ZSTD_dParam_getBounds(ZSTD_d_windowLogMax);
	if (decoder == NULL)
		return NULL;
	decoder->context = ZSTD_createDCtx();
	if (decoder->context == NULL ||
	    ZSTD_isError(ZSTD_DCtx_setParameter(decoder->context, ZSTD_d_windowLogMax, bounds.upperBound))) {
		block_decoder_free(decoder);
		return NULL;
	}
	return decoder;
}

void block_decoder_free(struct block_decoder *decoder)
{
	if (decoder == NULL)
		return;
	ZSTD_freeDCtx(decoder->context);
	free(decoder);
}

void block_decoder_reset(struct block_decoder *decoder)
{
	ZSTD_DCtx_reset(decoder->context, ZSTD_reset_session_only);
	decoder->ended = false;
}

enum blockz_status block_decoder_next(struct block_decoder *decoder, const uint8_t *bytes, size_t len, uint64_t file_off,
				      struct blockz_fault *fault)
{
	ZSTD_inBuffer in = { bytes, len, 0 };
	ZSTD_outBuffer out = { decoder->text, sizeof(decoder->text), 0 };
	while (in.pos < in.size && out.pos < out.size && !decoder->ended) {
		size_t result = ZSTD_decompressStream(decoder->context, &out, &in);
		if (ZSTD_isError(result))
			return zstd_refuse_frame(result, file_off, fault);
		decoder->ended = result == 0;
	}
	if (in.pos < in.size || out.pos == out.size)
		return fault_set(fault, BLOCKZ_DAMAGED, file_off, "a block decodes to more than %d bytes", BLOCK_MAX);
	decoder->len = out.pos;
	return BLOCKZ_OK;
}

/* The header of a frame whose blocks may refer back so far. */
static enum blockz_status decode_header(struct block_decoder *decoder, uint64_t reach, struct blockz_fault *fault)
{
	uint8_t header[MAGIC_LEN + 2] = { 0 };
	unsigned log = WINDOW_LOG_MIN;
	while (log < 63 && (uint64_t)1 << log < reach)
		log++;
	store_le32(header, FRAME_MAGIC);
	header[MAGIC_LEN + 1] = (uint8_t)(log - WINDOW_LOG_MIN) << 3;
	return block_decoder_next(decoder, header, sizeof(header), BLOCKZ_UNKNOWN, fault);
}

enum blockz_status block_decoder_prime(struct block_decoder *decoder, const struct text_window *window, uint64_t reach,
				       struct blockz_fault *fault)
{
	size_t most = reach < 1 << WINDOW_LOG_MIN ? 1 << WINDOW_LOG_MIN : reach < BLOCK_MAX ? (size_t)reach : BLOCK_MAX;
	struct text_part parts[2];
	uint8_t header[BLOCK_HEADER_LEN];
	text_window_last(window, window->len, parts);
	block_decoder_reset(decoder);
	enum blockz_status status = decode_header(decoder, reach, fault);
	for (int i = 0; i < 2; i++) {
		for (size_t pos = 0, len; pos < parts[i].len && status == BLOCKZ_OK; pos += len) {
			len = parts[i].len - pos < most ? parts[i].len - pos : most;
			block_header_store(header, &(struct block_header){ false, BLOCK_RAW, (uint32_t)len });
			status = block_decoder_next(decoder, header, sizeof(header), BLOCKZ_UNKNOWN, fault);
			if (status == BLOCKZ_OK)
				status = block_decoder_next(decoder, parts[i].bytes + pos, len, BLOCKZ_UNKNOWN, fault);
		}
	}
	return status;
}
