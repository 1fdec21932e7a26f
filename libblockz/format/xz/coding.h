/* SPDX-License-Identifier: BSD-3-Clause */
/* How a Block was encoded, as pack_params hands it to an encoder: filters and properties, in a few bytes. */
#ifndef FORMAT_XZ_CODING_H
#define FORMAT_XZ_CODING_H

#include "format/format.h"
#include "format/xz/block.h"

/*
 * Of the same dictionary all levels from 6 on make the same.  When a Block is encoded again, higher ones stand for what makes
 * it shorter otherwise, often by a few bytes in a thousand: as many bits of literal context as can be, or "extreme".
 */
enum { XZ_RENEW_USUAL = 6, XZ_RENEW_CONTEXT = 8, XZ_RENEW_EXTREME = 9 };

/*
 * Notes the filters of a Block, and the properties of its LZMA chunks: lc, lp and pb in a byte, as these chunks have them.
 * False: the filters are more than there is room for.
 */
bool xz_coding_note(uint8_t coding[CODING_LEN], const struct xz_block *block, uint8_t properties);

/*
 * The chain of filters for an encoder, by what was noted, or else LZMA2 alone; the level chooses what decoders do not see.
 * No dictionary is larger than a piece, or than the one that was noted.  xz_block_free() it, but not after an error.
 * Errors: BLOCKZ_FAILED (no memory); BLOCKZ_UNSUPPORTED (no such preset, or a chain that cannot be).
 */
enum blockz_status xz_coding_chain(const struct pack_params *params, struct xz_block *block_ret, struct blockz_fault *fault);

/* What the level makes of LZMA2's options, in a dictionary of which *options tells where one was noted.  False: no such preset. */
bool xz_coding_options(const struct pack_params *params, lzma_options_lzma *options);

#endif
