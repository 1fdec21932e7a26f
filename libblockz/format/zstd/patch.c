/* SPDX-License-Identifier: BSD-3-Clause */
/* What is looked at before raw bytes of a .zst file are changed. */
#include "format/zstd/patch.h"

#include <string.h>

#include "base/fault.h"
#include "base/plural.h"
#include "format/zstd/frame.h"

enum blockz_status zstd_layout(const struct blockz_map *map, size_t index, const uint8_t *bytes,
			       struct blockz_fault *fault)
{
	const struct piece *piece = &map->pieces[index];
	uint64_t end = map_piece_end(map, index), off = RAW_HEADER_LEN;
	bool checksum = piece->method != CHECK_NONE && !piece->has_crc; /* that would stand in the seek table alone */
	uint8_t header[RAW_HEADER_LEN];
	raw_frame_header(header, end - piece->start, checksum);
	if (piece->file_len != raw_frame_len(piece->start, end, checksum) || memcmp(bytes, header, sizeof(header)) != 0)
		return fault_set(fault, BLOCKZ_DAMAGED, piece->file_off, "expected the header of a frame of raw blocks");
	for (uint64_t pos = piece->start, block_end; pos < end; pos = block_end) {
		struct block_header block = block_header_load(bytes + off);
		block_end = raw_block_end(pos, end);
		if (block.type != BLOCK_RAW || block.size != block_end - pos || block.last != (block_end == end))
			return fault_set(fault, BLOCKZ_DAMAGED, piece->file_off + off,
					 "expected the header of a raw block of %u bytes, found type %d, %u bytes",
					 (unsigned)(block_end - pos), (int)block.type, (unsigned)block.size);
		off += BLOCK_HEADER_LEN + block.size;
	}
	return BLOCKZ_OK;
}
