/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The member in which an image ends gets its trailer anew: the new CRC-32 comes of the old one by what is left out and what
 * follows, and of no byte of what stays.
 *
 * Other programs end a stream with any block.  Pieces can follow it once its bit BFINAL is cleared, and an empty stored block has
 * brought it to the edge of a byte.
 */
#include "format/gzip/ending.h"

#include <string.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "check/crc.h"
#include "format/deflate/layout.h"
#include "format/deflate/walk.h"
#include "format/gzip/head.h"
#include "format/gzip/renew_heads.h"
#include "io/access.h"

/* ---- Where the file is cut ---- */

/* A byte of the piece that new ones take the place of, or behind which they, or the end, come. */
static uint64_t host_off(const struct blockz_map *map, uint64_t kept, bool continues)
{
	return kept == 0 || (continues && kept < map->image_size) ? kept : kept - 1;
}

const struct check *gzip_end_trailer(const struct blockz_map *map, uint64_t kept, bool continues)
{
	return map->piece_count > 0 ? gzip_trailer_over(map, host_off(map, kept, continues)) : NULL;
}

static enum blockz_status find_final(const struct blockz_source *file, const struct piece *piece, struct walk_block *block,
				     struct blockz_fault *fault)
{
	struct walker *walker = NULL;
	enum blockz_status status = walker_new(&walker, fault);
	if (status != BLOCKZ_OK)
		return status;
	*block = (struct walk_block){ 0 };
	walker_reset_source(walker, file, piece->file_off, piece->file_off + piece->file_len);
	while (status == BLOCKZ_OK && !block->final)
		status = walker_next(walker, block, NULL, fault);
	walker_free(walker);
	return status;
}

/* The bits of the last byte of a stream that are blocks, and behind them an empty stored block. */
static void put_mark(struct file_cut *cut, uint8_t byte, unsigned bits)
{
	static const uint8_t mark[FLUSH_MARK_LEN] = { 0x00, 0x00, 0xff, 0xff };
	uint8_t *p = cut->lead;
	if (bits > 0)
		*p++ = (uint8_t)(byte & ((1u << bits) - 1));
	if (bits == 0 || bits > 5) /* the three bits of its header do not fit */
		*p++ = 0;
	memcpy(p, mark, sizeof(mark));
	cut->lead_len = (size_t)(p - cut->lead) + sizeof(mark);
}

/* Has pieces follow what has been the end of a stream. */
static enum blockz_status open_end(const struct blockz_source *file, const struct piece *piece, struct file_cut *cut,
				   struct blockz_fault *fault)
{
	struct walk_block final;
	uint8_t first = 0, last = 0;
	enum blockz_status status = find_final(file, piece, &final, fault);
	if (status != BLOCKZ_OK)
		return status;
	const uint64_t header_off = piece->file_off + final.header_bit / 8;
	const unsigned header_bit = final.header_bit % 8, bits = final.end_bit % 8;
	if (header_bit == 0 && final.out_start == final.out_end && final.header_bit > 0) { /* an end alone: it is left out */
		cut->off = header_off;
		return BLOCKZ_OK;
	}
	cut->off = piece->file_off + final.end_bit / 8;
	status = read_file(file, &first, 1, header_off, fault);
	if (status == BLOCKZ_OK && bits > 0)
		status = read_file(file, &last, 1, cut->off, fault);
	first &= (uint8_t)~(1u << header_bit);
	if (header_off == cut->off) {
		last = first;
	} else {
		cut->open_off = header_off;
		cut->open_byte = first;
	}
	put_mark(cut, last, bits);
	return status;
}

/* Of an image of no bytes the first member goes on. */
static enum blockz_status cut_empty(const struct blockz_source *file, struct file_cut *cut, struct blockz_fault *fault)
{
	struct gzip_head head;
	enum blockz_status status = gzip_head_read(file, 0, &head, fault);
	cut->off = head.body_off;
	return status;
}

/* New pieces follow all others. */
static enum blockz_status cut_end(const struct blockz_source *file, const struct blockz_map *map, bool is_open,
				  struct file_cut *cut, struct blockz_fault *fault)
{
	const struct piece *last = &map->pieces[map->piece_count - 1];
	cut->off = map_file_end(map, map->image_size);
	return last->ends_stream && !is_open ? open_end(file, last, cut, fault) : BLOCKZ_OK;
}

