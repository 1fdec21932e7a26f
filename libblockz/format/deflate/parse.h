/* SPDX-License-Identifier: BSD-3-Clause */
/* Which tokens a text is best encoded as, by a code. */
#ifndef FORMAT_DEFLATE_PARSE_H
#define FORMAT_DEFLATE_PARSE_H

#include "format/deflate/block_code.h"

/* A part of a text that was edited; bytes stand before it that matches can reach, in both. */
struct edited_text {
	const uint8_t *old, *new;
	size_t len, reach;
	uint64_t out;                    /* the text offset */
	const struct walk_token *tokens; /* of the old text */
	size_t token_count;
};

struct parser;

/* For parts of at most len_max bytes.  NULL: no memory. */
struct parser *parser_new(size_t len_max);
void parser_free(struct parser *parser);

/* True if the tokens give the new text as well: all that they stand for, and copy, is as it was. */
bool tokens_hold(const struct edited_text *text);

/*
 * Finds the tokens of the new text that take fewest bits, among literals, the old tokens and what is left of them, and matches
 * that are looked for: where old tokens do not hold, or everywhere.  list has room for text->len of them.  Parts come in
 * ascending order, or one again.
 */
struct token_run parse(struct parser *parser, const struct edited_text *text, const struct block_code *code, bool everywhere,
		       struct walk_token *list);

#endif
