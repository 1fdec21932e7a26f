/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The seek table (zstd seekable format 0.1.0).  Its entries say how long each frame is, in file and image; whether a frame
 * is one of raw blocks shows in the frame's own header and the first of its blocks.
 */
#include "format/zstd/index.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "format/zstd/read.h"
#include "format/zstd/frame.h"
#include "format/zstd/frame_size.h"
#include "io/access.h"
#include "io/peek.h"

enum { ENTRIES_A_READ = 4096 };

struct entry {
	uint64_t file_len, image_len;
	uint32_t checksum;
	uint64_t checksum_off; /* where the table has it */
};

/* A table, read in order. */
struct table {
	const struct blockz_source *file;
	uint64_t off; /* of its skippable frame, behind all others */
	uint64_t count, next;
	bool checksums;
	size_t entry_len;
	uint8_t bytes[ENTRIES_A_READ * (SEEK_ENTRY_LEN + CHECKSUM_LEN)];
};

/* Finds the table by its footer.  *found_ret: there is something that looks like one. */
static enum blockz_status table_open(struct table *table, const struct blockz_source *file, bool *found_ret,
				     struct blockz_fault *fault)
{
	uint8_t footer[SEEK_FOOTER_LEN], head[SKIPPABLE_HEAD_LEN];
	*found_ret = false;
	if (file->size < SKIPPABLE_HEAD_LEN + SEEK_FOOTER_LEN)
		return BLOCKZ_OK;
	enum blockz_status status = read_file(file, footer, sizeof(footer), file->size - sizeof(footer), fault);
	if (status != BLOCKZ_OK || load_le32(footer + 5) != SEEKABLE_MAGIC)
		return status;
	table->file = file;
	table->count = load_le32(footer);
	table->next = 0;
	table->checksums = footer[4] & SEEK_CHECKSUM_FLAG;
	table->entry_len = SEEK_ENTRY_LEN + (table->checksums ? CHECKSUM_LEN : 0);
	uint64_t len = table->count * table->entry_len + SEEK_FOOTER_LEN;
	*found_ret = true;
	if (table->count > SEEK_FRAMES_MAX || (footer[4] & SEEK_RESERVED) != 0 || len > file->size - SKIPPABLE_HEAD_LEN)
		return fault_set(fault, BLOCKZ_DAMAGED, file->size - sizeof(footer), "seek table: its footer cannot be right");
	table->off = file->size - len - SKIPPABLE_HEAD_LEN;
	status = read_file(file, head, sizeof(head), table->off, fault);
	if (status == BLOCKZ_OK && (load_le32(head) != SEEK_TABLE_MAGIC || load_le32(head + 4) != len))
		return fault_set(fault, BLOCKZ_DAMAGED, table->off, "seek table: its frame's header cannot be right");
	return status;
}

