/* SPDX-License-Identifier: BSD-3-Clause */
/* Each method decodes to a small buffer, from which bytes and numbers are taken. */
#include "delta/file/stream_read.h"

#include <inttypes.h>
#include <string.h>
#include <zstd_errors.h>

#include "base/checked.h"
#include "base/fault.h"
#include "delta/file/layout.h"
#include "delta/file/stream_write.h"
#include "delta/file/varint.h"

static enum blockz_status damaged(const struct stream_reader *reader, const char *what, struct blockz_fault *fault)
{
	fault_set(fault, BLOCKZ_DAMAGED, reader->delta_off, "DELTA: stream \"%s\" %s", reader->name, what);
	return fault_about(fault, BLOCKZ_DAMAGED, BLOCKZ_ABOUT_DELTA);
}

static enum blockz_status start_lzma2(struct stream_reader *reader, size_t dictionary, struct blockz_fault *fault)
{
	lzma_options_lzma options = { .dict_size = (uint32_t)dictionary };
	const lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	return lzma_raw_decoder(&reader->lzma, filters) == LZMA_OK ? BLOCKZ_OK : fault_nomem(fault);
}

static enum blockz_status start_zstd(struct stream_reader *reader, size_t dictionary, struct blockz_fault *fault)
{
	if (reader->zstd == NULL)
		reader->zstd = ZSTD_createDCtx();
	if (reader->zstd == NULL)
		return fault_nomem(fault);
	int window_log = 0;
	while ((size_t)1 << window_log < dictionary)
		window_log++;
	ZSTD_DCtx_reset(reader->zstd, ZSTD_reset_session_and_parameters);
	ZSTD_DCtx_setParameter(reader->zstd, ZSTD_d_windowLogMax, window_log);
	return BLOCKZ_OK;
}

enum blockz_status stream_start(struct stream_reader *reader, const struct stream_facts *facts,
				struct blockz_fault *fault)
{
	size_t dictionary = stream_dictionary(facts->plain_len, facts->dictionary_max);
	/* One decoder at a time. */
	if (facts->method != STREAM_LZMA2)
		lzma_end(&reader->lzma);
	if (facts->method != STREAM_ZSTD) {
		ZSTD_freeDCtx(reader->zstd);
		reader->zstd = NULL;
	}
	reader->name = facts->name;
	reader->delta_off = facts->delta_off;
	reader->method = facts->method;
	reader->in = facts->coded;
	reader->in_len = facts->coded_len;
	reader->plain_left = facts->plain_len;
	reader->ended = facts->method == STREAM_NONE;
	reader->start = reader->end = 0;
	switch (facts->method) {
	case STREAM_NONE:
		if (facts->coded_len != facts->plain_len)
			return damaged(reader, "is not coded, and yet has two lengths", fault);
		return BLOCKZ_OK;
	case STREAM_LZMA2:
		return start_lzma2(reader, dictionary, fault);
	case STREAM_ZSTD:
		return start_zstd(reader, dictionary, fault);
	default:
		return damaged(reader, "is coded in no known way", fault);
	}
}

/* Each decodes what it can of len bytes. */

static enum blockz_status decode_lzma2(struct stream_reader *reader, uint8_t *out, size_t len, size_t *got_ret,
				       struct blockz_fault *fault)
{
	lzma_stream *lzma = &reader->lzma;
	lzma->next_in = reader->in;
	lzma->avail_in = reader->in_len;
	lzma->next_out = out;
	lzma->avail_out = len;
	lzma_ret ret = lzma_code(lzma, LZMA_RUN);
	reader->in = lzma->next_in;
	reader->in_len = lzma->avail_in;
	*got_ret = len - lzma->avail_out;
	reader->ended = ret == LZMA_STREAM_END;
	if (ret == LZMA_MEM_ERROR)
		return fault_nomem(fault);
	if (ret != LZMA_OK && ret != LZMA_STREAM_END && ret != LZMA_BUF_ERROR)
		return damaged(reader, "does not decode as LZMA2", fault);
	return BLOCKZ_OK;
}

