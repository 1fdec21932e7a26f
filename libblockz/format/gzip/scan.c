/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scanning: a file by any writer, or one of ours without an index, is walked from its first byte to its last.
 *
 * Pieces are cut where a byte-aligned block ends and no later match reaches back over that point, which is known 32 KiB
 * further on.  One such cut is tried at a time, and not before the piece has a size worth decoding alone; the wanted
 * size grows with the image, so that the number of pieces stays bounded.
 */
#include "format/gzip/scan.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "format/deflate/layout.h"
#include "format/deflate/stored.h"
#include "format/deflate/walk.h"
#include "format/gzip/behind.h"
#include "format/gzip/head.h"
#include "format/gzip/index_read.h"
#include "io/access.h"

enum {
	CUT_MIN = 256 * 1024, /* image bytes */
	CUT_SHIFT = 15,       /* and at least image offset >> 15: fewer than 2^15 * ln(2^63 / 2^33) pieces beyond 8 GiB */
};

struct scan {
	const struct blockz_source *file;
	struct blockz_map *map;
	struct walker *walker;
	struct walk_reach reach;
	struct stored stored;
	uint64_t member_off;   /* file offset of the member's deflate stream */
	uint64_t member_image; /* image offset of the member */
	uint64_t piece_start, piece_off; /* of the piece that is being walked, in image and file */
	bool cut_open;                   /* a cut is being tried: */
	uint64_t cut_start, cut_off;
};

static enum blockz_status add_piece(struct scan *scan, uint64_t end, uint64_t end_off, bool ends_stream,
				    struct blockz_fault *fault)
{
	struct piece piece = {
		.start = scan->piece_start, .file_off = scan->piece_off, .file_len = end_off - scan->piece_off,
		.kind = BLOCKZ_COMPRESSED, .method = CHECK_CRC32, .ends_stream = ends_stream, .copies = 1,
	};
	if (end == scan->piece_start)
		return BLOCKZ_OK;
	scan->piece_start = end;
	scan->piece_off = end_off;
	return map_add_piece(scan->map, &piece, fault);
}

/* Confirms, drops or opens a cut after a block. */
static enum blockz_status try_cut(struct scan *scan, const struct walk_block *block, struct blockz_fault *fault)
{
	uint64_t end = scan->member_image + block->out_end;
	enum blockz_status status = BLOCKZ_OK;
	if (scan->cut_open) {
		uint64_t cut = scan->cut_start - scan->member_image;
		if (scan->reach.lowest < cut) {
			scan->cut_open = false;
		} else if (block->out_end - cut >= WALK_WINDOW || block->final) {
			status = add_piece(scan, scan->cut_start, scan->cut_off, false, fault);
			scan->cut_open = false;
		}
	}
	uint64_t wanted = end >> CUT_SHIFT > CUT_MIN ? end >> CUT_SHIFT : CUT_MIN;
	if (!scan->cut_open && block->type == WALK_STORED && !block->final && end - scan->piece_start >= wanted) {
		scan->cut_open = true;
		scan->cut_start = end;
		scan->cut_off = scan->member_off + block->end_bit / 8;
		scan->reach.lowest = UINT64_MAX;
	}
	return status;
}