/* The next entry; to be called count times. */
static enum blockz_status table_next(struct table *table, struct entry *entry_ret, struct blockz_fault *fault)
{
	uint64_t first = table->off + SKIPPABLE_HEAD_LEN, part = table->next % ENTRIES_A_READ;
	if (part == 0) {
		uint64_t left = table->count - table->next;
		size_t len = (size_t)(left < ENTRIES_A_READ ? left : ENTRIES_A_READ) * table->entry_len;
		enum blockz_status status =
			read_file(table->file, table->bytes, len, first + table->next * table->entry_len, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	const uint8_t *p = table->bytes + part * table->entry_len;
	*entry_ret = (struct entry){
		.file_len = load_le32(p), .image_len = load_le32(p + 4),
		.checksum = table->checksums ? load_le32(p + SEEK_ENTRY_LEN) : 0,
		.checksum_off = first + table->next * table->entry_len + SEEK_ENTRY_LEN,
	};
	table->next++;
	return BLOCKZ_OK;
}

/* ---- Reading it into a map */

struct reader {
	struct table table;
	struct blockz_map *map;
	uint64_t off, image_pos; /* of the next frame */
	/* The frame before: whether its own checksum still has to be compared with the table's. */
	bool pending;
	uint32_t pending_checksum;
	struct zero_sums zero_sums;
	void *decoder; /* NULL until one is needed */
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

static enum blockz_status add_raw(struct reader *reader, const struct piece *piece, const struct entry *entry,
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
static bool is_raw_frame(const struct reader *reader, const struct frame_header *header, const struct entry *entry,
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
				    const struct entry *entry, const uint8_t *bytes, size_t len,
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

static enum blockz_status read_data_frame(struct reader *reader, const struct entry *entry, const uint8_t *bytes,
					  size_t len, struct blockz_fault *fault)
{
	struct frame_header header = { 0 };
	enum blockz_status status = frame_header_parse(bytes, len, reader->off, &header, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (header.content_size != BLOCKZ_UNKNOWN && header.content_size != entry->image_len)
		return disagree(reader, "a frame's content size is not what its entry says", fault);
	reader->pending = reader->table.checksums && header.checksum;
	reader->pending_checksum = entry->checksum;
	if (entry->file_len < header.len + BLOCK_HEADER_LEN + (header.checksum ? CHECKSUM_LEN : 0))
		return disagree(reader, "a frame's length cannot be right", fault);
	return entry->image_len > 0
		       ? add_frame(reader, &header, entry, bytes, len, fault)
		       : zstd_check_empty(reader->table.file, reader->off, entry->file_len, &header, reader->map->window_max,
					  &reader->decoder, fault);
}

static enum blockz_status read_frame(struct reader *reader, struct blockz_fault *fault)
{
	uint8_t bytes[FRAME_HEADER_LEN_MAX + BLOCK_HEADER_LEN];
	struct entry entry;
	size_t len = 0;
	enum blockz_status status = table_next(&reader->table, &entry, fault);
	if (status == BLOCKZ_OK)
		status = read_edge(reader, bytes, &len, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (entry.file_len > reader->table.off - reader->off)
		return disagree(reader, "frames lie beyond the table", fault);
	/* What holds no bytes of the image may be a frame that decoders pass over. */
	if (entry.image_len == 0 && len >= SKIPPABLE_HEAD_LEN && (load_le32(bytes) & ~UINT32_C(15)) == SKIPPABLE_MAGIC)
		status = entry.file_len == SKIPPABLE_HEAD_LEN + (uint64_t)load_le32(bytes + 4)
				 ? BLOCKZ_OK
				 : disagree(reader, "a skippable frame's length is not what its entry says", fault);
	else
		status = read_data_frame(reader, &entry, bytes, len, fault);
	if (status != BLOCKZ_OK)
		return status;
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
	enum blockz_status status = table_open(&reader->table, file, found_ret, fault);
	for (uint64_t i = 0; *found_ret && status == BLOCKZ_OK && i < reader->table.count; i++)
		status = read_frame(reader, fault);
	if (status == BLOCKZ_OK && *found_ret && reader->off != reader->table.off)
		status = disagree(reader, "its frames do not add up to the file", fault);
	if (status == BLOCKZ_OK && *found_ret)
		status = read_edge(reader, bytes, &len, fault);
	if (status == BLOCKZ_OK && *found_ret) {
		map->index = BLOCKZ_INDEX_TRAILER;
		map->image_size = reader->image_pos;
	}
	zstd_decoder_free(reader->decoder);
	free(reader);
	return status;
}

/* ---- Its checks, for a map that was made without it */

static bool has_patchable(const struct blockz_map *map, size_t index)
{
	size_t span = map_find_span(map, map->pieces[index].start);
	return span < map->span_count && map->spans[span].start < map_piece_end(map, index);
}

static enum blockz_status add_copies(struct table *table, struct blockz_map *map, struct blockz_fault *fault)
{
	uint64_t off = 0;
	size_t index = 0;
	enum blockz_status status = BLOCKZ_OK;
	for (uint64_t i = 0; i < table->count && status == BLOCKZ_OK; i++) {
		struct entry entry;
		status = table_next(table, &entry, fault);
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
	struct table *table = malloc(sizeof(*table));
	struct blockz_fault why;
	bool found = false;
	if (table == NULL)
		return fault_nomem(fault);
	enum blockz_status status = table_open(table, file, &found, &why);
	if (status == BLOCKZ_OK && found && table->checksums)
		status = add_copies(table, map, &why);
	free(table);
	if (status == BLOCKZ_OK || status == BLOCKZ_DAMAGED)
		return BLOCKZ_OK;
	if (fault != NULL)
		*fault = why;
	return status;
}
