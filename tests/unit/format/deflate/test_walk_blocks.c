/* SPDX-License-Identifier: BSD-3-Clause */
/* The deflate walker against zlib: blocks written bit by bit, with tables and symbols that no encoder would choose. */
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "random.h"
#include "walked.h"

struct bits {
	uint8_t bytes[70000];
	size_t count;
};

static struct bits hand;

static void start(void)
{
	memset(&hand, 0, sizeof(hand));
}

static void put(unsigned value, unsigned n)
{
	for (unsigned i = 0; i < n; i++, hand.count++)
		hand.bytes[hand.count / 8] |= (uint8_t)((value >> i & 1) << hand.count % 8);
}

/* Huffman codes have their first bit highest. */
static void put_code(unsigned code, unsigned n)
{
	while (n-- > 0)
		put(code >> n & 1, 1);
}

static void put_fixed(unsigned symbol)
{
	if (symbol < 144)
		put_code(0x30 + symbol, 8);
	else if (symbol < 256)
		put_code(0x190 + symbol - 144, 9);
	else if (symbol < 280)
		put_code(symbol - 256, 7);
	else
		put_code(0xc0 + symbol - 280, 8);
}

static void put_symbol(const uint8_t *lens, unsigned count, unsigned symbol)
{
	unsigned code = 0;
	for (unsigned len = 1; len <= lens[symbol]; len++, code <<= 1) {
		for (unsigned s = 0; s < count; s++) {
			if (lens[s] == len && (len < lens[symbol] || s < symbol))
				code++;
		}
	}
	put_code(code >> 1, lens[symbol]);
}

/* A final dynamic block's header; all code lengths are written with 4 bits. */
static void put_dynamic(const uint8_t *litlen, unsigned litlen_count, const uint8_t *dist, unsigned dist_count)
{
	put(1 | 2 << 1, 3);
	put(litlen_count - 257, 5);
	put(dist_count - 1, 5);
	put(15, 4);
	for (unsigned i = 0; i < 19; i++)
		put(i < 3 ? 0 : 4, 3);
	for (unsigned i = 0; i < litlen_count; i++)
		put_code(litlen[i], 4);
	for (unsigned i = 0; i < dist_count; i++)
		put_code(dist[i], 4);
}

static bool hand_accepted(void)
{
	return accepted_like_zlib(hand.bytes, (hand.count + 7) / 8);
}

START_TEST(block_types)
{
	const uint8_t empty_fixed[] = { 0x03, 0x00 }, reserved[] = { 0x07, 0x00 };
	ck_assert(accepted_like_zlib(empty_fixed, 2));
	ck_assert_uint_eq(walked.block[0].end_bit, 10);
	ck_assert_int_eq(walked.block[0].type, WALK_FIXED);
	ck_assert(!accepted_like_zlib(reserved, 2));
	ck_assert(!accepted_like_zlib(empty_fixed, 1));
	ck_assert(!accepted_like_zlib(empty_fixed, 0));
	walker_reset_memory(walker, NULL, 0);
	ck_assert(walker_at_end(walker));
	struct walk_block block;
	ck_assert_int_eq(walker_next(walker, &block, NULL, NULL), BLOCKZ_DAMAGED);
}
END_TEST

START_TEST(stored_blocks)
{
	static const unsigned lens[] = { 0, 1, 7, 8, 9, 0, 0, 65535, 100 };
	start();
	for (size_t i = 0; i < 9; i++) {
		put(i == 8, 3);
		hand.count = (hand.count + 7) / 8 * 8;
		put(lens[i], 16);
		put(lens[i] ^ 0xffff, 16);
		hand.count += 8 * lens[i];
	}
	ck_assert(hand_accepted());
	uint64_t off = 0;
	for (size_t i = 0; i < 9; i++) {
		const struct walk_block *b = &walked.block[i];
		ck_assert_int_eq(b->type, WALK_STORED);
		ck_assert_uint_eq(b->header_bit, off * 8);
		ck_assert_uint_eq(b->payload_off, off + 5);
		ck_assert_uint_eq(b->out_end - b->out_start, lens[i]);
		off += 5 + lens[i];
	}
	ck_assert(walker_at_end(walker));
	hand.bytes[1] ^= 1;
	ck_assert(!hand_accepted());
	hand.bytes[1] ^= 1;
	hand.count -= 8;
	ck_assert(!hand_accepted());
}
END_TEST

