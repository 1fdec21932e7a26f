/* SPDX-License-Identifier: BSD-3-Clause */
/* Which matches are worth the decoding of OLD's blocks, and what is decoded for which block of NEW. */
#include <stdlib.h>
#include <string.h>

#include "delta/apply/fetch.h"
#include "delta/make/apply_budget.h"
#include "delta/make/decode_cost.h"
#include "memory.h"
#include "random.h"

/* Blocks of which the client keeps 12; to be decoded one has to bring 8 KiB.  Blocks of NEW are made one by one. */
enum {
	OLD_LEN = 1 << 20, KEPT = CLIENT_CACHE / OLD_LEN, ENOUGH = OLD_LEN / DECODED_FOR_A_BYTE,
	NEW_LEN = CLIENT_PARTS_LEN, NEW_BLOCKS = 60, MATCHES_MAX = 256,
};

struct scene {
	struct image image;
	struct plain_text old, new;
	struct matches matches;
};

static void add_parts(struct plain_text *text, size_t count, uint64_t len)
{
	text->parts = keep(count * sizeof(*text->parts));
	for (; text->count < count; text->count++, text->len += len)
		text->parts[text->count] = (struct text_part){ text->len, len, text->len, (uint32_t)text->count };
}

static struct scene *scene_of(size_t old_blocks, size_t new_blocks, uint64_t new_len)
{
	struct scene *scene = keep(sizeof(*scene));
	struct block *blocks = keep(old_blocks * sizeof(*blocks));
	for (size_t i = 0; i < old_blocks; i++)
		blocks[i] = (struct block){ .file_off = i, .file_len = 1, .plain_len = OLD_LEN };
	scene->image.blocks.items = blocks;
	scene->image.blocks.count = old_blocks;
	scene->old.image = &scene->image;
	add_parts(&scene->old, old_blocks, OLD_LEN);
	add_parts(&scene->new, new_blocks, new_len);
	scene->matches.items = malloc(MATCHES_MAX * sizeof(struct match)); /* which is freed when it is replaced */
	ck_assert_ptr_nonnull(scene->matches.items);
	return scene;
}

static struct scene *scene_new(size_t old_blocks, size_t new_blocks)
{
	return scene_of(old_blocks, new_blocks, NEW_LEN);
}

/* From somewhere in one block to somewhere in another. */
static void add_match(struct scene *scene, size_t new_block, uint64_t within, size_t old_block, uint64_t len)
{
	ck_assert_uint_lt(scene->matches.count, MATCHES_MAX);
	scene->matches.items[scene->matches.count++] = (struct match){
		.new_off = new_block * scene->new.parts[0].len + within, .old_off = old_block * (uint64_t)OLD_LEN + 77, .len = len,
	};
}

/* Of the matches those stay that are named here. */
static void assert_pruned(struct scene *scene, const struct match *expected, size_t count)
{
	ck_assert_int_eq(decode_cost_prune(&scene->old, &scene->new, &scene->matches, NULL), BLOCKZ_OK);
	ck_assert_uint_eq(scene->matches.count, count);
	for (size_t i = 0; i < count; i++) {
		ck_assert_uint_eq(scene->matches.items[i].new_off, expected[i].new_off);
		ck_assert_uint_eq(scene->matches.items[i].old_off, expected[i].old_off);
		ck_assert_uint_eq(scene->matches.items[i].len, expected[i].len);
	}
	matches_free(&scene->matches);
}

START_TEST(a_block_has_to_bring_enough)
{
	struct scene *scene = scene_new(3, 1);
	add_match(scene, 0, 0, 0, ENOUGH);
	add_match(scene, 0, ENOUGH, 1, ENOUGH - 1);
	add_match(scene, 0, 2 * ENOUGH, 2, ENOUGH / 2);
	add_match(scene, 0, 3 * ENOUGH, 2, ENOUGH / 2);
	struct match left[] = { scene->matches.items[0], scene->matches.items[2], scene->matches.items[3] };
	assert_pruned(scene, left, 3);
}
END_TEST

START_TEST(what_is_not_decoded_costs_nothing)
{
	struct scene *scene = scene_new(3, 1);
	scene->image.blocks.items[0].is_plain = true;
	scene->old.parts[1].block = TEXT_NO_BLOCK;
	for (size_t i = 0; i < 3; i++)
		add_match(scene, 0, i * 100, i, 50);
	struct match left[] = { scene->matches.items[0], scene->matches.items[1] };
	assert_pruned(scene, left, 2);
}
END_TEST

