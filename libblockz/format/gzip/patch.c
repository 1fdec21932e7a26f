/* SPDX-License-Identifier: BSD-3-Clause */
/* What is looked at before raw bytes of a gzip file are changed. */
#include "format/gzip/patch.h"

#include "base/bytes.h"
#include "base/fault.h"
#include "base/plural.h"
#include "format/deflate/layout.h"
#include "io/access.h"

enum blockz_status gzip_layout(const struct blockz_map *map, size_t piece, const uint8_t *bytes,
			       struct blockz_fault *fault)
{
	uint64_t start = map->pieces[piece].start, end = map_piece_end(map, piece);
	uint64_t file_off = map->pieces[piece].file_off;
	const struct span *span = &map->spans[map_find_span(map, start)];
	while (start < end) {
		struct blockz_extent extent = span_extent(span, start);
		size_t len = (size_t)(extent.length < end - start ? extent.length : end - start);
		uint64_t header_off = extent.file_off - STORED_HEADER_LEN;
		const uint8_t *header = bytes + (header_off - file_off);
		if (header[0] != 0 || load_le16(header + 1) != len || load_le16(header + 3) != (uint16_t)~len)
			return fault_set(fault, BLOCKZ_DAMAGED, header_off,
					 "expected the header of a stored block of %zu byte%s, found %02x %02x %02x %02x %02x",
					 len, plural(len), header[0], header[1], header[2], header[3], header[4]);
		start += len;
	}
	return BLOCKZ_OK;
}

enum blockz_status gzip_before(const struct blockz_source *file, const struct blockz_map *map, uint64_t file_off,
			       struct blockz_fault *fault)
{
	if (file_off == map->pieces[0].file_off)
		return BLOCKZ_OK; /* nothing stands before it */
	static const uint8_t mark[FLUSH_MARK_LEN] = { 0x00, 0x00, 0xff, 0xff };
	uint8_t bytes[FLUSH_MARK_LEN];
	enum blockz_status status = read_file(file, bytes, sizeof(bytes), file_off - sizeof(bytes), fault);
	if (status == BLOCKZ_OK && memcmp(bytes, mark, sizeof(mark)) != 0)
		return fault_set(fault, BLOCKZ_DAMAGED, file_off - sizeof(bytes),
				 "expected the flush mark 00 00 ff ff before what is to change, found %02x %02x %02x %02x",
				 bytes[0], bytes[1], bytes[2], bytes[3]);
	return status;
}