START_TEST(stored_blocks_at_every_bit)
{
	for (unsigned literals = 0; literals < 16; literals++) {
		start();
		put(2, 3);
		for (unsigned i = 0; i < literals; i++)
			put_fixed(i % 2 ? 200 : 255);
		put_fixed(256);
		put(1, 3);
		hand.count = (hand.count + 7) / 8 * 8;
		put(3, 16);
		put(3 ^ 0xffff, 16);
		const uint64_t off = hand.count / 8;
		hand.count += 24;
		ck_assert(hand_accepted());
		ck_assert_uint_eq(walked.block[1].payload_off, off);
		ck_assert_uint_eq(walked.block[1].end_bit, hand.count);
	}
}
END_TEST

START_TEST(distances_reach_to_the_beginning_and_no_further)
{
	for (unsigned literals = 1; literals <= 4; literals++) {
		for (unsigned distance = 1; distance <= 4; distance++) {
			start();
			put(3, 3);
			for (unsigned i = 0; i < literals; i++)
				put_fixed('a' + i);
			put_fixed(257);
			put_code(distance - 1, 5);
			put_fixed(256);
			ck_assert_int_eq(hand_accepted(), distance <= literals);
		}
	}
}
END_TEST

static void put_stored(unsigned len, bool final)
{
	put(final, 3);
	hand.count = (hand.count + 7) / 8 * 8;
	put(len, 16);
	put(len ^ 0xffff, 16);
	hand.count += 8 * len;
}

START_TEST(the_longest_distance_needs_a_full_window)
{
	for (unsigned len = 32766; len <= 32769; len++) {
		start();
		put_stored(len, false);
		put(3, 3);
		put_fixed(257);
		put_code(29, 5);
		put(8191, 13);
		put_fixed(256);
		ck_assert_int_eq(hand_accepted(), len >= 32768);
	}
}
END_TEST

START_TEST(forgotten_history_is_out_of_reach)
{
	for (unsigned literals = 4; literals <= 5; literals++) {
		start();
		put_stored(40000, false);
		put(3, 3);
		for (unsigned i = 0; i < literals; i++)
			put_fixed('x');
		put_fixed(257);
		put_code(4, 5);
		put(0, 1); /* 5 */
		put_fixed(256);
		ck_assert(hand_accepted());
		struct walk_block block;
		walker_reset_memory(walker, hand.bytes, (hand.count + 7) / 8);
		ck_assert_int_eq(walker_next(walker, &block, NULL, NULL), BLOCKZ_OK);
		walker_forget_history(walker);
		ck_assert_int_eq(walker_next(walker, &block, NULL, NULL), literals == 5 ? BLOCKZ_OK : BLOCKZ_DAMAGED);
	}
}
END_TEST

START_TEST(symbols_that_nobody_may_use)
{
	static const unsigned litlen[] = { 285, 286, 287 };
	for (size_t i = 0; i < 3; i++) {
		start();
		put(3, 3);
		put_fixed('a');
		put_fixed(litlen[i]);
		put_code(0, 5);
		put_fixed(256);
		ck_assert_int_eq(hand_accepted(), i == 0);
	}
	for (unsigned dist = 30; dist <= 31; dist++) {
		start();
		put(3, 3);
		put_fixed('a');
		put_fixed(257);
		put_code(dist, 5);
		put_fixed(256);
		ck_assert(!hand_accepted());
	}
}
END_TEST

