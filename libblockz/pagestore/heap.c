/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A heap in which nothing is lost between what lies in it.
 *
 * Pages that are written over and over get shorter and longer, and a general allocator, which has to find each a place of
 * its own, ends up with holes that fit nobody.  Here any hole fits: the heap is granules of GRANULE bytes, and a string of
 * bytes lies in a chain of *runs* of granules, wherever some are free.  A run begins with the number of the granule at
 * which the next one does; how long it is, a bitmap says, in which each granule but a run's last is `joined` to the one
 * behind it.  In a fresh heap a string is one run.  As the heap wears, runs get short; the worst there is are single
 * granules, each with its HEAD bytes.
 *
 *	granule  0        1        2        3        4        5
 *	        [4 aaaaaa aaaaaaaa aaaaaaa][1 bbbbb][- aaaaaa aaa....]    string a: 0 → 4; joined: 0, 1, 4
 *
 * Granules lie in regions of address space, which the OS gives memory for a page at a time as they are touched.  Such a
 * unit is counted before any granule of it is free to be taken (it is *backed*), and stays so until a trim finds all of it
 * free: what is counted is what is resident.
 */
#include "pagestore/heap.h"

#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "pagestore/bits.h"

enum {
	/*
	 * zstd -3 makes 12.0 KB of a page of 32 KiB of /usr.  More memory than such bytes at their most, fresh, and after 100
	 * rounds in which each became a little longer or shorter: 64: +0.7 %, +2.8 % in 10.5 runs each; 128: +0.8 %, +2.8 % in
	 * 7.6; 256: +1.2 %, +3.2 % in 8.4.
	 */
	GRANULE = 128,
	HEAD = 4, /* the next run's first granule */
	REGION_LEN = 1 << 20,
	GRANULES = REGION_LEN / GRANULE, /* of a region */
	WORDS = GRANULES / 64,
	UNIT_LEN_MIN = 4096,
	UNITS_MAX = REGION_LEN / UNIT_LEN_MIN,
	REGIONS_MIN = 4, /* in the first table of them */
	/* A run of 1 KiB: copying it takes about as long as finding it in memory. */
	RUN_GOOD = 8,
	/* Half a microsecond, and a heap of 4 MiB. */
	SCAN_MAX = 512,
	/*
	 * The part of a worn heap that is kept free.  After 100 rounds as above a page lies in 8 runs; without it, in 51
	 * (looked for or not: 30), so that reading takes twice as long for 0.4 % (0.9 %) less memory.
	 */
	RESERVE = 64,
};

#define NOWHERE UINT32_MAX
/* So that no granule's number is NOWHERE. */
#define REGIONS_MAX (UINT32_MAX / GRANULES)

struct region_bits {
	uint64_t free[WORDS];   /* and backed */
	uint64_t joined[WORDS]; /* to the next, in a run */
	uint64_t backed[UNITS_MAX / 64];
};

struct region {
	uint8_t *bytes;
	struct region_bits *bits;
	uint32_t free;   /* granules */
	uint32_t backed; /* units */
};

struct heap {
	struct memory *memory;
	struct region *regions;
	uint32_t count, room;  /* regions */
	uint32_t unit_len;     /* an OS page */
	uint32_t units;        /* of a region */
	uint32_t cold_region;  /* none before it has a unit that is not backed */
	uint64_t free, backed; /* granules */
	uint64_t swept;        /* those left free by the last trim */
	uint32_t cursor;       /* the granule at which the next search begins */
};

/* What is being taken. */
struct chain {
	uint32_t first, last; /* runs; NOWHERE: none yet */
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
	if (heap == NULL)
		return NULL;
	heap->memory = memory;
	heap->unit_len = (uint32_t)memory_os_page();
	heap->units = REGION_LEN / heap->unit_len;
	return heap;
}

void heap_free(struct heap *heap)
{
	if (heap == NULL)
		return;
	for (uint32_t i = 0; i < heap->count; i++) {
		memory_unmap(heap->regions[i].bytes, REGION_LEN);
		memory_free(heap->memory, heap->regions[i].bits, sizeof(struct region_bits));
	}
	memory_uncount(heap->memory, heap->backed * GRANULE);
	memory_free(heap->memory, heap->regions, heap->room * sizeof(*heap->regions));
	memory_free(heap->memory, heap, sizeof(*heap));
}

static struct region *region_of(const struct heap *heap, uint32_t granule)
{
	return &heap->regions[granule / GRANULES];
}

static uint8_t *bytes_of(const struct heap *heap, uint32_t granule)
{
	return region_of(heap, granule)->bytes + (size_t)(granule % GRANULES) * GRANULE;
}

