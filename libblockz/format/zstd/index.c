/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The seek table (zstd seekable format 0.1.0).  Its entries say how long each frame is, in file and image; whether a frame
 * is one of raw blocks shows in the frame's own header and the first of its blocks.
 *
 * For a patch of raw bytes of an image of many frames, reading all headers would take longer than all else.  Then frames are
 * passed over that are as long, in the image, as the one before, and stand at multiples of that: an entry that is wrong breaks
 * the pattern, and has the header of its frame read.
 */
#include "format/zstd/index.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "format/zstd/read.h"
#include "format/zstd/cursor.h"
#include "format/zstd/frame.h"
#include "format/zstd/frame_size.h"
#include "format/zstd/seek_table.h"
#include "io/peek.h"

enum { HEADERS_FEW = 4096 }; /* reading so many takes 2 ms, with 4 MiB in each 16 GiB of image */

/* ---- Reading it into a map */

struct reader {
	struct seek_table table;
	struct blockz_map *map;
	uint64_t off, image_pos; /* of the next frame */
	uint64_t pattern; /* image bytes of frames that may be passed over; 0: none may */
	/* The frame before: whether its own checksum still has to be compared with the table's. */
	bool pending;
	uint32_t pending_checksum;
	struct zero_sums zero_sums;
	void *cursor; /* NULL until one is needed */
	struct peek peek;
};

static enum blockz_status disagree(const struct reader *reader, const char *what, struct blockz_fault *fault)
{
	return fault_set(fault, BLOCKZ_DAMAGED, reader->off, "seek table: %s", what);
}

/*
 * Reads what is left before off of the frame before, its checksum, together with the beginning of the next: up to
 * FRAME_HEADER_LEN_MAX + BLOCK_HEADER_LEN bytes of it.
 */
