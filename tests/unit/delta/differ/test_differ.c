/* SPDX-License-Identifier: BSD-3-Clause */
/* The differ: what it finds is there, is in order, and is the same for any number of threads. */
#include <stdlib.h>
#include <string.h>

#include "delta/differ/differ.h"
#include "delta/differ/match.h"
#include "memory.h"
#include "random.h"

static const unsigned thread_counts[] = { 1, 2, 8 };
enum { THREAD_COUNTS = 3 };

static struct bytes random_bytes(size_t len)
{
	struct bytes bytes = bytes_new(len);
	rnd_fill(bytes.data, len);
	return bytes;
}

static struct bytes part(struct bytes bytes, size_t off, size_t len)
{
	return (struct bytes){ bytes.data + off, len };
}

static struct bytes periodic_bytes(size_t len, size_t period)
{
	struct bytes bytes = random_bytes(len);
	for (size_t i = period; i < len; i++)
		bytes.data[i] = bytes.data[i - period];
	return bytes;
}

static void match_with(struct bytes old, struct bytes new, uint64_t old_base, unsigned threads, struct matches *matches)
{
	const struct blockz_work work = { .threads = threads };
	struct blockz_fault fault;
	for (enum differ_pass pass = DIFFER_LONG_RUNS; pass <= DIFFER_THE_REST; pass++) {
		struct differ *differ = NULL;
		ck_assert_int_eq(differ_new(pass, old.data, old.len, old_base, matches, &differ, &fault), BLOCKZ_OK);
		ck_assert_int_eq(differ_match(differ, new.data, new.len, &work, matches, &fault), BLOCKZ_OK);
		differ_free(differ);
	}
}

static void assert_in_order(const struct matches *matches, uint64_t old_base, size_t old_len, size_t new_len)
{
	uint64_t pos = 0;
	for (size_t i = 0; i < matches->count; i++) {
		const struct match *match = &matches->items[i];
		ck_assert_uint_gt(match->len, 0);
		ck_assert_uint_ge(match->new_off, pos);
		ck_assert_uint_le(match->len, new_len);
		ck_assert_uint_le(match->new_off, new_len - match->len);
		ck_assert_uint_ge(match->old_off, old_base);
		ck_assert_uint_le(match->len, old_len);
		ck_assert_uint_le(match->old_off - old_base, old_len - match->len);
		pos = match->new_off + match->len;
	}
}

static void assert_same(const struct matches *a, const struct matches *b)
{
	ck_assert_uint_eq(a->count, b->count);
	if (a->count > 0)
		ck_assert_mem_eq(a->items, b->items, a->count * sizeof(*a->items));
}

/* Bytes of the new text that a match has right. */
static size_t equal_bytes(struct bytes old, struct bytes new, const struct matches *matches)
{
	size_t equal = 0;
	for (size_t i = 0; i < matches->count; i++)
		for (size_t j = 0; j < matches->items[i].len; j++)
			equal += old.data[matches->items[i].old_off + j] == new.data[matches->items[i].new_off + j];
	return equal;
}

struct result {
	size_t count, equal;
};

/* Matches with each number of threads. */
static struct result diff(struct bytes old, struct bytes new)
{
	struct matches matches = { 0 };
	match_with(old, new, 0, 1, &matches);
	assert_in_order(&matches, 0, old.len, new.len);
	for (int i = 1; i < THREAD_COUNTS; i++) {
		struct matches other = { 0 };
		match_with(old, new, 0, thread_counts[i], &other);
		assert_same(&matches, &other);
		matches_free(&other);
	}
	struct result result = { .count = matches.count, .equal = equal_bytes(old, new, &matches) };
	matches_free(&matches);
	return result;
}

START_TEST(equal_texts_are_one_match)
{
	static const size_t lens[] = { 48, 1000, MIB - 1, MIB, MIB + 1, 3 * MIB + 12345 };
	struct bytes text = random_bytes(lens[_i]);
	struct result result = diff(text, bytes_copy(text));
	ck_assert_uint_eq(result.count, 1);
	ck_assert_uint_eq(result.equal, text.len);
}
END_TEST

START_TEST(tiny_texts)
{
	struct bytes text = periodic_bytes(64, 7);
	for (size_t i = 0; i < text.len; i += 3)
		for (size_t j = 0; j < text.len; j += 3)
			ck_assert_uint_le(diff(part(text, 0, i), part(text, text.len - j, j)).equal, j);
	ck_assert_uint_eq(diff(text, part(text, 0, 0)).count, 0);
	ck_assert_uint_eq(diff(part(text, 0, 0), text).count, 0);
}
END_TEST

