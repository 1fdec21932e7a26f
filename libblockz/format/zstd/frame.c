/* SPDX-License-Identifier: BSD-3-Clause */
/* Headers of frames and blocks, and the frames of raw blocks that blockz writes. */
#include "format/zstd/frame.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fault.h"

static uint64_t load_content_size(const uint8_t *bytes, size_t len)
{
	switch (len) {
	case 1:
		return bytes[0];
	case 2:
		return (uint64_t)load_le16(bytes) + 256;
	case 4:
		return load_le32(bytes);
	case 8:
		return load_le64(bytes);
	default:
		return BLOCKZ_UNKNOWN;
	}
}

static uint64_t load_window(uint8_t descriptor)
{
	uint64_t base = (uint64_t)1 << (WINDOW_LOG_MIN + (descriptor >> 3));
	return base + base / 8 * (descriptor & 7);
}

enum blockz_status frame_header_parse(const uint8_t *bytes, size_t len, uint64_t file_off,
				      struct frame_header *header_ret, struct blockz_fault *fault)
{
	static const uint8_t content_lens[] = { 0, 2, 4, 8 }, dictionary_lens[] = { 0, 1, 2, 4 };
	if (len < MAGIC_LEN + 1 || load_le32(bytes) != FRAME_MAGIC)
		return fault_set(fault, BLOCKZ_DAMAGED, file_off, "expected a zstd frame");
	uint8_t descriptor = bytes[MAGIC_LEN];
	bool single = descriptor & FHD_SINGLE_SEGMENT;
	size_t content_len = content_lens[descriptor >> FHD_CONTENT_SIZE_SHIFT];
	size_t dictionary_len = dictionary_lens[descriptor & FHD_DICTIONARY_MASK];
	if (single && content_len == 0)
		content_len = 1;
	struct frame_header header = { .checksum = descriptor & FHD_CHECKSUM };
	size_t pos = MAGIC_LEN + 1;
	header.len = pos + !single + dictionary_len + content_len;
	if (len < header.len)
		return fault_set(fault, BLOCKZ_DAMAGED, file_off + len, "file ends within a zstd frame header");
	if (descriptor & FHD_RESERVED)
		return fault_set(fault, BLOCKZ_UNSUPPORTED, file_off + MAGIC_LEN, "a reserved bit of a frame header is set");
	if (!single)
		header.window = load_window(bytes[pos++]);
	for (size_t i = 0; i < dictionary_len; i++)
		if (bytes[pos + i] != 0)
			return fault_set(fault, BLOCKZ_UNSUPPORTED, file_off + pos, "a frame that needs a dictionary");
	pos += dictionary_len;
	header.content_size = load_content_size(bytes + pos, content_len);
	if (single)
		header.window = header.content_size;
	*header_ret = header;
	return BLOCKZ_OK;
}

struct block_header block_header_load(const uint8_t bytes[BLOCK_HEADER_LEN])
{
	uint32_t value = load_le16(bytes) | (uint32_t)bytes[2] << 16;
	return (struct block_header){ value & 1, (enum block_type)(value >> 1 & 3), value >> 3 };
}

enum blockz_status block_header_check(const struct block_header *block, const struct frame_header *header,
				      uint64_t file_off, struct blockz_fault *fault)
{
	uint64_t most = header->window < BLOCK_MAX ? header->window : BLOCK_MAX;
	if (block->type == BLOCK_RESERVED || block->size > most)
		return fault_set(fault, BLOCKZ_DAMAGED, file_off,
				 "block of type %d with %" PRIu32 " bytes, at most %" PRIu64 " are allowed", (int)block->type,
				 block->size, most);
	return BLOCKZ_OK;
}

enum blockz_status frame_walk(const uint8_t *bytes, size_t len, uint64_t file_off, struct frame_header *header_ret,
			      struct blockz_fault *fault)
{
	struct block_header block = { .last = false };
	enum blockz_status status = frame_header_parse(bytes, len, file_off, header_ret, fault);
	if (status != BLOCKZ_OK)
		return status;
	size_t pos = header_ret->len;
	while (!block.last && len - pos >= BLOCK_HEADER_LEN) {
		block = block_header_load(bytes + pos);
		status = block_header_check(&block, header_ret, file_off + pos, fault);
		if (status != BLOCKZ_OK)
			return status;
		size_t size = block.type == BLOCK_RLE ? 1 : block.size;
		if (size > len - pos - BLOCK_HEADER_LEN)
			break;
		pos += BLOCK_HEADER_LEN + size;
	}
	if (!block.last || len - pos != (header_ret->checksum ? CHECKSUM_LEN : 0))
		return fault_set(fault, BLOCKZ_DAMAGED, file_off + pos, "a frame does not end where its piece does");
	return BLOCKZ_OK;
}

void block_header_store(uint8_t bytes[BLOCK_HEADER_LEN], const struct block_header *header)
{
	uint32_t value = (uint32_t)header->last | (uint32_t)header->type << 1 | header->size << 3;
	store_le16(bytes, (uint16_t)value);
	bytes[2] = (uint8_t)(value >> 16);
}

uint64_t raw_block_end(uint64_t pos, uint64_t end)
{
	uint64_t edge = pos - pos % RAW_PAYLOAD + RAW_PAYLOAD;
	return edge < end ? edge : end;
}

uint64_t raw_frame_len(uint64_t start, uint64_t end, bool checksum)
{
	uint64_t blocks = (end - 1) / RAW_PAYLOAD - start / RAW_PAYLOAD + 1;
	return RAW_HEADER_LEN + blocks * BLOCK_HEADER_LEN + (end - start) + (checksum ? CHECKSUM_LEN : 0);
}

void raw_frame_header(uint8_t bytes[RAW_HEADER_LEN], uint64_t content_size, bool checksum)
{
	store_le32(bytes, FRAME_MAGIC);
	bytes[4] = RAW_DESCRIPTOR | (checksum ? FHD_CHECKSUM : 0);
	bytes[5] = RAW_WINDOW_DESCRIPTOR;
	store_le32(bytes + 6, (uint32_t)content_size);
}

bool is_raw_frame_header(const uint8_t *bytes, const struct frame_header *header)
{
	uint8_t ours[RAW_HEADER_LEN];
	raw_frame_header(ours, header->content_size, header->checksum);
	return header->len == sizeof(ours) && memcmp(bytes, ours, sizeof(ours)) == 0;
}

bool looks_zero(struct zero_sums *sums, uint64_t file_len, uint64_t image_len, uint32_t checksum, bool *yes_ret)
{
	uint8_t field[CHECKSUM_LEN];
	*yes_ret = false;
	/* Raw blocks, of zeros or not, take more than they hold. */
	if (file_len > image_len / 1024 + 64 || file_len >= image_len)
		return true;
	store_le32(field, checksum);
	return check_is_of_zeros(sums, CHECK_XXH64_LOW32, image_len, field, yes_ret);
}
