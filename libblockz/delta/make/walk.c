/* SPDX-License-Identifier: BSD-3-Clause */
/* Items come of two lists at once: the blocks of NEW, and the parts of its text, which has the bytes between blocks as well. */
#include "delta/make/walk.h"

#include "base/checked.h"

/* A long block that comes packed is several items, so that threads share it. */
enum { PACKED_ITEM_MAX = 1 << 20 };

/* A block that was demoted after the text was laid out still has its part there. */
static void leave_block(const struct plain_text *text, struct walk *walk)
{
	if (walk->part < text->count && text->parts[walk->part].block == walk->block)
		walk->part++;
	walk->block++;
}

static struct item bytes_item(const struct plain_text *text, struct walk *walk)
{
	const struct text_part *part = &text->parts[walk->part];
	return (struct item){ FATE_OPEN, TEXT_NO_BLOCK, walk->part++, part->file_off, part->len };
}

static struct item block_item(const struct findings *findings, struct walk *walk)
{
	const struct block *block = &findings->new->blocks.items[walk->block];
	uint8_t fate = findings->selection->blocks[walk->block].fate;
	uint64_t left = block->file_off + block->file_len - walk->pos;
	uint64_t len = fate == FATE_PACKED ? min(left, PACKED_ITEM_MAX) : left;
	const struct item item = { fate, (uint32_t)walk->block, walk->part, walk->pos, len };
	if (len == left)
		leave_block(&findings->new_text, walk);
	return item;
}

bool walk_next(const struct findings *findings, struct walk *walk, struct item *item_ret)
{
	const struct blocks *blocks = &findings->new->blocks;
	bool is_behind = walk->block == blocks->count;
	if (walk->pos < (is_behind ? blocks->size : blocks->items[walk->block].file_off))
		*item_ret = bytes_item(&findings->new_text, walk);
	else if (!is_behind)
		*item_ret = block_item(findings, walk);
	else
		return false;
	walk->pos = item_ret->file_off + item_ret->file_len;
	return true;
}
