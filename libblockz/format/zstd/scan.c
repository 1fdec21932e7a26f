/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Walking frames and blocks by their headers: payload is passed over, not read.
 *
 * A raw block's bytes can be changed when no compressed block stands behind it in its frame: only those refer back, and
 * frames start afresh.  So what counts is the tail of a frame behind its last compressed block, and where that lies in the
 * image follows from the frame's content size, since the blocks in it tell their own.
 */
#include "format/zstd/scan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/checked.h"
#include "base/fault.h"
#include "base/plural.h"
#include "format/zstd/read.h"
#include "format/zstd/cursor.h"
#include "format/zstd/frame.h"
#include "format/zstd/frame_size.h"
#include "format/zstd/index.h"
#include "io/peek.h"

/* A raw block in the tail of a frame. */
struct raw_block {
	uint64_t rel, file_off; /* rel: offset in the tail */
	uint32_t len;
};

struct scan {
	const struct blockz_source *file;
	struct blockz_map *map;
	struct peek peek;
	uint64_t image_pos;
	struct zero_sums zero_sums;
	void *cursor;        /* NULL until one is needed */
	bool ends_skippable; /* the frame passed last is one that decoders pass over */
	/* The frame being walked. */
	uint64_t frame_off, pos;
	struct frame_header header;
	bool compressed; /* a compressed block was seen */
	bool ours;       /* its header and all blocks so far are as blockz lays them out */
	uint64_t tail_len;
	struct raw_block *raws;
	size_t raw_count, run_first;
	uint64_t run_len;
};

/* ---- Blocks */

static void end_run(struct scan *scan)
{
	if (scan->run_len < RAW_RUN_MIN)
		scan->raw_count = scan->run_first;
	scan->run_first = scan->raw_count;
	scan->run_len = 0;
}

static enum blockz_status add_raw_block(struct scan *scan, uint32_t len, struct blockz_fault *fault)
{
	if (scan->raw_count >= MAP_ITEMS_MAX)
		return fault_set(fault, BLOCKZ_LIMIT, scan->pos, "more than %d raw blocks in one frame", MAP_ITEMS_MAX);
	struct raw_block *room = array_room(scan->raws, scan->raw_count, sizeof(*room));
	if (room == NULL)
		return fault_nomem(fault);
	scan->raws = room;
	scan->raws[scan->raw_count++] = (struct raw_block){ scan->tail_len, scan->pos + BLOCK_HEADER_LEN, len };
	scan->run_len += len;
	return BLOCKZ_OK;
}

static enum blockz_status pass_raw(struct scan *scan, const struct block_header *block, struct blockz_fault *fault)
{
	uint64_t start = scan->image_pos + scan->tail_len;
	scan->ours = scan->ours && block->size > 0 && !scan->compressed &&
		     raw_block_end(start, start + block->size) == start + block->size &&
		     (block->last || (start + block->size) % RAW_PAYLOAD == 0);
	enum blockz_status status = block->size > 0 ? add_raw_block(scan, block->size, fault) : BLOCKZ_OK;
	scan->tail_len += block->size;
	scan->pos += BLOCK_HEADER_LEN + block->size;
	return status;
}

static void pass_rle(struct scan *scan, const struct block_header *block)
{
	end_run(scan);
	scan->ours = false;
	scan->tail_len += block->size;
	scan->pos += BLOCK_HEADER_LEN + 1;
}

static void pass_compressed(struct scan *scan, const struct block_header *block)
{
	scan->ours = false;
	scan->compressed = true;
	scan->raw_count = scan->run_first = 0;
	scan->run_len = scan->tail_len = 0;
	scan->pos += BLOCK_HEADER_LEN + block->size;
}

static enum blockz_status pass_block(struct scan *scan, bool *last_ret, struct blockz_fault *fault)
{
	const uint8_t *bytes = NULL;
	enum blockz_status status = peek_all(&scan->peek, scan->pos, BLOCK_HEADER_LEN, &bytes, fault);
	if (status != BLOCKZ_OK)
		return status;
	struct block_header block = block_header_load(bytes);
	status = block_header_check(&block, &scan->header, scan->pos, fault);
	if (status != BLOCKZ_OK)
		return status;
	*last_ret = block.last;
	if (block.type == BLOCK_RAW)
		status = pass_raw(scan, &block, fault);
	else if (block.type == BLOCK_RLE)
		pass_rle(scan, &block);
	else
		pass_compressed(scan, &block);
	if (status == BLOCKZ_OK && scan->pos > scan->map->file_size)
		return fault_set(fault, BLOCKZ_DAMAGED, scan->map->file_size, "file ends within a zstd frame");
	return status;
}

