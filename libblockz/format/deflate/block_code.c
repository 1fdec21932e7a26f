/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 1951, sections 3.2.5 to 3.2.7. */
#include "format/deflate/block_code.h"

#include <string.h>

#include "base/checked.h"
#include "format/deflate/huffman.h"
#include "format/deflate/walk_tables.h"

enum {
	LITLEN_MIN = 257, DIST_MIN = 1, PRECODE_MIN = 4, /* so many lengths stand in a header at least */
	PRECODE_LEN_BITS = 3,
	HEAD_BITS = 3 + 5 + 5 + 4, /* BFINAL, BTYPE, HLIT, HDIST, HCLEN */
	LITLEN_USED = 286, DIST_USED = 30,
};

/* ---- Symbols ----------------------------------------------------------------------------------------------- */

struct extra_symbol length_symbol(unsigned len)
{
	unsigned v = len - MATCH_LEN_MIN;
	if (len == MATCH_LEN_MAX)
		return (struct extra_symbol){ 285, 0, 0 };
	if (v < 8)
		return (struct extra_symbol){ 257 + v, 0, 0 };
	unsigned extra_len = highest_bit(v) - 2; /* four symbols have as many extra bits */
	return (struct extra_symbol){ 257 + 4 * extra_len + (v >> extra_len), extra_len, v & ((1U << extra_len) - 1) };
}

struct extra_symbol dist_symbol(unsigned dist)
{
	unsigned v = dist - 1;
	if (v < 4)
		return (struct extra_symbol){ v, 0, 0 };
	unsigned extra_len = highest_bit(v) - 1; /* two symbols */
	return (struct extra_symbol){ 2 * extra_len + (v >> extra_len), extra_len, v & ((1U << extra_len) - 1) };
}

/* ---- Codes ------------------------------------------------------------------------------------------------- */

void block_code_of(struct block_code *code, const struct walk_lens *lens)
{
	code->lens = *lens;
	huffman_codes(code->lens.litlen, WALK_LITLEN_SYMBOLS, code->litlen);
	huffman_codes(code->lens.dist, WALK_DIST_SYMBOLS, code->dist);
}

void block_code_fixed(struct block_code *code)
{
	struct walk_lens lens;
	walk_lens_fixed(&lens);
	block_code_of(code, &lens);
}

static void weigh(struct block_weights *weights, const struct token_run *run)
{
	const uint8_t *text = run->text;
	memset(weights, 0, sizeof(*weights));
	weights->litlen[END_OF_BLOCK] = 1;
	for (size_t i = 0; i < run->count; i++) {
		const struct walk_token *token = &run->tokens[i];
		if (token->dist == 0) {
			weights->litlen[*text]++;
		} else {
			weights->litlen[length_symbol(token->len).symbol]++;
			weights->dist[dist_symbol(token->dist).symbol]++;
		}
		text += token->len;
	}
}

void block_code_fit(struct block_code *code, const struct token_run *run)
{
	struct block_weights weights;
	struct walk_lens lens = { { 0 }, { 0 } };
	weigh(&weights, run);
	huffman_lens(weights.litlen, LITLEN_USED, HUFFMAN_BITS_MAX, lens.litlen);
	huffman_lens(weights.dist, DIST_USED, HUFFMAN_BITS_MAX, lens.dist);
	block_code_of(code, &lens);
}

/* ---- Tokens ------------------------------------------------------------------------------------------------ */

uint64_t token_cost(const struct block_code *code, const struct walk_token *token, uint8_t byte)
{
	const struct walk_lens *lens = &code->lens;
	if (token->dist == 0)
		return lens->litlen[byte] > 0 ? lens->litlen[byte] : UINT64_MAX;
	struct extra_symbol len = length_symbol(token->len), dist = dist_symbol(token->dist);
	if (lens->litlen[len.symbol] == 0 || lens->dist[dist.symbol] == 0)
		return UINT64_MAX;
	return lens->litlen[len.symbol] + len.extra_len + lens->dist[dist.symbol] + dist.extra_len;
}

uint64_t block_code_cost(const struct block_code *code, const struct token_run *run)
{
	const uint8_t *text = run->text;
	uint64_t sum = 0;
	for (size_t i = 0; i < run->count; i++) {
		uint64_t cost = token_cost(code, &run->tokens[i], *text);
		if (cost == UINT64_MAX)
			return cost;
		sum += cost;
		text += run->tokens[i].len;
	}
	return sum;
}

static void put_symbol(struct bits *bits, unsigned code, unsigned len, const struct extra_symbol *symbol)
{
	bits_put(bits, code | symbol->extra << len, len + symbol->extra_len);
}

void block_code_put(const struct block_code *code, const struct token_run *run, struct bits *bits)
{
	const uint8_t *text = run->text;
	for (size_t i = 0; i < run->count; i++) {
		const struct walk_token *token = &run->tokens[i];
		if (token->dist == 0) {
			bits_put(bits, code->litlen[*text], code->lens.litlen[*text]);
		} else {
			struct extra_symbol len = length_symbol(token->len), dist = dist_symbol(token->dist);
			put_symbol(bits, code->litlen[len.symbol], code->lens.litlen[len.symbol], &len);
			put_symbol(bits, code->dist[dist.symbol], code->lens.dist[dist.symbol], &dist);
		}
		text += token->len;
	}
}

