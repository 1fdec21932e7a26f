/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A heap in which nothing is lost between what lies in it.
 *
 * Pages that are written over and over get shorter and longer, and a general allocator, which has to find each a place of
 * its own, ends up with holes that fit nobody.  Here any hole fits: the heap is granules of GRANULE bytes, and a string of
 * bytes lies in a chain of *runs* of granules, wherever some are free.  A run begins with the number of the granule at
 * which the next one does; how long it is, a bitmap says, in which each granule but a run's last is `joined` to the one
 * behind it.  A run that was known to be the last when it was taken has nothing but bytes, and its number is marked with
 * LAST.  In a fresh heap a string is one such run: a raw page takes no more room than it has bytes, and is aligned.  As the
 * heap wears, runs get short; the worst there is are single granules, each with its HEAD bytes.
 *
 *	granule  0        1        2        3        4        5
 *	        [4 aaaaaa aaaaaaaa aaaaaaa][bbbbbbb][aaaaaaaa aaa....]    string a: 0 → 4 LAST; joined: 0, 1, 4; b: 3 LAST
 */
#include "pagestore/heap.h"

#include <string.h>

#include "base/checked.h"
#include "pagestore/bits.h"
#include "pagestore/regions.h"

enum {
	HEAD = 4, /* the next run's first granule */
	/* A run of 1 KiB: copying it takes about as long as finding it in memory. */
	RUN_GOOD = 8,
	/* Half a microsecond, and a heap of 4 MiB. */
	SCAN_MAX = 512,
	/*
	 * The part of a worn heap that is kept free.  After 100 rounds as in regions.h a page lies in 8 runs; without, in 30, which
	 * takes twice as long to read, for 0.9 % less memory.
	 */
	RESERVE = 64,
};

#define LAST (UINT32_C(1) << 31)

struct heap {
	struct regions regions;
	uint32_t cursor; /* the granule at which the next search begins */
};

/* A string whose room is being taken. */
struct chain {
	uint32_t first, last; /* runs, the last with a head; NOWHERE: none yet */
	uint32_t end;         /* granule behind the last run */
	size_t left;          /* bytes still without room */
	uint32_t scans;       /* words that may still be looked at for good runs */
};

struct run {
	uint32_t start, count;
};

struct heap *heap_new(struct memory *memory)
{
	struct heap *heap = memory_new(memory, sizeof(*heap));
	if (heap != NULL)
		regions_init(&heap->regions, memory);
	return heap;
}

void heap_free(struct heap *heap)
{
	if (heap == NULL)
		return;
	struct memory *memory = heap->regions.memory;
	regions_free(&heap->regions);
	memory_free(memory, heap, sizeof(*heap));
}

/* ---- Taking ---- */

static uint32_t granules_for(size_t len)
{
	return (uint32_t)((len + GRANULE - 1) / GRANULE);
}

/* The first run that is free at or behind the cursor, up to max granules of it; there is one. */
static struct run find_run(const struct heap *heap, uint32_t max)
{
	uint32_t index = heap->cursor / GRANULES, from = heap->cursor % GRANULES;
	for (;; index++, from = 0) {
		if (index >= heap->regions.count)
			index = 0;
		struct region *region = &heap->regions.list[index];
		if (region->free == 0)
			continue;
		uint32_t start = bits_find(region->bits->free, from, GRANULES, 1);
		if (start == GRANULES)
			continue;
		uint32_t end = (uint32_t)min(GRANULES, (uint64_t)start + max);
		end = bits_find(region->bits->free, start, end, 0);
		return (struct run){ index * GRANULES + start, end - start };
	}
}

/* The lowest bit of each row of n set bits in a word stays. */
static uint64_t rows_of(uint64_t word, uint32_t n)
{
	for (uint32_t half; n > 1; n -= half) {
		half = n / 2;
		word &= word >> half;
	}
	return word;
}

/* Moves the cursor to a free run of at least `good` granules, within the words that may be looked at; false if none is. */
static bool seek_good_run(struct heap *heap, uint32_t good, uint32_t *scans)
{
	uint32_t index = heap->cursor / GRANULES, word = heap->cursor % GRANULES / 64;
	uint64_t row = 0;
	while (*scans > 0) {
		if (index >= heap->regions.count || word == WORDS || heap->regions.list[index].free == 0) {
			index = index + 1 < heap->regions.count ? index + 1 : 0;
			word = 0;
			--*scans;
			continue;
		}
		row = rows_of(heap->regions.list[index].bits->free[word], good);
		if (row != 0)
			break;
		word++;
		--*scans;
	}
	heap->cursor = index * GRANULES + word * 64 + (row != 0 ? (uint32_t)__builtin_ctzll(row) : 0);
	return row != 0;
}

/*
 * Runs get short if each free one is taken as it comes.  So a longer one is looked for, though not for long; and where
 * there is none and little is free, the heap grows, up to a reserve in which short ones can grow together again.
 */
static struct run choose_run(struct heap *heap, struct chain *chain)
{
	uint32_t max = granules_for(chain->left), good = (uint32_t)min(max, RUN_GOOD);
	struct run run = find_run(heap, max);
	if (run.count >= good)
		return run;
	if (!seek_good_run(heap, good, &chain->scans) && heap->regions.free < heap->regions.backed / RESERVE) {
		uint32_t granule = regions_grow(&heap->regions);
		if (granule != NOWHERE)
			heap->cursor = granule;
	}
	return find_run(heap, max);
}

