/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A cursor walks a piece with its text, of which it keeps what matches can reach.
 *
 * To go on anywhere, that history is enough, and the place: a bit of the file, between blocks or, since a block may have any
 * amount of text, between two symbols of one.  Then the block's header has to be read once more.  That is a mark: struct
 * mark_head, and the history behind it, packed.
 */
#include "format/deflate/cursor.h"

#include <inttypes.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fault.h"
#include "base/plural.h"
#include "format/deflate/walk.h"
#include "io/access.h"

enum {
	PART_MAX = 1 << 18, /* of text, and at most a match more; a stored block is shorter */
	TEXT_ROOM = WALK_WINDOW + 2 * PART_MAX + WALK_TEXT_SLACK,
	MARK_LEVEL = 1,
};

struct mark_head {
	struct walk_place place;
	size_t history_len;
};

struct cursor {
	const struct blockz_source *file;
	struct piece piece;
	uint64_t image_len;
	struct walker *walker;
	struct walk_block block;
	bool inside; /* among the symbols of the block */
	bool over;
	struct walk_text text; /* the last of it is what was decoded last */
	struct libdeflate_compressor *compressor; /* NULL: not needed so far */
	struct libdeflate_decompressor *decompressor;
	uint8_t bytes[TEXT_ROOM];
};

void deflate_cursor_free(void *memory)
{
	struct cursor *cursor = memory;
	if (cursor == NULL)
		return;
	libdeflate_free_compressor(cursor->compressor);
	libdeflate_free_decompressor(cursor->decompressor);
	walker_free(cursor->walker);
	free(cursor);
}

void *deflate_cursor_new(const struct blockz_source *file, uint64_t window_max)
{
	(void)window_max; /* never more than 32 KiB */
	struct cursor *cursor = malloc(sizeof(*cursor));
	if (cursor == NULL)
		return NULL;
	cursor->file = file;
	cursor->text.bytes = cursor->bytes;
	cursor->compressor = NULL;
	cursor->walker = NULL;
	cursor->decompressor = libdeflate_alloc_decompressor();
	if (cursor->decompressor == NULL || walker_new(&cursor->walker, NULL) != BLOCKZ_OK) {
		deflate_cursor_free(cursor);
		return NULL;
	}
	return cursor;
}

static void begin(struct cursor *cursor, const struct piece *piece, uint64_t image_len)
{
	cursor->piece = *piece;
	cursor->image_len = image_len;
	cursor->block = (struct walk_block){ 0 };
	cursor->inside = cursor->over = false;
	cursor->text.len = 0;
	walker_reset_source(cursor->walker, cursor->file, piece->file_off, piece->file_off + piece->file_len);
}

enum blockz_status deflate_cursor_start(void *memory, const struct piece *piece, uint64_t image_len,
					struct blockz_fault *fault)
{
	(void)fault;
	begin(memory, piece, image_len);
	return BLOCKZ_OK;
}

/* ---- Text -------------------------------------------------------------------------------------------------- */

/* Makes room for a part behind the history. */
static void make_room(struct walk_text *text)
{
	if (TEXT_ROOM - text->len < PART_MAX + WALK_TEXT_SLACK) {
		memmove(text->bytes, text->bytes + text->len - WALK_WINDOW, WALK_WINDOW);
		text->len = WALK_WINDOW;
	}
	text->room = text->len + PART_MAX + WALK_TEXT_SLACK;
}

/* A block has ended: the piece ends where the map says so, and no earlier, in file and text. */
static enum blockz_status check_end(struct cursor *cursor, struct blockz_fault *fault)
{
	const struct piece *piece = &cursor->piece;
	const struct walk_block *block = &cursor->block;
	uint64_t off = piece->file_off + block->end_bit / 8;
	cursor->over = block->final || block->end_bit == piece->file_len * 8;
	if (!cursor->over)
		return BLOCKZ_OK;
	if (block->final != piece->ends_stream || (block->end_bit + 7) / 8 != piece->file_len)
		return fault_set(fault, BLOCKZ_DAMAGED, off,
				 piece->ends_stream ? "deflate stream does not end with its last piece"
						    : "a final deflate block in the middle of the stream");
	if (block->out_end < cursor->image_len)
		return fault_set(fault, BLOCKZ_DAMAGED, off, "a piece ends after %" PRIu64 " of %" PRIu64 " byte%s",
				 block->out_end, cursor->image_len, plural(cursor->image_len));
	return BLOCKZ_OK;
}