static enum blockz_status check_trailer(struct scan *scan, uint64_t off, uint64_t member_len,
					struct blockz_fault *fault)
{
	uint8_t trailer[GZIP_TRAILER_LEN];
	enum blockz_status status = read_file(scan->file, trailer, sizeof(trailer), off, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (load_le32(trailer + 4) != (uint32_t)member_len)
		return fault_set(fault, BLOCKZ_DAMAGED, off + 4, "ISIZE is %" PRIu32 ", expected %" PRIu32,
				 load_le32(trailer + 4), (uint32_t)member_len);
	if (member_len == 0)
		return load_le32(trailer) == 0
			       ? BLOCKZ_OK
			       : fault_set(fault, BLOCKZ_DAMAGED, off, "CRC-32 of an empty member is %08" PRIx32,
					   load_le32(trailer));
	return map_add_check(scan->map, &(struct check){
		scan->member_image, scan->member_image + member_len, off, CHECK_CRC32, false,
	}, fault);
}

static enum blockz_status scan_block(struct scan *scan, struct walk_block *block, struct blockz_fault *fault)
{
	enum blockz_status status = walker_next(scan->walker, block, &scan->reach, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (block->out_end > INT64_MAX - scan->member_image)
		return fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN, "image larger than 2^63 - 1 bytes");
	status = stored_pass(&scan->stored, block, scan->member_off + block->payload_off, fault);
	return status == BLOCKZ_OK ? try_cut(scan, block, fault) : status;
}

/* Walks one member whose deflate stream begins at member_off; *end_ret is the file offset behind its trailer. */
static enum blockz_status scan_member(struct scan *scan, uint64_t *end_ret, struct blockz_fault *fault)
{
	struct walk_block block = { 0 };
	walker_reset_source(scan->walker, scan->file, scan->member_off, scan->map->file_size);
	stored_begin(&scan->stored, scan->member_image);
	scan->piece_start = scan->member_image;
	scan->piece_off = scan->member_off;
	scan->cut_open = false;
	while (!block.final) {
		enum blockz_status status = scan_block(scan, &block, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	uint64_t trailer_off = scan->member_off + (block.end_bit + 7) / 8;
	enum blockz_status status = add_piece(scan, scan->member_image + block.out_end, trailer_off, true, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = stored_end(&scan->stored, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = check_trailer(scan, trailer_off, block.out_end, fault);
	if (status != BLOCKZ_OK)
		return status;
	scan->member_image += block.out_end;
	*end_ret = trailer_off + GZIP_TRAILER_LEN;
	return BLOCKZ_OK;
}

static enum blockz_status scan_file(struct scan *scan, const struct gzip_head *first, struct blockz_fault *fault)
{
	struct gzip_head head = *first;
	for (;;) {
		uint64_t end;
		bool more = false;
		scan->member_off = head.body_off;
		enum blockz_status status = scan_member(scan, &end, fault);
		if (status != BLOCKZ_OK)
			return status;
		scan->map->image_size = scan->member_image;
		status = gzip_look_behind(scan->file, end, scan->map, &more, fault);
		if (status != BLOCKZ_OK || !more)
			return status;
		status = gzip_head_read(scan->file, end, &head, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
}

static enum blockz_status map_by_scan(const struct blockz_source *file, const struct gzip_head *head,
				      struct blockz_map *map, struct blockz_fault *fault)
{
	struct scan *scan = calloc(1, sizeof(*scan));
	if (scan == NULL)
		return fault_nomem(fault);
	scan->file = file;
	scan->map = map;
	scan->stored.map = map;
	scan->stored.reach = &scan->reach;
	enum blockz_status status = walker_new(&scan->walker, fault);
	if (status == BLOCKZ_OK)
		status = scan_file(scan, head, fault);
	stored_free(&scan->stored);
	walker_free(scan->walker);
	free(scan);
	return status;
}

/* Where the stream ends that an index was made for: something may have been appended to it since. */
static enum blockz_status find_end(const struct blockz_source *file, const struct gzip_head *head, const uint8_t *index,
				   struct blockz_map *map, struct blockz_fault *fault)
{
	uint64_t end = load_le64(index + INDEX_FILE_SIZE_OFF);
	bool member;
	if (end < head->body_off + END_LEN + GZIP_TRAILER_LEN || end >= map->file_size)
		return BLOCKZ_OK;
	return gzip_look_behind(file, end, map, &member, fault);
}

static enum blockz_status map_by_index(const struct blockz_source *file, const struct gzip_head *head,
				       struct blockz_map *map, struct blockz_fault *fault)
{
	uint8_t trailer[END_LEN + GZIP_TRAILER_LEN], bytes[INDEX_LEN_MAX];
	enum blockz_status status = read_file(file, bytes, head->index_len, head->index_off, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = find_end(file, head, bytes, map, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = read_file(file, trailer, sizeof(trailer), map->end_off - sizeof(trailer), fault);
	if (status != BLOCKZ_OK)
		return status;
	if (trailer[0] != 0x03 || trailer[1] != 0x00)
		return fault_set(fault, BLOCKZ_DAMAGED, map->end_off - sizeof(trailer),
				 "index: the stream does not end in an empty block");
	status = index_read(bytes, head->index_len, head->index_off, head->body_off, trailer + END_LEN, map, fault);
	if (status == BLOCKZ_OK)
		map->index = BLOCKZ_INDEX_HEADER;
	return status;
}

/*
 * Fills `index` by the index if it is good.  One that does not fit is no worse than none: why goes to map, and the status
 * is BLOCKZ_OK.  Errors: BLOCKZ_FAILED, BLOCKZ_LIMIT.
 */
static enum blockz_status try_index(const struct blockz_source *file, const struct gzip_head *head,
				    struct blockz_map *index, struct blockz_map *map, struct blockz_fault *fault)
{
	struct blockz_fault why;
	enum blockz_status status = map_by_index(file, head, index, &why);
	if (status == BLOCKZ_DAMAGED || status == BLOCKZ_UNSUPPORTED) {
		map->index_fault = why;
		map_clear(index);
		return BLOCKZ_OK;
	}
	if (status != BLOCKZ_OK && fault != NULL)
		*fault = why;
	return status;
}

/*
 * A scan does not go by the index, but a patch has to keep its checks right all the same: those that stand in an index
 * that agrees with what was scanned.
 */
static enum blockz_status add_index_checks(const struct blockz_source *file, const struct gzip_head *head,
					   struct blockz_map *map, struct blockz_fault *fault)
{
	struct blockz_map *index = map_new(map->format, map->file_size);
	if (index == NULL)
		return fault_nomem(fault);
	enum blockz_status status = try_index(file, head, index, map, fault);
	if (status == BLOCKZ_OK && index->image_size == map->image_size && index->end_off == map->end_off)
		for (size_t i = 0; i < index->check_count && status == BLOCKZ_OK; i++)
			if (index->checks[i].field_off < head->body_off)
				status = map_add_check(map, &index->checks[i], fault);
	blockz_map_free(index);
	return status;
}

/* Forgets a subfield that only has the name of an index, and a place for one that none was written to. */
static enum blockz_status drop_foreign(const struct blockz_source *file, struct gzip_head *head, uint64_t file_size,
				       struct blockz_fault *fault)
{
	uint8_t trailer[GZIP_TRAILER_LEN], bytes[INDEX_LEN_MAX];
	bool own = head->index_len >= INDEX_LEN_MIN && head->index_len <= INDEX_LEN_MAX && head->crc_off == 0;
	enum blockz_status status = BLOCKZ_OK;
	if (own)
		status = read_file(file, bytes, head->index_len, head->index_off, fault);
	if (own && status == BLOCKZ_OK)
		status = read_file(file, trailer, sizeof(trailer), file_size - sizeof(trailer), fault);
	if (status == BLOCKZ_OK && (!own || !index_is_own(bytes, head->index_len, file_size, trailer)))
		head->index_off = 0;
	return status;
}

static enum blockz_status read_first_head(const struct blockz_source *file, uint64_t file_size, struct gzip_head *head,
					  struct blockz_fault *fault)
{
	enum blockz_status status = gzip_head_read(file, 0, head, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (head->body_off + END_LEN + GZIP_TRAILER_LEN > file_size)
		return fault_set(fault, BLOCKZ_DAMAGED, file_size, "file ends within a gzip member");
	return head->index_off != 0 ? drop_foreign(file, head, file_size, fault) : BLOCKZ_OK;
}

enum blockz_status gzip_map_by_index(const struct blockz_source *file, struct gzip_head *head_ret, struct blockz_map *map,
				     struct blockz_fault *fault)
{
	enum blockz_status status = read_first_head(file, map->file_size, head_ret, fault);
	if (status != BLOCKZ_OK || head_ret->index_off == 0)
		return status;
	return try_index(file, head_ret, map, map, fault);
}

enum blockz_status gzip_map(const struct blockz_source *file, bool scan, struct blockz_map *map,
			    struct blockz_fault *fault)
{
	struct gzip_head head;
	enum blockz_status status = read_first_head(file, map->file_size, &head, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (head.index_off != 0 && !scan) {
		status = try_index(file, &head, map, map, fault);
		if (status != BLOCKZ_OK || map->index != BLOCKZ_INDEX_NONE)
			return status;
	}
	status = map_by_scan(file, &head, map, fault);
	return status == BLOCKZ_OK && head.index_off != 0 ? add_index_checks(file, &head, map, fault) : status;
}
