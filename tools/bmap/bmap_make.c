/* SPDX-License-Identifier: BSD-3-Clause */
/* A sink takes the image block by block: one of zeros ends a range, any other is hashed into it. */
#include "bmap/bmap_make.h"

#include <errno.h>
#include <string.h>

#include "cli/fault.h"
#include "files/holes.h"

/* A sink that takes the image in order. */
struct maker {
	struct bmap *bmap;
	const struct blockz_map *map;
	uint64_t block;                      /* the next one */
	unsigned char buf[BMAP_BLOCK_SIZE];  /* the first buf_len bytes of it, where it did not come whole */
	size_t buf_len;
	struct blockz_range patchable;       /* the first patchable range that does not end before the block */
	struct bmap_range open;              /* the range that the next block may belong to; empty: none */
	bool open_is_patchable;
	struct digest digest;                /* over the open range */
	enum blockz_status status;           /* of what a sink cannot tell */
	struct blockz_fault why;
};

static void find_patchable(struct maker *self, uint64_t off)
{
	struct blockz_map_range range = { .end = off };
	while (blockz_map_range_at(self->map, range.end, &range)) {
		self->patchable = (struct blockz_range){ range.start, range.end };
		if (range.patchable)
			return;
	}
	self->patchable = (struct blockz_range){ BLOCKZ_UNKNOWN, BLOCKZ_UNKNOWN };
}

static bool block_is_patchable(struct maker *self, size_t len)
{
	uint64_t start = self->block * BMAP_BLOCK_SIZE;
	if (self->patchable.end <= start)
		find_patchable(self, start);
	return self->patchable.start < start + len;
}

static enum blockz_status end_range(struct maker *self)
{
	if (self->open.first == self->open.end)
		return BLOCKZ_OK;
	enum blockz_status status = digest_finish(&self->digest, self->open.sha256, &self->why);
	digest_free(&self->digest);
	if (status == BLOCKZ_OK)
		status = bmap_append(self->bmap, &self->open, &self->why);
	self->open = (struct bmap_range){ 0 };
	return status;
}

static enum blockz_status take_block(struct maker *self, const unsigned char *bytes, size_t len)
{
	enum blockz_status status = BLOCKZ_OK;
	bool zero = bytes_are_zeros(bytes, len), patchable = !zero && block_is_patchable(self, len);
	if (zero || patchable != self->open_is_patchable)
		status = end_range(self);
	if (!zero && status == BLOCKZ_OK && self->open.first == self->open.end) {
		self->open = (struct bmap_range){ .first = self->block, .end = self->block };
		self->open_is_patchable = patchable;
		status = digest_start(&self->digest, &self->why);
	}
	if (!zero && status == BLOCKZ_OK) {
		digest_update(&self->digest, bytes, len);
		self->open.end++;
	}
	self->block++;
	return status;
}

static int maker_write(void *ctx, const void *buf, size_t len)
{
	struct maker *self = ctx;
	const unsigned char *bytes = buf;
	while (len > 0 && self->status == BLOCKZ_OK) {
		size_t part = BMAP_BLOCK_SIZE - self->buf_len < len ? BMAP_BLOCK_SIZE - self->buf_len : len;
		if (part == BMAP_BLOCK_SIZE) {
			self->status = take_block(self, bytes, part);
		} else {
			memcpy(self->buf + self->buf_len, bytes, part);
			self->buf_len += part;
		}
		if (self->buf_len == BMAP_BLOCK_SIZE) {
			self->status = take_block(self, self->buf, BMAP_BLOCK_SIZE);
			self->buf_len = 0;
		}
		bytes += part;
		len -= part;
	}
	return self->status == BLOCKZ_OK ? 0 : EIO;
}

static int maker_zeros(void *ctx, uint64_t len)
{
	static const unsigned char zeros[BMAP_BLOCK_SIZE];
	struct maker *self = ctx;
	size_t part = self->buf_len > 0 ? BMAP_BLOCK_SIZE - self->buf_len : 0;
	part = len < part ? (size_t)len : part;
	int error = maker_write(self, zeros, part);
	len -= part;
	if (error == 0 && len >= BMAP_BLOCK_SIZE) {
		self->status = end_range(self);
		self->block += len / BMAP_BLOCK_SIZE;
		error = self->status == BLOCKZ_OK ? 0 : EIO;
	}
	return error == 0 ? maker_write(self, zeros, (size_t)(len % BMAP_BLOCK_SIZE)) : error;
}

enum blockz_status bmap_make(struct bmap *bmap, const struct blockz_source *file, const struct blockz_map *map,
			     const struct blockz_work *work, struct blockz_fault *fault)
{
	static const struct blockz_sink_ops ops = { .write = maker_write, .zeros = maker_zeros };
	struct maker self = { .bmap = bmap, .map = map };
	struct blockz_sink sink = { &ops, &self };
	struct blockz_range all = { 0, blockz_map_info(map).image_size };
	if (all.end == 0)
		return tool_fault(fault, BLOCKZ_UNSUPPORTED, "an empty image has no block map");
	bmap->image_size = all.end;
	bmap->block_size = BMAP_BLOCK_SIZE;
	enum blockz_status status = blockz_extract(file, map, all, &sink, work, fault);
	if (self.status == BLOCKZ_OK && status == BLOCKZ_OK && self.buf_len > 0)
		self.status = take_block(&self, self.buf, self.buf_len);
	if (self.status == BLOCKZ_OK && status == BLOCKZ_OK)
		self.status = end_range(&self);
	digest_free(&self.digest);
	if (self.status != BLOCKZ_OK && fault != NULL)
		*fault = self.why;
	return self.status != BLOCKZ_OK ? self.status : status;
}
