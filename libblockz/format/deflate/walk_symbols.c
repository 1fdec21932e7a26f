/* SPDX-License-Identifier: BSD-3-Clause */
/* The loop over the symbols of one block, which is where all the time goes. */
#include "format/deflate/walk_symbols.h"

#include <string.h>

#include "base/copy.h"

/*
 * The second lane starts AHEAD bytes in front of the first, more each time they meet, and leaves a trace over its first
 * TRACE_BITS bits: nine of ten times they meet within 512.  Meanwhile a round of lane_advance() takes 2 bits or more
 * from the second and 44 or less from the first, which so needs up to 1408 bytes: LANES_SLACK has room for that.
 */
enum {
	TRACE_BITS = 512,
	LANES_SLACK = 3 * TRACE_BITS,
	AHEAD_MIN = 512,
	AHEAD_MAX = 2048,
	ALONE = 64,        /* so many bytes of a block first: lanes do not pay in the shortest blocks */
	AFTER_MISS = 8192, /* codes of nearly equal lengths do not fall into step: try again later */
};

/* Where the second lane has been: its output + 1, by what comes next (0: literal or length, 1: distance) and bit. */
struct trace {
	uint32_t out[2][TRACE_BITS];
};

/* The state of a loop, for the compiler to keep in registers. */
struct cursor {
	uint64_t bits;
	unsigned count;
	size_t next;
	uint64_t out;
};

/* Bytes [start, end) were copied: marks those that are watched. */
static void mark(struct walk_reach *reach, uint64_t start, uint64_t end)
{
	for (uint64_t p = start; p < end; p++)
		reach->ring[p % WALK_WINDOW / 64] |= UINT64_C(1) << p % 64;
}

static inline uint32_t lookup(const struct walk_codes *codes, uint32_t table, uint64_t bits)
{
	return codes->entry[table + (bits & (WALK_ROOT_SIZE - 1))];
}

static inline void drop_bits(struct cursor *c, unsigned n)
{
	c->bits >>= n;
	c->count -= n;
}

/* Drops the entry's bits and counts its output; of a distance, which has none, the extra bits vanish in a shift. */
static inline void pass(struct cursor *c, uint32_t entry)
{
	unsigned n = entry & WALK_BITS_MASK;
	uint32_t all = (uint32_t)c->bits & ((UINT32_C(1) << n) - 1);
	c->out += (entry >> WALK_OUT_SHIFT) + (all >> (entry >> WALK_CODE_SHIFT & WALK_CODE_MASK));
	drop_bits(c, n);
}

static inline struct cursor cursor_load(const struct walk_input *in, uint64_t out)
{
	return (struct cursor){ .bits = in->bits, .count = in->count, .next = in->next, .out = out };
}

static inline void cursor_save(struct walk_input *in, uint64_t *out, const struct cursor *c)
{
	in->bits = c->bits;
	in->count = c->count;
	in->next = c->next;
	*out = c->out;
}

/* The special entry at the cursor stands for no symbol: drops an end of block. */
static enum walk_stop stop_at(struct cursor *c, uint32_t entry)
{
	unsigned n = entry & WALK_BITS_MASK;
	drop_bits(c, n);
	return n != 0 ? WALK_STOP_END : WALK_STOP_SYMBOL;
}

static inline uint32_t take_distance(struct cursor *c, uint32_t entry)
{
	unsigned extra = entry >> WALK_EXTRA_SHIFT & WALK_EXTRA_MASK;
	unsigned n = entry & WALK_BITS_MASK;
	uint32_t all = (uint32_t)c->bits & ((UINT32_C(1) << n) - 1);
	drop_bits(c, n);
	return walk_dist_base[entry >> WALK_SYMBOL_SHIFT & WALK_SYMBOL_MASK] + (all >> (n - extra));
}

/* A match at output offset `at`. */
static inline void note_match(struct walk_reach *reach, uint64_t at, uint32_t len, uint32_t distance)
{
	uint64_t start = at - distance;
	if (start < reach->lowest)
		reach->lowest = start;
	if (start < reach->watch_end) {
		uint64_t end = start + len;
		mark(reach, start, end < reach->watch_end ? end : reach->watch_end);
	}
}

