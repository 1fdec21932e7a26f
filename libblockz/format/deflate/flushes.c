/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The search looks at every fourth byte alone: a mark has one of these, and each of its bytes is 00 or FF, which 127 of 128 are
 * not.  So it goes at the speed at which memory is read.
 */
#include "format/deflate/flushes.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fault.h"
#include "format/deflate/layout.h"
#include "format/deflate/walk.h"
#include "io/access.h"

enum {
	PART = 256 << 10, /* is read at once */
	KEPT = FLUSH_MARK_LEN, /* bytes of the part before it: a byte, and what a mark may have begun in */
};

struct search {
	uint64_t *ends;
	size_t count, found;
};

/* A mark ends at file offset end; `last` is the byte before it.  False: there are too many. */
static bool add_mark(struct search *search, uint64_t end, uint8_t last)
{
	bool filler = search->found > 0 && end - search->ends[search->found - 1] == STORED_HEADER_LEN && last == 0;
	if (filler)
		search->found--;
	if (search->found == search->count)
		return false;
	search->ends[search->found++] = end;
	return true;
}

/* Finds the marks that begin in bytes[from, len - 3); the first byte stands at file offset off. */
static bool search_part(struct search *search, const uint8_t *bytes, size_t from, size_t len, uint64_t off)
{
	static const uint8_t mark[FLUSH_MARK_LEN] = { 0x00, 0x00, 0xff, 0xff };
	for (size_t i = from + 3; i < len; i += FLUSH_MARK_LEN) {
		if ((uint8_t)(bytes[i] + 1) > 1)
			continue;
		for (size_t start = i - 3; start <= i && start + FLUSH_MARK_LEN <= len; start++)
			if (memcmp(bytes + start, mark, sizeof(mark)) == 0 &&
			    !add_mark(search, off + start + sizeof(mark), start > 0 ? bytes[start - 1] : 0xff))
				return false;
	}
	return true;
}

static enum blockz_status search_all(const struct blockz_source *file, struct blockz_range range, struct search *search,
				     uint8_t *bytes, struct blockz_fault *fault)
{
	size_t kept = 0;
	for (uint64_t off = range.start; off < range.end;) {
		size_t len = (size_t)min(PART, range.end - off);
		enum blockz_status status = read_file(file, bytes + kept, len, off, fault);
		if (status != BLOCKZ_OK)
			return status;
		if (!search_part(search, bytes, kept > 0, kept + len, off - kept))
			return BLOCKZ_OK;
		off += len;
		size_t next = min(KEPT, kept + len);
		memmove(bytes, bytes + kept + len - next, next);
		kept = next;
	}
	return BLOCKZ_OK;
}

static enum blockz_status find_marks(const struct blockz_source *file, const struct group *group, uint64_t *ends, size_t count,
				     bool *found_ret, struct blockz_fault *fault)
{
	struct search search = { .ends = ends, .count = count };
	uint8_t *buffer = malloc(KEPT + PART);
	if (buffer == NULL)
		return fault_nomem(fault);
	enum blockz_status status = search_all(file, group->bytes, &search, buffer, fault);
	free(buffer);
	*found_ret = search.found == count && ends[count - 1] == group->bytes.end;
	return status;
}

/* ---- By blocks ---- */

struct walk {
	const struct group *group;
	uint64_t *ends;
	size_t count, at; /* at: the piece that is walked, */
	bool ended;       /* of which a mark was found behind its text */
};

/* So much text of the group is before the end of the piece that is walked. */
static uint64_t text_end(const struct walk *walk)
{
	const struct blockz_range *image = &walk->group->image;
	return min((image->start / walk->group->cut + walk->at + 1) * walk->group->cut, image->end) - image->start;
}

/* False: the piece does not end where it has to. */
static bool pass_block(struct walk *walk, const struct walk_block *block)
{
	if (block->out_start < block->out_end) {
		walk->at += walk->ended;
		walk->ended = false;
		return walk->at < walk->count && block->out_end <= text_end(walk);
	}
	if (block->type == WALK_STORED && block->out_end == text_end(walk)) {
		walk->ends[walk->at] = walk->group->bytes.start + block->end_bit / 8;
		walk->ended = true;
	}
	return true;
}

static enum blockz_status walk_blocks(struct walker *walker, struct walk *walk, bool *found_ret, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	struct walk_block block = { 0 };
	bool good = true;
	while (status == BLOCKZ_OK && good && !walker_at_end(walker)) {
		status = walker_next(walker, &block, NULL, fault);
		good = status == BLOCKZ_OK && !block.final && pass_block(walk, &block);
		if (walk->ended)
			walker_forget_history(walker);
	}
	*found_ret = good && walk->ended && walk->at == walk->count - 1 && walk->ends[walk->at] == walk->group->bytes.end;
	return status == BLOCKZ_FAILED ? status : BLOCKZ_OK; /* damage is for who decodes it to tell */
}

enum blockz_status deflate_find_ends(const struct blockz_source *file, const struct group *group, uint64_t *ends, size_t count,
				     bool *found_ret, struct blockz_fault *fault)
{
	struct walk walk = { .group = group, .ends = ends, .count = count };
	struct walker *walker;
	enum blockz_status status = find_marks(file, group, ends, count, found_ret, fault);
	if (status != BLOCKZ_OK || *found_ret)
		return status;
	status = walker_new(&walker, fault);
	if (status != BLOCKZ_OK)
		return status;
	walker_reset_source(walker, file, group->bytes.start, group->bytes.end);
	status = walk_blocks(walker, &walk, found_ret, fault);
	walker_free(walker);
	return status;
}
