/* SPDX-License-Identifier: BSD-3-Clause */
/* Pieces of a deflate stream: each decodes alone, and they can be put one behind the other.  Rows of struct format. */
#ifndef FORMAT_DEFLATE_ENCODE_H
#define FORMAT_DEFLATE_ENCODE_H

#include "format/deflate/layout.h"
#include "format/format.h"

void *deflate_encoder_new(const struct pack_params *params);
void deflate_encoder_free(void *encoder);
/* The tag is the CRC-32 of the image bytes. */
enum blockz_status deflate_encode(void *encoder, const struct plain_piece *plain, struct encoding *encoding,
				  struct blockz_fault *fault);

/* How many bytes the image range [start, end), not empty, has as stored blocks, headers included. */
uint64_t stored_len(uint64_t start, uint64_t end);

/* Who encodes at a level: the fastest goes through ISA-L where that is built in. */
enum { DEFLATE_LEVEL_FASTEST = 1 };
enum deflate_encoder deflate_encoder_at(int level);

#endif
