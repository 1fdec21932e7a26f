/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A radix tree of 512 words a node.  A word is of one of three kinds at any height: 0, everything below it is as it
 * was at first, in the base or zero; 1, everything below it is zero; else a node, or at the bottom an entry.  So
 * what nobody has touched takes no memory, and what was zeroed as a whole neither, though there be a base below
 * it.  Nodes in which all words have become alike, 0 or 1, are folded into the word above.
 *
 * For example, pages 512 to 2047 are zeroed in a table of 2^18 pages that are all in the base: the root gets a
 * node, whose words 1 to 3 become 1.
 */
#include "pagestore/page_table.h"

#include "base/checked.h"

enum {
	FAN_BITS = 9, /* a node of words fills an OS page, but for what it counts */
	FAN_OUT = 1 << FAN_BITS,
	LEVELS_MAX = 6, /* 2^51 pages: 2^63 bytes in pages of 4 KiB */
};

/* A word of an entry: kind (2 bits), waits (1), writes (9), len (19), first (the upper 32). */
enum { WAITS_SHIFT = 2, WRITES_SHIFT = 3, LEN_SHIFT = 12, FIRST_SHIFT = 32, LEN_MASK = (1 << 19) - 1 };

enum { WORD_DEFAULT = 0, WORD_ZERO = PAGE_ZERO };

struct node {
	uint64_t words[FAN_OUT];
	uint32_t not_default, zero; /* how many words are not WORD_DEFAULT, and how many WORD_ZERO */
};

struct page_table {
	struct memory *memory;
	uint64_t pages, base_pages;
	unsigned levels; /* nodes above an entry */
	uint64_t root;   /* a word */
};

static uint64_t pack_entry(struct page_entry entry)
{
	return (uint64_t)entry.kind | (uint64_t)entry.waits << WAITS_SHIFT | (uint64_t)entry.writes << WRITES_SHIFT |
	       (uint64_t)entry.len << LEN_SHIFT | (uint64_t)entry.first << FIRST_SHIFT;
}

static struct page_entry unpack_entry(uint64_t word)
{
	return (struct page_entry){
		.kind = (enum page_kind)(word & 3),
		.waits = (word >> WAITS_SHIFT & 1) != 0,
		.writes = (uint16_t)(word >> WRITES_SHIFT & PAGE_WRITES_MAX),
		.len = (uint32_t)(word >> LEN_SHIFT & LEN_MASK),
		.first = (uint32_t)(word >> FIRST_SHIFT),
	};
}

/* What 0 stands for. */
static uint64_t default_word(const struct page_table *table, uint64_t page)
{
	return page < table->base_pages ? PAGE_BASE : PAGE_ZERO;
}

/* What says that pages from this one on are zero. */
static uint64_t zero_word(const struct page_table *table, uint64_t page)
{
	return page < table->base_pages ? WORD_ZERO : WORD_DEFAULT;
}

static bool is_node(uint64_t word)
{
	return word > WORD_ZERO;
}

static struct node *node_of(uint64_t word)
{
	return (struct node *)(uintptr_t)word;
}

static unsigned slot_of(uint64_t page, unsigned level)
{
	return (unsigned)(page >> (FAN_BITS * (level - 1)) & (FAN_OUT - 1));
}

/* ---- Nodes ---- */

static void set_word(struct node *node, unsigned slot, uint64_t word)
{
	uint64_t old = node->words[slot];
	node->not_default += (word != WORD_DEFAULT) - (uint32_t)(old != WORD_DEFAULT);
	node->zero += (word == WORD_ZERO) - (uint32_t)(old == WORD_ZERO);
	node->words[slot] = word;
}

/* A node that says the same as a word that stands for pages that are all alike; NULL: no memory. */
static struct node *unfold_word(struct page_table *table, uint64_t word)
{
	struct node *node = memory_new(table->memory, sizeof(*node));
	if (node == NULL || word == WORD_DEFAULT)
		return node;
	for (unsigned i = 0; i < FAN_OUT; i++)
		node->words[i] = WORD_ZERO;
	node->not_default = node->zero = FAN_OUT;
	return node;
}

/* The word that can stand for all that is below; the node itself if none can. */
static uint64_t fold_node(struct page_table *table, struct node *node)
{
	if (node->not_default != 0 && node->zero != FAN_OUT)
		return (uintptr_t)node;
	uint64_t word = node->not_default == 0 ? WORD_DEFAULT : WORD_ZERO;
	memory_free(table->memory, node, sizeof(*node));
	return word;
}

static void free_below(struct page_table *table, uint64_t word, unsigned level)
{
	if (level == 0 || !is_node(word))
		return;
	struct node *node = node_of(word);
	for (unsigned i = 0; level > 1 && i < FAN_OUT; i++)
		free_below(table, node->words[i], level - 1);
	memory_free(table->memory, node, sizeof(*node));
}

/* ---- The whole ---- */

