/* SPDX-License-Identifier: BSD-3-Clause */
/* NEW item by item, and where OLD's content is in a delta's OLD's space: against models, byte by byte. */
#include <stdlib.h>
#include <string.h>

#include "delta/make/walk.h"
#include "memory.h"
#include "random.h"

enum { BLOCKS = 40, LEN_MAX = 3000, ROUNDS = 100 };

/* Blocks of random lengths, with bytes between most of them; some stand for plain bytes. */
static void make_image(struct image *image)
{
	struct block *blocks = keep(BLOCKS * sizeof(*blocks));
	uint64_t pos = rnd_below(2) * rnd_below(LEN_MAX);
	for (size_t i = 0; i < BLOCKS; i++) {
		bool is_plain = rnd_below(4) == 0;
		uint32_t file_len = 1 + (uint32_t)rnd_below(LEN_MAX), plain_len = 1 + (uint32_t)rnd_below(LEN_MAX);
		blocks[i] = (struct block){
			.file_off = pos, .file_len = file_len, .plain_len = is_plain ? file_len : plain_len,
			.codec = is_plain ? CODEC_STORED : CODEC_ZLIB, .is_plain = is_plain,
		};
		pos += file_len + rnd_below(2) * rnd_below(LEN_MAX);
	}
	*image = (struct image){ .blocks = { .size = pos, .items = blocks, .count = BLOCKS } };
}

/* ---- Items of NEW ---- */

struct scene {
	struct image new;
	struct selected selected[BLOCKS];
	bool open[BLOCKS];
	struct selection selection;
	struct findings findings;
};

/* With fates as they are when the text is laid out. */
static struct scene *scene_new(void)
{
	struct scene *scene = keep(sizeof(*scene));
	make_image(&scene->new);
	for (size_t i = 0; i < BLOCKS; i++) {
		scene->selected[i].fate = (uint8_t)rnd_below(3);
		scene->open[i] = scene->selected[i].fate == FATE_OPEN;
	}
	scene->selection = (struct selection){ .blocks = scene->selected, .open = scene->open };
	scene->findings = (struct findings){ .new = &scene->new, .selection = &scene->selection };
	ck_assert_int_eq(plain_text_layout(&scene->new, scene->open, true, &scene->findings.new_text, NULL), BLOCKZ_OK);
	return scene;
}

static void assert_is_block(const struct scene *scene, const struct item *item)
{
	const struct block *block = &scene->new.blocks.items[item->block];
	ck_assert_uint_eq(item->fate, scene->selected[item->block].fate);
	ck_assert_uint_ge(item->file_off, block->file_off);
	ck_assert_uint_le(item->file_off + item->file_len, block->file_off + block->file_len);
	if (item->fate != FATE_PACKED)
		ck_assert_uint_eq(item->file_len, block->file_len);
	ck_assert_int_eq(item_is_open_block(item), item->fate == FATE_OPEN);
}

/* Items have no gaps, are blocks or what is between them, and open ones know their part of the text. */
static size_t walk_through(const struct scene *scene)
{
	struct walk walk = { 0 };
	struct item item;
	uint64_t pos = 0;
	size_t count = 0;
	for (; walk_next(&scene->findings, &walk, &item); count++) {
		ck_assert_uint_eq(item.file_off, pos);
		ck_assert_uint_gt(item.file_len, 0);
		pos += item.file_len;
		if (item.block != TEXT_NO_BLOCK)
			assert_is_block(scene, &item);
		else
			ck_assert(item.fate == FATE_OPEN && !item_is_open_block(&item));
		if (item.fate != FATE_OPEN)
			continue;
		const struct text_part *part = &scene->findings.new_text.parts[item.part];
		ck_assert_uint_eq(part->block, item.block);
		ck_assert_uint_eq(part->file_off, item.file_off);
	}
	ck_assert_uint_eq(pos, scene->new.blocks.size);
	return count;
}

START_TEST(items_are_new)
{
	for (int round = 0; round < ROUNDS; round++) {
		struct scene *scene = scene_new();
		size_t count = walk_through(scene);
		/* Blocks that are demoted leave their part in the text, and items stay as many. */
		for (size_t i = 0; i < BLOCKS; i++)
			if (scene->open[i] && rnd_below(2) == 0)
				selection_demote(&scene->selection, i);
		ck_assert_uint_eq(walk_through(scene), count);
		plain_text_free(&scene->findings.new_text);
	}
}
END_TEST