/* A round takes at most 20 bits for a length and 28 for a distance, so one load is enough. */
static inline __attribute__((always_inline)) enum walk_stop near(struct walk_input *in, uint64_t *out,
								 const struct walk_codes *codes,
								 uint64_t history_start, struct walk_reach *reach)
{
	const uint8_t *window = in->window;
	const size_t load_end = in->load_end;
	struct cursor c = cursor_load(in, *out);
	enum walk_stop stop = WALK_STOP_INPUT;

	while (c.next < load_end) {
		if (reach == NULL && c.out - history_start >= WALK_WINDOW) {
			stop = WALK_STOP_FAR;
			break;
		}
		walk_input_load(window, &c.next, &c.bits, &c.count);
		uint32_t e = lookup(codes, 0, c.bits);
		if (e & WALK_SPECIAL) {
			e = walk_codes_entry(codes, false, (uint32_t)c.bits);
			if (e & WALK_SPECIAL) {
				stop = stop_at(&c, e);
				break;
			}
		}
		const uint64_t at = c.out;
		pass(&c, e);
		if (!(e & WALK_DIST))
			continue;

		e = lookup(codes, WALK_DIST, c.bits);
		if (e & WALK_SPECIAL) {
			e = walk_codes_entry(codes, true, (uint32_t)c.bits);
			if (e & WALK_SPECIAL) {
				stop = WALK_STOP_SYMBOL;
				break;
			}
		}
		uint32_t distance = take_distance(&c, e);
		if (distance > at - history_start) {
			stop = WALK_STOP_DISTANCE;
			break;
		}
		if (reach != NULL)
			note_match(reach, at, (uint32_t)(c.out - at), distance);
	}
	cursor_save(in, out, &c);
	return stop;
}

enum walk_stop walk_symbols_near(struct walk_input *in, uint64_t *out, const struct walk_codes *codes,
				 uint64_t history_start, struct walk_reach *reach)
{
	/* Two copies, so that the one without reach never asks. */
	return reach != NULL ? near(in, out, codes, history_start, reach) : near(in, out, codes, history_start, NULL);
}

/* ---- With text ---------------------------------------------------------------------------------------------- */

static inline bool is_literal(uint32_t entry)
{
	return (entry & (WALK_DIST | WALK_SPECIAL)) == 0;
}

static inline void note_token(struct walk_tokens *tokens, uint32_t len, uint32_t distance)
{
	if (tokens != NULL)
		tokens->list[tokens->count++] = (struct walk_token){ (uint16_t)len, (uint16_t)distance };
}

static inline void put_literal(struct cursor *c, const struct walk_codes *codes, uint32_t *entry, uint8_t **to,
			       struct walk_tokens *tokens)
{
	*(*to)++ = walk_entry_literal(*entry);
	note_token(tokens, 1, 0);
	drop_bits(c, *entry & WALK_BITS_MASK);
	*entry = lookup(codes, 0, c->bits);
}

/*
 * A round takes three literals of 11 bits, or two and another of 15 bits or a length of 20; then, behind another load, a
 * distance of 28.  Of 56 bits enough are left each time to look up what comes next.
 */
static inline __attribute__((always_inline)) enum walk_stop decode(struct walk_input *in, uint64_t *out,
								   const struct walk_codes *codes, uint64_t history_start,
								   struct walk_text *text, struct walk_tokens *tokens)
{
	const uint8_t *window = in->window;
	const size_t load_end = in->load_end;
	uint8_t *const start = text->bytes + text->len;
	const uint8_t *const end = text->bytes + (text->room - WALK_TEXT_SLACK);
	const uint64_t out_start = *out, history = out_start - history_start;
	const uint8_t *const oldest = start - (history < WALK_WINDOW ? history : WALK_WINDOW);
	struct cursor c = cursor_load(in, out_start);
	uint8_t *to = start;
	enum walk_stop stop = WALK_STOP_INPUT;

