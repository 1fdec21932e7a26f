/* SPDX-License-Identifier: BSD-3-Clause */
/* What is looked at before raw bytes of an .xz file are changed. */
#include "format/xz/patch.h"

#include <string.h>

#include "base/fault.h"
#include "base/plural.h"
#include "format/xz/block.h"

enum blockz_status xz_layout(const struct blockz_map *map, size_t index, const uint8_t *bytes,
			     struct blockz_fault *fault)
{
	const struct piece *piece = &map->pieces[index];
	uint64_t start = piece->start, end = map_piece_end(map, index);
	uint64_t off = map->spans[map_find_span(map, start)].file_off - piece->file_off;
	uint64_t check_off = piece->file_len - check_methods[piece->method].len;
	for (uint64_t pos = start, chunk_end; pos < end; pos = chunk_end) {
		const uint8_t *header = bytes + off;
		chunk_end = raw_chunk_end(pos, end);
		size_t len = (size_t)(chunk_end - pos);
		/* Others than the first may reset the dictionary too. */
		bool raw = header[0] == CHUNK_RAW_RESET || (header[0] == CHUNK_RAW && pos > start);
		if (!raw || header[1] != (uint8_t)((len - 1) >> 8) || header[2] != (uint8_t)(len - 1))
			return fault_set(fault, BLOCKZ_DAMAGED, piece->file_off + off,
					 "expected the header of a raw LZMA2 chunk of %zu byte%s, found %02x %02x %02x", len,
					 plural(len),
					 header[0], header[1], header[2]);
		off += CHUNK_RAW_HEADER_LEN + len;
	}
	/* The end of the chunks, and Block Padding. */
	for (; off < check_off; off++)
		if (bytes[off] != 0)
			return fault_set(fault, BLOCKZ_DAMAGED, piece->file_off + off, "expected zeros up to a Block's Check");
	return BLOCKZ_OK;
}
