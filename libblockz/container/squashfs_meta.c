/* SPDX-License-Identifier: BSD-3-Clause */
/* Metadata blocks: two bytes of header, and up to 8 KiB of content when decoded. */
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/fault.h"
#include "container/decoded_length.h"
#include "container/squashfs.h"
#include "io/access.h"

/* Reads the header at off, and the bytes behind it to fs->in + META_HEADER_LEN. */
static enum blockz_status read_block(struct squashfs *fs, uint64_t off, uint64_t end, struct block *block,
				     struct blockz_fault *fault)
{
	if (off >= end || end - off <= META_HEADER_LEN)
		return fault_set(fault, BLOCKZ_DAMAGED, off, "a table ends at %" PRIu64 ", where a metadata block begins", end);
	size_t most = (size_t)min(end - off, META_HEADER_LEN + META_LEN_MAX);
	enum blockz_status status = read_file(fs->file, fs->in, most, off, fault);
	if (status != BLOCKZ_OK)
		return status;
	unsigned header = load_le16(fs->in), len = header & (META_STORED - 1u);
	if (len == 0 || len > most - META_HEADER_LEN)
		return fault_set(fault, BLOCKZ_DAMAGED, off, "a metadata block of %u bytes, expected 1 to %zu", len,
				 most - META_HEADER_LEN);
	block->file_off = off + META_HEADER_LEN;
	block->file_len = len;
	block->codec = (header & META_STORED) != 0 ? CODEC_STORED : (uint8_t)fs->super.codec;
	return BLOCKZ_OK;
}

/* Sets the plain length of a block that has just been read. */
static enum blockz_status find_plain_len(struct squashfs *fs, struct block *block, struct blockz_fault *fault)
{
	size_t len = block->file_len;
	enum blockz_status status = BLOCKZ_OK;
	if (block->codec != CODEC_STORED)
		status = decoded_length(block->codec, fs->in + META_HEADER_LEN, block->file_len, fs->out, META_LEN_MAX, &len,
				       fault);
	if (status == BLOCKZ_OK)
		block->plain_len = (uint32_t)len;
	return status;
}

enum blockz_status squashfs_meta_read(struct squashfs *fs, uint64_t off, uint64_t end, uint32_t plain_len, bool decode,
				      struct block *block_ret, struct blockz_fault *fault)
{
	struct block block = { .is_metadata = true, .plain_len = plain_len };
	enum blockz_status status = read_block(fs, off, end, &block, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (plain_len == 0)
		status = find_plain_len(fs, &block, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (block.plain_len == 0)
		return fault_set(fault, BLOCKZ_DAMAGED, block.file_off, "a metadata block that cannot be decoded");
	if (block.codec == CODEC_STORED && block.file_len != block.plain_len)
		return fault_set(fault, BLOCKZ_DAMAGED, off, "a stored metadata block of %" PRIu32 " bytes, expected %" PRIu32,
				 block.file_len, block.plain_len);
	if (decode)
		status = codec_decode(&fs->contexts, block.codec, fs->in + META_HEADER_LEN, block.file_len, fs->out,
				      block.plain_len, fault);
	if (status == BLOCKZ_DAMAGED)
		fault_set(fault, status, block.file_off, "a metadata block that cannot be decoded");
	if (status != BLOCKZ_OK)
		return status;
	status = block_set_add(&fs->blocks, &block, fault);
	if (status == BLOCKZ_OK)
		*block_ret = block;
	return status;
}

enum blockz_status squashfs_meta_walk(struct squashfs *fs, uint64_t start, uint64_t end, struct blockz_fault *fault)
{
	while (start < end) {
		struct block block;
		enum blockz_status status = squashfs_meta_read(fs, start, end, 0, false, &block, fault);
		if (status != BLOCKZ_OK)
			return status;
		start = block.file_off + block.file_len;
	}
	return BLOCKZ_OK;
}

enum blockz_status meta_stream_read(struct meta_stream *stream, void *buf, uint64_t len, struct blockz_fault *fault)
{
	uint8_t *to = buf;
	while (len > 0) {
		if (stream->pos == stream->len) {
			struct block block;
			enum blockz_status status =
				squashfs_meta_read(stream->fs, stream->off, stream->end, 0, true, &block, fault);
			if (status != BLOCKZ_OK)
				return status;
			stream->off = block.file_off + block.file_len;
			stream->pos = 0;
			stream->len = block.plain_len;
		}
		size_t part = (size_t)min(len, stream->len - stream->pos);
		if (to != NULL) {
			memcpy(to, stream->fs->out + stream->pos, part);
			to += part;
		}
		stream->pos += part;
		len -= part;
	}
	return BLOCKZ_OK;
}