/* ---- Frames */

static enum blockz_status content_size(struct scan *scan, uint64_t *size_ret, struct blockz_fault *fault)
{
	uint64_t said = scan->header.content_size;
	/* Compressed blocks do not tell how much they decode to; where the frame does not either, it has to be decoded. */
	if (said == BLOCKZ_UNKNOWN && scan->compressed)
		return zstd_frame_size(scan->file, scan->frame_off, scan->pos - scan->frame_off, scan->map->window_max,
				   &scan->cursor, size_ret, fault);
	if (said != BLOCKZ_UNKNOWN && (scan->compressed ? scan->tail_len > said : scan->tail_len != said))
		return fault_set(fault, BLOCKZ_DAMAGED, scan->frame_off,
				 "a frame's blocks hold other than the %" PRIu64 " byte%s that its header says", said,
				 plural(said));
	*size_ret = said != BLOCKZ_UNKNOWN ? said : scan->tail_len;
	return BLOCKZ_OK;
}

/* base: image offset of the frame's tail. */
static enum blockz_status add_spans(struct scan *scan, uint64_t base, struct blockz_fault *fault)
{
	struct span open = { .patchable = true };
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < scan->raw_count && status == BLOCKZ_OK; i++) {
		const struct raw_block *raw = &scan->raws[i];
		struct span next = {
			.start = base + raw->rel, .end = base + raw->rel + raw->len, .file_off = raw->file_off,
			.patchable = true,
		};
		if (span_join(&open, &next, RAW_PAYLOAD, BLOCK_HEADER_LEN))
			continue;
		if (open.start < open.end)
			status = map_add_span(scan->map, &open, fault);
		open = next;
	}
	return status == BLOCKZ_OK && open.start < open.end ? map_add_span(scan->map, &open, fault) : status;
}

static bool is_raw_frame(const struct scan *scan, uint64_t size)
{
	return scan->ours && size > 0 && size <= RAW_FRAME_MAX &&
	       scan->pos - scan->frame_off == raw_frame_len(scan->image_pos, scan->image_pos + size, scan->header.checksum);
}

static enum blockz_status is_zero(struct scan *scan, uint64_t size, bool *yes_ret, struct blockz_fault *fault)
{
	const uint8_t *bytes = NULL;
	enum blockz_status status = BLOCKZ_OK;
	if (scan->header.checksum)
		status = peek_all(&scan->peek, scan->pos - CHECKSUM_LEN, CHECKSUM_LEN, &bytes, fault);
	*yes_ret = false;
	if (status == BLOCKZ_OK && scan->header.checksum &&
	    !looks_zero(&scan->zero_sums, scan->pos - scan->frame_off, size, load_le32(bytes), yes_ret))
		return fault_nomem(fault);
	return status;
}

