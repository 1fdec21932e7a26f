/* SPDX-License-Identifier: BSD-3-Clause */
/* The fastest level, by ISA-L where that is built in. */
#ifndef FORMAT_DEFLATE_FAST_H
#define FORMAT_DEFLATE_FAST_H

#include "format/format.h"

/* A compressor whose pieces need no joining. */
struct fast_deflate;

/* NULL where it is not built in, or memory is short.  The caller frees it. */
struct fast_deflate *fast_deflate_new(void);
void fast_deflate_free(struct fast_deflate *fast);
extern const bool fast_deflate_built_in;

/* Returns the length of the piece in out, or 0 where room does not suffice. */
size_t fast_deflate_piece(struct fast_deflate *fast, const uint8_t *bytes, size_t len, uint8_t *out, size_t room);

#endif
