/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads and decodes blocks of an image, one after another, on one thread: an unpacker is what one thread needs for it.  Knows
 * codecs, but neither texts nor what becomes of a block.
 */
#ifndef DELTA_MAKE_UNPACK_H
#define DELTA_MAKE_UNPACK_H

#include "delta/make/image.h"

struct unpacker;

/* image and env must live as long.  NULL: no memory.  unpacker_free() takes an unpacker or NULL, as a pool has it. */
struct unpacker *unpacker_new(const struct image *image, const struct codec_env *env);
void unpacker_free(void *unpacker);

/* Bytes that an unpacker takes, for blocks up to this length, decoded. */
uint64_t unpacker_memory(uint64_t longest);

/*
 * *plain_ret: plain_len bytes, which are the unpacker's, until the next call.  Errors: BLOCKZ_DAMAGED, BLOCKZ_LIMIT,
 * BLOCKZ_FAILED.
 */
enum blockz_status unpack(struct unpacker *unpacker, const struct block *block, const uint8_t **plain_ret,
			  struct blockz_fault *fault);

#endif
