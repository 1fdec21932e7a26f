/* SPDX-License-Identifier: BSD-3-Clause */
/* What stands before a span is shown by the format; the pieces behind it are decoded alone. */
#include "edit/may_patch.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/checked.h"
#include "base/fault.h"

enum blockz_status may_patch_map(const struct blockz_map *map, struct blockz_fault *fault)
{
	if (map->index_fault.status != BLOCKZ_UNSUPPORTED)
		return BLOCKZ_OK;
	if (fault != NULL)
		*fault = map->index_fault;
	return BLOCKZ_UNSUPPORTED;
}

enum blockz_status may_patch_refuse(const struct blockz_map *map, uint64_t off, struct blockz_fault *fault)
{
	size_t index = map_find_span(map, off);
	if (index < map->span_count && map->spans[index].start <= off)
		return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN,
				 "image offset %" PRIu64 " is stored raw, but compressed data behind it depends on it", off);
	/* The nearest raw ranges, before and behind. */
	char where[128] = "nothing in this file is raw";
	struct blockz_map_range range;
	if (index < map->span_count && blockz_map_range_at(map, map->spans[index].start, &range))
		snprintf(where, sizeof(where), "the next raw range is %" PRIu64 "-%" PRIu64, range.start, range.end);
	else if (index > 0 && blockz_map_range_at(map, map->spans[index - 1].start, &range))
		snprintf(where, sizeof(where), "the last raw range is %" PRIu64 "-%" PRIu64, range.start, range.end);
	return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN, "image offset %" PRIu64 " is compressed; %s", off,
			 where);
}

/* As much as could still depend on what stands before a group. */
static bool count_reach(void *ctx, const uint8_t *bytes, size_t len)
{
	uint64_t *left = ctx;
	(void)bytes;
	*left -= min(*left, len);
	return *left > 0;
}

static enum blockz_status decode_reach(struct piece_reader *reader, size_t index, struct blockz_fault *fault)
{
	const struct blockz_map *map = reader->map;
	uint64_t left = map->format->reach;
	return piece_decode_long(reader, &map->pieces[index], piece_image_len(map, index), count_reach, &left, fault);
}

/* The decoded bytes behind a raw span cannot depend on it: the pieces there decode alone, and groups as far as that matters. */
static enum blockz_status check_behind(struct piece_reader *reader, uint64_t end, struct buffer *scratch,
				       struct blockz_fault *fault)
{
	const struct blockz_map *map = reader->map;
	enum blockz_status status = BLOCKZ_OK;
	for (uint64_t limit = min(map->image_size, end + map->format->reach); end < limit && status == BLOCKZ_OK;) {
		size_t index = map_find_piece(map, end);
		const struct piece *piece = &map->pieces[index];
		uint64_t len = piece_image_len(map, index) / piece->copies, copy = (end - piece->start) / len;
		if (piece->kind == BLOCKZ_ZERO)
			status = piece_prove_zeros(reader, index, copy, 1, fault);
		else if (piece->kind == BLOCKZ_RAW)
			status = piece_check_layout(reader, index, fault);
		else if (map_is_group(map, index))
			status = decode_reach(reader, index, fault);
		else if (!buffer_reserve(scratch, (size_t)len + DECODE_SLACK))
			status = fault_nomem(fault);
		else
			status = piece_decode(reader, piece, len, scratch->bytes, NULL, fault);
		end = piece->start + (copy + 1) * len;
	}
	return status;
}

/* Raw bytes end where their last block does; all else ends as the format has it. */
static enum blockz_status check_before(struct piece_reader *reader, uint64_t start, uint64_t file_off, struct blockz_fault *fault)
{
	const struct blockz_map *map = reader->map;
	size_t index = start > 0 ? map_find_piece(map, start - 1) : 0;
	if (start > 0 && map->pieces[index].kind == BLOCKZ_RAW)
		return piece_check_layout(reader, index, fault);
	return map->format->before(reader->file, map, file_off, fault);
}

enum blockz_status may_patch_around(struct piece_reader *reader, struct blockz_range range, uint64_t file_off,
				    struct buffer *scratch, struct blockz_fault *fault)
{
	if (reader->map->index == BLOCKZ_INDEX_NONE || reader->map->format->before == NULL)
		return BLOCKZ_OK;
	enum blockz_status status = check_before(reader, range.start, file_off, fault);
	return status == BLOCKZ_OK ? check_behind(reader, range.end, scratch, fault) : status;
}

enum blockz_status may_patch_span(struct piece_reader *reader, const struct span *span, struct buffer *scratch,
			      struct blockz_fault *fault)
{
	return may_patch_around(reader, (struct blockz_range){ span->start, span->end }, span->file_off, scratch, fault);
}
