/* SPDX-License-Identifier: BSD-3-Clause */
/* The deflate walker against zlib, and against a decoder that is too simple to be wrong. */
#include <check.h>
#include <errno.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "format/deflate/walk.h"

enum { MAX_BLOCKS = 4096 };

struct blocks {
	size_t count;
	bool ok; /* ended with a final block */
	struct walk_block block[MAX_BLOCKS];
};

static struct walker *walker;
static struct blocks walked, expected;

static void setup(void)
{
	ck_assert_int_eq(walker_new(&walker, NULL), BLOCKZ_OK);
}

static void teardown(void)
{
	walker_free(walker);
}

static uint32_t rnd(void)
{
	static uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 24);
}

/* Phrases that come again near and far, runs, and noise. */
static uint8_t *make_data(size_t len)
{
	uint8_t *data = malloc(len + 1);
	size_t n = 0;
	while (n < len) {
		size_t run = 1 + rnd() % (rnd() % 8 == 0 ? 3000 : 40);
		unsigned kind = rnd() % 16;
		size_t back = n == 0 ? 0 : 1 + rnd() % (n < 32768 ? n : 32768);
		for (; run > 0 && n < len; run--, n++) {
			if (kind < 8 && back > 0)
				data[n] = data[n - back];
			else if (kind < 14)
				data[n] = (uint8_t)("etaoin shrdlu\n.,"[rnd() % 4 * (rnd() % 4) % 16]);
			else if (kind == 14)
				data[n] = 0;
			else
				data[n] = (uint8_t)rnd();
		}
	}
	return data;
}

/* ---- zlib's view -------------------------------------------------------------------------------------------- */

static void blocks_of_zlib(const uint8_t *in, size_t len, struct blocks *blocks)
{
	static uint8_t sink[1 << 16];
	z_stream z = { .next_in = (uint8_t *)(uintptr_t)in, .avail_in = (uInt)len };
	ck_assert_int_eq(inflateInit2(&z, -15), Z_OK);
	uint64_t bit = 0, out = 0;
	blocks->count = 0;
	blocks->ok = false;
	for (;;) {
		z.next_out = sink;
		z.avail_out = sizeof(sink);
		uInt avail_in = z.avail_in;
		int error = inflate(&z, Z_BLOCK);
		bool stuck = avail_in == z.avail_in && z.avail_out == sizeof(sink);
		if (error != Z_OK && error != Z_BUF_ERROR && error != Z_STREAM_END)
			break;
		/* A stop that consumed nothing is the one before, seen again. */
		if ((z.data_type & 128) && !(stuck && bit == z.total_in * 8 - (z.data_type & 7))) {
			struct walk_block *b = &blocks->block[blocks->count++];
			b->final = (z.data_type & 64) != 0;
			b->header_bit = bit;
			b->end_bit = bit = z.total_in * 8 - (unsigned)(z.data_type & 7);
			b->out_start = out;
			b->out_end = out = z.total_out;
			blocks->ok = b->final;
			if (b->final || blocks->count == MAX_BLOCKS)
				break;
		} else if (stuck) {
			break;
		}
	}
	inflateEnd(&z);
}

/* ---- the walker's --------------------------------------------------------------------------------------------- */

static enum blockz_status walk_on(struct blocks *blocks, struct blockz_fault *fault)
{
	blocks->count = 0;
	blocks->ok = false;
	while (blocks->count < MAX_BLOCKS) {
		struct walk_block *b = &blocks->block[blocks->count];
		enum blockz_status status = walker_next(walker, b, NULL, fault);
		if (status != BLOCKZ_OK)
			return status;
		blocks->count++;
		blocks->ok = b->final;
		if (b->final)
			break;
	}
	return BLOCKZ_OK;
}

/* From memory that ends where the input ends, for the sanitizer to see. */
static enum blockz_status blocks_of_walker(const uint8_t *in, size_t len, struct blocks *blocks)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	memcpy(copy, in, len);
	walker_reset_memory(walker, copy, len);
	struct blockz_fault fault = { .status = BLOCKZ_OK };
	enum blockz_status status = walk_on(blocks, &fault);
	ck_assert_int_eq(fault.status, status);
	if (status != BLOCKZ_OK) {
		ck_assert_int_eq(status, BLOCKZ_DAMAGED);
		ck_assert_uint_le(fault.offset, len);
		ck_assert_uint_gt(strlen(fault.text), 0);
	}
	free(copy);
	return status;
}

