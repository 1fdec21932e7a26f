/* SPDX-License-Identifier: BSD-3-Clause */
/* Finds how long a small block is when it is decoded; of the last metadata block of a table nothing else tells. */
#ifndef CONTAINER_DECODED_LENGTH_H
#define CONTAINER_DECODED_LENGTH_H

#include "codec/codec.h"

/*
 * The decoded length of a block of one of SquashFS's codecs.  scratch has room for room bytes; what is written there is of
 * no use.  *len_ret 0: the block is damaged, empty or longer than room.  Errors: BLOCKZ_FAILED (no memory).
 */
enum blockz_status decoded_length(enum codec_id codec, const uint8_t *bytes, size_t len, uint8_t *scratch, size_t room,
				  size_t *len_ret, struct blockz_fault *fault);

#endif
