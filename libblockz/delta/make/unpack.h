/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads and decodes blocks of an image, one after another, on one thread. */
#ifndef DELTA_MAKE_UNPACK_H
#define DELTA_MAKE_UNPACK_H

#include "delta/make/image.h"

struct unpacker;

/* NULL: no memory.  unpacker_free() takes what unpacker_new() gave, or NULL. */
void *unpacker_new(const struct image *image, const struct codec_env *env);
void unpacker_free(void *unpacker);

/* *plain_ret: plain_len bytes, until the next call.  Errors: BLOCKZ_DAMAGED, BLOCKZ_LIMIT, BLOCKZ_FAILED. */
enum blockz_status unpack(struct unpacker *unpacker, const struct block *block, const uint8_t **plain_ret,
			  struct blockz_fault *fault);

#endif
