/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames made longer by blocks of no bytes, and by raw ones: a row of struct format. */
#ifndef FORMAT_ZSTD_FILL_H
#define FORMAT_ZSTD_FILL_H

#include "format/format.h"

enum { FILL_MAX = 64 << 10 }; /* of a frame: some decoders take 2.4 microseconds a block, which are 50 ms then */

/* True if blocks of no bytes, none of them the last of a frame, can have so many together; and writes them. */
bool fill_is_possible(size_t amount);
void fill_store(uint8_t *bytes, size_t amount);

/* Fills with everything but 1, 2 and 5 up to 64 KiB, and with nearly as much as raw blocks are longer than others. */
enum blockz_status zstd_fill(struct encoding *encoding, size_t len, bool *filled_ret, struct blockz_fault *fault);

#endif
