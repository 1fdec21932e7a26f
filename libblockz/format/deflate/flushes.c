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

enum blockz_status deflate_find_ends(const struct blockz_source *file, struct blockz_range bytes, uint64_t *ends, size_t count,
				     bool *found_ret, struct blockz_fault *fault)
{
	struct search search = { .ends = ends, .count = count };
	uint8_t *buffer = malloc(KEPT + PART);
	if (buffer == NULL)
		return fault_nomem(fault);
	enum blockz_status status = search_all(file, bytes, &search, buffer, fault);
	free(buffer);
	*found_ret = search.found == count && ends[count - 1] == bytes.end;
	return status;
}
