/* SPDX-License-Identifier: BSD-3-Clause */
/* A frame from the image bytes of a piece: rows of struct format. */
#ifndef FORMAT_ZSTD_ENCODE_H
#define FORMAT_ZSTD_ENCODE_H

#include "format/format.h"

void *zstd_encoder_new(const struct pack_params *params);
void zstd_encoder_free(void *encoder);
uint64_t zstd_encoder_memory(const struct pack_params *params);
/* The tag is the frame's checksum. */
enum blockz_status zstd_encode(void *encoder, const struct plain_piece *plain, struct encoding *encoding,
			       struct blockz_fault *fault);

#endif