static enum blockz_status decode_zstd(struct stream_reader *reader, uint8_t *out, size_t len, size_t *got_ret,
				      struct blockz_fault *fault)
{
	ZSTD_inBuffer in = { reader->in, reader->in_len, 0 };
	ZSTD_outBuffer to = { out, len, 0 };
	size_t left;
	size_t in_before, out_before;
	do {
		in_before = in.pos;
		out_before = to.pos;
		left = ZSTD_decompressStream(reader->zstd, &to, &in);
	} while (!ZSTD_isError(left) && left != 0 && to.pos < len && (in.pos > in_before || to.pos > out_before));
	reader->in += in.pos;
	reader->in_len -= in.pos;
	*got_ret = to.pos;
	reader->ended = left == 0;
	if (ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation)
		return fault_nomem(fault);
	if (ZSTD_isError(left))
		return damaged(reader, ZSTD_getErrorName(left), fault);
	return BLOCKZ_OK;
}

static enum blockz_status decode_some(struct stream_reader *reader, uint8_t *out, size_t len, struct blockz_fault *fault)
{
	size_t got = 0;
	enum blockz_status status = BLOCKZ_OK;
	if (reader->method == STREAM_NONE) {
		got = (size_t)min(len, reader->in_len);
		memcpy(out, reader->in, got);
		reader->in += got;
		reader->in_len -= got;
	} else if (!reader->ended && len > 0) {
		status = reader->method == STREAM_LZMA2 ? decode_lzma2(reader, out, len, &got, fault)
							: decode_zstd(reader, out, len, &got, fault);
	}
	if (status == BLOCKZ_OK && got < len)
		return damaged(reader, "is shorter than it says", fault);
	reader->plain_left -= got;
	return status;
}

enum blockz_status stream_read(struct stream_reader *reader, uint8_t *out, size_t len, struct blockz_fault *fault)
{
	size_t ready = (size_t)min(len, reader->end - reader->start);
	if (ready > 0)
		memcpy(out, reader->bytes + reader->start, ready);
	reader->start += ready;
	len -= ready;
	if (len == 0)
		return BLOCKZ_OK;
	if (len > reader->plain_left)
		return damaged(reader, "ends too early", fault);
	return decode_some(reader, out + ready, len, fault);
}

/* Sees to it that there are `want` bytes ready, or all there are. */
static enum blockz_status fill_bytes(struct stream_reader *reader, size_t want, struct blockz_fault *fault)
{
	size_t ready = reader->end - reader->start;
	if (ready >= want || reader->plain_left == 0)
		return BLOCKZ_OK;
	memmove(reader->bytes, reader->bytes + reader->start, ready);
	size_t len = (size_t)min(sizeof(reader->bytes) - ready, reader->plain_left);
	reader->start = 0;
	reader->end = ready;
	enum blockz_status status = decode_some(reader, reader->bytes + ready, len, fault);
	if (status == BLOCKZ_OK)
		reader->end += len;
	return status;
}

enum blockz_status stream_read_byte(struct stream_reader *reader, uint8_t *value_ret, struct blockz_fault *fault)
{
	enum blockz_status status = fill_bytes(reader, 1, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (reader->start == reader->end)
		return damaged(reader, "ends too early", fault);
	*value_ret = reader->bytes[reader->start++];
	return BLOCKZ_OK;
}

enum blockz_status stream_read_varint(struct stream_reader *reader, uint64_t *value_ret, struct blockz_fault *fault)
{
	enum blockz_status status = fill_bytes(reader, VARINT_MAX, fault);
	if (status != BLOCKZ_OK)
		return status;
	size_t len = varint_get(reader->bytes + reader->start, reader->end - reader->start, value_ret);
	if (len == 0)
		return damaged(reader, "ends too early, or holds what is not a number", fault);
	reader->start += len;
	return BLOCKZ_OK;
}

enum blockz_status stream_finish(struct stream_reader *reader, struct blockz_fault *fault)
{
	uint8_t byte;
	size_t got = 0;
	enum blockz_status status = BLOCKZ_OK;
	if (reader->start != reader->end || reader->plain_left > 0)
		return damaged(reader, "is longer than what is needed of it", fault);
	if (!reader->ended)
		status = reader->method == STREAM_LZMA2 ? decode_lzma2(reader, &byte, 1, &got, fault)
							: decode_zstd(reader, &byte, 1, &got, fault);
	if (status == BLOCKZ_OK && (got > 0 || !reader->ended || reader->in_len > 0))
		return damaged(reader, "is longer than it says", fault);
	return status;
}

void stream_reader_free(struct stream_reader *reader)
{
	lzma_end(&reader->lzma);
	ZSTD_freeDCtx(reader->zstd);
	reader->zstd = NULL;
}
