/* SPDX-License-Identifier: BSD-3-Clause */
/* libzstd keeps the window, and verifies the checksum. */
#include "format/zstd/cursor.h"

#include <stdlib.h>
#include <zstd.h>

#include "base/fault.h"
#include "format/zstd/frame.h"
#include "format/zstd/read.h"
#include "io/access.h"

enum { PART = 256 * 1024 };

struct cursor {
	const struct blockz_source *file;
	uint64_t window_max;
	ZSTD_DCtx *context;
	struct piece piece;
	uint64_t fed, made, image_len;
	bool over;
	ZSTD_inBuffer in;
	uint8_t in_bytes[PART], out_bytes[PART];
};

void zstd_cursor_free(void *memory)
{
	struct cursor *cursor = memory;
	if (cursor == NULL)
		return;
	ZSTD_freeDCtx(cursor->context);
	free(cursor);
}

void *zstd_cursor_new(const struct blockz_source *file, uint64_t window_max)
{
	struct cursor *cursor = malloc(sizeof(*cursor));
	if (cursor == NULL)
		return NULL;
	cursor->file = file;
	cursor->window_max = window_max;
	cursor->context = zstd_context_new();
	if (cursor->context == NULL) {
		free(cursor);
		return NULL;
	}
	return cursor;
}

/* In parts frames need their window; others are decoded to memory that is there, which strict decoders do not rely on. */
static enum blockz_status check_window(const struct cursor *cursor, struct blockz_fault *fault)
{
	uint8_t bytes[FRAME_HEADER_LEN_MAX];
	struct frame_header header;
	const struct piece *piece = &cursor->piece;
	size_t len = piece->file_len < sizeof(bytes) ? (size_t)piece->file_len : sizeof(bytes);
	enum blockz_status status = read_file(cursor->file, bytes, len, piece->file_off, fault);
	if (status == BLOCKZ_OK)
		status = frame_header_parse(bytes, len, piece->file_off, &header, fault);
	return status == BLOCKZ_OK ? zstd_check_window(&header, cursor->window_max, piece->file_off, fault) : status;
}

enum blockz_status zstd_cursor_start(void *memory, const struct piece *piece, uint64_t image_len, struct blockz_fault *fault)
{
	struct cursor *cursor = memory;
	cursor->piece = *piece;
	cursor->image_len = image_len;
	cursor->fed = cursor->made = 0;
	cursor->over = false;
	cursor->in = (ZSTD_inBuffer){ cursor->in_bytes, 0, 0 };
	ZSTD_DCtx_reset(cursor->context, ZSTD_reset_session_only);
	return check_window(cursor, fault);
}

static enum blockz_status feed(struct cursor *cursor, struct blockz_fault *fault)
{
	uint64_t left = cursor->piece.file_len - cursor->fed;
	size_t part = left < PART ? (size_t)left : PART;
	if (cursor->in.pos < cursor->in.size || part == 0)
		return BLOCKZ_OK;
	enum blockz_status status =
		read_file(cursor->file, cursor->in_bytes, part, cursor->piece.file_off + cursor->fed, fault);
	cursor->in = (ZSTD_inBuffer){ cursor->in_bytes, part, 0 };
	cursor->fed += part;
	return status;
}

/* Decodes a part, perhaps one of no bytes. */
static enum blockz_status decode_part(struct cursor *cursor, size_t *len_ret, struct blockz_fault *fault)
{
	enum blockz_status status = feed(cursor, fault);
	if (status != BLOCKZ_OK)
		return status;
	ZSTD_outBuffer out = { cursor->out_bytes, PART, 0 };
	size_t before = cursor->in.pos, result = ZSTD_decompressStream(cursor->context, &out, &cursor->in);
	uint64_t at = cursor->piece.file_off + cursor->fed - (cursor->in.size - cursor->in.pos);
	if (ZSTD_isError(result))
		return zstd_refuse_frame(result, at, fault);
	bool stuck = out.pos == 0 && cursor->in.pos == before;
	bool whole = cursor->fed == cursor->piece.file_len && cursor->in.pos == cursor->in.size;
	cursor->over = result == 0;
	cursor->made += out.pos;
	bool short_of = cursor->image_len != BLOCKZ_UNKNOWN && cursor->made < cursor->image_len;
	if (cursor->made > cursor->image_len || (cursor->over && (!whole || short_of)) || (stuck && !cursor->over))
		return fault_set(fault, BLOCKZ_DAMAGED, at, "a frame's length is not that of its piece");
	*len_ret = out.pos;
	return BLOCKZ_OK;
}

enum blockz_status zstd_cursor_next(void *memory, const uint8_t **bytes_ret, size_t *len_ret, struct blockz_fault *fault)
{
	struct cursor *cursor = memory;
	enum blockz_status status = BLOCKZ_OK;
	size_t len = 0;
	while (status == BLOCKZ_OK && len == 0 && !cursor->over)
		status = decode_part(cursor, &len, fault);
	if (status != BLOCKZ_OK)
		return status;
	*bytes_ret = cursor->out_bytes;
	*len_ret = len;
	return BLOCKZ_OK;
}
