/* SPDX-License-Identifier: BSD-3-Clause */
/* As liblzma would, and as strictly. */
#include "format/xz/unpack.h"

#include <string.h>

#include "base/copy.h"
#include "base/fault.h"
#include "format/xz/token_decode.h"

_Static_assert((int)COPY_SLACK <= (int)DECODE_SLACK, "there is room for what is written behind the text");

struct unpacker {
	struct xz_unpacked *at;
	const struct encoded_piece *encoded;
	const struct xz_block *block;
	uint8_t *out;
	size_t out_len;
};

static enum blockz_status damaged(const struct unpacker *unpacker, struct blockz_fault *fault)
{
	return xz_block_damaged(unpacker->encoded->file_off + unpacker->at->in_pos, fault);
}

static enum blockz_status other_sizes(const struct unpacker *unpacker, struct blockz_fault *fault)
{
	return xz_block_other_sizes(unpacker->encoded->file_off + unpacker->at->in_pos, fault);
}

/* ---- Chunks */

/* The header of the next chunk, all of which is there, but for the mark of the end. */
static enum blockz_status parse_chunk(const struct unpacker *unpacker, struct xz_chunk *chunk_ret, struct blockz_fault *fault)
{
	struct xz_unpacked *at = unpacker->at;
	const uint8_t *bytes = unpacker->encoded->bytes + at->in_pos;
	const size_t left = unpacker->encoded->len - at->in_pos;
	if (left < CHUNK_END_LEN)
		return other_sizes(unpacker, fault);
	if (*bytes != CHUNK_END && !xz_chunk_may_follow(&at->order, *bytes))
		return damaged(unpacker, fault);
	if (*bytes != CHUNK_END && left < (*bytes <= CHUNK_RAW ? CHUNK_RAW_HEADER_LEN : CHUNK_LZMA_HEADER_LEN))
		return other_sizes(unpacker, fault);
	xz_chunk_parse(bytes, chunk_ret);
	if (chunk_ret->payload_len > left - chunk_ret->header_len || chunk_ret->image_len > unpacker->out_len - at->out_pos)
		return other_sizes(unpacker, fault);
	return BLOCKZ_OK;
}

static enum blockz_status unpack_chunk(const struct unpacker *unpacker, bool *ended_ret, struct blockz_fault *fault)
{
	struct xz_unpacked *at = unpacker->at;
	struct xz_chunk chunk;
	enum blockz_status status = parse_chunk(unpacker, &chunk, fault);
	if (status != BLOCKZ_OK)
		return status;
	const uint8_t *payload = unpacker->encoded->bytes + at->in_pos + chunk.header_len;
	if (xz_chunk_resets(chunk.control))
		at->since_reset = 0;
	const struct xz_place place = { unpacker->out + at->out_pos, at->since_reset, at->dict_size };
	if (chunk.control >= CHUNK_LZMA) {
		if (!xz_chunk_decode(&at->model, &chunk, payload, place, NULL, NULL))
			return damaged(unpacker, fault);
	} else if (chunk.image_len > 0) {
		memcpy(place.at, payload, chunk.image_len);
		at->has_raw = true;
	}
	at->in_pos += chunk.header_len + chunk.payload_len;
	at->out_pos += chunk.image_len;
	at->since_reset += chunk.image_len;
	*ended_ret = chunk.control == CHUNK_END;
	return BLOCKZ_OK;
}

/* ---- The Block around them */

static enum blockz_status begin(const struct unpacker *unpacker, uint64_t window_max, struct blockz_fault *fault)
{
	struct xz_unpacked *at = unpacker->at;
	at->begun = true;
	at->has_raw = false;
	at->order = (struct xz_chunk_order)XZ_CHUNK_ORDER_INIT;
	at->in_pos = unpacker->block->block.header_size;
	at->out_pos = 0;
	at->since_reset = 0;
	return xz_block_dictionary(unpacker->block, unpacker->out_len, window_max, unpacker->encoded->file_off, &at->dict_size,
				   fault);
}

/* Behind the last chunk. */
static enum blockz_status verify_end(const struct unpacker *unpacker, struct blockz_fault *fault)
{
	const struct encoded_piece *encoded = unpacker->encoded;
	const lzma_block *block = &unpacker->block->block;
	const uint64_t chunks_len = unpacker->at->in_pos - block->header_size;
	const size_t tail_off = unpacker->at->in_pos - CHUNK_END_LEN;
	uint8_t field[CHECK_LEN_MAX] = { 0 }, tail[BLOCK_TAIL_MAX];
	unsigned padding;
	if (unpacker->at->out_pos != unpacker->out_len ||
	    (block->compressed_size != LZMA_VLI_UNKNOWN && block->compressed_size != chunks_len) ||
	    (block->uncompressed_size != LZMA_VLI_UNKNOWN && block->uncompressed_size != unpacker->out_len))
		return other_sizes(unpacker, fault);
	if (!check_sum(encoded->method, unpacker->out, unpacker->out_len, field))
		return fault_nomem(fault);
	size_t len = xz_block_tail(chunks_len, encoded->method, field, tail, &padding);
	if (padding != encoded->padding || encoded->len - tail_off != len)
		return other_sizes(unpacker, fault);
	return memcmp(encoded->bytes + tail_off, tail, len) == 0 ? BLOCKZ_OK : damaged(unpacker, fault);
}

/* True if no more has to be decoded for the first bytes. */
static bool is_enough(const struct unpacker *unpacker, size_t wanted)
{
	const struct xz_unpacked *at = unpacker->at;
	return at->out_pos >= wanted && at->out_pos < unpacker->out_len &&
	       (!at->has_raw || unpacker->encoded->method == CHECK_NONE);
}

static enum blockz_status unpack(const struct unpacker *unpacker, size_t wanted, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	bool ended = false;
	while (status == BLOCKZ_OK && !ended && !is_enough(unpacker, wanted))
		status = unpack_chunk(unpacker, &ended, fault);
	return status == BLOCKZ_OK && ended ? verify_end(unpacker, fault) : status;
}

enum blockz_status xz_unpack(struct xz_unpacked *unpacked, const struct encoded_piece *encoded, const struct xz_block *block,
			     uint64_t window_max, uint8_t *out, size_t out_len, size_t wanted, struct blockz_fault *fault)
{
	const struct unpacker unpacker = { unpacked, encoded, block, out, out_len };
	enum blockz_status status = BLOCKZ_OK;
	if (!unpacked->begun)
		status = begin(&unpacker, window_max, fault);
	return status == BLOCKZ_OK ? unpack(&unpacker, wanted, fault) : status;
}