START_TEST(long_packed_blocks_are_shared)
{
	struct scene *scene = scene_new();
	size_t count = walk_through(scene);
	struct block *last = &scene->new.blocks.items[BLOCKS - 1];
	uint64_t more = 3 * (uint64_t)MIB - last->file_len + 1;
	last->file_len += (uint32_t)more;
	scene->new.blocks.size += more;
	scene->selected[BLOCKS - 1].fate = FATE_PACKED;
	plain_text_free(&scene->findings.new_text);
	ck_assert_int_eq(plain_text_layout(&scene->new, scene->open, true, &scene->findings.new_text, NULL), BLOCKZ_OK);
	ck_assert_uint_eq(walk_through(scene), count + 3);
	plain_text_free(&scene->findings.new_text);
}
END_TEST

/* ---- Blocks of OLD ---- */

START_TEST(listed_blocks_follow_the_file)
{
	for (int round = 0; round < ROUNDS; round++) {
		struct image old;
		struct listing listing;
		bool chosen[BLOCKS];
		make_image(&old);
		for (size_t i = 0; i < BLOCKS; i++)
			chosen[i] = rnd_below(2) == 0;
		ck_assert_int_eq(listing_make(&old, chosen, &listing, NULL), BLOCKZ_OK);
		uint64_t place = old.blocks.size;
		size_t count = 0;
		for (size_t i = 0; i < BLOCKS; i++) {
			const struct block *block = &old.blocks.items[i];
			ck_assert_uint_eq(listing.places[i], place);
			if (!chosen[i] || block->is_plain)
				continue;
			ck_assert_uint_eq(listing.blocks.items[count].file_off, block->file_off);
			ck_assert_uint_eq(listing.blocks.items[count++].plain_len, block->plain_len);
			ck_assert_uint_eq(listing_block_at(&listing, place), i);
			ck_assert_uint_eq(listing_block_at(&listing, place + block->plain_len - 1), i);
			place += block->plain_len;
		}
		ck_assert_uint_eq(listing.blocks.count, count);
		listing_free(&listing);
	}
}
END_TEST

/* Each byte of OLD's text is in the file, or in the content of its block, and goes together with the rest of its part. */
START_TEST(text_has_a_place)
{
	for (int round = 0; round < ROUNDS; round++) {
		struct image old;
		bool wanted[BLOCKS];
		make_image(&old);
		for (size_t i = 0; i < BLOCKS; i++)
			wanted[i] = rnd_below(2) == 0;
		struct findings findings = { .old = &old };
		ck_assert_int_eq(plain_text_layout(&old, wanted, false, &findings.old_text, NULL), BLOCKZ_OK);
		ck_assert_int_eq(listing_make(&old, wanted, &findings.wanted, NULL), BLOCKZ_OK);
		for (size_t i = 0; i < findings.old_text.count; i++) {
			const struct text_part *part = &findings.old_text.parts[i];
			bool is_block = part->block != TEXT_NO_BLOCK && !old.blocks.items[part->block].is_plain;
			uint64_t start = is_block ? findings.wanted.places[part->block] : part->file_off;
			uint64_t within = rnd_below(part->len), together = 0;
			ck_assert_uint_eq(findings_place(&findings, part->text_off + within, &together), start + within);
			ck_assert_uint_eq(together, part->len - within);
			if (is_block)
				ck_assert_uint_eq(listing_block_at(&findings.wanted, start + within), part->block);
		}
		findings_free(&findings);
	}
}
END_TEST

/* What is laid out is within the bounds that are told before. */
START_TEST(bounds_of_texts)
{
	for (int round = 0; round < ROUNDS; round++) {
		struct scene *scene = scene_new();
		const struct plain_text *text = &scene->findings.new_text;
		struct text_bounds bounds = plain_text_bounds(&scene->new.blocks, scene->open);
		ck_assert_uint_eq(bounds.len, text->len);
		for (size_t i = 0; i < text->count; i++)
			ck_assert_uint_le(text->parts[i].len, bounds.longest);
		plain_text_free(&scene->findings.new_text);
	}
}
END_TEST

int main(void)
{
	TCase *tcase = case_new("findings");
	tcase_add_test(tcase, items_are_new);
	tcase_add_test(tcase, long_packed_blocks_are_shared);
	tcase_add_test(tcase, listed_blocks_follow_the_file);
	tcase_add_test(tcase, text_has_a_place);
	tcase_add_test(tcase, bounds_of_texts);
	return case_run("findings", tcase);
}