/* ---- Growing ---- */

static bool make_room(struct heap *heap)
{
	if (heap->count < heap->room)
		return true;
	uint32_t room = heap->room == 0 ? REGIONS_MIN : heap->room * 2;
	struct region *regions = memory_new(heap->memory, room * sizeof(*regions));
	if (regions == NULL)
		return false;
	if (heap->count > 0)
		memcpy(regions, heap->regions, heap->count * sizeof(*regions));
	memory_free(heap->memory, heap->regions, heap->room * sizeof(*regions));
	heap->regions = regions;
	heap->room = room;
	return true;
}

static bool add_region(struct heap *heap)
{
	if (heap->count == REGIONS_MAX) {
		errno = ENOMEM;
		return false;
	}
	if (!make_room(heap))
		return false;
	struct region_bits *bits = memory_new(heap->memory, sizeof(*bits));
	if (bits == NULL)
		return false;
	uint8_t *bytes = memory_map(REGION_LEN);
	if (bytes == NULL) {
		memory_free(heap->memory, bits, sizeof(*bits));
		return false;
	}
	heap->regions[heap->count++] = (struct region){ .bytes = bytes, .bits = bits };
	return true;
}

/* Backs one more unit, the first that is not: its first granule, or NOWHERE. */
static uint32_t grow(struct heap *heap)
{
	while (heap->cold_region < heap->count && heap->regions[heap->cold_region].backed == heap->units)
		heap->cold_region++;
	if (heap->cold_region == heap->count && !add_region(heap))
		return NOWHERE;
	if (!memory_count(heap->memory, heap->unit_len))
		return NOWHERE;
	struct region *region = &heap->regions[heap->cold_region];
	uint32_t unit = bits_find(region->bits->backed, 0, heap->units, 0), granules = heap->unit_len / GRANULE;
	bits_set(region->bits->backed, unit, 1);
	bits_set(region->bits->free, unit * granules, granules);
	region->backed++;
	region->free += granules;
	heap->free += granules;
	heap->backed += granules;
	return heap->cold_region * GRANULES + unit * granules;
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
		if (index >= heap->count)
			index = 0;
		struct region *region = &heap->regions[index];
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
		if (index >= heap->count || word == WORDS || heap->regions[index].free == 0) {
			index = index + 1 < heap->count ? index + 1 : 0;
			word = 0;
			--*scans;
			continue;
		}
		row = rows_of(heap->regions[index].bits->free[word], good);
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
	uint32_t max = granules_for(chain->left + HEAD), good = (uint32_t)min(max, RUN_GOOD);
	struct run run = find_run(heap, max);
	if (run.count >= good)
		return run;
	if (!seek_good_run(heap, good, &chain->scans) && heap->free < heap->backed / RESERVE) {
		uint32_t unit = grow(heap);
		if (unit != NOWHERE)
			heap->cursor = unit;
	}
	return find_run(heap, max);
}

static void set_next(struct heap *heap, uint32_t run, uint32_t next)
{
	memcpy(bytes_of(heap, run), &next, HEAD);
}

static uint32_t next_of(const struct heap *heap, uint32_t run)
{
	uint32_t next;
	memcpy(&next, bytes_of(heap, run), HEAD);
	return next;
}

/* Takes what is needed of a run. */
static void link_run(struct heap *heap, struct chain *chain, struct run run)
{
	struct region *region = region_of(heap, run.start);
	uint32_t start = run.start % GRANULES;
	bool goes_on = run.start == chain->end && start > 0;
	run.count = (uint32_t)min(run.count, granules_for(chain->left + (goes_on ? 0 : HEAD)));
	size_t room = (size_t)run.count * GRANULE;
	bits_clear(region->bits->free, start, run.count);
	bits_set(region->bits->joined, start, run.count - 1);
	region->free -= run.count;
	heap->free -= run.count;
	if (goes_on) {
		bits_set(region->bits->joined, start - 1, 1);
	} else {
		set_next(heap, run.start, NOWHERE);
		if (chain->last != NOWHERE)
			set_next(heap, chain->last, run.start);
		else
			chain->first = run.start;
		chain->last = run.start;
		room -= HEAD;
	}
	chain->end = heap->cursor = run.start + run.count;
	chain->left -= (size_t)min(chain->left, room);
}

