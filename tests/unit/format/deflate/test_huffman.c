/* SPDX-License-Identifier: BSD-3-Clause */
/* Codes of limited length: complete, no longer than they may be, and as short as they can be. */
#include "format/deflate/huffman.h"

#include <string.h>

#include "memory.h"
#include "random.h"

/* 2^max, if the code is complete. */
static uint64_t kraft_sum(const uint8_t *lens, unsigned symbols, unsigned max)
{
	uint64_t sum = 0;
	for (unsigned s = 0; s < symbols; s++)
		if (lens[s] > 0)
			sum += lens[s] <= max ? UINT64_C(1) << (max - lens[s]) : UINT64_C(1) << 40;
	return sum;
}

static uint64_t cost(const uint32_t *weights, const uint8_t *lens, unsigned symbols)
{
	uint64_t sum = 0;
	for (unsigned s = 0; s < symbols; s++)
		sum += (uint64_t)weights[s] * lens[s];
	return sum;
}

/* What the code costs whose lengths are not limited: Huffman's sum of all nodes. */
static uint64_t unlimited_cost(const uint32_t *weights, unsigned count)
{
	uint64_t nodes[HUFFMAN_SYMBOLS_MAX], sum = 0;
	for (unsigned s = 0; s < count; s++)
		nodes[s] = weights[s];
	for (; count > 1; count--) {
		for (unsigned end = 0; end < 2; end++) /* the two lightest go to the end */
			for (unsigned i = 0; i < count - 1 - end; i++)
				if (nodes[i] < nodes[count - 1 - end]) {
					uint64_t other = nodes[i];
					nodes[i] = nodes[count - 1 - end];
					nodes[count - 1 - end] = other;
				}
		nodes[count - 2] += nodes[count - 1];
		sum += nodes[count - 2];
	}
	return sum;
}

/* The least cost of a complete code, by all lengths that there are. */
static uint64_t least_cost(const uint32_t *weights, unsigned symbols, unsigned max, unsigned room)
{
	if (symbols == 0)
		return room == 0 ? 0 : UINT32_MAX;
	uint64_t least = UINT32_MAX;
	for (unsigned len = 1; len <= max; len++)
		if (1U << (max - len) <= room) {
			uint64_t rest = least_cost(weights + 1, symbols - 1, max, room - (1U << (max - len)));
			least = rest + (uint64_t)weights[0] * len < least ? rest + (uint64_t)weights[0] * len : least;
		}
	return least;
}

static unsigned rnd_weights(uint32_t *weights)
{
	unsigned symbols = 2 + (unsigned)rnd_below(HUFFMAN_SYMBOLS_MAX - 1), shift = (unsigned)rnd_below(14);
	for (unsigned s = 0; s < symbols; s++)
		weights[s] = rnd() % 4 == 0 ? 0 : (uint32_t)rnd_below(1 + (UINT64_C(1) << rnd_below(1 + shift)));
	return symbols;
}

START_TEST(codes_are_complete_and_not_too_long)
{
	uint32_t weights[HUFFMAN_SYMBOLS_MAX];
	uint8_t lens[HUFFMAN_SYMBOLS_MAX];
	for (int i = 0; i < 300; i++) {
		unsigned symbols = rnd_weights(weights), max = 9 + (unsigned)rnd_below(7), with = 0;
		bool right = true;
		huffman_lens(weights, symbols, max, lens);
		ck_assert_uint_eq(kraft_sum(lens, symbols, max), UINT64_C(1) << max);
		for (unsigned s = 0; s < symbols; s++) {
			right = right && (weights[s] == 0 || lens[s] > 0);
			with += lens[s] > 0;
		}
		ck_assert(right && with >= 2);
	}
}
END_TEST

START_TEST(codes_are_huffmans_where_the_limit_does_not_matter)
{
	uint32_t weights[HUFFMAN_SYMBOLS_MAX];
	uint8_t lens[HUFFMAN_SYMBOLS_MAX];
	for (int i = 0; i < 60; i++) {
		unsigned symbols = 2 + (unsigned)rnd_below(HUFFMAN_SYMBOLS_MAX - 1);
		for (unsigned s = 0; s < symbols; s++)
			weights[s] = 1 + (uint32_t)rnd_below(100);
		huffman_lens(weights, symbols, HUFFMAN_BITS_MAX, lens);
		ck_assert_uint_eq(cost(weights, lens, symbols), unlimited_cost(weights, symbols));
	}
}
END_TEST

START_TEST(limited_codes_are_the_shortest)
{
	uint32_t weights[7];
	uint8_t lens[7];
	for (int i = 0; i < 60; i++) {
		unsigned symbols = 5 + (unsigned)rnd_below(3);
		for (unsigned s = 0; s < symbols; s++)
			weights[s] = 1U << rnd_below(12);
		huffman_lens(weights, symbols, 3, lens);
		ck_assert_uint_eq(cost(weights, lens, symbols), least_cost(weights, symbols, 3, 8));
	}
}
END_TEST

/* RFC 1951, section 3.2.2, has this example: its codes with the first bit highest are 010, 011, 100, 101, 110, 00, 1110, 1111. */
START_TEST(codes_are_those_of_the_rfc)
{
	static const uint8_t lens[8] = { 3, 3, 3, 3, 3, 2, 4, 4 };
	static const uint16_t wanted[8] = { 2, 6, 1, 5, 3, 0, 7, 15 };
	uint16_t codes[8];
	huffman_codes(lens, 8, codes);
	ck_assert_mem_eq(codes, wanted, sizeof(wanted));
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("huffman");
	tcase_add_test(tcase, codes_are_complete_and_not_too_long);
	tcase_add_test(tcase, codes_are_huffmans_where_the_limit_does_not_matter);
	tcase_add_test(tcase, limited_codes_are_the_shortest);
	tcase_add_test(tcase, codes_are_those_of_the_rfc);
	return case_run("huffman", tcase);
}
