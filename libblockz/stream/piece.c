/* SPDX-License-Identifier: BSD-3-Clause */
#include "stream/piece.h"

#include <inttypes.h>
#include <string.h>

#include "base/fault.h"
#include "check/crc.h"
#include "io/access.h"
#include "stream/zeros.h"

bool piece_reader_init(struct piece_reader *reader, const struct blockz_source *file, const struct blockz_map *map)
{
	*reader = (struct piece_reader){ .file = file, .map = map, .decoder = map->format->decoder_new() };
	return reader->decoder != NULL;
}

void piece_reader_free(struct piece_reader *reader)
{
	if (reader->map != NULL)
		reader->map->format->decoder_free(reader->decoder);
	buffer_free(&reader->in);
	buffer_free(&reader->zeros);
}

uint64_t piece_image_len(const struct blockz_map *map, size_t index)
{
	return map_piece_end(map, index) - map->pieces[index].start;
}

bool piece_is_long(const struct blockz_map *map, size_t index)
{
	const struct piece *piece = &map->pieces[index];
	return piece_image_len(map, index) / piece->units > PIECE_MEMORY_MAX ||
	       piece->file_len / piece->units > PIECE_MEMORY_MAX;
}

static enum blockz_status read_in(struct piece_reader *reader, uint64_t off, uint64_t len, struct blockz_fault *fault)
{
	if (!buffer_reserve(&reader->in, (size_t)len + DECODE_SLACK))
		return fault_nomem(fault);
	return read_file(reader->file, reader->in.bytes, (size_t)len, off, fault);
}

/* The CRC of a piece's decoded bytes, compared with the map's if it has one. */
static enum blockz_status check_crc(const struct piece_reader *reader, size_t index, const uint8_t *bytes,
				    uint32_t *crc_ret, struct blockz_fault *fault)
{
	const struct piece *piece = &reader->map->pieces[index];
	if (!piece->has_crc && crc_ret == NULL)
		return BLOCKZ_OK;
	uint32_t crc = crc32_update(0, bytes, (size_t)piece_image_len(reader->map, index));
	if (piece->has_crc && piece->crc != crc)
		return fault_set(fault, BLOCKZ_DAMAGED, piece->file_off,
				 "CRC-32 of the piece at image offset %" PRIu64 " is %08" PRIx32 ", expected %08" PRIx32,
				 piece->start, crc, piece->crc);
	if (crc_ret != NULL)
		*crc_ret = crc;
	return BLOCKZ_OK;
}

enum blockz_status piece_decode(struct piece_reader *reader, size_t index, uint8_t *out, uint32_t *crc_ret,
				struct blockz_fault *fault)
{
	const struct piece *piece = &reader->map->pieces[index];
	enum blockz_status status = read_in(reader, piece->file_off, piece->file_len, fault);
	if (status != BLOCKZ_OK)
		return status;
	const struct unit unit = { reader->in.bytes, (size_t)piece->file_len, piece->file_off, piece->ends_stream };
	status = reader->map->format->decode(reader->decoder, &unit, out, (size_t)piece_image_len(reader->map, index),
					     fault);
	return status == BLOCKZ_OK ? check_crc(reader, index, out, crc_ret, fault) : status;
}

/* Keeps the bytes of a unit, if it decodes to zeros, so that others are compared with it. */
static enum blockz_status learn_zeros(struct piece_reader *reader, const uint8_t *unit, size_t unit_len,
				      size_t image_len, uint64_t file_off, struct blockz_fault *fault)
{
	struct buffer in = { 0 }, out = { 0 };
	enum blockz_status status = BLOCKZ_OK;
	reader->zeros_len = 0;
	if (!buffer_reserve(&in, unit_len + DECODE_SLACK) || !buffer_reserve(&out, image_len + DECODE_SLACK) ||
	    !buffer_reserve(&reader->zeros, unit_len)) {
		status = fault_nomem(fault);
	} else {
		memcpy(in.bytes, unit, unit_len);
		memcpy(reader->zeros.bytes, unit, unit_len);
		const struct unit one = { in.bytes, unit_len, file_off, false };
		status = reader->map->format->decode(reader->decoder, &one, out.bytes, image_len, fault);
	}
	if (status == BLOCKZ_OK && !all_zeros(out.bytes, image_len))
		status = fault_set(fault, BLOCKZ_DAMAGED, file_off, "a piece that the index calls zero is not");
	if (status == BLOCKZ_OK)
		reader->zeros_len = unit_len;
	buffer_free(&in);
	buffer_free(&out);
	return status;
}