static void set_next(struct heap *heap, uint32_t run, uint32_t next)
{
	memcpy(regions_bytes(&heap->regions, run), &next, HEAD);
}

static uint8_t *run_bytes(const struct heap *heap, uint32_t run)
{
	return regions_bytes(&heap->regions, run & ~LAST);
}

/* The number of the run behind a run, whose own number says whether there can be one; NOWHERE: none. */
static uint32_t next_of(const struct heap *heap, uint32_t run)
{
	uint32_t next = NOWHERE;
	if ((run & LAST) == 0)
		memcpy(&next, regions_bytes(&heap->regions, run), HEAD);
	return next;
}

static size_t head_of(uint32_t run)
{
	return (run & LAST) == 0 ? HEAD : 0;
}

/* A new run at the end of a chain. */
static void append_run(struct heap *heap, struct chain *chain, uint32_t run)
{
	if (chain->last != NOWHERE)
		set_next(heap, chain->last, run);
	else
		chain->first = run;
	if ((run & LAST) == 0)
		set_next(heap, run, NOWHERE);
	chain->last = run;
}

/* Takes what is needed of a run, which may go on from the one before. */
static void link_run(struct heap *heap, struct chain *chain, struct run run)
{
	struct region *region = regions_at(&heap->regions, run.start);
	uint32_t start = run.start % GRANULES;
	size_t room = (size_t)run.count * GRANULE;
	bits_clear(region->bits->free, start, run.count);
	bits_set(region->bits->joined, start, run.count - 1);
	region->free -= run.count;
	heap->regions.free -= run.count;
	if (run.start == chain->end && start > 0) {
		bits_set(region->bits->joined, start - 1, 1);
	} else {
		uint32_t number = room >= chain->left ? run.start | LAST : run.start;
		append_run(heap, chain, number);
		room -= head_of(number);
	}
	chain->end = heap->cursor = run.start + run.count;
	chain->left -= (size_t)min(chain->left, room);
}

enum blockz_status heap_take(struct heap *heap, size_t len, uint32_t *first_ret, struct blockz_fault *fault)
{
	struct chain chain = { NOWHERE, NOWHERE, NOWHERE, len, SCAN_MAX };
	uint64_t wanted = granules_for(len);
	while (heap->regions.free < wanted && regions_grow(&heap->regions) != NOWHERE)
		;
	while (chain.left > 0) {
		if (heap->regions.free == 0 && regions_grow(&heap->regions) == NOWHERE) {
			enum blockz_status status = memory_fault(heap->regions.memory, heap->regions.os_page, fault);
			if (chain.first != NOWHERE)
				heap_give(heap, chain.first);
			return status;
		}
		link_run(heap, &chain, choose_run(heap, &chain));
	}
	*first_ret = chain.first;
	return BLOCKZ_OK;
}

static uint32_t run_len(const struct heap *heap, uint32_t run)
{
	uint32_t start = (run & ~LAST) % GRANULES;
	return bits_find(regions_at(&heap->regions, run & ~LAST)->bits->joined, start, GRANULES, 0) - start + 1;
}

void heap_give(struct heap *heap, uint32_t first)
{
	for (uint32_t run = first, next; run != NOWHERE; run = next) {
		struct region *region = regions_at(&heap->regions, run & ~LAST);
		uint32_t start = (run & ~LAST) % GRANULES, count = run_len(heap, run);
		next = next_of(heap, run);
		bits_clear(region->bits->joined, start, count - 1);
		bits_set(region->bits->free, start, count);
		region->free += count;
		heap->regions.free += count;
	}
}

/* ---- Copying ---- */

/* What there is of [off, off + len) in a run; off counts from the run's first byte behind its head. */
struct stretch {
	uint8_t *bytes;
	size_t len;
};

/* Goes on to the next stretch of a string: from *run and *off on, len at most. */
static struct stretch next_stretch(const struct heap *heap, uint32_t *run, size_t *off, size_t len)
{
	for (;;) {
		size_t head = head_of(*run), room = (size_t)run_len(heap, *run) * GRANULE - head;
		uint32_t next = next_of(heap, *run);
		if (next != NOWHERE)
			__builtin_prefetch(run_bytes(heap, next));
		if (*off < room) {
			struct stretch stretch = { run_bytes(heap, *run) + head + *off, (size_t)min(len, room - *off) };
			*off = 0;
			*run = next;
			return stretch;
		}
		*off -= room;
		*run = next;
	}
}

void heap_put(struct heap *heap, uint32_t first, size_t off, const void *bytes, size_t len)
{
	const uint8_t *from = bytes;
	while (len > 0) {
		struct stretch stretch = next_stretch(heap, &first, &off, len);
		if (from != NULL) {
			memcpy(stretch.bytes, from, stretch.len);
			from += stretch.len;
		} else {
			memset(stretch.bytes, 0, stretch.len);
		}
		len -= stretch.len;
	}
}

void heap_get(const struct heap *heap, uint32_t first, size_t off, void *buf, size_t len)
{
	uint8_t *to = buf;
	while (len > 0) {
		struct stretch stretch = next_stretch(heap, &first, &off, len);
		memcpy(to, stretch.bytes, stretch.len);
		to += stretch.len;
		len -= stretch.len;
	}
}

const uint8_t *heap_look(const struct heap *heap, uint32_t first, size_t len)
{
	size_t head = head_of(first);
	return len <= (size_t)run_len(heap, first) * GRANULE - head ? run_bytes(heap, first) + head : NULL;
}

void heap_trim(struct heap *heap)
{
	regions_trim(&heap->regions);
}
