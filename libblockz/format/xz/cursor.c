/* SPDX-License-Identifier: BSD-3-Clause */
/* liblzma keeps the dictionary, and verifies the Check and the sizes that the Block's header says. */
#include "format/xz/cursor.h"

#include <stdlib.h>

#include "base/checked.h"
#include "base/fault.h"
#include "format/xz/block.h"
#include "format/xz/read.h"
#include "io/access.h"

enum { PART = 256 * 1024 };

struct cursor {
	const struct blockz_source *file;
	uint64_t window_max;
	lzma_stream stream; /* keeps its memory from Block to Block */
	struct xz_block block;
	bool parsed; /* block is to be freed */
	struct piece piece;
	uint64_t fed, made, image_len;
	bool over;
	uint8_t in[PART], out[PART];
};

static void free_block(struct cursor *cursor)
{
	if (cursor->parsed)
		xz_block_free(&cursor->block);
	cursor->parsed = false;
}

void *xz_cursor_new(const struct blockz_source *file, uint64_t window_max)
{
	struct cursor *cursor = malloc(sizeof(*cursor));
	if (cursor == NULL)
		return NULL;
	cursor->file = file;
	cursor->window_max = window_max;
	cursor->stream = (lzma_stream)LZMA_STREAM_INIT;
	cursor->parsed = false;
	return cursor;
}

void xz_cursor_free(void *memory)
{
	struct cursor *cursor = memory;
	if (cursor == NULL)
		return;
	lzma_end(&cursor->stream);
	free_block(cursor);
	free(cursor);
}

static enum blockz_status parse(struct cursor *cursor, size_t len, struct blockz_fault *fault)
{
	const struct piece *piece = &cursor->piece;
	free_block(cursor);
	enum blockz_status status = read_file(cursor->file, cursor->in, len, piece->file_off, fault);
	if (status == BLOCKZ_OK)
		status = xz_block_parse(cursor->in, len, piece->method, piece->file_off, &cursor->block, fault);
	cursor->parsed = status == BLOCKZ_OK;
	return status;
}

enum blockz_status xz_cursor_start(void *memory, const struct piece *piece, uint64_t image_len, struct blockz_fault *fault)
{
	struct cursor *cursor = memory;
	size_t len = (size_t)min(piece->file_len, BLOCK_HEADER_LEN_MAX);
	cursor->piece = *piece;
	cursor->image_len = image_len;
	cursor->fed = len;
	cursor->made = 0;
	cursor->over = false;
	enum blockz_status status = parse(cursor, len, fault);
	if (status != BLOCKZ_OK)
		return status;
	cursor->stream.next_in = cursor->in + cursor->block.block.header_size;
	cursor->stream.avail_in = len - cursor->block.block.header_size;
	return xz_block_start(&cursor->stream, &cursor->block, image_len, cursor->window_max, piece->file_off, fault);
}

static enum blockz_status feed(struct cursor *cursor, struct blockz_fault *fault)
{
	size_t part = (size_t)min(cursor->piece.file_len - cursor->fed, PART);
	if (cursor->stream.avail_in > 0 || part == 0)
		return BLOCKZ_OK;
	enum blockz_status status = read_file(cursor->file, cursor->in, part, cursor->piece.file_off + cursor->fed, fault);
	cursor->stream.next_in = cursor->in;
	cursor->stream.avail_in = status == BLOCKZ_OK ? part : 0;
	cursor->fed += part;
	return status;
}

/* Decodes a part, perhaps one of no bytes. */
static enum blockz_status decode_part(struct cursor *cursor, size_t *len_ret, struct blockz_fault *fault)
{
	const struct piece *piece = &cursor->piece;
	lzma_stream *stream = &cursor->stream;
	enum blockz_status status = feed(cursor, fault);
	if (status != BLOCKZ_OK)
		return status;
	bool whole = cursor->fed == piece->file_len;
	stream->next_out = cursor->out;
	stream->avail_out = PART;
	lzma_ret result = lzma_code(stream, whole ? LZMA_FINISH : LZMA_RUN);
	uint64_t at = piece->file_off + cursor->fed - stream->avail_in;
	if (result != LZMA_OK && result != LZMA_STREAM_END)
		return xz_refuse_block(result, at, fault);
	cursor->over = result == LZMA_STREAM_END;
	*len_ret = PART - stream->avail_out;
	cursor->made += *len_ret;
	if (cursor->made > cursor->image_len ||
	    (cursor->over && (!whole || stream->avail_in > 0 || cursor->made < cursor->image_len)))
		return xz_block_other_sizes(at, fault);
	return cursor->over ? xz_block_check_length(&cursor->block, piece->file_len, piece->padding, piece->file_off, fault) :
			      BLOCKZ_OK;
}

enum blockz_status xz_cursor_next(void *memory, const uint8_t **bytes_ret, size_t *len_ret, struct blockz_fault *fault)
{
	struct cursor *cursor = memory;
	enum blockz_status status = BLOCKZ_OK;
	size_t len = 0;
	while (status == BLOCKZ_OK && len == 0 && !cursor->over)
		status = decode_part(cursor, &len, fault);
	if (status != BLOCKZ_OK)
		return status;
	*bytes_ret = cursor->out;
	*len_ret = len;
	return BLOCKZ_OK;
}