/* What several blocks of NEW take counts together, as long as the client keeps the block. */
START_TEST(a_stay_counts_as_one)
{
	for (size_t between = KEPT - 1; between <= KEPT; between++) {
		struct scene *scene = scene_new(KEPT + 1, 3);
		add_match(scene, 0, 0, KEPT, ENOUGH / 2);
		for (size_t i = 0; i < between; i++)
			add_match(scene, 1, i * 8, i, 8);
		add_match(scene, 2, 0, KEPT, ENOUGH / 2);
		struct match left[] = { scene->matches.items[0], scene->matches.items[between + 1] };
		assert_pruned(scene, left, between < KEPT ? 2 : 0);
	}
}
END_TEST

/* Blocks of NEW that are made at once take of one block of OLD after the other: those of the next group come later. */
START_TEST(a_group_counts_as_one)
{
	struct scene *scene = scene_of(2 * KEPT + 1, 2 * CLIENT_PARTS, 4096);
	for (size_t i = 0; i < 2 * CLIENT_PARTS; i++) {
		add_match(scene, i, 0, 0, i < CLIENT_PARTS ? ENOUGH / CLIENT_PARTS : ENOUGH / CLIENT_PARTS - 1);
		for (size_t block = 1 + i % 2; block <= 2 * KEPT && i < CLIENT_PARTS; block += 2)
			add_match(scene, i, 2048 + block * 8, block, 8);
	}
	struct match left[CLIENT_PARTS];
	for (size_t i = 0; i < CLIENT_PARTS; i++)
		left[i] = scene->matches.items[i * (KEPT + 1)];
	assert_pruned(scene, left, CLIENT_PARTS);
}
END_TEST

/* A match over the edges of blocks is cut where a part of it is given up, and otherwise stays what it was. */
START_TEST(long_matches)
{
	struct scene *scene = scene_new(3, 2);
	add_match(scene, 0, NEW_LEN - OLD_LEN / 2, 0, 2 * OLD_LEN);
	struct match left = scene->matches.items[0];
	left.len = 2 * OLD_LEN - 77;
	assert_pruned(scene, &left, 1);

	scene = scene_new(3, 2);
	add_match(scene, 0, NEW_LEN - OLD_LEN / 2, 0, 3 * OLD_LEN - 77);
	left = scene->matches.items[0];
	assert_pruned(scene, &left, 1);
}
END_TEST

/* A cache as simple as can be: the blocks in it, oldest first. */
static bool model_use(uint32_t *cache, size_t *count, uint32_t block)
{
	size_t at = 0;
	while (at < *count && cache[at] != block)
		at++;
	bool hit = at < *count;
	if (!hit && *count == KEPT)
		at = 0;
	else if (!hit)
		at = (*count)++;
	memmove(cache + at, cache + at + 1, (*count - at - 1) * sizeof(*cache));
	cache[*count - 1] = block;
	return hit;
}

/* Within a block of NEW the order is the client's, which goes through OLD from its beginning. */
START_TEST(decodes_are_counted)
{
	for (int round = 0; round < 50; round++) {
		struct scene *scene = scene_new(2 * KEPT, NEW_BLOCKS);
		uint64_t expected[NEW_BLOCKS] = { 0 }, found[NEW_BLOCKS] = { 0 };
		uint32_t cache[KEPT];
		size_t count = 0;
		for (size_t i = 0; i < NEW_BLOCKS; i++) {
			uint32_t first = (uint32_t)rnd_below(2 * KEPT - 2), last = first + 1 + (uint32_t)rnd_below(2);
			add_match(scene, i, 0, last, 8);
			add_match(scene, i, 8, first, 8);
			add_match(scene, i, 16, last, 8);
			expected[i] += model_use(cache, &count, first) ? 0 : OLD_LEN;
			expected[i] += model_use(cache, &count, last) ? 0 : OLD_LEN;
		}
		ck_assert_int_eq(decode_cost_count(&scene->old, &scene->new, &scene->matches, found, NULL), BLOCKZ_OK);
		for (size_t i = 0; i < NEW_BLOCKS; i++)
			ck_assert_uint_eq(found[i], expected[i]);
		matches_free(&scene->matches);
	}
}
END_TEST

