/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which code?
 *
 * The block's own one costs nothing, and suits what has not changed.  What has may have symbols that it lacks, or be of
 * another kind: then all tokens get a code that is made for them; or only the part that is encoded poorly by the own one
 * gets a block, before and behind which the old one goes on.  Bits are counted, and the fewest taken.
 */
#include "format/deflate/recode.h"

#include <stdlib.h>

#include "base/checked.h"

enum coding { OWN, MADE, FIXED, STORED, CODINGS };

enum {
	STORED_MAX = 65535,
	STORED_BITS = 3 + 7 + 32, /* its header, at most */
	FIXED_HEADER_BITS = 3,
	HEADER_MIN = 60, /* bits of a header that has a code: what is short needs none */
	PARTS = 3,
	LITERAL_BITS = 8,  /* what a byte costs at most by a block for it alone, about */
	NO_CODE_BITS = 64, /* a symbol without a code belongs there */
	PASSES = 2,        /* so many codes are made of what was found by the one before */
};

struct part {
	struct token_run run;
	enum coding coding;
	bool ends;
	uint64_t cost;
};

/* Text in one block or three. */
struct division {
	struct part parts[PARTS];
	size_t count;
	uint64_t cost;
};

struct recoder {
	struct parser *parser;
	struct walk_token *lists[2];
	struct block_code fixed, made;
};

void recoder_free(struct recoder *recoder)
{
	if (recoder == NULL)
		return;
	parser_free(recoder->parser);
	free(recoder->lists[0]);
	free(recoder->lists[1]);
	free(recoder);
}

struct recoder *recoder_new(size_t len_max)
{
	struct recoder *recoder = calloc(1, sizeof(*recoder));
	if (recoder == NULL)
		return NULL;
	recoder->parser = parser_new(len_max);
	for (size_t i = 0; i < 2; i++)
		recoder->lists[i] = malloc(len_max * sizeof(*recoder->lists[i]));
	if (recoder->parser == NULL || recoder->lists[0] == NULL || recoder->lists[1] == NULL) {
		recoder_free(recoder);
		return NULL;
	}
	block_code_fixed(&recoder->fixed);
	return recoder;
}

/* ---- What a part costs ------------------------------------------------------------------------------------- */

static uint64_t sum_of(uint64_t a, uint64_t b)
{
	return a == UINT64_MAX ? a : a + b;
}

static uint64_t own_cost(const struct own_block *own, const struct part *part, bool open)
{
	uint64_t around = (open ? 0 : own->header_count) + (part->ends ? block_code_end_len(&own->code) : 0);
	return sum_of(block_code_cost(&own->code, &part->run), around);
}

static uint64_t new_cost(const struct block_code *code, const struct part *part, uint64_t header)
{
	return block_code_cost(code, &part->run) + header + block_code_end_len(code);
}

static uint64_t made_cost(struct recoder *recoder, const struct part *part)
{
	block_code_fit(&recoder->made, &part->run);
	return new_cost(&recoder->made, part, block_header_cost(&recoder->made));
}

static uint64_t stored_cost(const struct part *part)
{
	return part->run.len * 8 + (part->run.len / STORED_MAX + 1) * STORED_BITS;
}

static void choose_coding(struct recoder *recoder, const struct own_block *own, struct part *part, bool open)
{
	uint64_t costs[CODINGS];
	const uint64_t end = open ? block_code_end_len(&own->code) : 0;
	costs[OWN] = own != NULL ? own_cost(own, part, open) : UINT64_MAX;
	costs[FIXED] = end + new_cost(&recoder->fixed, part, FIXED_HEADER_BITS);
	costs[MADE] = costs[FIXED] > HEADER_MIN ? end + made_cost(recoder, part) : UINT64_MAX;
	costs[STORED] = end + stored_cost(part);
	part->coding = OWN;
	for (enum coding coding = MADE; coding < CODINGS; coding++)
		if (costs[coding] < costs[part->coding])
			part->coding = coding;
	part->cost = costs[part->coding];
}

/* ---- Division ---------------------------------------------------------------------------------------------- */

/* Adds a part, if there is anything to encode. */
static void add_part(struct recoder *recoder, const struct own_block *own, struct division *division, struct token_run run,
		     bool ends, bool *open)
{
	struct part *part = &division->parts[division->count];
	*part = (struct part){ .run = run, .ends = ends };
	if (run.count == 0 && !(ends && *open))
		return;
	choose_coding(recoder, own, part, *open);
	*open = part->coding == OWN && !ends;
	division->cost += part->cost;
	division->count++;
}

/* Where a run is cut: before a token, and that token's text. */
struct cut {
	size_t token, text;
};

static struct token_run part_of(const struct token_run *run, struct cut from, struct cut to)
{
	return (struct token_run){ run->tokens + from.token, to.token - from.token, run->text + from.text, to.text - from.text };
}

/* What a token costs by the own code beyond what its text would by another. */
static int64_t excess(const struct block_code *own, const struct walk_token *token, uint8_t byte)
{
	return (int64_t)min(token_cost(own, token, byte), NO_CODE_BITS) - LITERAL_BITS * token->len;
}

