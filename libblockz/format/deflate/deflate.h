/* SPDX-License-Identifier: BSD-3-Clause */
/* Pieces of a deflate stream: each decodes alone, and they can be put one behind the other. */
#ifndef FORMAT_DEFLATE_DEFLATE_H
#define FORMAT_DEFLATE_DEFLATE_H

#include "format/format.h"
#include "format/deflate/layout.h"

/* Bytes of the image range [start, end), not empty, as stored blocks, headers included. */
uint64_t stored_len(uint64_t start, uint64_t end);

/* Rows of struct format. */

void *deflate_encoder_new(const struct pack_params *params);
void deflate_encoder_free(void *encoder);
/* The tag is the CRC-32 of the image bytes. */
enum blockz_status deflate_encode(void *encoder, const struct plain_piece *plain, struct encoding *encoding,
				  struct blockz_fault *fault);

void *deflate_decoder_new(uint64_t window_max);
void deflate_decoder_free(void *decoder);
enum blockz_status deflate_decode(void *decoder, const struct encoded_piece *encoded, uint8_t *out, size_t out_len,
				  struct blockz_fault *fault);
enum blockz_status deflate_decode_long(void *decoder, const struct blockz_source *file, const struct piece *piece,
				       uint64_t image_len, decode_emit emit, void *ctx, struct blockz_fault *fault);

/* The fastest level goes through ISA-L where that is built in. */
enum { DEFLATE_LEVEL_FASTEST = 1 };
enum deflate_encoder deflate_encoder_at(int level);

/* A compressor by ISA-L whose pieces need no joining; NULL where it is not built in, or memory is short. */
struct fast_deflate;
struct fast_deflate *fast_deflate_new(void);
void fast_deflate_free(struct fast_deflate *fast);
extern const bool fast_deflate_built_in;
/* Returns the length of the piece in out, or 0 where room does not suffice. */
size_t fast_deflate_piece(struct fast_deflate *fast, const uint8_t *bytes, size_t len, uint8_t *out, size_t room);

#endif
