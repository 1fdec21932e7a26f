/* SPDX-License-Identifier: BSD-3-Clause */
/* What stands behind the frames: the seek table.  Rows of struct format. */
#ifndef FORMAT_ZSTD_WRITE_H
#define FORMAT_ZSTD_WRITE_H

#include "format/format.h"

void *zstd_writer_new(const struct pack_params *params);
void zstd_writer_free(void *writer);
enum blockz_status zstd_write_head(void *writer, struct buffer *out, size_t *len_ret, struct blockz_fault *fault);
enum blockz_status zstd_write_piece(void *writer, const struct written_piece *piece, struct blockz_fault *fault);
enum blockz_status zstd_write_tail(void *writer, struct buffer *out, size_t *len_ret, uint64_t *index_piece_size_ret,
				   struct blockz_fault *fault);

#endif
