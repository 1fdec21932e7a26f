/* SPDX-License-Identifier: BSD-3-Clause */
/* A long frame in parts, from its beginning on: any other way in would take its whole window.  Rows of struct format. */
#ifndef FORMAT_ZSTD_CURSOR_H
#define FORMAT_ZSTD_CURSOR_H

#include "format/format.h"

void *zstd_cursor_new(const struct blockz_source *file, uint64_t window_max);
void zstd_cursor_free(void *cursor);
enum blockz_status zstd_cursor_start(void *cursor, const struct piece *piece, uint64_t image_len, struct blockz_fault *fault);
enum blockz_status zstd_cursor_next(void *cursor, const uint8_t **bytes_ret, size_t *len_ret, struct blockz_fault *fault);

#endif