static void assert_same_edges(const struct blocks *a, const struct blocks *b)
{
	ck_assert_uint_eq(a->count, b->count);
	ck_assert_int_eq(a->ok, b->ok);
	for (size_t i = 0; i < a->count; i++) {
		ck_assert_uint_eq(a->block[i].header_bit, b->block[i].header_bit);
		ck_assert_uint_eq(a->block[i].end_bit, b->block[i].end_bit);
		ck_assert_uint_eq(a->block[i].out_start, b->block[i].out_start);
		ck_assert_uint_eq(a->block[i].out_end, b->block[i].out_end);
		ck_assert_int_eq(a->block[i].final, b->block[i].final);
	}
}

static bool accepted_like_zlib(const uint8_t *in, size_t len)
{
	blocks_of_zlib(in, len, &expected);
	blocks_of_walker(in, len, &walked);
	assert_same_edges(&walked, &expected);
	return walked.ok;
}

static int bit_at(const uint8_t *in, uint64_t bit)
{
	return in[bit / 8] >> bit % 8 & 1;
}

/* A stream that is known to be made of data. */
static void assert_good(const uint8_t *in, size_t len, const uint8_t *data, size_t data_len)
{
	ck_assert(accepted_like_zlib(in, len));
	ck_assert_uint_eq(walked.block[walked.count - 1].out_end, data_len);
	ck_assert(walker_at_end(walker));
	for (size_t i = 0; i < walked.count; i++) {
		const struct walk_block *b = &walked.block[i];
		ck_assert_int_eq(b->final, bit_at(in, b->header_bit));
		ck_assert_int_eq(b->type, bit_at(in, b->header_bit + 1) + 2 * bit_at(in, b->header_bit + 2));
		if (b->type == WALK_STORED)
			ck_assert_mem_eq(in + b->payload_off, data + b->out_start, b->out_end - b->out_start);
	}
}

/* ---- streams -------------------------------------------------------------------------------------------------- */

static size_t zlib_stream(const uint8_t *data, size_t len, int level, int mem_level, int strategy, size_t flush_every,
			  uint8_t *out, size_t room)
{
	static const int kinds[] = { Z_NO_FLUSH, Z_PARTIAL_FLUSH, Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_BLOCK };
	z_stream z = { .next_out = out, .avail_out = (uInt)room };
	ck_assert_int_eq(deflateInit2(&z, level, Z_DEFLATED, -15, mem_level, strategy), Z_OK);
	z.next_in = (uint8_t *)(uintptr_t)data;
	while (len > 0) {
		size_t n = flush_every < len ? flush_every : len;
		z.avail_in = (uInt)n;
		ck_assert_int_eq(deflate(&z, kinds[rnd() % 5]), Z_OK);
		ck_assert_uint_eq(z.avail_in, 0);
		len -= n;
	}
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	size_t total = z.total_out;
	deflateEnd(&z);
	return total;
}

static size_t libdeflate_stream(const uint8_t *data, size_t len, int level, uint8_t *out, size_t room)
{
	struct libdeflate_compressor *c = libdeflate_alloc_compressor(level);
	size_t got = libdeflate_deflate_compress(c, data, len, out, room);
	ck_assert_uint_gt(got, 0);
	libdeflate_free_compressor(c);
	return got;
}

START_TEST(zlib_streams_have_zlibs_edges)
{
	static const int strategies[] = { Z_DEFAULT_STRATEGY, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED };
	const size_t len = 300000, room = 2 * len;
	uint8_t *data = make_data(len), *out = malloc(room);
	size_t cuts[] = { len, 70000, 997 };
	for (int level = 0; level <= 9; level++) {
		for (size_t s = 0; s < 5; s++) {
			for (size_t c = 0; c < 3; c++) {
				size_t n = zlib_stream(data, len, level, c == 1 ? 1 : 8, strategies[s], cuts[c], out,
						       room);
				assert_good(out, n, data, len);
			}
		}
	}
	free(data);
	free(out);
}
END_TEST

