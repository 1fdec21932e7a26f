/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Encoding one piece.
 *
 * libdeflate compresses a whole buffer to a whole deflate stream: its last block has BFINAL set.  To make a piece that
 * others can follow, the walker finds that block's header bit, it is cleared, and an empty stored block brings the
 * piece to a byte boundary.  Its last four bytes, 00 00 FF FF, are what zlib calls a full flush: the next piece starts
 * with an empty history.
 */
#include "format/deflate/encode.h"

#include <libdeflate.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "check/crc.h"
#include "format/deflate/fast.h"
#include "format/deflate/walk.h"

struct encoder {
	struct libdeflate_compressor *compressor;
	struct fast_deflate *fast; /* used instead, if not NULL */
	struct walker *walker;
};

uint64_t stored_len(uint64_t start, uint64_t end)
{
	return end - start + STORED_HEADER_LEN * ((end - 1) / STORED_PAYLOAD - start / STORED_PAYLOAD + 1);
}

enum deflate_encoder deflate_encoder_at(int level)
{
	return level == DEFLATE_LEVEL_FASTEST && fast_deflate_built_in ? DEFLATE_BY_ISAL : DEFLATE_BY_LIBDEFLATE;
}

void deflate_encoder_free(void *context)
{
	struct encoder *encoder = context;
	if (encoder == NULL)
		return;
	libdeflate_free_compressor(encoder->compressor);
	fast_deflate_free(encoder->fast);
	walker_free(encoder->walker);
	free(encoder);
}

void *deflate_encoder_new(const struct pack_params *params)
{
	bool fast = deflate_encoder_at(params->level) == DEFLATE_BY_ISAL;
	struct encoder *encoder = calloc(1, sizeof(*encoder));
	if (encoder == NULL)
		return NULL;
	encoder->compressor = libdeflate_alloc_compressor(params->level);
	encoder->fast = fast ? fast_deflate_new() : NULL;
	if (encoder->compressor == NULL || (fast && encoder->fast == NULL) ||
	    walker_new(&encoder->walker, NULL) != BLOCKZ_OK) {
		deflate_encoder_free(encoder);
		return NULL;
	}
	return encoder;
}

/* Turns the deflate stream of stream_len bytes in out into a piece; returns the piece's length. */
static enum blockz_status join_piece(struct walker *walker, uint8_t *out, size_t stream_len, size_t *len_ret,
			       struct blockz_fault *fault)
{
	struct walk_block block;
	walker_reset_memory(walker, out, stream_len);
	do {
		enum blockz_status status = walker_next(walker, &block, NULL, fault);
		if (status != BLOCKZ_OK)
			return status;
	} while (!block.final);
	out[block.header_bit / 8] &= (uint8_t)~(1u << block.header_bit % 8);
	/* The empty stored block: three zero bits, zeros to the byte's end, LEN 0, NLEN. */
	static const uint8_t mark[FLUSH_MARK_LEN] = { 0x00, 0x00, 0xff, 0xff };
	size_t len = (size_t)((block.end_bit + 3 + 7) / 8);
	if (len > stream_len)
		out[stream_len] = 0;
	memcpy(out + len, mark, sizeof(mark));
	*len_ret = len + sizeof(mark);
	return BLOCKZ_OK;
}

static enum blockz_status encode_compressed(struct encoder *encoder, const struct plain_piece *plain,
					    struct encoding *encoding, struct blockz_fault *fault)
{
	const uint8_t *bytes = plain->bytes;
	size_t len = plain->len, bound = libdeflate_deflate_compress_bound(encoder->compressor, len);
	struct buffer *out = &encoding->out;
	if (!buffer_reserve(out, bound + len / 1024 + 4096))
		return fault_nomem(fault);
	if (encoder->fast != NULL) {
		encoding->len = fast_deflate_piece(encoder->fast, bytes, len, out->bytes, out->room - END_LEN);
		if (encoding->len != 0)
			return BLOCKZ_OK;
	}
	size_t stream_len = libdeflate_deflate_compress(encoder->compressor, bytes, len, out->bytes, bound);
	return join_piece(encoder->walker, out->bytes, stream_len, &encoding->len, fault);
}

static enum blockz_status encode_raw(const struct plain_piece *plain, struct encoding *encoding,
				     struct blockz_fault *fault)
{
	uint64_t start = plain->start;
	size_t len = plain->len;
	struct buffer *out = &encoding->out;
	if (!buffer_reserve(out, (size_t)stored_len(start, start + len) + END_LEN))
		return fault_nomem(fault);
	uint8_t *p = out->bytes;
	for (size_t pos = 0; pos < len;) {
		size_t part = STORED_PAYLOAD - (start + pos) % STORED_PAYLOAD;
		if (part > len - pos)
			part = len - pos;
		*p = 0; /* BFINAL 0, BTYPE 00, padding 0 */
		store_le16(p + 1, (uint16_t)part);
		store_le16(p + 3, (uint16_t)~part);
		memcpy(p + STORED_HEADER_LEN, plain->bytes + pos, part);
		p += STORED_HEADER_LEN + part;
		pos += part;
	}
	encoding->len = (size_t)(p - out->bytes);
	return BLOCKZ_OK;
}

/* Appends the end of the stream, which there is room for. */
static void put_end(struct encoding *encoding)
{
	static const uint8_t end[END_LEN] = { 0x03, 0x00 };
	memcpy(encoding->out.bytes + encoding->len, end, sizeof(end));
	encoding->len += sizeof(end);
}

enum blockz_status deflate_encode(void *context, const struct plain_piece *plain, struct encoding *encoding,
				  struct blockz_fault *fault)
{
	encoding->tag = crc32_update(0, plain->bytes, plain->len);
	enum blockz_status status =
		plain->raw ? encode_raw(plain, encoding, fault) : encode_compressed(context, plain, encoding, fault);
	if (status == BLOCKZ_OK && plain->ends_stream)
		put_end(encoding);
	return status;
}
