/* SPDX-License-Identifier: BSD-3-Clause */
/* Holes and shared blocks are passed over; where there are too many differences, near ones are united. */
#include "patch/diff.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "cli/fault.h"
#include "cli/size.h"
#include "files/holes.h"

enum {
	CHUNK = 256 * 1024, /* two of them stay in a second-level cache */
	PAGE = 4096,
	RANGES_MAX = 1 << 16,
	GAP_MIN = 32,
	WINDOW = 256, /* extents asked for at a time */
};

/* ---- The list of ranges found */

struct found {
	struct blockz_range *ranges; /* room for RANGES_MAX */
	size_t count;
	uint64_t gap; /* fewer equal bytes than this do not end a range */
};

/* Doubles the gap until the list is at most half full. */
static void widen(struct found *found)
{
	while (found->count > RANGES_MAX / 2) {
		found->gap *= 2;
		size_t kept = 0;
		for (size_t i = 1; i < found->count; i++) {
			if (found->ranges[i].start - found->ranges[kept].end < found->gap)
				found->ranges[kept].end = found->ranges[i].end;
			else
				found->ranges[++kept] = found->ranges[i];
		}
		found->count = kept + 1;
	}
}

static void found_add(struct found *found, uint64_t start, uint64_t end)
{
	struct blockz_range *last = found->count > 0 ? &found->ranges[found->count - 1] : NULL;
	if (last != NULL && start - last->end < found->gap) {
		last->end = end;
		return;
	}
	if (found->count == RANGES_MAX)
		widen(found);
	found->ranges[found->count++] = (struct blockz_range){ start, end };
}

static void found_compare(struct found *found, const uint8_t *a, const uint8_t *b, size_t len, uint64_t off)
{
	if (memcmp(a, b, len) == 0)
		return;
	for (size_t page = 0; page < len; page += PAGE) {
		size_t end = len - page < PAGE ? len : page + PAGE;
		if (memcmp(a + page, b + page, end - page) == 0)
			continue;
		for (size_t i = page; i < end; i++) {
			size_t start = i;
			while (i < end && a[i] != b[i])
				i++;
			if (i > start)
				found_add(found, off + start, off + i);
		}
	}
}

/* ---- Blocks that both files share */

/* The extents of one file, in ascending order, a window of them at a time. */
struct extents {
	int fd;
	struct fiemap *window; /* NULL: the file system does not tell */
	size_t at;
};

/*
 * Only the first call asks for FIEMAP_FLAG_SYNC, and it must: pages written to a reflinked file but still in the page
 * cache would show the shared blocks that they are about to leave.
 */
static bool extents_fill(struct extents *extents, uint64_t off, uint32_t flags)
{
	extents->window->fm_start = off;
	extents->window->fm_length = FIEMAP_MAX_OFFSET - off;
	extents->window->fm_flags = flags;
	extents->window->fm_extent_count = WINDOW;
	extents->at = 0;
	return ioctl(extents->fd, FS_IOC_FIEMAP, extents->window) == 0;
}

static struct extents extents_open(int fd)
{
	struct extents extents = { .fd = fd };
	extents.window = calloc(1, sizeof(struct fiemap) + WINDOW * sizeof(struct fiemap_extent));
	if (extents.window != NULL && !extents_fill(&extents, 0, FIEMAP_FLAG_SYNC)) {
		free(extents.window);
		extents.window = NULL;
	}
	return extents;
}

static const struct fiemap_extent *window_find(struct extents *extents, uint64_t off)
{
	const struct fiemap *window = extents->window;
	for (; extents->at < window->fm_mapped_extents; extents->at++) {
		const struct fiemap_extent *extent = &window->fm_extents[extents->at];
		if (extent->fe_logical + extent->fe_length > off)
			return extent;
	}
	return NULL;
}

/* The first extent that ends behind off, which never descends; NULL: there is none, or nobody knows. */
static const struct fiemap_extent *extents_at(struct extents *extents, uint64_t off)
{
	if (extents->window == NULL)
		return NULL;
	const struct fiemap_extent *extent = window_find(extents, off);
	if (extent != NULL || extents->window->fm_mapped_extents < WINDOW || !extents_fill(extents, off, 0))
		return extent;
	return window_find(extents, off);
}

/* Whether the extent's physical offset says where its bytes really are. */
static bool extent_is_plain(const struct fiemap_extent *extent)
{
	const uint32_t doubt = FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_ENCODED |
			       FIEMAP_EXTENT_DATA_ENCRYPTED | FIEMAP_EXTENT_NOT_ALIGNED | FIEMAP_EXTENT_DATA_INLINE |
			       FIEMAP_EXTENT_DATA_TAIL | FIEMAP_EXTENT_UNWRITTEN;
	return (extent->fe_flags & FIEMAP_EXTENT_SHARED) && !(extent->fe_flags & doubt);
}

