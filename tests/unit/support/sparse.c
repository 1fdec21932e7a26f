/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes of an image are computed when they are read; equal writes to a file are kept once. */
#include "sparse.h"

#include <errno.h>
#include <string.h>

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Copies what two ranges have in common: bytes at off, to buf, which holds [start, end). */
static void copy_common(uint8_t *buf, uint64_t start, uint64_t end, struct bytes bytes, uint64_t off)
{
	uint64_t first = off > start ? off : start, last = min(off + bytes.len, end);
	if (first < last)
		memcpy(buf + (first - start), bytes.data + (first - off), (size_t)(last - first));
}

/* ---- Images ---- */

static int sparse_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	struct sparse *self = ctx;
	uint64_t end = min(off + len, self->size);
	memset(buf, 0, len);
	for (size_t i = 0; i < self->count; i++)
		copy_common(buf, off, end, self->parts[i].bytes, self->parts[i].off);
	*got_ret = end > off ? (size_t)(end - off) : 0;
	__atomic_fetch_add(&self->bytes_read, *got_ret, __ATOMIC_RELAXED); /* readers may be many */
	return 0;
}

static int sparse_next_data(void *ctx, uint64_t off, uint64_t *start_ret, uint64_t *end_ret)
{
	struct sparse *self = ctx;
	*start_ret = *end_ret = self->size;
	for (size_t i = self->count; i > 0 && self->parts[i - 1].off + self->parts[i - 1].bytes.len > off; i--) {
		*start_ret = self->parts[i - 1].off > off ? self->parts[i - 1].off : off;
		*end_ret = self->parts[i - 1].off + self->parts[i - 1].bytes.len;
	}
	return 0;
}

struct blockz_source sparse_source(struct sparse *self, bool knows_holes)
{
	static const struct blockz_source_ops holes = { .read = sparse_read, .next_data = sparse_next_data };
	static const struct blockz_source_ops no_holes = { .read = sparse_read };
	return (struct blockz_source){ knows_holes ? &holes : &no_holes, self, self->size };
}

/* ---- Files ---- */

static struct bytes fold(struct folded *self, const void *buf, size_t len)
{
	for (size_t i = 0; i < FOLDED_KINDS; i++)
		if (self->kinds[i].len == len && memcmp(self->kinds[i].data, buf, len) == 0)
			return self->kinds[i];
	struct bytes kind = bytes_new(len);
	memcpy(kind.data, buf, len);
	self->kinds[self->next_kind++ % FOLDED_KINDS] = kind;
	return kind;
}

static int folded_write(void *ctx, const void *buf, size_t len)
{
	struct folded *self = ctx;
	if (self->count == self->room) {
		struct folded_part *parts = keep((2 * self->room + 64) * sizeof(*parts));
		if (self->count > 0)
			memcpy(parts, self->parts, self->count * sizeof(*parts));
		self->parts = parts;
		self->room = 2 * self->room + 64;
	}
	self->parts[self->count++] = (struct folded_part){ self->size, fold(self, buf, len) };
	self->size += len;
	return 0;
}

/* The part that holds the byte at off. */
static size_t part_at(const struct folded *self, uint64_t off)
{
	size_t low = 0, high = self->count - 1;
	while (low < high) {
		size_t middle = low + (high - low + 1) / 2;
		if (self->parts[middle].off <= off)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* What changes becomes a kind of its own. */
static int folded_overwrite(void *ctx, const void *buf, size_t len, uint64_t off)
{
	struct folded *self = ctx;
	struct folded_part *part = &self->parts[part_at(self, off)];
	if (len > part->off + part->bytes.len - off)
		return EINVAL;
	part->bytes = bytes_copy(part->bytes);
	memcpy(part->bytes.data + (off - part->off), buf, len);
	return 0;
}

static int folded_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	struct folded *self = ctx;
	uint64_t end = min(off + len, self->size);
	*got_ret = end > off ? (size_t)(end - off) : 0;
	if (*got_ret == 0)
		return 0;
	for (size_t i = part_at(self, off); i < self->count && self->parts[i].off < end; i++)
		copy_common(buf, off, end, self->parts[i].bytes, self->parts[i].off);
	return 0;
}

static int folded_sync(void *ctx)
{
	(void)ctx;
	return 0;
}

struct blockz_sink folded_sink(struct folded *self)
{
	static const struct blockz_sink_ops ops = { .write = folded_write, .rewrite = folded_overwrite };
	return (struct blockz_sink){ &ops, self };
}

struct blockz_source folded_source(struct folded *self)
{
	static const struct blockz_source_ops ops = { .read = folded_read };
	return (struct blockz_source){ &ops, self, self->size };
}

struct blockz_store folded_store(struct folded *self)
{
	static const struct blockz_store_ops ops = { .read = folded_read, .write = folded_overwrite, .sync = folded_sync };
	return (struct blockz_store){ .ops = &ops, .ctx = self, .size = self->size };
}