/* Up to so many bytes at either edge of a piece of text may be missed, or be found elsewhere. */
enum { EDGE = 16 };

START_TEST(moved_parts_are_found)
{
	struct bytes text = random_bytes(2 * MIB + 777), word = random_bytes(100);
	struct result shifted = diff(text, bytes_join(word, text));
	ck_assert_uint_eq(shifted.count, 1);
	ck_assert_uint_ge(shifted.equal, text.len);
	struct bytes low = part(text, 0, 1000003), high = part(text, low.len, text.len - low.len);
	struct result swapped = diff(text, bytes_join(high, low));
	ck_assert_uint_eq(swapped.count, 2);
	ck_assert_uint_eq(swapped.equal, text.len);
	struct result doubled = diff(text, bytes_join(text, text));
	ck_assert_uint_eq(doubled.count, 2);
	ck_assert_uint_eq(doubled.equal, 2 * text.len);
	struct result cut = diff(text, bytes_join(part(text, 0, 500000), part(text, 500100, text.len - 500100)));
	ck_assert_uint_eq(cut.count, 2);
	ck_assert_uint_ge(cut.equal, text.len - 100 - EDGE);
}
END_TEST

/* As in code whose addresses have moved. */
START_TEST(a_diagonal_is_kept_over_small_changes)
{
	struct bytes old = random_bytes(2 * MIB), new = bytes_copy(old);
	for (size_t i = 10; i + 10 < new.len; i += 20 + rnd_below(60)) {
		new.data[i] ^= 0x55;
		new.data[i + 1] ^= 0x55;
	}
	struct result result = diff(old, new);
	ck_assert_uint_eq(result.count, 1);
	ck_assert_uint_ge(result.equal, new.len * 9 / 10);
}
END_TEST

/* Runs too short for the hashes. */
START_TEST(short_runs_are_found_by_suffixes)
{
	enum { RUN = 30, RUNS = 2000 };
	struct bytes old = random_bytes(RUNS * RUN), new = bytes_new(old.len);
	for (size_t i = 0; i < RUNS; i++)
		memcpy(new.data + i * RUN, old.data + i * 1237 % RUNS * RUN, RUN);
	ck_assert_uint_ge(diff(old, new).equal, new.len * 9 / 10);
}
END_TEST

START_TEST(random_texts_have_nothing_in_common)
{
	ck_assert_uint_eq(diff(random_bytes(MIB + 5), random_bytes(2 * MIB)).count, 0);
}
END_TEST

START_TEST(zeros_and_periods)
{
	static const size_t periods[] = { 1, 2, 13, 16, 31, 64, 1000, 70000 };
	struct bytes old = periodic_bytes(MIB + 100, periods[_i]);
	struct bytes new = bytes_join(part(old, 0, MIB), bytes_join(random_bytes(50), old));
	struct result result = diff(old, new);
	ck_assert_uint_ge(result.equal, new.len - 50 - EDGE);
	ck_assert_uint_le(result.count, 16);
	struct bytes zeros = bytes_new(3 * MIB);
	ck_assert_uint_eq(diff(zeros, zeros).equal, zeros.len);
	diff(old, zeros);
	diff(zeros, old);
}
END_TEST

/* Zeros with something between them now and then, never in the same places. */
START_TEST(sparse_texts)
{
	struct bytes old = bytes_new(2 * MIB), new = bytes_new(2 * MIB);
	for (size_t i = 0; i < old.len; i += 1 + rnd_below(200)) {
		old.data[i] = (uint8_t)rnd_below(3);
		new.data[i / 2] = (uint8_t)rnd_below(3);
	}
	ck_assert_uint_ge(diff(old, new).equal, new.len / 2);
}
END_TEST

START_TEST(two_old_texts_with_bases)
{
	const uint64_t base = (uint64_t)1 << 40;
	struct bytes a = random_bytes(300000), b = random_bytes(200000);
	struct bytes new = bytes_join(part(a, 5000, 200000), bytes_join(part(b, 100, 150000), part(a, 0, 60000)));
	struct matches matches = { 0 }, first;
	match_with(a, new, 0, 2, &matches);
	assert_in_order(&matches, 0, a.len, new.len);
	first = matches;
	struct match kept[2];
	ck_assert_uint_eq(matches.count, 2);
	memcpy(kept, first.items, sizeof(kept));
	match_with(b, new, base, 2, &matches);
	ck_assert_uint_eq(matches.count, 3);
	ck_assert_mem_eq(&matches.items[0], &kept[0], sizeof(kept[0]));
	ck_assert_mem_eq(&matches.items[2], &kept[1], sizeof(kept[1]));
	ck_assert_uint_eq(matches.items[1].new_off, kept[0].new_off + kept[0].len);
	ck_assert_uint_eq(matches.items[1].old_off, base + 100);
	ck_assert_uint_eq(matches.items[1].len, kept[1].new_off - matches.items[1].new_off);
	matches_free(&matches);
}
END_TEST

