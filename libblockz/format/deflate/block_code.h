/* SPDX-License-Identifier: BSD-3-Clause */
/* The Huffman code of a block: what tokens cost by it, how they are put, and the header that tells of it. */
#ifndef FORMAT_DEFLATE_BLOCK_CODE_H
#define FORMAT_DEFLATE_BLOCK_CODE_H

#include "format/deflate/bits.h"
#include "format/deflate/walk.h"

enum { MATCH_LEN_MIN = 3, MATCH_LEN_MAX = 258, END_OF_BLOCK = 256 };

struct block_code {
	struct walk_lens lens;
	uint16_t litlen[WALK_LITLEN_SYMBOLS], dist[WALK_DIST_SYMBOLS]; /* the first bit lowest */
};

/* How often each symbol comes. */
struct block_weights {
	uint32_t litlen[WALK_LITLEN_SYMBOLS], dist[WALK_DIST_SYMBOLS];
};

/* What stands for a length or a distance: a symbol, and extra bits behind its code. */
struct extra_symbol {
	unsigned symbol, extra_len, extra;
};

struct extra_symbol length_symbol(unsigned len);
struct extra_symbol dist_symbol(unsigned dist);

/* Tokens of a text, and the text. */
struct token_run {
	const struct walk_token *tokens;
	size_t count;
	const uint8_t *text;
	size_t len;
};

/* Makes the code of lengths; that which suits tokens best, and the end of their block. */
void block_code_of(struct block_code *code, const struct walk_lens *lens);
void block_code_fit(struct block_code *code, const struct token_run *run);
void block_code_fixed(struct block_code *code);

/* The bits of a token, whose first byte is that, and of a run; UINT64_MAX: a symbol has no code. */
uint64_t token_cost(const struct block_code *code, const struct walk_token *token, uint8_t byte);
uint64_t block_code_cost(const struct block_code *code, const struct token_run *run);
void block_code_put(const struct block_code *code, const struct token_run *run, struct bits *bits);

unsigned block_code_end_len(const struct block_code *code);
void block_code_put_end(const struct block_code *code, struct bits *bits);

/* The header of a dynamic block that is not final. */
uint64_t block_header_cost(const struct block_code *code);
void block_header_put(const struct block_code *code, struct bits *bits);

#endif