START_TEST(libdeflate_streams_have_zlibs_edges)
{
	const size_t sizes[] = { 0, 1, 100, 32767, 32768, 32769, 1 << 20 };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t len = sizes[i], room = len + len / 8 + 1000;
		uint8_t *data = make_data(len), *out = malloc(room);
		for (int level = 0; level <= 12; level++)
			assert_good(out, libdeflate_stream(data, len, level, out, room), data, len);
		memset(data, 0, len);
		assert_good(out, libdeflate_stream(data, len, 6, out, room), data, len);
		free(data);
		free(out);
	}
}
END_TEST

/* ---- damage --------------------------------------------------------------------------------------------------- */

START_TEST(single_bit_flips_are_judged_like_zlib)
{
	unsigned refused = 0, cases = 0;
	for (int i = 0; i < 32; i++) {
		size_t len = 20 + rnd() % 500;
		uint8_t *data = make_data(len), out[2000];
		size_t n = i % 2 ? libdeflate_stream(data, len, 6, out, sizeof(out)) :
				   zlib_stream(data, len, 6, 8, i % 4 ? Z_DEFAULT_STRATEGY : Z_FIXED, 100, out,
					       sizeof(out));
		for (size_t bit = 0; bit < n * 8; bit++, cases++) {
			out[bit / 8] ^= (uint8_t)(1U << bit % 8);
			refused += !accepted_like_zlib(out, n);
			out[bit / 8] ^= (uint8_t)(1U << bit % 8);
		}
		free(data);
	}
	ck_assert_uint_gt(cases, 20000);
	ck_assert_uint_gt(refused, cases / 10);
	ck_assert_uint_lt(refused, cases);
}
END_TEST

START_TEST(bit_flips_in_long_streams_are_judged_like_zlib)
{
	const size_t len = 400000, room = 500000;
	uint8_t *data = make_data(len), *out = malloc(room);
	for (int level = 1; level <= 9; level += 4) {
		size_t n = libdeflate_stream(data, len, level, out, room);
		unsigned refused = 0;
		for (int i = 0; i < 250; i++) {
			size_t bit = (size_t)(rnd() % (n * 8));
			out[bit / 8] ^= (uint8_t)(1U << bit % 8);
			refused += !accepted_like_zlib(out, n);
			out[bit / 8] ^= (uint8_t)(1U << bit % 8);
		}
		ck_assert_uint_gt(refused, 0);
		ck_assert(accepted_like_zlib(out, n));
	}
	free(data);
	free(out);
}
END_TEST

START_TEST(every_truncation_is_refused)
{
	for (int i = 0; i < 24; i++) {
		size_t len = 1 + rnd() % 600;
		uint8_t *data = make_data(len), out[2000];
		size_t n = i % 2 ? libdeflate_stream(data, len, 9, out, sizeof(out)) :
				   zlib_stream(data, len, 9, 8, Z_DEFAULT_STRATEGY, 150, out, sizeof(out));
		for (size_t cut = 0; cut < n; cut++)
			ck_assert(!accepted_like_zlib(out, cut));
		ck_assert(accepted_like_zlib(out, n));
		free(data);
	}
}
END_TEST

START_TEST(long_streams_are_refused_when_cut)
{
	const size_t len = 500000, room = 600000;
	uint8_t *data = make_data(len), *out = malloc(room);
	size_t n = libdeflate_stream(data, len, 6, out, room);
	for (size_t cut = n - 40; cut < n; cut++)
		ck_assert(!accepted_like_zlib(out, cut));
	for (int i = 0; i < 100; i++)
		ck_assert(!accepted_like_zlib(out, (size_t)(rnd() % n)));
	free(data);
	free(out);
}
END_TEST

START_TEST(random_bytes_are_judged_like_zlib)
{
	for (int i = 0; i < 60000; i++) {
		uint8_t in[120];
		size_t len = rnd() % (sizeof(in) + 1);
		for (size_t k = 0; k < len; k++)
			in[k] = (uint8_t)rnd();
		/* Most would be refused at once: ask for a fixed or dynamic block. */
		if (len > 0)
			in[0] = (uint8_t)((in[0] & 0xf8) | (i % 2 ? 3 : 5));
		accepted_like_zlib(in, len);
	}
}
END_TEST