/* Finds the tokens one behind the other with the greatest excess together. */
static void find_poor(const struct block_code *own, const struct token_run *run, struct cut *from_ret, struct cut *to_ret)
{
	int64_t sum = 0, most = 0;
	struct cut from = { 0 }, at = { 0 };
	*from_ret = *to_ret = from;
	while (at.token < run->count) {
		const struct walk_token *token = &run->tokens[at.token];
		if (sum <= 0) {
			sum = 0;
			from = at;
		}
		sum += excess(own, token, run->text[at.text]);
		at = (struct cut){ at.token + 1, at.text + token->len };
		if (sum > most) {
			most = sum;
			*from_ret = from;
			*to_ret = at;
		}
	}
}

static struct division divide(struct recoder *recoder, const struct recoding *recoding, struct token_run run, bool open)
{
	const struct own_block *own = recoding->own;
	const struct cut start = { 0 }, end = { run.count, run.len };
	struct division whole = { .count = 0 }, cut = { .count = 0 };
	struct cut from, to;
	bool is_open = open;
	add_part(recoder, own, &whole, run, recoding->ends, &is_open);
	if (own == NULL)
		return whole;
	find_poor(&own->code, &run, &from, &to);
	if (from.token == to.token)
		return whole;
	add_part(recoder, own, &cut, part_of(&run, start, from), false, &open);
	add_part(recoder, own, &cut, part_of(&run, from, to), false, &open);
	add_part(recoder, own, &cut, part_of(&run, to, end), recoding->ends, &open);
	return cut.cost < whole.cost ? cut : whole;
}

/* ---- What is put ------------------------------------------------------------------------------------------- */

void own_block_put_header(const struct own_block *own, bool final, struct bits *bits)
{
	bits_put(bits, final, 1);
	bits_copy(bits, own->header, own->header_first + 1, own->header_count - 1);
}

static void put_stored(const struct token_run *run, struct bits *bits)
{
	for (size_t at = 0, len; at < run->len; at += len) {
		len = (size_t)min(run->len - at, STORED_MAX);
		bits_put(bits, 0, 3);
		bits_put(bits, 0, (unsigned)(-bits->count % 8));
		bits_put(bits, (uint32_t)len | (uint32_t)~len << 16, 32);
		bits_copy(bits, run->text + at, 0, len * 8);
	}
}

static void put_new(const struct block_code *code, const struct token_run *run, struct bits *bits)
{
	block_code_put(code, run, bits);
	block_code_put_end(code, bits);
}

static void put_own(const struct own_block *own, const struct part *part, bool open, struct bits *bits)
{
	if (!open)
		own_block_put_header(own, false, bits);
	block_code_put(&own->code, &part->run, bits);
	if (part->ends)
		block_code_put_end(&own->code, bits);
}

static void put_part(struct recoder *recoder, const struct own_block *own, const struct part *part, bool *open, struct bits *bits)
{
	if (*open && part->coding != OWN)
		block_code_put_end(&own->code, bits);
	switch (part->coding) {
	case OWN:
		put_own(own, part, *open, bits);
		break;
	case MADE:
		block_code_fit(&recoder->made, &part->run);
		block_header_put(&recoder->made, bits);
		put_new(&recoder->made, &part->run, bits);
		break;
	case FIXED:
		bits_put(bits, WALK_FIXED << 1, FIXED_HEADER_BITS);
		put_new(&recoder->fixed, &part->run, bits);
		break;
	default:
		put_stored(&part->run, bits);
	}
	*open = part->coding == OWN && !part->ends;
}

/* ---- Passes ------------------------------------------------------------------------------------------------ */

static bool has_new_code(const struct division *division)
{
	return division->count == 1 && division->parts[0].coding == MADE;
}

/* Tokens are chosen by the own code first, and by what is made for these then, as long as that pays. */
static struct division find_tokens(struct recoder *recoder, const struct recoding *recoding, bool open)
{
	const struct edited_text *text = recoding->text;
	const struct block_code *code = recoding->own != NULL ? &recoding->own->code : &recoder->fixed;
	struct block_code fit;
	struct division best = { .cost = UINT64_MAX };
	for (unsigned i = 0; i < PASSES; i++) {
		struct token_run run = parse(recoder->parser, text, code, recoding->shortest, recoder->lists[i % 2]);
		struct division division = divide(recoder, recoding, run, open);
		if (division.cost >= best.cost)
			break;
		best = division;
		if (!recoding->shortest && !has_new_code(&best))
			break;
		block_code_fit(&fit, &run);
		code = &fit;
	}
	return best;
}

void deflate_recode(struct recoder *recoder, const struct recoding *recoding, bool *open, struct bits *bits)
{
	struct division division = find_tokens(recoder, recoding, *open);
	for (size_t i = 0; i < division.count; i++)
		put_part(recoder, recoding->own, &division.parts[i], open, bits);
}