enum blockz_status heap_take(struct heap *heap, size_t len, uint32_t *first_ret, struct blockz_fault *fault)
{
	struct chain chain = { NOWHERE, NOWHERE, NOWHERE, len, SCAN_MAX };
	uint64_t wanted = granules_for(len + HEAD);
	while (heap->free < wanted && grow(heap) != NOWHERE)
		;
	while (chain.left > 0) {
		if (heap->free == 0 && grow(heap) == NOWHERE) {
			enum blockz_status status = memory_fault(heap->memory, heap->unit_len, fault);
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
	uint32_t start = run % GRANULES;
	return bits_find(region_of(heap, run)->bits->joined, start, GRANULES, 0) - start + 1;
}

void heap_give(struct heap *heap, uint32_t first)
{
	for (uint32_t run = first, next; run != NOWHERE; run = next) {
		struct region *region = region_of(heap, run);
		uint32_t count = run_len(heap, run);
		next = next_of(heap, run);
		bits_clear(region->bits->joined, run % GRANULES, count - 1);
		bits_set(region->bits->free, run % GRANULES, count);
		region->free += count;
		heap->free += count;
	}
}

/* ---- Copying ---- */

/* What there is of [off, off + len) in a run; off counts from the run's first byte behind its head. */
struct piece {
	uint8_t *bytes;
	size_t len;
};

/* Goes on to the next piece of a string: from *run and *off on, len at most. */
static struct piece next_piece(const struct heap *heap, uint32_t *run, size_t *off, size_t len)
{
	for (;;) {
		size_t room = (size_t)run_len(heap, *run) * GRANULE - HEAD;
		uint32_t next = next_of(heap, *run);
		if (next != NOWHERE)
			__builtin_prefetch(bytes_of(heap, next));
		if (*off < room) {
			struct piece piece = { bytes_of(heap, *run) + HEAD + *off, (size_t)min(len, room - *off) };
			*off = 0;
			*run = next;
			return piece;
		}
		*off -= room;
		*run = next;
	}
}

void heap_put(struct heap *heap, uint32_t first, size_t off, const void *bytes, size_t len)
{
	const uint8_t *from = bytes;
	while (len > 0) {
		struct piece piece = next_piece(heap, &first, &off, len);
		if (from != NULL) {
			memcpy(piece.bytes, from, piece.len);
			from += piece.len;
		} else {
			memset(piece.bytes, 0, piece.len);
		}
		len -= piece.len;
	}
}

void heap_get(const struct heap *heap, uint32_t first, size_t off, void *buf, size_t len)
{
	uint8_t *to = buf;
	while (len > 0) {
		struct piece piece = next_piece(heap, &first, &off, len);
		memcpy(to, piece.bytes, piece.len);
		to += piece.len;
		len -= piece.len;
	}
}

const uint8_t *heap_look(const struct heap *heap, uint32_t first, size_t len)
{
	return len <= (size_t)run_len(heap, first) * GRANULE - HEAD ? bytes_of(heap, first) + HEAD : NULL;
}

/* ---- Trimming ---- */

static bool is_free(const struct region *region, uint32_t unit, uint32_t granules)
{
	return bits_find(region->bits->free, unit * granules, (unit + 1) * granules, 0) == (unit + 1) * granules;
}

static void drop_units(struct heap *heap, struct region *region, uint32_t unit, uint32_t count)
{
	uint32_t granules = count * (heap->unit_len / GRANULE);
	bits_clear(region->bits->backed, unit, count);
	bits_clear(region->bits->free, unit * (heap->unit_len / GRANULE), granules);
	region->backed -= count;
	region->free -= granules;
	heap->free -= granules;
	heap->backed -= granules;
	memory_drop(region->bytes + (size_t)unit * heap->unit_len, (uint64_t)count * heap->unit_len);
	memory_uncount(heap->memory, (uint64_t)count * heap->unit_len);
}

static void trim_region(struct heap *heap, struct region *region)
{
	uint32_t granules = heap->unit_len / GRANULE, unit = 0;
	while (unit < heap->units) {
		uint32_t end = unit;
		while (end < heap->units && is_free(region, end, granules))
			end++;
		if (end > unit)
			drop_units(heap, region, unit, end - unit);
		unit = end + 1;
	}
}

/*
 * A sweep looks at all regions with room in them, so there has to be much that could come of it: an eighth of the heap is
 * free, and a sixteenth more than the last sweep had to leave.
 */
void heap_trim(struct heap *heap)
{
	heap->swept = min(heap->swept, heap->free);
	if (heap->free <= heap->backed / 8 || heap->free - heap->swept <= heap->backed / 16)
		return;
	for (uint32_t i = 0; i < heap->count; i++)
		if (heap->regions[i].free > 0)
			trim_region(heap, &heap->regions[i]);
	heap->cold_region = 0;
	heap->swept = heap->free;
}