/* OLD's space with one block in it, which has been decoded, so that it is known what that takes. */
static struct old *space_new(struct codec_env *env, struct blockz_source *file, struct delta_old_blocks *blocks)
{
	struct old_reader reader = { .contexts.env = env };
	struct buffer packed = { 0 };
	struct bytes plain = bytes_new(OLD_LEN);
	const struct codec_params params = { CODEC_ZLIB, { [ZLIB_LEVEL] = 1, [ZLIB_WINDOW] = 15 } };
	size_t len = 0;
	rnd_fill(plain.data, plain.len / 2);
	ck_assert_int_eq(codec_encode(&reader.contexts, &params, plain.data, plain.len, &packed, &len, NULL), BLOCKZ_OK);
	struct bytes block = bytes_new(len);
	memcpy(block.data, packed.bytes, len);
	*file = bytes_source(block);
	blocks->items[0] = (struct delta_old_block){
		.plain_len = OLD_LEN, .file_len = (uint32_t)len & 0x3ffffff, .codec = CODEC_ZLIB,
	};
	struct old *space = old_new(file, len, blocks, CLIENT_CACHE, 1);
	ck_assert_ptr_nonnull(space);
	ck_assert_int_eq(old_copy(space, &reader, len, plain.data, plain.len, NULL), BLOCKZ_OK);
	old_reader_free(&reader);
	buffer_free(&packed);
	return space;
}

/* All save the same, and nothing is encoded: those for which least is decoded stay. */
START_TEST(the_budget_counts_decoding)
{
	enum { BLOCKS = 2 * KEPT };
	struct codec_env env = { .lzo = NULL };
	struct blockz_source file;
	struct delta_old_block block;
	struct delta_old_blocks blocks = { &block, 1 };
	struct old *space = space_new(&env, &file, &blocks);
	struct scene *scene = scene_new(2 * BLOCKS, BLOCKS);
	struct image new = { .blocks = { .items = keep(BLOCKS * sizeof(struct block)), .count = BLOCKS } };
	struct selected selected[BLOCKS] = { 0 };
	bool open[BLOCKS];
	uint64_t prices[BLOCKS] = { 0 };
	struct selection selection = { .blocks = selected, .open = open };
	for (size_t i = 0; i < BLOCKS; i++) {
		new.blocks.items[i].file_len = 1000;
		selected[i].fate = FATE_OPEN;
		open[i] = true;
		add_match(scene, i, 0, 2 * i, ENOUGH);
		if (i % 2 == 0)
			add_match(scene, i, ENOUGH, 2 * i + 1, ENOUGH);
	}
	const struct findings findings = {
		.old = &scene->image, .new = &new, .selection = &selection, .env = &env, .old_text = scene->old,
		.new_text = scene->new, .matches = scene->matches, .space = space,
	};
	double block_ns = old_decode_ns(space) * OLD_LEN;
	ck_assert(block_ns > 0);
	/* Enough for all that need one, and for some of the others. */
	uint64_t budget_ms = (uint64_t)(BLOCKS * block_ns / 1e6) + 1;
	ck_assert_int_eq(apply_budget_keep(&findings, &selection, prices, 0, NULL), BLOCKZ_OK);
	for (size_t i = 0; i < BLOCKS; i++)
		ck_assert(open[i]);
	ck_assert_int_eq(apply_budget_keep(&findings, &selection, prices, budget_ms, NULL), BLOCKZ_OK);
	double spent = 0;
	for (size_t i = 0; i < BLOCKS; i++) {
		ck_assert(open[i] || i % 2 == 0);
		ck_assert_int_eq(selected[i].fate, open[i] ? FATE_OPEN : FATE_PACKED);
		spent += open[i] ? block_ns * (i % 2 == 0 ? 2 : 1) : 0;
	}
	ck_assert(spent <= (double)budget_ms * 1e6);
	ck_assert(!open[BLOCKS - 2]);
	matches_free(&scene->matches);
	old_free(space);
}
END_TEST

START_TEST(no_matches)
{
	struct scene *scene = scene_new(1, 1);
	assert_pruned(scene, NULL, 0);
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("decode_cost");
	tcase_add_test(tcase, a_block_has_to_bring_enough);
	tcase_add_test(tcase, what_is_not_decoded_costs_nothing);
	tcase_add_test(tcase, a_stay_counts_as_one);
	tcase_add_test(tcase, a_group_counts_as_one);
	tcase_add_test(tcase, long_matches);
	tcase_add_test(tcase, decodes_are_counted);
	tcase_add_test(tcase, the_budget_counts_decoding);
	tcase_add_test(tcase, no_matches);
	return case_run("decode_cost", tcase);
}
