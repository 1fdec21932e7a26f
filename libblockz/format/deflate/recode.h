/* SPDX-License-Identifier: BSD-3-Clause */
/* Text of blocks that was edited: their tokens, encoded again. */
#ifndef FORMAT_DEFLATE_RECODE_H
#define FORMAT_DEFLATE_RECODE_H

#include "format/deflate/parse.h"

enum { BLOCK_HEADER_MAX = 576 }; /* bytes: 17 bits, 19 * 3, and 316 lengths of at most 14, from any bit on */

/* A block that stood there, whose code is used on. */
struct own_block {
	struct block_code code;
	bool final;
	uint8_t header[BLOCK_HEADER_MAX];
	unsigned header_first, header_count; /* so many bits of it, from that one on */
};

struct recoder;

/* For parts of at most len_max bytes.  NULL: no memory. */
struct recoder *recoder_new(size_t len_max);
void recoder_free(struct recoder *recoder);

/* What is encoded again: a block, or a part of one. */
struct recoding {
	const struct edited_text *text;
	const struct own_block *own; /* NULL: a stored block */
	bool ends;     /* with its block */
	bool shortest; /* clean tokens are not good enough: it takes as much time as encoding it anew */
};

/* *open: the bits end among symbols of the own block; and whether they do so then. */
void deflate_recode(struct recoder *recoder, const struct recoding *recoding, bool *open, struct bits *bits);

/* Appends its header, of a final block or of one that is not. */
void own_block_put_header(const struct own_block *own, bool final, struct bits *bits);

#endif