/* What the first pass found in all of the old text outlives the second in any part of it, wherever that begins and ends. */
START_TEST(short_runs_in_parts)
{
	enum { PARTS = 12, LEN = 5000, WINDOW = 20000, STEP = 37 };
	struct bytes old = random_bytes(PARTS * LEN), new = random_bytes(40);
	for (unsigned i = 0; i < PARTS; i++)
		new = bytes_join(new, bytes_join(part(old, i * 7 % PARTS * LEN, LEN), random_bytes(30)));
	const struct blockz_work work = { .threads = 1 };
	struct matches runs = { 0 };
	struct differ *differ = NULL;
	ck_assert_int_eq(differ_new(DIFFER_LONG_RUNS, old.data, old.len, 0, &runs, &differ, NULL), BLOCKZ_OK);
	ck_assert_int_eq(differ_match(differ, new.data, new.len, &work, &runs, NULL), BLOCKZ_OK);
	differ_free(differ);
	size_t equal = equal_bytes(old, new, &runs);
	ck_assert_uint_ge(equal, PARTS * (LEN - EDGE));
	for (size_t base = 0; base + WINDOW <= old.len; base += STEP) {
		struct matches matches = { 0 };
		ck_assert(matches_copy(&runs, &matches));
		ck_assert_int_eq(differ_new(DIFFER_THE_REST, old.data + base, WINDOW, base, &runs, &differ, NULL), BLOCKZ_OK);
		ck_assert_int_eq(differ_match(differ, new.data, new.len, &work, &matches, NULL), BLOCKZ_OK);
		assert_in_order(&matches, 0, old.len, new.len);
		ck_assert_uint_ge(equal_bytes(old, new, &matches), equal);
		matches_free(&matches);
		differ_free(differ);
	}
	matches_free(&runs);
}
END_TEST

struct countdown {
	int calls, fail_at;
};

static bool count_down(void *ctx, uint64_t image_done, uint64_t file_done)
{
	(void)image_done;
	(void)file_done;
	struct countdown *self = ctx;
	return ++self->calls != self->fail_at;
}

START_TEST(interrupted_at_each_call)
{
	struct bytes old = random_bytes(2 * MIB), new = bytes_join(random_bytes(MIB), part(old, 0, MIB));
	enum blockz_status status = BLOCKZ_FAILED;
	int n = 1;
	for (; status != BLOCKZ_OK; n++) {
		struct countdown countdown = { .fail_at = n };
		const struct blockz_work work = {
			.threads = thread_counts[_i], .progress = count_down, .progress_ctx = &countdown
		};
		struct matches matches = { 0 };
		struct blockz_fault fault = { 0 };
		status = BLOCKZ_OK;
		for (enum differ_pass pass = DIFFER_LONG_RUNS; pass <= DIFFER_THE_REST && status == BLOCKZ_OK; pass++) {
			size_t before = matches.count;
			struct differ *differ = NULL;
			ck_assert_int_eq(differ_new(pass, old.data, old.len, 0, &matches, &differ, NULL), BLOCKZ_OK);
			status = differ_match(differ, new.data, new.len, &work, &matches, &fault);
			if (status != BLOCKZ_OK)
				ck_assert_uint_eq(matches.count, before);
			differ_free(differ);
		}
		if (status != BLOCKZ_OK) {
			ck_assert_int_eq(status, BLOCKZ_FAILED);
			ck_assert_str_eq(fault.text, "interrupted");
		}
		matches_free(&matches);
	}
	ck_assert_int_ge(n, 4);
}
END_TEST

int main(void)
{
	TCase *c = case_new("differ");
	tcase_add_loop_test(c, equal_texts_are_one_match, 0, 6);
	tcase_add_test(c, tiny_texts);
	tcase_add_test(c, moved_parts_are_found);
	tcase_add_test(c, a_diagonal_is_kept_over_small_changes);
	tcase_add_test(c, short_runs_are_found_by_suffixes);
	tcase_add_test(c, random_texts_have_nothing_in_common);
	tcase_add_loop_test(c, zeros_and_periods, 0, 8);
	tcase_add_test(c, sparse_texts);
	tcase_add_test(c, two_old_texts_with_bases);
	tcase_add_test(c, short_runs_in_parts);
	tcase_add_loop_test(c, interrupted_at_each_call, 0, THREAD_COUNTS);
	return case_run("differ", c);
}