/* The last block that stays is followed by an empty one. */
static enum blockz_status cut_inside(const struct blockz_source *file, const struct piece_edge *edge, struct file_cut *cut,
				     struct blockz_fault *fault)
{
	uint8_t byte = 0;
	enum blockz_status status = edge->bits > 0 ? read_file(file, &byte, 1, edge->file_off, fault) : BLOCKZ_OK;
	cut->off = edge->file_off;
	put_mark(cut, byte, edge->bits);
	return status;
}

/* Some are left out, as members behind that in which the image ends are. */
static enum blockz_status cut_off(const struct blockz_source *file, const struct blockz_map *map, const struct ending *ending,
				  struct file_cut *cut, struct blockz_fault *fault)
{
	const uint64_t kept = ending->kept;
	const struct check *trailer = gzip_end_trailer(map, kept, ending->continues);
	if (trailer == NULL)
		return fault_set(fault, BLOCKZ_FAILED, BLOCKZ_UNKNOWN, "a piece of no gzip member");
	cut->covered = trailer->end;
	if (ending->edge != NULL)
		return cut_inside(file, ending->edge, cut, fault);
	if (trailer->end == kept)
		cut->off = trailer->field_off + GZIP_TRAILER_LEN;
	else
		cut->off = kept == 0 || ending->continues ? map_file_off(map, kept) : map_file_end(map, kept);
	return BLOCKZ_OK;
}

/* Of the index by which the map was made. */
static enum blockz_status read_piece_size(const struct blockz_source *file, uint64_t *size_ret, struct blockz_fault *fault)
{
	uint8_t log = 0;
	enum blockz_status status = gzip_index_byte(file, INDEX_PIECE_LOG_OFF, &log, fault);
	if (status == BLOCKZ_OK && (log < INDEX_PIECE_LOG_MIN || log > INDEX_PIECE_LOG_MAX))
		return fault_set(fault, BLOCKZ_DAMAGED, BLOCKZ_UNKNOWN, "the index is no longer the one that was read");
	*size_ret = (uint64_t)1 << log;
	return status;
}

enum blockz_status gzip_cut(const struct blockz_source *file, const struct blockz_map *map, const struct ending *ending,
			    struct file_cut *cut_ret, struct blockz_fault *fault)
{
	struct file_cut cut = { .end = map->end_off, .covered = ending->kept, .method = CHECK_CRC32 };
	enum blockz_status status;
	if (map->piece_count == 0)
		status = cut_empty(file, &cut, fault);
	else if (ending->kept == map->image_size)
		status = cut_end(file, map, ending->is_open, &cut, fault);
	else
		status = cut_off(file, map, ending, &cut, fault);
	if (status == BLOCKZ_OK && map->index == BLOCKZ_INDEX_HEADER)
		status = read_piece_size(file, &cut.piece_size, fault);
	if (status == BLOCKZ_OK)
		*cut_ret = cut;
	return status;
}

/* ---- What stands behind the last piece ---- */

static uint32_t crc_with(uint32_t crc, const struct new_end *end)
{
	for (size_t i = 0; i < end->count; i++) {
		const struct written_piece *piece = &end->pieces[i];
		uint64_t len = piece->end - piece->start;
		uint64_t own = piece->kind == BLOCKZ_ZERO ? crc_zeros(&crc32_poly, len) : piece->tag;
		crc = crc32_join(crc, (uint32_t)own, len);
	}
	return crc;
}

enum blockz_status gzip_end_make(const struct renewal *renewal, struct gzip_end *end_ret, struct blockz_fault *fault)
{
	static const uint8_t stream_end[END_LEN] = { 0x03, 0x00 };
	const struct new_end *end = renewal->end;
	const struct check *trailer = gzip_end_trailer(renewal->map, end->kept, end->count > 0);
	uint8_t field[4] = { 0 };
	end_ret->len = 0;
	if (trailer != NULL && trailer->end == end->kept && end->count == 0)
		return BLOCKZ_OK;
	enum blockz_status status =
		trailer != NULL ? read_file(renewal->file, field, sizeof(field), trailer->field_off, fault) : BLOCKZ_OK;
	uint32_t crc = crc32_without(load_le32(field), end->dropped_crc, end->cut->covered - end->kept);
	memcpy(end_ret->bytes, stream_end, sizeof(stream_end));
	store_le32(end_ret->bytes + END_LEN, crc_with(crc, end));
	store_le32(end_ret->bytes + END_LEN + 4, (uint32_t)(end->image_size - (trailer != NULL ? trailer->start : 0)));
	end_ret->len = END_LEN + GZIP_TRAILER_LEN;
	return status;
}
