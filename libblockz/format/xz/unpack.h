/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decoding a Block whose only filter is LZMA2, from memory to memory, which is its dictionary; chunk by chunk if need be.
 *
 * A chunk shows at its end that it was decoded right: the bytes that it has are used up, it holds as much text as its header
 * says, and the range coder is in the one state of 2^32 in which its encoder has left it.  So text can be relied on before
 * the Check behind the whole Block is reached, if no chunk before it is a raw one, of which nothing but the Check tells.
 */
#ifndef FORMAT_XZ_UNPACK_H
#define FORMAT_XZ_UNPACK_H

#include "format/format.h"
#include "format/xz/block.h"
#include "format/xz/chunks.h"
#include "format/xz/model.h"

/* How far a Block was unpacked; `begun` is false at first, and nothing is but numbers, so that it can be copied. */
struct xz_unpacked {
	bool begun, has_raw;
	struct xz_chunk_order order;
	size_t in_pos, out_pos; /* behind the last chunk: in the Block, and in its text */
	uint64_t since_reset;
	uint32_t dict_size;
	struct xz_model model;
};

/*
 * Goes on to unpack a Block, whose header was parsed: encoded has all of its bytes, out has room for out_len bytes and
 * COPY_SLACK, and what was unpacked before.  At least the first `wanted` bytes of the text, and as many more as it takes to
 * rely on them, are there then: unpacked->out_pos; where that is out_len, all of the Block was verified.  After an error it
 * has to begin anew.  Errors: BLOCKZ_DAMAGED, BLOCKZ_LIMIT, BLOCKZ_UNSUPPORTED, BLOCKZ_FAILED.
 */
enum blockz_status xz_unpack(struct xz_unpacked *unpacked, const struct encoded_piece *encoded, const struct xz_block *block,
			     uint64_t window_max, uint8_t *out, size_t out_len, size_t wanted, struct blockz_fault *fault);

#endif