enum blockz_status piece_prove_zeros(struct piece_reader *reader, size_t index, uint64_t first, uint64_t count,
				     struct blockz_fault *fault)
{
	const struct piece *piece = &reader->map->pieces[index];
	size_t unit_len = (size_t)(piece->file_len / piece->units);
	size_t image_len = (size_t)(piece_image_len(reader->map, index) / piece->units);
	uint64_t batch = unit_len < RAW_PART_MAX ? RAW_PART_MAX / unit_len : 1;
	while (count > 0) {
		uint64_t part = count < batch ? count : batch, off = piece->file_off + first * unit_len;
		enum blockz_status status = read_in(reader, off, part * unit_len, fault);
		for (uint64_t i = 0; i < part && status == BLOCKZ_OK; i++) {
			const uint8_t *unit = reader->in.bytes + i * unit_len;
			if (reader->zeros_len == unit_len && memcmp(unit, reader->zeros.bytes, unit_len) == 0)
				continue;
			status = learn_zeros(reader, unit, unit_len, image_len, off + i * unit_len, fault);
		}
		if (status != BLOCKZ_OK)
			return status;
		first += part;
		count -= part;
	}
	return BLOCKZ_OK;
}

/* Reads the file bytes of [start, end) of a span, headers and all, and gathers the payload in out. */
static enum blockz_status read_span(struct piece_reader *reader, const struct span *span, uint64_t start,
				    uint64_t end, uint64_t *file_off_ret, uint8_t *out, struct blockz_fault *fault)
{
	uint64_t off = span_extent(span, start).file_off - span->header_len;
	uint64_t last = span_extent(span, end - 1).file_off + 1;
	enum blockz_status status = read_in(reader, off, last - off, fault);
	if (status != BLOCKZ_OK)
		return status;
	for (uint64_t pos = start; pos < end;) {
		struct blockz_extent extent = span_extent(span, pos);
		size_t len = (size_t)(extent.length < end - pos ? extent.length : end - pos);
		memcpy(out + (pos - start), reader->in.bytes + (extent.file_off - off), len);
		pos += len;
	}
	*file_off_ret = off;
	return BLOCKZ_OK;
}

enum blockz_status piece_read_raw(struct piece_reader *reader, uint64_t start, uint64_t end, uint8_t *out,
				  struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	while (start < end && status == BLOCKZ_OK) {
		const struct span *span = &reader->map->spans[map_find_span(reader->map, start)];
		uint64_t part_end = end < span->end ? end : span->end, off;
		status = read_span(reader, span, start, part_end, &off, out, fault);
		out += part_end - start;
		start = part_end;
	}
	return status;
}

enum blockz_status piece_read_raw_checked(struct piece_reader *reader, size_t index, uint8_t *out,
					  uint32_t *crc_ret, struct blockz_fault *fault)
{
	uint64_t start = reader->map->pieces[index].start, end = map_piece_end(reader->map, index), off;
	const struct span *span = &reader->map->spans[map_find_span(reader->map, start)];
	enum blockz_status status = read_span(reader, span, start, end, &off, out, fault);
	if (status == BLOCKZ_OK)
		status = reader->map->format->framing(span, start, end, reader->in.bytes, off, fault);
	return status == BLOCKZ_OK ? check_crc(reader, index, out, crc_ret, fault) : status;
}