/* ---- streams by hand ------------------------------------------------------------------------------------------ */

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

START_TEST(pieces_end_at_a_block_boundary)
{
	uint8_t *data = make_data(100000), *out = malloc(200000);
	z_stream z = { .next_in = data, .avail_in = 100000, .next_out = out, .avail_out = 200000 };
	ck_assert_int_eq(deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
	ck_assert_int_eq(deflate(&z, Z_FULL_FLUSH), Z_OK);
	walker_reset_memory(walker, out, z.total_out);
	struct walk_block block = { .final = true };
	while (!walker_at_end(walker))
		ck_assert_int_eq(walker_next(walker, &block, NULL, NULL), BLOCKZ_OK);
	ck_assert(!block.final);
	ck_assert_uint_eq(block.end_bit, z.total_out * 8);
	ck_assert_uint_eq(block.out_end, 100000);
	/* Behind a final block the walk may go on. */
	const uint8_t two[] = { 0x03, 0x0c, 0x00 };
	walker_reset_memory(walker, two, 3);
	for (unsigned i = 1; i <= 2; i++) {
		ck_assert_int_eq(walker_next(walker, &block, NULL, NULL), BLOCKZ_OK);
		ck_assert_uint_eq(block.end_bit, 10 * i);
		ck_assert(block.final);
	}
	deflateEnd(&z);
	free(data);
	free(out);
}
END_TEST

/* ---- sources -------------------------------------------------------------------------------------------------- */

struct file {
	const uint8_t *bytes;
	size_t len;
	uint64_t read; /* bytes read so far */
	unsigned calls, fail_at, short_at; /* counted from 1; 0: never */
};

static int file_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	struct file *file = ctx;
	file->calls++;
	if (file->calls == file->fail_at)
		return EIO;
	ck_assert_uint_le(off, file->len);
	ck_assert_uint_le(len, file->len - off);
	if (file->calls == file->short_at)
		len--;
	memcpy(buf, file->bytes + off, len);
	file->read += len;
	*got_ret = len;
	return 0;
}

static const struct blockz_source_ops file_ops = { .read = file_read };

static struct blockz_source file_source(struct file *file)
{
	return (struct blockz_source){ .ops = &file_ops, .ctx = file, .size = file->len };
}

START_TEST(sources_and_memory_are_walked_alike)
{
	const size_t len = 1 << 20, room = len + len / 4;
	uint8_t *data = make_data(len), *out = malloc(room);
	for (size_t i = 0; i < len; i += 3) /* so that there is more than one buffer of input */
		data[i] ^= (uint8_t)(rnd() % 16);
	for (size_t shift = 0; shift < 70; shift++) {
		/* A stored block of `shift` bytes in front, all of it `shift` bytes into the file. */
		memset(out, 0, 2 * shift + 5);
		out[shift + 1] = (uint8_t)shift;
		out[shift + 3] = (uint8_t)~shift;
		out[shift + 4] = 0xff;
		size_t head = 2 * shift + 5;
		size_t n = head + (shift % 2 ? libdeflate_stream(data, len, 1, out + head, room - head) :
					       zlib_stream(data, len, 1, 8, Z_DEFAULT_STRATEGY, 200000, out + head,
							   room - head));
		ck_assert_uint_gt(n, 300000);
		blocks_of_walker(out + shift, n - shift, &expected);
		ck_assert(expected.ok);
		struct file file = { .bytes = out, .len = n + 10 };
		struct blockz_source source = file_source(&file);
		walker_reset_source(walker, &source, shift, n);
		ck_assert_int_eq(walk_on(&walked, NULL), BLOCKZ_OK);
		assert_same_edges(&walked, &expected);
		for (size_t i = 0; i < walked.count; i++) {
			if (walked.block[i].type == WALK_STORED)
				ck_assert_uint_eq(walked.block[i].payload_off, expected.block[i].payload_off);
		}
		ck_assert(walker_at_end(walker));

		/* Cut, with bytes behind the end that would complete it. */
		struct blockz_fault fault;
		walker_reset_source(walker, &source, shift, n - 1);
		ck_assert_int_eq(walk_on(&walked, &fault), BLOCKZ_DAMAGED);
		ck_assert_uint_eq(fault.offset, n - 1);
	}
	free(data);
	free(out);
}
END_TEST