static enum blockz_status read_stored(struct cursor *cursor, struct blockz_fault *fault)
{
	const struct walk_block *block = &cursor->block;
	struct walk_text *text = &cursor->text;
	size_t len = (size_t)(block->out_end - block->out_start);
	enum blockz_status status = read_file(cursor->file, text->bytes + text->len, len,
					      cursor->piece.file_off + block->payload_off, fault);
	text->len += len;
	return status;
}

/* Decodes a part, perhaps one of no bytes. */
static enum blockz_status decode_part(struct cursor *cursor, struct blockz_fault *fault)
{
	struct walk_block *block = &cursor->block;
	enum blockz_status status = BLOCKZ_OK;
	bool ended = true;
	if (!cursor->inside)
		status = walker_begin(cursor->walker, block, fault);
	if (status == BLOCKZ_OK)
		status = block->type == WALK_STORED
				 ? read_stored(cursor, fault)
				 : walker_text(cursor->walker, block, &cursor->text, NULL, &ended, fault);
	cursor->inside = !ended;
	if (status == BLOCKZ_OK && block->out_end > cursor->image_len)
		return fault_set(fault, BLOCKZ_DAMAGED, cursor->piece.file_off + block->end_bit / 8,
				 "a piece decodes to more than %" PRIu64 " byte%s", cursor->image_len,
				 plural(cursor->image_len));
	return status == BLOCKZ_OK && ended ? check_end(cursor, fault) : status;
}

enum blockz_status deflate_cursor_next(void *memory, const uint8_t **bytes_ret, size_t *len_ret, struct blockz_fault *fault)
{
	struct cursor *cursor = memory;
	enum blockz_status status = BLOCKZ_OK;
	make_room(&cursor->text);
	const size_t before = cursor->text.len;
	while (status == BLOCKZ_OK && cursor->text.len == before && !cursor->over)
		status = decode_part(cursor, fault);
	if (status != BLOCKZ_OK)
		return status;
	*bytes_ret = cursor->bytes + before;
	*len_ret = cursor->text.len - before;
	return BLOCKZ_OK;
}

/* ---- Marks ------------------------------------------------------------------------------------------------- */

bool deflate_cursor_mark(void *memory, struct buffer *out, size_t *len_ret)
{
	struct cursor *cursor = memory;
	const struct walk_block *block = &cursor->block;
	const struct mark_head head = {
		.place = { block->end_bit, block->out_end, cursor->inside ? block->header_bit : BLOCKZ_UNKNOWN },
		.history_len = (size_t)min(cursor->text.len, WALK_WINDOW),
	};
	if (cursor->compressor == NULL)
		cursor->compressor = libdeflate_alloc_compressor(MARK_LEVEL);
	if (cursor->compressor == NULL)
		return false;
	size_t room = libdeflate_deflate_compress_bound(cursor->compressor, head.history_len);
	if (!buffer_reserve(out, sizeof(head) + room))
		return false;
	memcpy(out->bytes, &head, sizeof(head));
	size_t len = libdeflate_deflate_compress(cursor->compressor, cursor->bytes + cursor->text.len - head.history_len,
						 head.history_len, out->bytes + sizeof(head), room);
	*len_ret = sizeof(head) + len;
	return len > 0;
}

enum blockz_status deflate_cursor_resume(void *memory, const struct piece *piece, uint64_t image_len, const uint8_t *mark,
					 size_t len, struct blockz_fault *fault)
{
	struct cursor *cursor = memory;
	struct mark_head head;
	memcpy(&head, mark, sizeof(head));
	begin(cursor, piece, image_len);
	if (libdeflate_deflate_decompress(cursor->decompressor, mark + sizeof(head), len - sizeof(head), cursor->bytes,
					  head.history_len, NULL) != LIBDEFLATE_SUCCESS)
		return fault_set(fault, BLOCKZ_FAILED, piece->file_off, "history does not decode");
	cursor->text.len = head.history_len;
	cursor->block.end_bit = head.place.bit;
	cursor->block.out_end = head.place.out;
	cursor->inside = head.place.header_bit != BLOCKZ_UNKNOWN;
	return walker_resume(cursor->walker, &head.place, &cursor->block, fault);
}
