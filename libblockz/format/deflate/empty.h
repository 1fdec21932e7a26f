/* SPDX-License-Identifier: BSD-3-Clause */
/* Empty blocks, which decoders pass over: they fill a stream up to a place. */
#ifndef FORMAT_DEFLATE_EMPTY_H
#define FORMAT_DEFLATE_EMPTY_H

#include "format/deflate/bits.h"

/* Appends empty blocks until there are exactly count bits; false, with nothing appended: no blocks are just as long. */
bool empty_fill(struct bits *bits, uint64_t count);
/* Appends as few bits of empty blocks as lead to that bit of a byte. */
void empty_fill_to_phase(struct bits *bits, unsigned phase);
/* Appends the end of a stream: an empty block with BFINAL. */
void empty_end(struct bits *bits);

enum { EMPTY_END_BITS = 10 };

#endif