static enum blockz_status add_frame(struct scan *scan, uint64_t size, struct blockz_fault *fault)
{
	struct piece piece = {
		.start = scan->image_pos, .file_off = scan->frame_off, .file_len = scan->pos - scan->frame_off,
		.kind = is_raw_frame(scan, size) ? BLOCKZ_RAW : BLOCKZ_COMPRESSED, .copies = 1,
		.method = scan->header.checksum ? CHECK_XXH64_LOW32 : CHECK_NONE,
	};
	uint64_t end = scan->image_pos + size;
	bool zero = false;
	enum blockz_status status = is_zero(scan, size, &zero, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (zero)
		return map_add_zero(scan->map, &piece, size, fault);
	status = map_add_piece(scan->map, &piece, fault);
	if (status != BLOCKZ_OK)
		return status;
	size_t spans = scan->map->span_count;
	if (piece.kind == BLOCKZ_RAW)
		status = map_add_span(scan->map, &(struct span){
			piece.start, end, piece.file_off + RAW_HEADER_LEN, RAW_PAYLOAD, BLOCK_HEADER_LEN, true,
		}, fault);
	else
		status = add_spans(scan, end - scan->tail_len, fault);
	if (status != BLOCKZ_OK || !scan->header.checksum || scan->map->span_count == spans)
		return status;
	return map_add_check(scan->map, &(struct check){
		scan->image_pos, end, scan->pos - CHECKSUM_LEN, CHECK_XXH64_LOW32, false,
	}, fault);
}

static enum blockz_status scan_frame(struct scan *scan, const uint8_t *bytes, size_t len, struct blockz_fault *fault)
{
	enum blockz_status status = frame_header_parse(bytes, len, scan->pos, &scan->header, fault);
	uint64_t size = 0;
	scan->frame_off = scan->pos;
	scan->pos += scan->header.len;
	scan->compressed = scan->ends_skippable = false;
	scan->ours = status == BLOCKZ_OK && is_raw_frame_header(bytes, &scan->header);
	scan->tail_len = scan->run_len = 0;
	scan->raw_count = scan->run_first = 0;
	for (bool last = false; !last && status == BLOCKZ_OK;)
		status = pass_block(scan, &last, fault);
	if (status != BLOCKZ_OK)
		return status;
	end_run(scan);
	scan->pos += scan->header.checksum ? CHECKSUM_LEN : 0;
	if (scan->pos > scan->map->file_size)
		return fault_set(fault, BLOCKZ_DAMAGED, scan->map->file_size, "file ends within a zstd frame");
	status = content_size(scan, &size, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (size > INT64_MAX - scan->image_pos)
		return fault_set(fault, BLOCKZ_LIMIT, scan->frame_off, "image larger than 2^63 - 1 bytes");
	status = size > 0 ? add_frame(scan, size, fault)
			  : zstd_check_empty(scan->file, scan->frame_off, scan->pos - scan->frame_off, &scan->header,
					     scan->map->window_max, &scan->cursor, fault);
	scan->image_pos += size;
	return status;
}

static enum blockz_status scan_next(struct scan *scan, struct blockz_fault *fault)
{
	const uint8_t *bytes = NULL;
	size_t len = 0;
	enum blockz_status status = peek_some(&scan->peek, scan->pos, FRAME_HEADER_LEN_MAX, &bytes, &len, fault);
	if (status != BLOCKZ_OK)
		return status;
	uint32_t magic = len >= MAGIC_LEN ? load_le32(bytes) : 0;
	if (scan->pos > 0 && magic != FRAME_MAGIC && (magic & ~UINT32_C(15)) != SKIPPABLE_MAGIC)
		return fault_set(fault, BLOCKZ_DAMAGED, scan->pos,
				 "expected a zstd frame or the end, found %" PRIu64 " byte%s; all before is complete",
				 scan->map->file_size - scan->pos, plural(scan->map->file_size - scan->pos));
	if ((magic & ~UINT32_C(15)) != SKIPPABLE_MAGIC || len < SKIPPABLE_HEAD_LEN)
		return scan_frame(scan, bytes, len, fault);
	uint64_t skip = SKIPPABLE_HEAD_LEN + (uint64_t)load_le32(bytes + 4);
	if (skip > scan->map->file_size - scan->pos)
		return fault_set(fault, BLOCKZ_DAMAGED, scan->map->file_size, "file ends within a skippable frame");
	scan->pos += skip;
	scan->ends_skippable = true;
	return BLOCKZ_OK;
}

/* *ends_skippable_ret: the file ends with a frame that decoders pass over, which a seek table is too. */
static enum blockz_status map_by_scan(const struct blockz_source *file, struct blockz_map *map,
				      bool *ends_skippable_ret, struct blockz_fault *fault)
{
	struct scan *scan = calloc(1, sizeof(*scan));
	if (scan == NULL)
		return fault_nomem(fault);
	scan->file = scan->peek.file = file;
	scan->map = map;
	enum blockz_status status = BLOCKZ_OK;
	while (scan->pos < map->file_size && status == BLOCKZ_OK)
		status = scan_next(scan, fault);
	map->image_size = scan->image_pos;
	*ends_skippable_ret = scan->ends_skippable;
	zstd_cursor_free(scan->cursor);
	free(scan->raws);
	free(scan);
	return status;
}

/* ---- The map */

enum blockz_status zstd_map(const struct blockz_source *file, bool scan, struct blockz_map *map,
			    struct blockz_fault *fault)
{
	struct blockz_fault why;
	bool found = false, ends_skippable = false;
	if (!scan) {
		enum blockz_status status = seek_table_read(file, map, &found, &why);
		if (status == BLOCKZ_OK && found)
			return BLOCKZ_OK;
		if (status == BLOCKZ_FAILED || status == BLOCKZ_LIMIT) {
			if (fault != NULL)
				*fault = why;
			return status;
		}
		/* A table that does not fit is no worse than none; one that is only unusual is kept right all the same. */
		map_clear(map);
		if (status == BLOCKZ_DAMAGED)
			map->index_fault = why;
	}
	enum blockz_status status = map_by_scan(file, map, &ends_skippable, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (!ends_skippable) { /* content that ends like a table is none */
		map->index_fault = (struct blockz_fault){ .status = BLOCKZ_OK };
		return BLOCKZ_OK;
	}
	return seek_table_add_checks(file, map, fault);
}