	if (c.next >= load_end)
		return stop;
	walk_input_load(window, &c.next, &c.bits, &c.count);
	uint32_t e = lookup(codes, 0, c.bits);
	while (c.next < load_end) {
		if (to > end) {
			stop = WALK_STOP_ROOM;
			break;
		}
		walk_input_load(window, &c.next, &c.bits, &c.count);
		if (is_literal(e)) {
			put_literal(&c, codes, &e, &to, tokens);
			if (is_literal(e)) {
				put_literal(&c, codes, &e, &to, tokens);
				if (is_literal(e)) {
					put_literal(&c, codes, &e, &to, tokens);
					continue;
				}
			}
		}
		if (__builtin_expect(e & WALK_SPECIAL, 0)) {
			e = walk_codes_entry(codes, false, (uint32_t)c.bits);
			if (e & WALK_SPECIAL) {
				stop = stop_at(&c, e);
				break;
			}
			if (is_literal(e)) {
				put_literal(&c, codes, &e, &to, tokens);
				continue;
			}
		}
		c.out = 0;
		pass(&c, e);
		const uint32_t len = (uint32_t)c.out;

		e = lookup(codes, WALK_DIST, c.bits);
		walk_input_load(window, &c.next, &c.bits, &c.count);
		if (__builtin_expect(e & WALK_SPECIAL, 0)) {
			e = walk_codes_entry(codes, true, (uint32_t)c.bits);
			if (e & WALK_SPECIAL) {
				stop = WALK_STOP_SYMBOL;
				break;
			}
		}
		const uint32_t distance = take_distance(&c, e);
		if (distance > (size_t)(to - oldest)) {
			stop = WALK_STOP_DISTANCE;
			break;
		}
		e = lookup(codes, 0, c.bits);
		note_token(tokens, len, distance);
		copy_match(to, len, distance);
		to += len;
	}
	c.out = out_start + (uint64_t)(to - start);
	text->len += (size_t)(to - start);
	cursor_save(in, out, &c);
	return stop;
}

enum walk_stop walk_symbols_text(struct walk_input *in, uint64_t *out, const struct walk_codes *codes,
				 uint64_t history_start, struct walk_text *text, struct walk_tokens *tokens)
{
	/* Two copies, so that the one without tokens never asks. */
	return tokens != NULL ? decode(in, out, codes, history_start, text, tokens) :
				decode(in, out, codes, history_start, text, NULL);
}

/* ---- Fast --------------------------------------------------------------------------------------------------- */

/*
 * Where no distance can be wrong, what remains of a symbol is one step, the same for literals, lengths and distances:
 * look up, drop, count.  A step waits for the one before, so a processor is idle most of the time.  To use it, a second
 * lane starts some way ahead, at a guess: not at the beginning of a symbol, most likely.  But Huffman codes fall into
 * step by themselves.  When the first lane reaches the place where the second one started, it soon comes to a bit where
 * the second has been too, in the same state; from there on they would do the same, so it takes over what the second
 * has done since.  Where they do not meet, nothing but time is lost.
 */
struct lane {
	struct cursor c;
	uint32_t entry; /* of what comes next */
};

static inline void lane_load(struct lane *lane, const uint8_t *window)
{
	walk_input_load(window, &lane->c.next, &lane->c.bits, &lane->c.count);
}

static inline void lane_step(struct lane *lane, const struct walk_codes *codes)
{
	uint32_t e = lane->entry;
	pass(&lane->c, e);
	lane->entry = lookup(codes, e & WALK_DIST, lane->c.bits);
}

/* Replaces a special entry; false: it is none that stands for a symbol. */
static inline bool lane_resolve(struct lane *lane, const struct walk_codes *codes)
{
	if (__builtin_expect((lane->entry & WALK_SPECIAL) != 0, 0)) {
		uint32_t e = walk_codes_entry(codes, walk_entry_is_dist(lane->entry), (uint32_t)lane->c.bits);
		if (e & WALK_SPECIAL)
			return false;
		lane->entry = e;
	}
	return true;
}

/*
 * Loads, and goes one or two steps; false: there is no symbol.  Two steps take at most 44 bits, one of them being
 * special and 28 or 20 bits long, or 40, so that of 56 at least WALK_ROOT are left to look up the next entry before
 * the next load, which takes the load out of the chain of dependences.
 */
static inline __attribute__((always_inline)) bool lane_advance(struct lane *lane, const struct walk_codes *codes,
							       const uint8_t *window)
{
	lane_load(lane, window);
	if (__builtin_expect(!(lane->entry & WALK_SPECIAL), 1))
		lane_step(lane, codes);
	if (!lane_resolve(lane, codes))
		return false;
	lane_step(lane, codes);
	return true;
}

/* Bits from byte `start` of the window to where the lane is. */
static inline size_t lane_distance(const struct lane *lane, size_t start)
{
	return (lane->c.next - start) * 8 - lane->c.count;
}

static inline uint32_t *trace_at(struct trace *trace, const struct lane *lane, size_t bit)
{
	return &trace->out[walk_entry_is_dist(lane->entry)][bit];
}