START_TEST(stored_payload_is_not_read)
{
	enum { COUNT = 200, PAYLOAD = 32768 };
	const size_t len = COUNT * (5 + PAYLOAD) + 2;
	uint8_t *bytes = calloc(1, len);
	for (size_t i = 0; i < COUNT; i++)
		memcpy(bytes + i * (5 + PAYLOAD), "\x00\x00\x80\xff\x7f", 5);
	bytes[len - 2] = 3;
	struct file file = { .bytes = bytes, .len = len };
	struct blockz_source source = file_source(&file);
	walker_reset_source(walker, &source, 0, len);
	ck_assert_int_eq(walk_on(&walked, NULL), BLOCKZ_OK);
	ck_assert_uint_eq(walked.count, COUNT + 1);
	ck_assert_uint_eq(walked.block[COUNT].out_end, (uint64_t)COUNT * PAYLOAD);
	ck_assert_uint_le(file.read, (COUNT + 1) * 64);
	ck_assert_uint_le(file.calls, COUNT + 1);
	/* A payload that lacks one byte. */
	walker_reset_source(walker, &source, 0, len - 3);
	ck_assert_int_eq(walk_on(&walked, NULL), BLOCKZ_DAMAGED);
	ck_assert_uint_eq(walked.count, COUNT - 1);
	free(bytes);
}
END_TEST

START_TEST(read_errors_are_reported)
{
	const size_t len = 1 << 20, room = len + len / 4;
	uint8_t *data = make_data(len), *out = malloc(room);
	for (size_t i = 0; i < len; i += 2)
		data[i] = (uint8_t)rnd();
	size_t n = zlib_stream(data, len, 1, 8, Z_HUFFMAN_ONLY, 300000, out, room);
	unsigned at = 0;
	bool reached = true;
	while (reached) {
		at++;
		for (int shrink = 0; shrink < 2; shrink++) {
			struct file file = { .bytes = out, .len = n };
			*(shrink ? &file.short_at : &file.fail_at) = at;
			struct blockz_source source = file_source(&file);
			struct blockz_fault fault = { .status = BLOCKZ_OK };
			walker_reset_source(walker, &source, 0, n);
			enum blockz_status status = walk_on(&walked, &fault);
			reached = file.calls >= at;
			ck_assert_int_eq(status, reached ? BLOCKZ_FAILED : BLOCKZ_OK);
			ck_assert_int_eq(fault.status, status);
			ck_assert_uint_eq(file.calls, reached ? at : at - 1);
		}
	}
	ck_assert_uint_gt(at, 8);
	free(data);
	free(out);
}
END_TEST

/* ---- reach, against a decoder bit by bit ------------------------------------------------------------------------ */

struct match {
	uint64_t from, at;
	unsigned len;
};

struct reference {
	const uint8_t *in;
	uint64_t bit, out;
	struct match *matches;
	size_t match_count, match_room;
};

static unsigned ref_bits(struct reference *r, unsigned n)
{
	unsigned v = 0;
	for (unsigned i = 0; i < n; i++, r->bit++)
		v |= (unsigned)(r->in[r->bit / 8] >> r->bit % 8 & 1) << i;
	return v;
}

/* Compares what was read with every code of that length. */
static unsigned ref_symbol(struct reference *r, const uint8_t *lens, unsigned count)
{
	unsigned read = 0, code = 0;
	for (unsigned len = 1; len <= 15; len++) {
		read = read << 1 | ref_bits(r, 1);
		code <<= 1;
		for (unsigned s = 0; s < count; s++) {
			if (lens[s] == len && code++ == read)
				return s;
		}
	}
	ck_abort_msg("reference: no symbol");
	return 0;
}

