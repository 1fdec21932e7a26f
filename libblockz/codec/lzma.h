/* SPDX-License-Identifier: BSD-3-Clause */
/* What the codecs of liblzma share: what blocks show of the values that made them, and which values are the same. */
#ifndef CODEC_LZMA_H
#define CODEC_LZMA_H

#include <lzma.h>

#include "codec/codec.h"

/*
 * Sets LZMA_LC, LZMA_LP and LZMA_PB of values to those of a block, of which LZMA_BLOCK_HEAD_LEN bytes are enough.  False:
 * they do not stand at its beginning, as in a block that begins with what does not compress.
 */
enum { LZMA_BLOCK_HEAD_LEN = 12 + 1024 + 6 }; /* headers of the Stream, the Block and the first chunk */
bool lzma_block_properties(unsigned codec, const uint8_t *bytes, size_t len, uint32_t values[CODEC_VALUES_MAX]);

/* Whether encoders with these options make the same of everything. */
bool lzma_options_are_same(const lzma_options_lzma *a, const lzma_options_lzma *b);

#endif