/* Both lanes go on until the second has left a trace; false: one of them cannot. */
static bool follow_traced(struct lane *first, struct lane *second, struct trace *trace, const struct walk_codes *codes,
			  const uint8_t *window)
{
	struct lane a = *first, b = *second;
	const size_t start = b.c.next;
	bool good = true;
	memset(trace, 0, sizeof(*trace));
	lane_load(&b, window);
	b.entry = lookup(codes, 0, b.c.bits);
	for (size_t bit = 0; good && bit < TRACE_BITS; bit = lane_distance(&b, start)) {
		*trace_at(trace, &b, bit) = (uint32_t)b.c.out + 1;
		good = lane_advance(&a, codes, window) && lane_advance(&b, codes, window);
	}
	*first = a;
	*second = b;
	return good;
}

/* Both lanes go on until the first is where the second started; or one of them cannot. */
static void follow_both(struct lane *first, struct lane *second, size_t start, size_t load_end,
			const struct walk_codes *codes, const uint8_t *window)
{
	struct lane a = *first, b = *second;
	while (a.c.next < start && b.c.next < load_end) {
		if (!lane_advance(&a, codes, window))
			break;
		if (!lane_advance(&b, codes, window))
			break;
	}
	*first = a;
	*second = b;
}

static bool follow_one(struct lane *lane, size_t load_end, const struct walk_codes *codes, const uint8_t *window)
{
	struct lane a = *lane;
	bool good = true;
	while (good && a.c.next < load_end)
		good = lane_advance(&a, codes, window);
	*lane = a;
	return good;
}

/* The first lane goes on until it meets the second's trace, or is past it; false: it has come to what is no symbol. */
static bool meet(struct lane *first, const struct lane *second, size_t start, struct trace *trace, bool *met_ret,
		 const struct walk_codes *codes, const uint8_t *window)
{
	size_t bit = lane_distance(first, start);
	while ((ptrdiff_t)bit < TRACE_BITS) {
		uint32_t seen = (ptrdiff_t)bit >= 0 ? *trace_at(trace, first, bit) : 0;
		if (seen != 0) {
			uint64_t out = first->c.out + second->c.out - (seen - 1);
			*first = *second;
			first->c.out = out;
			*met_ret = true;
			return true;
		}
		lane_load(first, window);
		if (!lane_resolve(first, codes))
			return false;
		lane_step(first, codes);
		bit = lane_distance(first, start);
	}
	*met_ret = false;
	return true;
}

/* Two lanes from a byte `ahead` of the first on; false: the first has come to what is no symbol. */
static bool follow_lanes(struct lane *first, size_t ahead, bool *met_ret, size_t load_end,
			 const struct walk_codes *codes, const uint8_t *window)
{
	struct trace trace;
	const size_t start = first->c.next + ahead;
	struct lane second = { .c = { .next = start } };
	*met_ret = false;
	if (follow_traced(first, &second, &trace, codes, window))
		follow_both(first, &second, start, load_end, codes, window);
	return follow_one(first, start, codes, window) &&
	       meet(first, &second, start, &trace, met_ret, codes, window);
}

static size_t lesser(size_t a, size_t b)
{
	return a < b ? a : b;
}

enum walk_stop walk_symbols_far(struct walk_input *in, uint64_t *out, const struct walk_codes *codes, uint32_t *table)
{
	const uint8_t *window = in->window;
	const size_t load_end = in->load_end;
	struct lane lane = { .c = cursor_load(in, *out) };

	if (lane.c.next >= load_end)
		return WALK_STOP_INPUT;
	lane_load(&lane, window);
	lane.entry = lookup(codes, *table, lane.c.bits);
	size_t ahead = AHEAD_MIN;
	bool good = follow_one(&lane, lesser(lane.c.next + ALONE, load_end), codes, window);
	while (good && lane.c.next + 2 * ahead + LANES_SLACK < load_end) {
		bool met;
		good = follow_lanes(&lane, ahead, &met, load_end, codes, window);
		if (good && met)
			ahead = ahead < AHEAD_MAX ? 2 * ahead : ahead;
		else if (good)
			good = follow_one(&lane, lesser(lane.c.next + AFTER_MISS, load_end), codes, window);
	}
	if (good)
		good = follow_one(&lane, load_end, codes, window);
	enum walk_stop stop = WALK_STOP_INPUT;
	if (!good) {
		bool dist = walk_entry_is_dist(lane.entry);
		stop = stop_at(&lane.c, walk_codes_entry(codes, dist, (uint32_t)lane.c.bits));
	}
	*table = walk_entry_is_dist(lane.entry) ? WALK_DIST : 0;
	cursor_save(in, out, &lane.c);
	return stop;
}
