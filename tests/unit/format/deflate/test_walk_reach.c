/* SPDX-License-Identifier: BSD-3-Clause */
/* How far back matches reach, by the deflate walker, and by a decoder that is too simple to be wrong. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "memory.h"
#include "random.h"
#include "walked.h"

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

int main(void)
{
	TCase *c = walk_case_new("walk_reach");
	tcase_add_test(c, reach_equals_a_bitmap);
	return case_run("walk_reach", c);
}
