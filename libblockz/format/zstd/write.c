/* SPDX-License-Identifier: BSD-3-Clause */
/* The seek table behind the frames, and the one frame of an empty image. */
#include "format/zstd/write.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/fault.h"
#include "format/zstd/frame.h"

/* Frames that are alike, as zero pieces are, are one entry. */
struct entry {
	uint32_t file_len, image_len, checksum, count;
};

struct writer {
	struct entry *entries;
	size_t entry_count;
	uint64_t frames;
	uint64_t piece_size;
	bool checksum, no_index;
};

void *zstd_writer_new(const struct pack_params *params)
{
	struct writer *writer = calloc(1, sizeof(*writer));
	if (writer != NULL) {
		writer->piece_size = params->piece_size;
		writer->checksum = params->check != CHECK_NONE;
		writer->no_index = params->no_index;
	}
	return writer;
}

void zstd_writer_free(void *memory)
{
	struct writer *writer = memory;
	if (writer == NULL)
		return;
	free(writer->entries);
	free(writer);
}

enum blockz_status zstd_write_head(void *memory, struct buffer *out, size_t *len_ret, struct blockz_fault *fault)
{
	(void)memory, (void)out, (void)fault;
	*len_ret = 0;
	return BLOCKZ_OK;
}

enum blockz_status zstd_write_piece(void *memory, const struct written_piece *piece, struct blockz_fault *fault)
{
	struct writer *writer = memory;
	writer->frames += piece->copies;
	if (writer->no_index || writer->frames > SEEK_FRAMES_MAX)
		return BLOCKZ_OK;
	struct entry entry = {
		(uint32_t)(piece->file_len / piece->copies), (uint32_t)((piece->end - piece->start) / piece->copies),
		(uint32_t)piece->tag, (uint32_t)piece->copies,
	};
	struct entry *last = writer->entry_count > 0 ? &writer->entries[writer->entry_count - 1] : NULL;
	if (last != NULL && last->file_len == entry.file_len && last->image_len == entry.image_len &&
	    last->checksum == entry.checksum) {
		last->count += entry.count;
		return BLOCKZ_OK;
	}
	struct entry *room = array_room(writer->entries, writer->entry_count, sizeof(entry));
	if (room == NULL)
		return fault_nomem(fault);
	writer->entries = room;
	writer->entries[writer->entry_count++] = entry;
	return BLOCKZ_OK;
}

/* An image of no bytes is one frame: its single block is the last, and empty. */
static enum blockz_status put_empty_frame(const struct writer *writer, uint8_t *bytes, size_t *len_ret,
					  uint32_t *checksum_ret, struct blockz_fault *fault)
{
	static const struct block_header header = { true, BLOCK_RAW, 0 };
	uint8_t field[CHECK_LEN_MAX];
	size_t len = MAGIC_LEN + 2;
	store_le32(bytes, FRAME_MAGIC);
	bytes[4] = FHD_SINGLE_SEGMENT | (writer->checksum ? FHD_CHECKSUM : 0);
	bytes[5] = 0; /* content size */
	block_header_store(bytes + len, &header);
	len += BLOCK_HEADER_LEN;
	if (writer->checksum) {
		if (!check_sum(CHECK_XXH64_LOW32, "", 0, field))
			return fault_nomem(fault);
		memcpy(bytes + len, field, CHECKSUM_LEN);
		*checksum_ret = load_le32(field);
		len += CHECKSUM_LEN;
	}
	*len_ret = len;
	return BLOCKZ_OK;
}

static uint8_t *put_entry(const struct writer *writer, uint8_t *p, const struct entry *entry)
{
	store_le32(p, entry->file_len);
	store_le32(p + 4, entry->image_len);
	if (writer->checksum)
		store_le32(p + SEEK_ENTRY_LEN, entry->checksum);
	return p + SEEK_ENTRY_LEN + (writer->checksum ? CHECKSUM_LEN : 0);
}

static uint8_t *put_table(const struct writer *writer, uint8_t *p, uint64_t table_len)
{
	store_le32(p, SEEK_TABLE_MAGIC);
	store_le32(p + 4, (uint32_t)table_len);
	p += SKIPPABLE_HEAD_LEN;
	for (size_t i = 0; i < writer->entry_count; i++)
		for (uint32_t n = writer->entries[i].count; n > 0; n--)
			p = put_entry(writer, p, &writer->entries[i]);
	store_le32(p, (uint32_t)writer->frames);
	p[4] = writer->checksum ? SEEK_CHECKSUM_FLAG : 0;
	store_le32(p + 5, SEEKABLE_MAGIC);
	return p + SEEK_FOOTER_LEN;
}

enum blockz_status zstd_write_tail(void *memory, struct buffer *out, size_t *len_ret, uint64_t *index_piece_size_ret,
				   struct blockz_fault *fault)
{
	struct writer *writer = memory;
	uint8_t empty[32];
	uint32_t checksum = 0;
	size_t empty_len = 0;
	if (writer->frames == 0) {
		enum blockz_status status = put_empty_frame(writer, empty, &empty_len, &checksum, fault);
		struct written_piece piece = { .file_len = empty_len, .copies = 1, .tag = checksum };
		if (status == BLOCKZ_OK)
			status = zstd_write_piece(writer, &piece, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	bool indexed = !writer->no_index && writer->frames <= SEEK_FRAMES_MAX;
	uint64_t entry_len = SEEK_ENTRY_LEN + (writer->checksum ? CHECKSUM_LEN : 0);
	uint64_t table_len = indexed ? writer->frames * entry_len + SEEK_FOOTER_LEN : 0;
	if (!buffer_reserve(out, empty_len + SKIPPABLE_HEAD_LEN + (size_t)table_len))
		return fault_nomem(fault);
	memcpy(out->bytes, empty, empty_len);
	uint8_t *end = out->bytes + empty_len;
	if (indexed)
		end = put_table(writer, end, table_len);
	*len_ret = (size_t)(end - out->bytes);
	*index_piece_size_ret = indexed ? writer->piece_size : 0;
	return BLOCKZ_OK;
}
