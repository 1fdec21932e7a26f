/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A shortest path.
 *
 * Places in the text are its nodes, tokens its edges, which are as long as the code makes them; and since a token leads
 * ahead, one pass finds the shortest way to each place.
 *
 *     old     the cat sat on the mat,  the cat is      the second "the cat " is a match, 25 bytes back
 *     new     the dog sat on the mat,  the cat is      "the " and " " are matches at the same distance; "cat" was not found
 *                                                      elsewhere: three literals
 *
 * An edit does not spread: what copied bytes that have changed is made by other tokens, and gives its old text again.  All
 * others are on the way as they stand, so what somebody has found with much effort is kept.
 */
#include "format/deflate/parse.h"

#include <stdlib.h>

#include "base/checked.h"
#include "base/equal.h"
#include "format/deflate/finder.h"

enum {
	NICE_LEN = 130,    /* a match so long is taken at once, as a whole: bounds the time */
	/* What a symbol is taken to cost that has no code. */
	NO_LITERAL = 13, NO_LENGTH = 15, NO_DIST = 18,
};

/* The last token of the shortest way to a place, and the way's length. */
struct step {
	uint32_t cost;
	struct walk_token token;
};

struct costs {
	uint8_t literal[256], length[MATCH_LEN_MAX + 1], dist[WALK_DIST_SYMBOLS]; /* extra bits included */
};

struct parser {
	struct finder *finder;
	struct step *steps;
	struct costs costs;
};

struct parser *parser_new(size_t len_max)
{
	struct parser *parser = calloc(1, sizeof(*parser));
	if (parser == NULL)
		return NULL;
	parser->finder = finder_new();
	parser->steps = malloc((len_max + 1) * sizeof(*parser->steps));
	if (parser->finder != NULL && parser->steps != NULL)
		return parser;
	parser_free(parser);
	return NULL;
}

void parser_free(struct parser *parser)
{
	if (parser == NULL)
		return;
	finder_free(parser->finder);
	free(parser->steps);
	free(parser);
}

/* ---- Old tokens -------------------------------------------------------------------------------------------- */

/* Whether a token gives the new text at a place, too. */
static bool token_holds(const struct edited_text *text, size_t at, const struct walk_token *token)
{
	const uint8_t *old = text->old + at, *new = text->new + at;
	return equal_ahead(old, new, token->len) == token->len &&
	       equal_ahead(old - token->dist, new - token->dist, token->len) == token->len;
}

bool tokens_hold(const struct edited_text *text)
{
	size_t at = 0;
	for (size_t i = 0; i < text->token_count; i++) {
		if (!token_holds(text, at, &text->tokens[i]))
			return false;
		at += text->tokens[i].len;
	}
	return true;
}

/* ---- The way ----------------------------------------------------------------------------------------------- */

static uint8_t cost_of(uint8_t len, uint8_t without)
{
	return len > 0 ? len : without;
}

static void set_costs(struct costs *costs, const struct walk_lens *lens)
{
	for (unsigned byte = 0; byte < 256; byte++)
		costs->literal[byte] = cost_of(lens->litlen[byte], NO_LITERAL);
	for (unsigned len = MATCH_LEN_MIN; len <= MATCH_LEN_MAX; len++) {
		struct extra_symbol symbol = length_symbol(len);
		costs->length[len] = (uint8_t)(cost_of(lens->litlen[symbol.symbol], NO_LENGTH) + symbol.extra_len);
	}
	for (unsigned symbol = 0; symbol < WALK_DIST_SYMBOLS; symbol++)
		costs->dist[symbol] = cost_of(lens->dist[symbol], NO_DIST);
}

static void relax(struct step *from, unsigned cost, struct walk_token token)
{
	struct step *to = from + token.len;
	if (from->cost + cost < to->cost)
		*to = (struct step){ from->cost + cost, token };
}

/* Matches of all lengths from least on, at one distance. */
static void relax_match(const struct costs *costs, struct step *from, unsigned least, struct walk_token match)
{
	struct extra_symbol dist = dist_symbol(match.dist);
	unsigned dist_cost = costs->dist[dist.symbol] + dist.extra_len;
	for (unsigned len = least; len <= match.len; len++)
		relax(from, costs->length[len] + dist_cost, (struct walk_token){ (uint16_t)len, match.dist });
}

/* Matches that are looked for; returns the length of the longest. */
static size_t relax_found(struct parser *parser, const struct edited_text *text, size_t at)
{
	struct walk_token found[FOUND_MAX];
	size_t max = (size_t)min(text->len - at, MATCH_LEN_MAX);
	size_t count = finder_search(parser->finder, text->new + at, text->out + at, text->reach + at, max, found);
	unsigned least = MATCH_LEN_MIN;
	if (count > 0 && found[count - 1].len >= NICE_LEN)
		least = found[count - 1].len;
	for (size_t i = 0; i < count; i++) {
		relax_match(&parser->costs, &parser->steps[at], least, found[i]);
		least = found[i].len + 1U > least ? found[i].len + 1U : least;
	}
	return count > 0 ? found[count - 1].len : 0;
}

/* What an old token leaves from a place within it on. */
static void relax_old(struct parser *parser, const struct edited_text *text, size_t at, unsigned dist, size_t max)
{
	const uint8_t *new = text->new + at;
	size_t len = dist > 0 ? equal_ahead(new, new - dist, max) : 0;
	if (len >= MATCH_LEN_MIN)
		relax_match(&parser->costs, &parser->steps[at], (unsigned)len,
			    (struct walk_token){ (uint16_t)len, (uint16_t)dist });
}

/* Takes the ways on from the places of an old token; *next is the first one from which they are to be looked for. */
static void pass_token(struct parser *parser, const struct edited_text *text, size_t start, const struct walk_token *token,
		       bool search, size_t *next)
{
	const size_t end = start + token->len;
	for (size_t at = start > *next ? start : *next; at < end; at = at + 1 > *next ? at + 1 : *next) {
		relax(&parser->steps[at], parser->costs.literal[text->new[at]], (struct walk_token){ 1, 0 });
		relax_old(parser, text, at, token->dist, end - at);
		size_t found = search ? relax_found(parser, text, at) : 0;
		if (found >= NICE_LEN)
			*next = at + found;
	}
}

/* The tokens of the way, which is found from its end on, as the last ones of a list. */
static struct token_run follow_back(const struct parser *parser, const struct edited_text *text, struct walk_token *list)
{
	size_t i = text->len;
	for (size_t at = text->len; at > 0; at -= parser->steps[at].token.len)
		list[--i] = parser->steps[at].token;
	return (struct token_run){ .tokens = list + i, .count = text->len - i, .text = text->new, .len = text->len };
}

struct token_run parse(struct parser *parser, const struct edited_text *text, const struct block_code *code, bool everywhere,
		       struct walk_token *list)
{
	size_t at = 0, next = 0;
	set_costs(&parser->costs, &code->lens);
	for (size_t i = 1; i <= text->len; i++)
		parser->steps[i].cost = UINT32_MAX;
	parser->steps[0].cost = 0;
	for (size_t i = 0; i < text->token_count; i++) {
		const struct walk_token *token = &text->tokens[i];
		pass_token(parser, text, at, token, everywhere || !token_holds(text, at, token), &next);
		at += token->len;
	}
	return follow_back(parser, text, list);
}
