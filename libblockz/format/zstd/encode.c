/* SPDX-License-Identifier: BSD-3-Clause */
/* Encoding one frame: by libzstd, or raw blocks by hand, since libzstd has no call that writes them. */
#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_getCParams, ZSTD_estimateCCtxSize_usingCParams */
#include "format/zstd/encode.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "format/zstd/frame.h"

struct encoder {
	ZSTD_CCtx *context;
	enum check_method check;
};

void zstd_encoder_free(void *memory)
{
	struct encoder *encoder = memory;
	if (encoder == NULL)
		return;
	ZSTD_freeCCtx(encoder->context);
	free(encoder);
}

/* What ZSTD_c_windowLog is to be: 0, as the level has it, unless that is more than the window may be. */
static int window_log(const struct pack_params *params)
{
	uint64_t max = params->window_max;
	unsigned log = ZSTD_getCParams(params->level, params->piece_size, 0).windowLog;
	/* Where the window may be the whole piece, no decoder has to keep more than that. */
	if (max == 0 || max >= params->piece_size || UINT64_C(1) << log <= max)
		return 0;
	while (UINT64_C(1) << log > max)
		log--;
	return (int)log;
}

void *zstd_encoder_new(const struct pack_params *params)
{
	struct encoder *encoder = calloc(1, sizeof(*encoder));
	if (encoder == NULL)
		return NULL;
	encoder->check = params->check;
	encoder->context = ZSTD_createCCtx();
	ZSTD_CCtx *context = encoder->context;
	if (context == NULL || ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, params->level)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log(params))) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, params->check != CHECK_NONE))) {
		zstd_encoder_free(encoder);
		return NULL;
	}
	return encoder;
}

uint64_t zstd_encoder_memory(const struct pack_params *params)
{
	ZSTD_compressionParameters compression = ZSTD_getCParams(params->level, params->piece_size, 0);
	/* A piece as it was read, and encoded twice, since as many as there are threads wait for their turn; libzstd's. */
	return 3 * params->piece_size + ZSTD_estimateCCtxSize_usingCParams(compression);
}

static enum blockz_status encode_raw(const struct encoder *encoder, const struct plain_piece *plain,
				     struct encoding *encoding, struct blockz_fault *fault)
{
	bool checksum = encoder->check != CHECK_NONE;
	uint64_t start = plain->start, end = start + plain->len;
	uint8_t field[CHECK_LEN_MAX];
	if (!buffer_reserve(&encoding->out, (size_t)raw_frame_len(start, end, checksum)) ||
	    (checksum && !check_sum(encoder->check, plain->bytes, plain->len, field)))
		return fault_nomem(fault);
	uint8_t *p = encoding->out.bytes;
	raw_frame_header(p, plain->len, checksum);
	p += RAW_HEADER_LEN;
	for (uint64_t pos = start, block_end; pos < end; pos = block_end) {
		block_end = raw_block_end(pos, end);
		struct block_header header = { block_end == end, BLOCK_RAW, (uint32_t)(block_end - pos) };
		block_header_store(p, &header);
		memcpy(p + BLOCK_HEADER_LEN, plain->bytes + (pos - start), header.size);
		p += BLOCK_HEADER_LEN + header.size;
	}
	if (checksum)
		memcpy(p, field, CHECKSUM_LEN);
	encoding->len = (size_t)(p - encoding->out.bytes) + (checksum ? CHECKSUM_LEN : 0);
	return BLOCKZ_OK;
}

static enum blockz_status encode_compressed(struct encoder *encoder, const struct plain_piece *plain,
					    struct encoding *encoding, struct blockz_fault *fault)
{
	size_t bound = ZSTD_compressBound(plain->len) + CHECKSUM_LEN;
	if (!buffer_reserve(&encoding->out, bound))
		return fault_nomem(fault);
	size_t result = ZSTD_compress2(encoder->context, encoding->out.bytes, bound, plain->bytes, plain->len);
	if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation)
		return fault_nomem(fault);
	if (ZSTD_isError(result))
		return fault_set(fault, BLOCKZ_FAILED, BLOCKZ_UNKNOWN, "libzstd: %s", ZSTD_getErrorName(result));
	encoding->len = result;
	return BLOCKZ_OK;
}

enum blockz_status zstd_encode(void *memory, const struct plain_piece *plain, struct encoding *encoding,
			       struct blockz_fault *fault)
{
	struct encoder *encoder = memory;
	enum blockz_status status = plain->raw ? encode_raw(encoder, plain, encoding, fault)
					       : encode_compressed(encoder, plain, encoding, fault);
	if (status != BLOCKZ_OK)
		return status;
	bool checksum = encoder->check != CHECK_NONE;
	encoding->tag = checksum ? load_le32(encoding->out.bytes + encoding->len - CHECKSUM_LEN) : 0;
	return BLOCKZ_OK;
}
