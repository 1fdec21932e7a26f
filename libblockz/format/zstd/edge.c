/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The frame is decoded whole, since only its end has a checksum.  Files with a seek table, or with the lengths that pzstd keeps,
 * have frames that are short, and to which all of that would have to be told.
 */
#include "format/zstd/edge.h"

#include "base/bytes.h"
#include "base/fault.h"
#include "format/zstd/frame_blocks.h"
#include "format/zstd/seek_table.h"
#include "io/access.h"

/* How many bytes of a header are its content size, by its descriptor. */
static size_t size_len(uint8_t descriptor)
{
	static const size_t lens[] = { 0, 2, 4, 8 };
	size_t len = lens[descriptor >> FHD_CONTENT_SIZE_SHIFT];
	return len == 0 && (descriptor & FHD_SINGLE_SEGMENT) != 0 ? 1 : len;
}

static enum blockz_status read_descriptor(const struct blockz_source *file, const struct piece *piece, uint8_t *descriptor_ret,
					  struct blockz_fault *fault)
{
	return read_file(file, descriptor_ret, 1, piece->file_off + MAGIC_LEN, fault);
}

/* *alone_ret: nothing else in the file tells how long the frame is. */
static enum blockz_status is_alone(const struct blockz_source *file, const struct blockz_map *map, size_t index, bool *alone_ret,
				   struct blockz_fault *fault)
{
	const struct piece *piece = &map->pieces[index];
	uint8_t footer[SEEK_FOOTER_LEN] = { 0 }, descriptor = 0;
	enum blockz_status status = read_file(file, footer, sizeof(footer), file->size - sizeof(footer), fault);
	if (status == BLOCKZ_OK)
		status = read_descriptor(file, piece, &descriptor, fault);
	size_t len = size_len(descriptor);
	*alone_ret = load_le32(footer + 5) != SEEKABLE_MAGIC && !piece->has_crc && (len == 0 || len >= 4) &&
		     piece->file_off == map_file_end(map, piece->start);
	return status;
}

/* Decodes all blocks; the sum is that of what stands before the edge. */
static enum blockz_status pass_blocks(struct frame_blocks *blocks, uint64_t limit, struct piece_edge *edge, struct check_sum *sum,
				      struct blockz_fault *fault)
{
	struct frame_block block = { .last = false };
	enum blockz_status status = BLOCKZ_OK;
	bool before = true;
	while (status == BLOCKZ_OK && !block.last) {
		status = frame_blocks_next(blocks, &block, fault);
		before = before && status == BLOCKZ_OK && blocks->decoder->len <= limit - edge->off;
		if (!before)
			continue;
		check_sum_update(sum, blocks->decoder->text, blocks->decoder->len);
		edge->off += blocks->decoder->len;
		edge->file_off = block.off + block.len;
		edge->last_off = block.off;
	}
	return status == BLOCKZ_OK ? frame_blocks_finish(blocks, fault) : status;
}

enum blockz_status zstd_find_edge(const struct blockz_source *file, const struct blockz_map *map, size_t index, uint64_t limit,
				  struct piece_edge *edge_ret, struct blockz_fault *fault)
{
	const struct piece *piece = &map->pieces[index];
	struct piece_edge edge = { .off = piece->start, .file_off = piece->file_off };
	struct frame_blocks blocks = { 0 };
	struct check_sum sum;
	bool alone = false;
	*edge_ret = edge;
	enum blockz_status status = is_alone(file, map, index, &alone, fault);
	if (status != BLOCKZ_OK || !alone)
		return status;
	if (!check_sum_start(&sum, CHECK_XXH64_LOW32))
		return fault_nomem(fault);
	status = frame_blocks_begin(&blocks, file, piece->file_off, piece->file_off + piece->file_len, map->window_max, fault);
	if (status == BLOCKZ_OK)
		status = pass_blocks(&blocks, limit, &edge, &sum, fault);
	check_sum_finish(&sum, edge.check);
	frame_blocks_end(&blocks);
	if (status == BLOCKZ_OK)
		*edge_ret = edge;
	return status;
}

enum blockz_status zstd_end_early(const struct renewal *renewal, struct blockz_fault *fault)
{
	const struct piece_edge *edge = renewal->end->edge;
	const struct piece *piece = &renewal->map->pieces[map_find_piece(renewal->map, edge->off)];
	uint8_t bytes[FRAME_HEADER_LEN_MAX] = { 0 }, last = 0;
	struct frame_header header;
	enum blockz_status status = read_file(renewal->file, &last, 1, edge->last_off, fault);
	last |= 1;
	if (status == BLOCKZ_OK)
		status = renewal->replace(renewal->ctx, (struct blockz_range){ edge->last_off, edge->last_off + 1 }, &last, 1, fault);
	if (status == BLOCKZ_OK)
		status = read_file(renewal->file, bytes, sizeof(bytes), piece->file_off, fault);
	if (status == BLOCKZ_OK)
		status = frame_header_parse(bytes, sizeof(bytes), piece->file_off, &header, fault);
	if (status != BLOCKZ_OK || header.content_size == BLOCKZ_UNKNOWN)
		return status;
	const size_t len = size_len(bytes[MAGIC_LEN]);
	const uint64_t end = piece->file_off + header.len;
	store_le64(bytes, edge->off - piece->start);
	return renewal->replace(renewal->ctx, (struct blockz_range){ end - len, end }, bytes, len, fault);
}