START_TEST(lone_and_missing_distance_codes)
{
	uint8_t litlen[258] = { ['a'] = 1, [256] = 2, [257] = 2 };
	for (unsigned len = 0; len <= 2; len++) {
		for (unsigned use = 0; use <= 2; use++) {
			uint8_t dist[1] = { (uint8_t)len };
			start();
			put_dynamic(litlen, 258, dist, 1);
			put_symbol(litlen, 258, 'a');
			if (use > 0) {
				put_symbol(litlen, 258, 257);
				put(use - 1, len > 0 ? len : 1);
			}
			put_symbol(litlen, 258, 256);
			ck_assert_int_eq(hand_accepted(), len < 2 && (use == 0 || (use == 1 && len == 1)));
		}
	}
}
END_TEST

START_TEST(sets_of_code_lengths)
{
	static const struct {
		uint8_t a, b, end;
		bool good;
	} sets[] = {
		{ 1, 2, 2, true },  { 0, 0, 1, true },  { 0, 1, 1, true },   { 0, 0, 2, false }, { 1, 1, 1, false },
		{ 1, 2, 0, false }, { 1, 1, 0, false }, { 2, 2, 2, false },  { 0, 0, 0, false }, { 1, 2, 3, false },
		{ 0, 0, 15, false },
	};
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		uint8_t litlen[257] = { ['a'] = sets[i].a, ['b'] = sets[i].b, [256] = sets[i].end }, dist[1] = { 0 };
		start();
		put_dynamic(litlen, 257, dist, 1);
		put(0, 16);
		put(0xffff, 16);
		ck_assert_int_eq(hand_accepted(), sets[i].good);
	}
	/* 287 length codes, 31 distance codes: complete, but more than there are. */
	for (unsigned more = 0; more < 4; more++) {
		uint8_t litlen[288] = { ['a'] = 1, [256] = 1 }, dist[32] = { 1, 1 };
		start();
		put_dynamic(litlen, more & 1 ? 287 : 286, dist, more & 2 ? 31 : 30);
		put_symbol(litlen, 287, 256);
		ck_assert_int_eq(hand_accepted(), more == 0);
	}
}
END_TEST

START_TEST(repeated_code_lengths)
{
	/* Code lengths by a code of 1: "0", 16: "10", 18: "11" (or 17); 258 of them. */
	for (unsigned kind = 0; kind < 4; kind++) {
		start();
		put(1 | 2 << 1, 3);
		put(0, 5);
		put(0, 5);
		put(14, 4);
		for (unsigned i = 0; i < 18; i++)
			put(i == 0 ? 2 : i == 2 ? 2 : i == 17 ? 1 : 0, 3); /* 16, 18, 1 */
		if (kind == 1)
			put(1, 2), put(0, 2); /* repeats nothing */
		put_code(0, 1);                /* symbol 0 */
		put_code(3, 2), put(127, 7);   /* 138 zeros */
		put_code(3, 2), put(106, 7);   /* 117 zeros: 256 so far */
		put_code(0, 1);                /* end of block */
		if (kind == 2)
			put_code(2, 2), put(0, 2); /* three more: too many */
		else if (kind == 3)
			put_code(3, 2), put(0, 7); /* eleven zeros: too many */
		else
			put_code(0, 1);
		put(2, 2);
		ck_assert_int_eq(hand_accepted(), kind == 0);
	}
}
END_TEST

