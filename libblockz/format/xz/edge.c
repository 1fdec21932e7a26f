/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Chunks are walked by their headers, and the Block is then decoded whole, since only its end has the Check.  Behind a filter the
 * text does not end where chunks do.
 */
#include "format/xz/edge.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fault.h"
#include "format/xz/block.h"
#include "format/xz/chunks.h"
#include "format/xz/cursor.h"
#include "format/xz/index.h"
#include "io/access.h"

static enum blockz_status parse_header(const struct blockz_source *file, const struct piece *piece, struct xz_block *block,
				       struct blockz_fault *fault)
{
	uint8_t bytes[BLOCK_HEADER_LEN_MAX];
	const size_t len = (size_t)min(piece->file_len, sizeof(bytes));
	enum blockz_status status = read_file(file, bytes, len, piece->file_off, fault);
	return status == BLOCKZ_OK ? xz_block_parse(bytes, len, piece->method, piece->file_off, block, fault) : status;
}

static enum blockz_status walk_chunks(const struct blockz_source *file, const struct piece *piece, uint64_t limit,
				      struct piece_edge *edge, struct blockz_fault *fault)
{
	struct peek *peek = calloc(1, sizeof(*peek));
	if (peek == NULL)
		return fault_nomem(fault);
	peek->file = file;
	enum blockz_status status = BLOCKZ_OK;
	for (const uint64_t end = piece->file_off + piece->file_len; edge->file_off < end && status == BLOCKZ_OK;) {
		uint8_t header[CHUNK_LZMA_HEADER_LEN] = { 0 };
		const uint8_t *bytes = NULL;
		struct xz_chunk chunk;
		size_t len = 0;
		status = peek_some(peek, edge->file_off, sizeof(header), &bytes, &len, fault);
		memcpy(header, bytes, status == BLOCKZ_OK ? min(len, sizeof(header)) : 0);
		xz_chunk_parse(header, &chunk);
		if (status != BLOCKZ_OK || chunk.control == CHUNK_END || chunk.image_len > limit - edge->off)
			break;
		edge->off += chunk.image_len;
		edge->file_off += chunk.header_len + chunk.payload_len;
	}
	free(peek);
	return status;
}

/* Sums up what stands before the edge, and goes on to the Check. */
static enum blockz_status sum_up(void *cursor, const struct piece *piece, uint64_t image_len, uint64_t left, struct check_sum *sum,
				 struct blockz_fault *fault)
{
	const uint8_t *bytes = NULL;
	size_t len = 1;
	enum blockz_status status = xz_cursor_start(cursor, piece, image_len, fault);
	while (status == BLOCKZ_OK && len > 0) {
		status = xz_cursor_next(cursor, &bytes, &len, fault);
		const size_t part = status == BLOCKZ_OK ? (size_t)min(len, left) : 0;
		check_sum_update(sum, bytes, part);
		left -= part;
	}
	return status;
}

static enum blockz_status verify(const struct blockz_source *file, const struct blockz_map *map, size_t index,
				 struct piece_edge *edge, struct blockz_fault *fault)
{
	const struct piece *piece = &map->pieces[index];
	struct check_sum sum;
	void *cursor = xz_cursor_new(file, map->window_max);
	if (cursor == NULL || !check_sum_start(&sum, piece->method)) {
		xz_cursor_free(cursor);
		return fault_nomem(fault);
	}
	enum blockz_status status = sum_up(cursor, piece, map_piece_end(map, index) - piece->start, edge->off - piece->start, &sum, fault);
	check_sum_finish(&sum, edge->check);
	xz_cursor_free(cursor);
	return status;
}

enum blockz_status xz_find_edge(const struct blockz_source *file, const struct blockz_map *map, size_t index, uint64_t limit,
				struct piece_edge *edge_ret, struct blockz_fault *fault)
{
	const struct piece *piece = &map->pieces[index];
	struct piece_edge edge = { .off = piece->start };
	struct xz_block block;
	enum blockz_status status = parse_header(file, piece, &block, fault);
	if (status != BLOCKZ_OK)
		return status;
	const bool is_plain = block.lzma2_only;
	edge.file_off = piece->file_off + block.block.header_size;
	xz_block_free(&block);
	if (is_plain)
		status = walk_chunks(file, piece, limit, &edge, fault);
	if (status == BLOCKZ_OK && edge.off > piece->start)
		status = verify(file, map, index, &edge, fault);
	if (status == BLOCKZ_OK)
		*edge_ret = edge;
	return status;
}

void xz_end_block(const struct blockz_map *map, const struct piece_edge *edge, struct file_cut *cut, uint64_t *unpadded_len_ret)
{
	const struct piece *piece = &map->pieces[map_find_piece(map, edge->off)];
	const size_t field_len = check_methods[piece->method].len;
	const uint64_t unpadded_len = edge->file_off - piece->file_off + CHUNK_END_LEN + field_len;
	cut->off = edge->file_off;
	cut->lead_len = (size_t)(xz_padded(unpadded_len) - (edge->file_off - piece->file_off));
	memset(cut->lead, 0, sizeof(cut->lead)); /* CHUNK_END, and padding */
	memcpy(cut->lead + cut->lead_len - field_len, edge->check, field_len);
	*unpadded_len_ret = unpadded_len;
}

enum blockz_status xz_end_early(const struct renewal *renewal, struct blockz_fault *fault)
{
	const struct piece_edge *edge = renewal->end->edge;
	const struct piece *piece = &renewal->map->pieces[map_find_piece(renewal->map, edge->off)];
	uint8_t bytes[BLOCK_HEADER_LEN_MAX];
	struct xz_block block;
	enum blockz_status status = parse_header(renewal->file, piece, &block, fault);
	if (status != BLOCKZ_OK)
		return status;
	const uint64_t start = piece->file_off;
	const uint32_t len = block.block.header_size;
	if (block.block.compressed_size != LZMA_VLI_UNKNOWN)
		block.block.compressed_size = edge->file_off + CHUNK_END_LEN - start - len;
	if (block.block.uncompressed_size != LZMA_VLI_UNKNOWN)
		block.block.uncompressed_size = edge->off - piece->start;
	lzma_ret result = lzma_block_header_encode(&block.block, bytes);
	xz_block_free(&block);
	if (result != LZMA_OK)
		return fault_set(fault, BLOCKZ_FAILED, start, "liblzma: error %d while making a Block Header", (int)result);
	return renewal->replace(renewal->ctx, (struct blockz_range){ start, start + len }, bytes, len, fault);
}