static enum blockz_status read_edge(struct reader *reader, uint8_t *bytes, size_t *len_ret, struct blockz_fault *fault)
{
	const uint8_t *edge = NULL;
	size_t before = reader->pending ? CHECKSUM_LEN : 0, got = 0;
	enum blockz_status status = peek_some(&reader->peek, reader->off - before,
					      before + FRAME_HEADER_LEN_MAX + BLOCK_HEADER_LEN, &edge, &got, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (reader->pending && (got < before || load_le32(edge) != reader->pending_checksum))
		return disagree(reader, "its checksum of a frame is not the frame's own", fault);
	reader->pending = false;
	*len_ret = got > before ? got - before : 0;
	memcpy(bytes, edge + before, *len_ret);
	return BLOCKZ_OK;
}

static enum blockz_status add_raw(struct reader *reader, const struct piece *piece, const struct seek_entry *entry,
				  struct blockz_fault *fault)
{
	uint64_t end = piece->start + entry->image_len;
	const struct span span = {
		.start = piece->start, .end = end, .file_off = piece->file_off + RAW_HEADER_LEN,
		.stride = RAW_PAYLOAD, .header_len = BLOCK_HEADER_LEN, .patchable = true,
	};
	const bool has_own = !piece->has_crc && piece->method != CHECK_NONE;
	const struct check own = { piece->start, end, piece->file_off + piece->file_len - CHECKSUM_LEN,
				   CHECK_XXH64_LOW32, false };
	const struct check copy = { piece->start, end, entry->checksum_off, CHECK_XXH64_LOW32, false };
	enum blockz_status status = map_add_span(reader->map, &span, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (has_own)
		status = map_add_check(reader->map, &own, fault);
	if (status != BLOCKZ_OK)
		return status;
	return reader->table.checksums ? map_add_check(reader->map, &copy, fault) : BLOCKZ_OK;
}

/* A frame of raw blocks shows by its header, the first block and its length; a patch looks at all headers. */
static bool is_raw_frame(const struct reader *reader, const struct frame_header *header, const struct seek_entry *entry,
			 const uint8_t *bytes, size_t len)
{
	uint64_t start = reader->image_pos, end = start + entry->image_len;
	if (len < RAW_HEADER_LEN + BLOCK_HEADER_LEN || entry->image_len > RAW_FRAME_MAX ||
	    entry->file_len != raw_frame_len(start, end, header->checksum))
		return false;
	struct block_header block = block_header_load(bytes + RAW_HEADER_LEN);
	return is_raw_frame_header(bytes, header) && block.type == BLOCK_RAW &&
	       block.size == raw_block_end(start, end) - start;
}

static enum blockz_status add_frame(struct reader *reader, const struct frame_header *header,
				    const struct seek_entry *entry, const uint8_t *bytes, size_t len,
				    struct blockz_fault *fault)
{
	struct piece piece = {
		.start = reader->image_pos, .file_off = reader->off, .file_len = entry->file_len, .kind = BLOCKZ_COMPRESSED,
		.copies = 1, .method = header->checksum || reader->table.checksums ? CHECK_XXH64_LOW32 : CHECK_NONE,
		/* Where only the table has it, the decoder does not see it. */
		.has_crc = !header->checksum && reader->table.checksums, .crc = entry->checksum,
	};
	bool zero = false;
	if (reader->table.checksums &&
	    !looks_zero(&reader->zero_sums, entry->file_len, entry->image_len, entry->checksum, &zero))
		return fault_nomem(fault);
	if (zero)
		return map_add_zero(reader->map, &piece, entry->image_len, fault);
	if (is_raw_frame(reader, header, entry, bytes, len))
		piece.kind = BLOCKZ_RAW;
	enum blockz_status status = map_add_piece(reader->map, &piece, fault);
	return status == BLOCKZ_OK && piece.kind == BLOCKZ_RAW ? add_raw(reader, &piece, entry, fault) : status;
}

static enum blockz_status read_data_frame(struct reader *reader, const struct seek_entry *entry, const uint8_t *bytes,
					  size_t len, struct blockz_fault *fault)
{
	struct frame_header header = { 0 };
	enum blockz_status status = frame_header_parse(bytes, len, reader->off, &header, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (header.content_size != BLOCKZ_UNKNOWN && header.content_size != entry->image_len)
		return disagree(reader, "a frame's content size is not what its entry says", fault);
	if (entry->image_len > 0)
		reader->pattern = reader->image_pos % entry->image_len == 0 ? entry->image_len : 0;
	reader->pending = reader->table.checksums && header.checksum;
	reader->pending_checksum = entry->checksum;
	if (entry->file_len < header.len + BLOCK_HEADER_LEN + (header.checksum ? CHECKSUM_LEN : 0))
		return disagree(reader, "a frame's length cannot be right", fault);
	return entry->image_len > 0
		       ? add_frame(reader, &header, entry, bytes, len, fault)
		       : zstd_check_empty(reader->table.file, reader->off, entry->file_len, &header, reader->map->window_max,
					  &reader->cursor, fault);
}

static enum blockz_status read_frame(struct reader *reader, const struct seek_entry *entry, struct blockz_fault *fault)
{
	uint8_t bytes[FRAME_HEADER_LEN_MAX + BLOCK_HEADER_LEN];
	size_t len = 0;
	enum blockz_status status = read_edge(reader, bytes, &len, fault);
	if (status != BLOCKZ_OK)
		return status;
	/* What holds no bytes of the image may be a frame that decoders pass over. */
	if (entry->image_len == 0 && len >= SKIPPABLE_HEAD_LEN && (load_le32(bytes) & ~UINT32_C(15)) == SKIPPABLE_MAGIC)
		return entry->file_len == SKIPPABLE_HEAD_LEN + (uint64_t)load_le32(bytes + 4)
			       ? BLOCKZ_OK
			       : disagree(reader, "a skippable frame's length is not what its entry says", fault);
	return read_data_frame(reader, entry, bytes, len, fault);
}

/* A frame of the pattern, of which the table has the checksum, and that is no raw one by its length. */
static bool may_pass(const struct reader *reader, const struct seek_entry *entry)
{
	const uint64_t start = reader->image_pos, end = start + entry->image_len;
	return reader->map->raw_only && reader->table.count > HEADERS_FEW && reader->table.checksums && entry->image_len > 0 &&
	       entry->image_len == reader->pattern && entry->file_len >= FRAME_HEADER_LEN_MAX + BLOCK_HEADER_LEN + CHECKSUM_LEN &&
	       entry->file_len != raw_frame_len(start, end, false) && entry->file_len != raw_frame_len(start, end, true);
}

/* Adds zero frames behind one, whose entries are like that one's. */
static enum blockz_status pass_zeros(struct reader *reader, const struct seek_entry *entry, struct blockz_fault *fault)
{
	const uint64_t copies = seek_table_pass_alike(&reader->table);
	const struct piece zeros = {
		.start = reader->image_pos + entry->image_len, .file_off = reader->off + entry->file_len,
		.file_len = copies * entry->file_len, .copies = (uint32_t)copies, .method = CHECK_XXH64_LOW32,
	};
	if (copies == 0)
		return BLOCKZ_OK;
	if (zeros.file_len > reader->table.off - zeros.file_off)
		return disagree(reader, "frames lie beyond the table", fault);
	reader->off += zeros.file_len;
	reader->image_pos += copies * entry->image_len;
	return map_add_zero(reader->map, &zeros, entry->image_len, fault);
}

/* Whoever decodes it compares the table's checksum, as if it had none of its own. */
static enum blockz_status pass_frame(struct reader *reader, const struct seek_entry *entry, struct blockz_fault *fault)
{
	static const struct frame_header unknown = { 0 };
	uint8_t bytes[FRAME_HEADER_LEN_MAX + BLOCK_HEADER_LEN];
	size_t len;
	enum blockz_status status = reader->pending ? read_edge(reader, bytes, &len, fault) : BLOCKZ_OK;
	if (status == BLOCKZ_OK)
		status = add_frame(reader, &unknown, entry, NULL, 0, fault);
	if (status != BLOCKZ_OK || reader->map->pieces[reader->map->piece_count - 1].kind != BLOCKZ_ZERO)
		return status;
	return pass_zeros(reader, entry, fault);
}

static enum blockz_status read_entry(struct reader *reader, struct blockz_fault *fault)
{
	struct seek_entry entry;
	enum blockz_status status = seek_table_next(&reader->table, &entry, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (entry.file_len > reader->table.off - reader->off)
		return disagree(reader, "frames lie beyond the table", fault);
	status = may_pass(reader, &entry) ? pass_frame(reader, &entry, fault) : read_frame(reader, &entry, fault);
	reader->off += entry.file_len;
	reader->image_pos += entry.image_len;
	return status;
}

enum blockz_status seek_table_read(const struct blockz_source *file, struct blockz_map *map, bool *found_ret,
				   struct blockz_fault *fault)
{
	uint8_t bytes[FRAME_HEADER_LEN_MAX + BLOCK_HEADER_LEN];
	size_t len = 0;
	struct reader *reader = calloc(1, sizeof(*reader));
	if (reader == NULL)
		return fault_nomem(fault);
	reader->map = map;
	reader->peek.file = file;
	enum blockz_status status = seek_table_open(&reader->table, file, found_ret, fault);
	while (*found_ret && status == BLOCKZ_OK && reader->table.next < reader->table.count)
		status = read_entry(reader, fault);
	if (status == BLOCKZ_OK && *found_ret && reader->off != reader->table.off)
		status = disagree(reader, "its frames do not add up to the file", fault);
	if (status == BLOCKZ_OK && *found_ret)
		status = read_edge(reader, bytes, &len, fault);
	if (status == BLOCKZ_OK && *found_ret) {
		map->index = BLOCKZ_INDEX_TRAILER;
		map->image_size = reader->image_pos;
	}
	zstd_cursor_free(reader->cursor);
	free(reader);
	return status;
}

/* ---- Its checks, for a map that was made without it */

static bool has_patchable(const struct blockz_map *map, size_t index)
{
	size_t span = map_find_span(map, map->pieces[index].start);
	return span < map->span_count && map->spans[span].start < map_piece_end(map, index);
}

static enum blockz_status add_copies(struct seek_table *table, struct blockz_map *map, struct blockz_fault *fault)
{
	uint64_t off = 0;
	size_t index = 0;
	enum blockz_status status = BLOCKZ_OK;
	for (uint64_t i = 0; i < table->count && status == BLOCKZ_OK; i++) {
		struct seek_entry entry;
		status = seek_table_next(table, &entry, fault);
		while (index < map->piece_count && map->pieces[index].file_off < off)
			index++;
		if (status == BLOCKZ_OK && index < map->piece_count && map->pieces[index].file_off == off &&
		    map->pieces[index].file_len == entry.file_len && has_patchable(map, index))
			status = map_add_check(map, &(struct check){
				map->pieces[index].start, map_piece_end(map, index), entry.checksum_off, CHECK_XXH64_LOW32, false,
			}, fault);
		off += entry.file_len;
	}
	return status;
}

enum blockz_status seek_table_add_checks(const struct blockz_source *file, struct blockz_map *map,
					 struct blockz_fault *fault)
{
	struct seek_table *table = malloc(sizeof(*table));
	struct blockz_fault why;
	bool found = false;
	if (table == NULL)
		return fault_nomem(fault);
	enum blockz_status status = seek_table_open(table, file, &found, &why);
	if (status == BLOCKZ_OK && found && table->checksums)
		status = add_copies(table, map, &why);
	free(table);
	if (status == BLOCKZ_OK || status == BLOCKZ_DAMAGED)
		return BLOCKZ_OK;
	if (fault != NULL)
		*fault = why;
	return status;
}