START_TEST(codes_of_every_length)
{
	/* Lengths 1 to 15 and one more of 15: complete, and beyond every table. */
	for (unsigned long_dist = 0; long_dist < 2; long_dist++) {
		uint8_t litlen[286] = { 0 }, dist[30] = { 1, 1 };
		for (unsigned i = 0; i < 13; i++)
			litlen['a' + i] = (uint8_t)(i + 1);
		litlen[284] = 14;
		litlen[256] = litlen[285] = 15;
		for (unsigned i = 0; long_dist && i < 15; i++)
			dist[i] = (uint8_t)(i + 1);
		dist[29] = long_dist ? 15 : 0;
		start();
		put_dynamic(litlen, 286, dist, 30);
		put_symbol(litlen, 286, 'a');
		for (unsigned i = 0; i < 3000; i++) {
			put_symbol(litlen, 286, 'a' + rnd() % 13);
			put_symbol(litlen, 286, i % 2 ? 284 : 285);
			if (i % 2)
				put(rnd() % 32, 5);
			put_symbol(dist, 30, long_dist && i > 200 ? 29 : rnd() % 2);
			if (long_dist && i > 200)
				put(rnd() % 8192, 13);
		}
		put_symbol(litlen, 286, 256);
		ck_assert(hand_accepted());
		ck_assert_uint_eq(walked.block[0].end_bit, hand.count);
	}
}
END_TEST

START_TEST(last_bit_of_the_input_counts)
{
	/* Ends on a byte's last bit: complete as it is, refused without its last byte, even though that is only a bit. */
	for (unsigned literals = 0; literals < 64; literals++) {
		start();
		put(3, 3);
		for (unsigned i = 0; i < literals; i++)
			put_fixed(200);
		put_fixed(256);
		ck_assert(hand_accepted());
		ck_assert_uint_eq(walked.block[0].end_bit, hand.count);
		ck_assert(walker_at_end(walker));
		ck_assert(!accepted_like_zlib(hand.bytes, (hand.count - 1) / 8));
	}
}
END_TEST

START_TEST(what_only_an_appended_end_completes_is_refused)
{
	/* A final block that stops 6 bits into a literal; `03 00` supplies the rest of it and an end of block. */
	start();
	put(3, 3);
	for (unsigned i = 0; i < 7; i++)
		put_fixed(200);
	put_code(0x33 >> 2, 6);
	ck_assert_uint_eq(hand.count % 8, 0);
	ck_assert(!hand_accepted());
	put(0x0003, 16);
	ck_assert(hand_accepted());
}
END_TEST

START_TEST(an_endless_block_takes_no_memory_and_ends_as_truncated)
{
	/* 64 MiB of 258-byte matches in one fixed block: 8 + 5 bits each, so every 13 bytes are alike. */
	const size_t len = 13 << 20;
	uint8_t *bytes = malloc(len);
	start();
	put(2, 3);
	put_fixed('z');
	while (hand.count < 8 * 26 + 11)
		put_code(0xc5, 8), put_code(0, 5);
	memcpy(bytes, hand.bytes, 13);
	for (size_t i = 13; i < len; i++)
		bytes[i] = hand.bytes[13 + i % 13];
	struct blockz_source source = bytes_source((struct bytes){ bytes, len });
	struct blockz_fault fault;
	walker_reset_source(walker, &source, 0, len);
	ck_assert_int_eq(walk_on(&walked, &fault), BLOCKZ_DAMAGED);
	ck_assert_uint_eq(walked.count, 0);
	ck_assert_uint_eq(fault.offset, len);
	free(bytes);
}
END_TEST

int main(void)
{
	TCase *c = walk_case_new("walk_blocks");
	tcase_add_test(c, block_types);
	tcase_add_test(c, stored_blocks);
	tcase_add_test(c, stored_blocks_at_every_bit);
	tcase_add_test(c, distances_reach_to_the_beginning_and_no_further);
	tcase_add_test(c, the_longest_distance_needs_a_full_window);
	tcase_add_test(c, forgotten_history_is_out_of_reach);
	tcase_add_test(c, symbols_that_nobody_may_use);
	tcase_add_test(c, lone_and_missing_distance_codes);
	tcase_add_test(c, sets_of_code_lengths);
	tcase_add_test(c, repeated_code_lengths);
	tcase_add_test(c, codes_of_every_length);
	tcase_add_test(c, last_bit_of_the_input_counts);
	tcase_add_test(c, what_only_an_appended_end_completes_is_refused);
	tcase_add_test(c, an_endless_block_takes_no_memory_and_ends_as_truncated);
	return case_run("walk_blocks", c);
}