static void ref_header(struct reference *r, uint8_t *lens, unsigned *litlen_count, unsigned *dist_count)
{
	static const uint8_t order[] = { 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15 };
	uint8_t pre[19] = { 0 };
	*litlen_count = ref_bits(r, 5) + 257;
	*dist_count = ref_bits(r, 5) + 1;
	unsigned n = ref_bits(r, 4) + 4;
	for (unsigned i = 0; i < n; i++)
		pre[order[i]] = (uint8_t)ref_bits(r, 3);
	for (n = 0; n < *litlen_count + *dist_count;) {
		unsigned s = ref_symbol(r, pre, 19);
		unsigned times = s < 16 ? 1 : s == 16 ? 3 + ref_bits(r, 2) : s == 17 ? 3 + ref_bits(r, 3) :
										  11 + ref_bits(r, 7);
		uint8_t value = s < 16 ? (uint8_t)s : s == 16 ? lens[n - 1] : 0;
		while (times-- > 0)
			lens[n++] = value;
	}
}

static void ref_match(struct reference *r, unsigned symbol, const uint8_t *dist_lens, unsigned dist_count)
{
	unsigned len = 3, distance = 1;
	for (unsigned s = 257; s < symbol; s++)
		len += s < 265 ? 1 : 1U << (s - 261) / 4;
	unsigned extra = symbol < 265 || symbol == 285 ? 0 : (symbol - 261) / 4;
	len = symbol == 285 ? 258 : len + ref_bits(r, extra);
	symbol = ref_symbol(r, dist_lens, dist_count);
	for (unsigned s = 0; s < symbol; s++)
		distance += s < 4 ? 1 : 1U << (s / 2 - 1);
	distance += ref_bits(r, symbol < 4 ? 0 : symbol / 2 - 1);
	if (r->match_count == r->match_room) {
		r->match_room = 2 * r->match_room + 1000;
		r->matches = realloc(r->matches, r->match_room * sizeof(*r->matches));
	}
	r->matches[r->match_count++] = (struct match){ .from = r->out - distance, .at = r->out, .len = len };
	r->out += len;
}

static bool ref_block(struct reference *r)
{
	uint8_t lens[320];
	unsigned litlen_count = 288, dist_count = 32;
	bool final = ref_bits(r, 1);
	unsigned type = ref_bits(r, 2);
	if (type == 0) {
		r->bit = (r->bit + 7) / 8 * 8;
		unsigned len = ref_bits(r, 16);
		r->bit += 16 + 8 * (uint64_t)len;
		r->out += len;
		return final;
	}
	for (unsigned s = 0; s < 320; s++)
		lens[s] = s < 144 ? 8 : s < 256 ? 9 : s < 280 ? 7 : s < 288 ? 8 : 5;
	if (type == 2)
		ref_header(r, lens, &litlen_count, &dist_count);
	for (;;) {
		unsigned symbol = ref_symbol(r, lens, litlen_count);
		if (symbol == 256)
			return final;
		if (symbol < 256)
			r->out++;
		else
			ref_match(r, symbol, lens + litlen_count, dist_count);
	}
}

/* Bits of ring that matches [first, end) set; and the least offset they copied from. */
static uint64_t model(const struct reference *r, size_t first, uint64_t watch_end, uint64_t *ring)
{
	uint64_t lowest = UINT64_MAX;
	for (size_t i = first; i < r->match_count; i++) {
		const struct match *m = &r->matches[i];
		if (m->from < lowest)
			lowest = m->from;
		for (unsigned k = 0; k < m->len; k++) {
			uint64_t p = m->from + k;
			if (p < watch_end)
				ring[p % WALK_WINDOW / 64] |= UINT64_C(1) << p % WALK_WINDOW % 64;
		}
	}
	return lowest;
}

