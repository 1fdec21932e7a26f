/* SPDX-License-Identifier: BSD-3-Clause */
/* A long piece in parts, from its beginning or from marks in it.  Rows of struct format. */
#ifndef FORMAT_DEFLATE_CURSOR_H
#define FORMAT_DEFLATE_CURSOR_H

#include "format/format.h"

void *deflate_cursor_new(const struct blockz_source *file, uint64_t window_max);
void deflate_cursor_free(void *cursor);
enum blockz_status deflate_cursor_start(void *cursor, const struct piece *piece, uint64_t image_len,
					struct blockz_fault *fault);
enum blockz_status deflate_cursor_next(void *cursor, const uint8_t **bytes_ret, size_t *len_ret,
				       struct blockz_fault *fault);
bool deflate_cursor_mark(void *cursor, struct buffer *out, size_t *len_ret);
enum blockz_status deflate_cursor_resume(void *cursor, const struct piece *piece, uint64_t image_len, const uint8_t *mark,
					 size_t len, struct blockz_fault *fault);

#endif
