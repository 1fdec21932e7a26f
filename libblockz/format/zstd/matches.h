/* SPDX-License-Identifier: BSD-3-Clause */
/* Matches of a block whose text, or the text before it, is to be another. */
#ifndef FORMAT_ZSTD_MATCHES_H
#define FORMAT_ZSTD_MATCHES_H

#include "blockz.h"
#include "format/zstd/sequences.h"
#include "format/zstd/text_window.h"

/* The text of a block, as it will be. */
struct block_text {
	uint64_t start; /* in the image */
	const uint8_t *bytes;
	size_t len;
	size_t changed; /* so much of it, at most */
};

/* A block in the new text. */
struct text_place {
	const struct text_window *window; /* what stands before it */
	struct block_text text;
	struct blockz_range differing; /* of the image: any of that which is not as it was lies in it */
};

/* True if what sequences copy is the same as it was. */
bool matches_hold(const struct text_place *place, const struct sequence *sequences, size_t count);

/*
 * Cuts off the matches what is not the same any more; it becomes literals.  Returns how many sequences there are in repaired,
 * which has room for SEQUENCES_MAX.
 */
size_t matches_repair(const struct text_place *place, const struct sequence *sequences, size_t count,
		      struct sequence *repaired);

#endif