static void compare_reach(const uint8_t *in, size_t len, bool watch)
{
	struct reference r = { .in = in };
	struct walk_reach reach = { .lowest = UINT64_MAX };
	uint64_t ring[WALK_WINDOW / 64] = { 0 };
	size_t watched_from = 0, lowest_from = 0, marks = 0;
	struct walk_block block;
	bool final;
	walker_reset_memory(walker, in, len);
	do {
		uint64_t start_bit = r.bit, start_out = r.out;
		size_t first = r.match_count;
		final = ref_block(&r);
		ck_assert_int_eq(walker_next(walker, &block, &reach, NULL), BLOCKZ_OK);
		ck_assert_uint_eq(block.header_bit, start_bit);
		ck_assert_uint_eq(block.end_bit, r.bit);
		ck_assert_uint_eq(block.out_start, start_out);
		ck_assert_uint_eq(block.out_end, r.out);
		ck_assert_int_eq(block.final, final);

		uint64_t none[WALK_WINDOW / 64] = { 0 };
		ck_assert_uint_eq(reach.lowest, model(&r, lowest_from, 0, none));
		model(&r, first > watched_from ? first : watched_from, reach.watch_end, ring);
		ck_assert_mem_eq(reach.ring, ring, sizeof(ring));
		for (size_t i = 0; i < WALK_WINDOW / 64; i++)
			marks += ring[i] != 0;
		if (watch && rnd() % 4 == 0) {
			reach.watch_end = r.out;
			memset(reach.ring, 0, sizeof(reach.ring));
			memset(ring, 0, sizeof(ring));
			watched_from = r.match_count;
		}
		if (rnd() % 4 == 0) {
			reach.lowest = UINT64_MAX;
			lowest_from = r.match_count;
		}
	} while (!final);
	ck_assert_int_eq(marks > 0, watch);
	ck_assert_uint_gt(r.match_count, 1000);
	free(r.matches);
}

START_TEST(reach_equals_a_bitmap)
{
	const size_t len = 400000, room = 600000;
	uint8_t *data = make_data(len), *out = malloc(room);
	for (int i = 0; i < 6; i++) {
		size_t n = i == 0 ? libdeflate_stream(data, len, 6, out, room) :
			   i == 1 ? libdeflate_stream(data, len, 12, out, room) :
				    zlib_stream(data, len, i + 3, 1 + i, i == 2 ? Z_FIXED : Z_DEFAULT_STRATEGY,
						3000 * (size_t)i, out, room);
		compare_reach(out, n, true);
		compare_reach(out, n, false);
	}
	free(data);
	free(out);
}
END_TEST

/* ---- limits ---------------------------------------------------------------------------------------------------- */

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
	struct file file = { .bytes = bytes, .len = len };
	struct blockz_source source = file_source(&file);
	struct blockz_fault fault;
	walker_reset_source(walker, &source, 0, len);
	ck_assert_int_eq(walk_on(&walked, &fault), BLOCKZ_DAMAGED);
	ck_assert_uint_eq(walked.count, 0);
	ck_assert_uint_eq(fault.offset, len);
	free(bytes);
}
END_TEST

static int zeros_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	(void)ctx;
	(void)off;
	memset(buf, 0, len);
	*got_ret = len;
	return 0;
}

START_TEST(inputs_too_long_for_bit_offsets_are_refused)
{
	static const struct blockz_source_ops ops = { .read = zeros_read };
	struct blockz_source source = { .ops = &ops, .size = UINT64_C(1) << 62 };
	struct walk_block block;
	struct blockz_fault fault;
	walker_reset_source(walker, &source, 0, UINT64_C(1) << 61);
	ck_assert_int_eq(walker_next(walker, &block, NULL, &fault), BLOCKZ_LIMIT);
	walker_reset_source(walker, &source, UINT64_C(1) << 61, (UINT64_C(1) << 61) + 100);
	ck_assert_int_eq(walker_next(walker, &block, NULL, &fault), BLOCKZ_DAMAGED);
	ck_assert_uint_eq(fault.offset >> 61, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("walk");
	TCase *c = tcase_create("walk");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 300);
	tcase_add_test(c, zlib_streams_have_zlibs_edges);
	tcase_add_test(c, libdeflate_streams_have_zlibs_edges);
	tcase_add_test(c, single_bit_flips_are_judged_like_zlib);
	tcase_add_test(c, bit_flips_in_long_streams_are_judged_like_zlib);
	tcase_add_test(c, every_truncation_is_refused);
	tcase_add_test(c, long_streams_are_refused_when_cut);
	tcase_add_test(c, random_bytes_are_judged_like_zlib);
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
	tcase_add_test(c, pieces_end_at_a_block_boundary);
	tcase_add_test(c, sources_and_memory_are_walked_alike);
	tcase_add_test(c, stored_payload_is_not_read);
	tcase_add_test(c, read_errors_are_reported);
	tcase_add_test(c, reach_equals_a_bitmap);
	tcase_add_test(c, an_endless_block_takes_no_memory_and_ends_as_truncated);
	tcase_add_test(c, inputs_too_long_for_bit_offsets_are_refused);
	suite_add_tcase(suite, c);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
