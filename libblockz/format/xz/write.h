/* SPDX-License-Identifier: BSD-3-Clause */
/* The Stream around the Blocks: rows of struct format. */
#ifndef FORMAT_XZ_WRITE_H
#define FORMAT_XZ_WRITE_H

#include "format/format.h"

void *xz_writer_new(const struct pack_params *params);
void xz_writer_free(void *writer);
enum blockz_status xz_write_head(void *writer, struct buffer *out, size_t *len_ret, struct blockz_fault *fault);
enum blockz_status xz_write_piece(void *writer, const struct written_piece *piece, struct blockz_fault *fault);
enum blockz_status xz_write_tail(void *writer, struct buffer *out, size_t *len_ret, uint64_t *index_piece_size_ret,
				 struct blockz_fault *fault);

#endif
