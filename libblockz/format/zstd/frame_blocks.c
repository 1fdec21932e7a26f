/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads large parts of the file, since blocks may be small, and gives the decoder one block after the other. */
#include "format/zstd/frame_blocks.h"

#include "base/checked.h"
#include "base/fault.h"
#include "format/zstd/read.h"
#include "io/access.h"

enum { READ_LEN = 512 << 10 };

/* The next len bytes, which are still to be read by the next call. */
static enum blockz_status fetch(struct frame_blocks *blocks, size_t len, const uint8_t **bytes_ret,
				struct blockz_fault *fault)
{
	struct blockz_range *held = &blocks->held;
	uint64_t off = blocks->off, left = blocks->end - off;
	if (len > left)
		return fault_set(fault, BLOCKZ_DAMAGED, blocks->end, "a frame does not end where its piece does");
	if (off < held->start || off + len > held->end) {
		*held = (struct blockz_range){ off, off + min(READ_LEN, left) };
		enum blockz_status status = read_file(blocks->file, blocks->bytes.bytes, (size_t)(held->end - off), off, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	*bytes_ret = blocks->bytes.bytes + (off - held->start);
	return BLOCKZ_OK;
}

static enum blockz_status decode(struct frame_blocks *blocks, const uint8_t *bytes, size_t len, struct blockz_fault *fault)
{
	enum blockz_status status = block_decoder_next(blocks->decoder, bytes, len, blocks->off, fault);
	if (status == BLOCKZ_OK)
		blocks->off += len;
	return status;
}

enum blockz_status frame_blocks_begin(struct frame_blocks *blocks, const struct blockz_source *file, uint64_t off,
				      uint64_t end, uint64_t window_max, struct blockz_fault *fault)
{
	const uint8_t *bytes = NULL;
	size_t len = (size_t)min(FRAME_HEADER_LEN_MAX, end - off);
	*blocks = (struct frame_blocks){ .file = file, .off = off, .end = end, .decoder = block_decoder_new() };
	if (blocks->decoder == NULL || !buffer_reserve(&blocks->bytes, READ_LEN))
		return fault_nomem(fault);
	enum blockz_status status = fetch(blocks, len, &bytes, fault);
	if (status == BLOCKZ_OK)
		status = frame_header_parse(bytes, len, off, &blocks->header, fault);
	if (status == BLOCKZ_OK)
		status = zstd_check_window(&blocks->header, window_max, off, fault);
	if (status != BLOCKZ_OK)
		return status;
	block_decoder_reset(blocks->decoder);
	return decode(blocks, bytes, blocks->header.len, fault);
}

enum blockz_status frame_blocks_next(struct frame_blocks *blocks, struct frame_block *block_ret,
				     struct blockz_fault *fault)
{
	struct frame_block block = { .off = blocks->off };
	enum blockz_status status = fetch(blocks, BLOCK_HEADER_LEN, &block.bytes, fault);
	if (status != BLOCKZ_OK)
		return status;
	struct block_header header = block_header_load(block.bytes);
	block.len = BLOCK_HEADER_LEN + (header.type == BLOCK_RLE ? 1 : header.size);
	block.last = header.last;
	status = block_header_check(&header, &blocks->header, block.off, fault);
	if (status == BLOCKZ_OK)
		status = fetch(blocks, block.len, &block.bytes, fault);
	if (status == BLOCKZ_OK)
		status = decode(blocks, block.bytes, block.len, fault);
	if (status == BLOCKZ_OK)
		*block_ret = block;
	return status;
}

enum blockz_status frame_blocks_finish(struct frame_blocks *blocks, struct blockz_fault *fault)
{
	const uint8_t *bytes = NULL;
	size_t len = blocks->header.checksum ? CHECKSUM_LEN : 0;
	enum blockz_status status = fetch(blocks, len, &bytes, fault);
	if (status == BLOCKZ_OK && len > 0)
		status = decode(blocks, bytes, len, fault);
	if (status == BLOCKZ_OK && (blocks->off != blocks->end || !blocks->decoder->ended))
		return fault_set(fault, BLOCKZ_DAMAGED, blocks->off, "a frame does not end where its piece does");
	return status;
}

void frame_blocks_end(struct frame_blocks *blocks)
{
	block_decoder_free(blocks->decoder);
	buffer_free(&blocks->bytes);
}