struct page_table *page_table_new(struct memory *memory, uint64_t pages, uint64_t base_pages)
{
	struct page_table *table = memory_new(memory, sizeof(*table));
	if (table == NULL)
		return NULL;
	*table = (struct page_table){ .memory = memory, .pages = pages, .base_pages = base_pages };
	while (table->levels < LEVELS_MAX && pages > UINT64_C(1) << (FAN_BITS * table->levels))
		table->levels++;
	return table;
}

void page_table_free(struct page_table *table)
{
	if (table == NULL)
		return;
	free_below(table, table->root, table->levels);
	memory_free(table->memory, table, sizeof(*table));
}

/* The lowest word that stands for a page, and *end_ret, where what it stands for ends. */
static uint64_t word_at(const struct page_table *table, uint64_t page, uint64_t *end_ret)
{
	uint64_t word = table->root;
	unsigned level = table->levels;
	for (; level > 0 && is_node(word); level--)
		word = node_of(word)->words[slot_of(page, level)];
	*end_ret = ((page >> (FAN_BITS * level)) + 1) << (FAN_BITS * level);
	if (word != WORD_DEFAULT)
		return word;
	if (page < table->base_pages)
		*end_ret = min(*end_ret, table->base_pages);
	return default_word(table, page);
}

struct page_entry page_table_get(const struct page_table *table, uint64_t page)
{
	uint64_t end;
	return unpack_entry(word_at(table, page, &end));
}

bool page_table_set(struct page_table *table, uint64_t page, struct page_entry entry)
{
	struct node *path[LEVELS_MAX + 1];
	uint64_t word = table->root, set = pack_entry(entry);
	if (set == default_word(table, page))
		set = WORD_DEFAULT;
	unsigned level = table->levels;
	bool enough = true;
	for (; level > 0; level--) {
		path[level] = is_node(word) ? node_of(word) : unfold_word(table, word);
		enough = path[level] != NULL;
		if (!enough)
			break;
		word = path[level]->words[slot_of(page, level)];
	}
	if (!enough)
		set = word;
	while (level < table->levels) {
		level++;
		set_word(path[level], slot_of(page, level), set);
		set = fold_node(table, path[level]);
	}
	table->root = set;
	return enough;
}

/* ---- Zeroing ---- */

struct zeroing {
	struct page_table *table;
	uint64_t first, end;
	void (*drop)(void *ctx, uint64_t page, struct page_entry entry);
	void *ctx;
};

static void drop_below(const struct zeroing *self, uint64_t word, unsigned level, uint64_t start)
{
	if (level == 0) {
		struct page_entry entry = unpack_entry(word);
		if (entry.waits || entry.len > 0)
			self->drop(self->ctx, start, entry);
		return;
	}
	if (!is_node(word))
		return;
	struct node *node = node_of(word);
	for (unsigned i = 0; i < FAN_OUT; i++)
		drop_below(self, node->words[i], level - 1, start + ((uint64_t)i << (FAN_BITS * (level - 1))));
	memory_free(self->table->memory, node, sizeof(*node));
}

/*
 * Zeroes what is below a word, which stands for pages from start on, as far as it lies in the range.  false: no
 * memory.
 */
static bool zero_below(const struct zeroing *self, uint64_t *word, unsigned level, uint64_t start)
{
	uint64_t zero = zero_word(self->table, start), end = start + (UINT64_C(1) << (FAN_BITS * level));
	if (*word == zero || *word == WORD_ZERO)
		return true;
	if (self->first <= start && end <= self->end) {
		drop_below(self, *word, level, start);
		*word = zero;
		return true;
	}
	struct node *node = is_node(*word) ? node_of(*word) : unfold_word(self->table, *word);
	if (node == NULL)
		return false;
	uint64_t below = UINT64_C(1) << (FAN_BITS * (level - 1)); /* pages of a word of the node */
	unsigned slot = self->first <= start ? 0 : (unsigned)((self->first - start) / below);
	bool enough = true;
	for (; enough && slot < FAN_OUT && start + slot * below < self->end; slot++) {
		uint64_t child = node->words[slot];
		enough = zero_below(self, &child, level - 1, start + slot * below);
		set_word(node, slot, child);
	}
	*word = fold_node(self->table, node);
	return enough;
}

bool page_table_zero(struct page_table *table, uint64_t first, uint64_t end,
		     void (*drop)(void *ctx, uint64_t page, struct page_entry entry), void *ctx)
{
	/* What a word at the edge stands for besides pages is nothing to be kept. */
	struct zeroing self = { table, first, end >= table->pages ? UINT64_MAX : end, drop, ctx };
	return first >= end || zero_below(&self, &table->root, table->levels, 0);
}

/* ---- Sorts ---- */

static enum page_sort sort_of(uint64_t word)
{
	return word == PAGE_BASE ? SORT_BASE : word == PAGE_ZERO ? SORT_ZERO : SORT_STORED;
}

enum page_sort page_table_sort(const struct page_table *table, uint64_t page)
{
	uint64_t end;
	return sort_of(word_at(table, page, &end));
}

uint64_t page_table_differs(const struct page_table *table, uint64_t page, uint64_t end, enum page_sort sort)
{
	uint64_t next;
	while (page < end && sort_of(word_at(table, page, &next)) == sort)
		page = next;
	return min(page, end);
}
