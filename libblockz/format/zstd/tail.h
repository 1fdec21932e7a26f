/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames made longer by raw blocks at their end, on which no other block can depend. */
#ifndef FORMAT_ZSTD_TAIL_H
#define FORMAT_ZSTD_TAIL_H

#include "format/format.h"

/*
 * Makes of a frame, whose content size its header has, one with the same content: as many of the last blocks are raw as
 * leave it no longer than max bytes.  *raw_ret: empty at first, the caller's to free.
 * Errors: BLOCKZ_DAMAGED (it does not decode), BLOCKZ_FAILED.
 */
enum blockz_status zstd_raw_tail(const struct encoding *encoding, size_t max, struct encoding *raw_ret,
				 struct blockz_fault *fault);

#endif