/* Whether both files have the same blocks at off; the answer holds up to *end_ret. */
static bool blocks_are_shared(struct extents *a, struct extents *b, uint64_t off, uint64_t *end_ret)
{
	const struct fiemap_extent *x = extents_at(a, off);
	const struct fiemap_extent *y = extents_at(b, off);
	*end_ret = UINT64_MAX;
	if (x == NULL || y == NULL)
		return false;
	uint64_t start = x->fe_logical > y->fe_logical ? x->fe_logical : y->fe_logical;
	if (start > off) {
		*end_ret = start;
		return false;
	}
	uint64_t x_end = x->fe_logical + x->fe_length, y_end = y->fe_logical + y->fe_length;
	*end_ret = x_end < y_end ? x_end : y_end;
	return extent_is_plain(x) && extent_is_plain(y) &&
	       x->fe_physical + (off - x->fe_logical) == y->fe_physical + (off - y->fe_logical);
}

/* ---- The comparison */

struct side {
	struct blockz_source source;
	struct extents extents;
	struct blockz_range data; /* the first that ends behind the current offset */
	uint8_t *buf;
};

static int side_advance(struct side *side, uint64_t off)
{
	return off < side->data.end ? 0 : holes_find_data(&side->source, off, &side->data);
}

/* How far what stands at off, data or hole, goes on. */
static uint64_t side_run_end(const struct side *side, uint64_t off)
{
	if (off < side->data.start)
		return side->data.start;
	return off < side->data.end ? side->data.end : side->source.size;
}

static int side_read(struct side *side, size_t len, uint64_t off)
{
	size_t got = 0;
	if (off < side->data.start || off >= side->data.end) {
		memset(side->buf, 0, len);
		return 0;
	}
	int error = side->source.ops->read(side->source.ctx, side->buf, len, off, &got);
	return error != 0 ? error : got < len ? EIO : 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int compare_sides(struct side *a, struct side *b, struct found *found)
{
	uint64_t off = 0;
	int error = 0;
	while (error == 0) {
		error = side_advance(a, off);
		if (error == 0)
			error = side_advance(b, off);
		uint64_t data = least(a->data.start, b->data.start);
		if (off < data)
			off = data;
		if (error != 0 || off >= a->source.size)
			return error;
		uint64_t end = least(side_run_end(a, off), side_run_end(b, off));
		uint64_t shared_end;
		bool shared = blocks_are_shared(&a->extents, &b->extents, off, &shared_end);
		end = least(end, shared_end);
		if (shared) {
			off = end;
			continue;
		}
		size_t len = (size_t)least(end - off, CHUNK);
		error = side_read(a, len, off);
		if (error == 0)
			error = side_read(b, len, off);
		if (error == 0)
			found_compare(found, a->buf, b->buf, len, off);
		off += len;
	}
	return error;
}

static bool same_file_system(int a_fd, int b_fd)
{
	struct stat a, b;
	return fstat(a_fd, &a) == 0 && fstat(b_fd, &b) == 0 && S_ISREG(a.st_mode) && S_ISREG(b.st_mode) &&
	       a.st_dev == b.st_dev;
}

enum blockz_status diff_files(int edited_fd, int base_fd, struct blockz_range **ranges_ret, size_t *count_ret,
			      struct blockz_fault *fault)
{
	struct side a = { 0 }, b = { 0 };
	struct found found = { .gap = GAP_MIN };
	enum blockz_status status = blockz_source_fd(edited_fd, &a.source, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = blockz_source_fd(base_fd, &b.source, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (a.source.size == BLOCKZ_UNKNOWN || b.source.size == BLOCKZ_UNKNOWN)
		return tool_fault(fault, BLOCKZ_USAGE, "images to compare must be files, not streams");
	if (a.source.size != b.source.size)
		return tool_fault(fault, BLOCKZ_USAGE, "images differ in size: edited %" PRIu64 " byte%s, base %" PRIu64,
			    a.source.size, plural(a.source.size), b.source.size);
	if (same_file_system(edited_fd, base_fd)) {
		a.extents = extents_open(edited_fd);
		b.extents = extents_open(base_fd);
	}
	a.buf = malloc(CHUNK);
	b.buf = malloc(CHUNK);
	found.ranges = malloc(RANGES_MAX * sizeof(*found.ranges));
	int error = ENOMEM;
	if (a.buf != NULL && b.buf != NULL && found.ranges != NULL)
		error = compare_sides(&a, &b, &found);
	if (error == 0) {
		*ranges_ret = found.ranges;
		*count_ret = found.count;
		found.ranges = NULL;
	} else {
		status = tool_fault_errno(fault, error, "comparing the images");
	}
	free(found.ranges);
	free(a.buf);
	free(b.buf);
	free(a.extents.window);
	free(b.extents.window);
	return status;
}