unsigned block_code_end_len(const struct block_code *code)
{
	return code->lens.litlen[END_OF_BLOCK];
}

void block_code_put_end(const struct block_code *code, struct bits *bits)
{
	bits_put(bits, code->litlen[END_OF_BLOCK], block_code_end_len(code));
}

/* ---- Headers ----------------------------------------------------------------------------------------------- */

/* A length, or a number of equal ones. */
struct header_item {
	uint8_t symbol, extra;
};

struct header {
	unsigned litlen_count, dist_count, precode_count;
	struct header_item items[LITLEN_USED + DIST_USED];
	unsigned item_count;
	uint8_t precode_lens[WALK_PRECODE_SYMBOLS];
};

static unsigned extra_bits(unsigned symbol)
{
	return symbol < 16 ? 0 : symbol == 16 ? 2 : symbol == 17 ? 3 : 7;
}

/* So many lengths that are written to the end. */
static unsigned used(const uint8_t *lens, unsigned count, unsigned least)
{
	while (count > least && lens[count - 1] == 0)
		count--;
	return count;
}

static void add_item(struct header *header, unsigned symbol, unsigned extra)
{
	header->items[header->item_count++] = (struct header_item){ (uint8_t)symbol, (uint8_t)extra };
}

static void add_zeros(struct header *header, unsigned count)
{
	for (; count >= 11; count -= (unsigned)min(count, 138))
		add_item(header, 18, (unsigned)min(count, 138) - 11);
	if (count >= 3)
		add_item(header, 17, count - 3);
	for (; count > 0 && count < 3; count--)
		add_item(header, 0, 0);
}

static void add_equal(struct header *header, unsigned len, unsigned count)
{
	add_item(header, len, 0);
	for (count--; count >= 3; count -= (unsigned)min(count, 6))
		add_item(header, 16, (unsigned)min(count, 6) - 3);
	for (; count > 0; count--)
		add_item(header, len, 0);
}

static void add_lens(struct header *header, const uint8_t *lens, unsigned count)
{
	for (unsigned i = 0, same; i < count; i += same) {
		for (same = 1; i + same < count && lens[i + same] == lens[i]; same++)
			;
		if (lens[i] == 0)
			add_zeros(header, same);
		else
			add_equal(header, lens[i], same);
	}
}

static void fit_precode(struct header *header)
{
	uint32_t weights[WALK_PRECODE_SYMBOLS] = { 0 };
	for (unsigned i = 0; i < header->item_count; i++)
		weights[header->items[i].symbol]++;
	huffman_lens(weights, WALK_PRECODE_SYMBOLS, WALK_PRECODE_BITS, header->precode_lens);
	header->precode_count = WALK_PRECODE_SYMBOLS;
	while (header->precode_count > PRECODE_MIN &&
	       header->precode_lens[walk_precode_order[header->precode_count - 1]] == 0)
		header->precode_count--;
}

static void make_header(struct header *header, const struct block_code *code)
{
	uint8_t lens[LITLEN_USED + DIST_USED];
	header->litlen_count = used(code->lens.litlen, LITLEN_USED, LITLEN_MIN);
	header->dist_count = used(code->lens.dist, DIST_USED, DIST_MIN);
	header->item_count = 0;
	memcpy(lens, code->lens.litlen, header->litlen_count);
	memcpy(lens + header->litlen_count, code->lens.dist, header->dist_count);
	add_lens(header, lens, header->litlen_count + header->dist_count);
	fit_precode(header);
}

uint64_t block_header_cost(const struct block_code *code)
{
	struct header header;
	make_header(&header, code);
	uint64_t cost = HEAD_BITS + PRECODE_LEN_BITS * header.precode_count;
	for (unsigned i = 0; i < header.item_count; i++)
		cost += header.precode_lens[header.items[i].symbol] + extra_bits(header.items[i].symbol);
	return cost;
}

void block_header_put(const struct block_code *code, struct bits *bits)
{
	struct header header;
	uint16_t codes[WALK_PRECODE_SYMBOLS];
	make_header(&header, code);
	huffman_codes(header.precode_lens, WALK_PRECODE_SYMBOLS, codes);
	bits_put(bits, WALK_DYNAMIC << 1, 3);
	bits_put(bits, header.litlen_count - LITLEN_MIN, 5);
	bits_put(bits, header.dist_count - DIST_MIN, 5);
	bits_put(bits, header.precode_count - PRECODE_MIN, 4);
	for (unsigned i = 0; i < header.precode_count; i++)
		bits_put(bits, header.precode_lens[walk_precode_order[i]], PRECODE_LEN_BITS);
	for (unsigned i = 0; i < header.item_count; i++) {
		const struct header_item *item = &header.items[i];
		bits_put(bits, codes[item->symbol], header.precode_lens[item->symbol]);
		bits_put(bits, item->extra, extra_bits(item->symbol));
	}
}
