/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Raw blocks at the end of a frame.
 *
 * Where a block begins in the content shows only as the frame is decoded block by block.  From the end on blocks are then
 * made raw while there is room.  If the one before them repeats a byte, as in long runs of zeros, a part of it becomes raw
 * too, which takes all room that is left.
 */
#include "format/zstd/tail.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/array.h"
#include "base/checked.h"
#include "base/fault.h"
#include "format/zstd/frame.h"

/* Where a block begins. */
struct edge {
	size_t off, text_off; /* in the frame, and in its content */
	struct block_header block;
};

struct tail {
	const struct encoding *encoding;
	struct frame_header header;
	size_t end, text_len; /* end: of the last block */
	struct buffer text;
	struct edge *edges;
	size_t count;
};

/* ---- Where blocks begin */

static enum blockz_status add_edge(struct tail *tail, const struct edge *edge, struct blockz_fault *fault)
{
	struct edge *room = array_room(tail->edges, tail->count, sizeof(*room));
	if (room == NULL)
		return fault_nomem(fault);
	tail->edges = room;
	tail->edges[tail->count++] = *edge;
	return BLOCKZ_OK;
}

/* A decoder that has all bytes of a block, and room, gives all of its content. */
static enum blockz_status decode_blocks(struct tail *tail, ZSTD_DCtx *context, struct blockz_fault *fault)
{
	const uint8_t *bytes = tail->encoding->out.bytes;
	ZSTD_outBuffer text = { tail->text.bytes, tail->text_len, 0 };
	ZSTD_inBuffer in = { bytes, tail->header.len, 0 };
	enum blockz_status status = BLOCKZ_OK;
	for (bool last = false; !last && status == BLOCKZ_OK;) {
		struct edge edge = { in.size, text.pos, block_header_load(bytes + in.size) };
		status = add_edge(tail, &edge, fault);
		in.size += BLOCK_HEADER_LEN + (edge.block.type == BLOCK_RLE ? 1 : edge.block.size);
		last = edge.block.last;
		while (in.pos < in.size)
			if (ZSTD_isError(ZSTD_decompressStream(context, &text, &in)))
				return fault_set(fault, BLOCKZ_DAMAGED, BLOCKZ_UNKNOWN, "a new frame does not decode");
	}
	tail->end = in.size;
	return status;
}

static enum blockz_status find_edges(struct tail *tail, struct blockz_fault *fault)
{
	const struct encoding *encoding = tail->encoding;
	enum blockz_status status = frame_walk(encoding->out.bytes, encoding->len, BLOCKZ_UNKNOWN, &tail->header, fault);
	if (status != BLOCKZ_OK)
		return status;
	tail->text_len = (size_t)tail->header.content_size;
	ZSTD_DCtx *context = ZSTD_createDCtx();
	ZSTD_bounds windows = ZSTD_dParam_getBounds(ZSTD_d_windowLogMax);
	if (context == NULL || !buffer_reserve(&tail->text, tail->text_len) ||
	    ZSTD_isError(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, windows.upperBound)))
		status = fault_nomem(fault);
	else
		status = decode_blocks(tail, context, fault);
	ZSTD_freeDCtx(context);
	return status;
}

/* ---- What becomes raw */

static size_t block_max(const struct tail *tail)
{
	return (size_t)min(tail->header.window, BLOCK_MAX);
}

/* How long the frame is if all from a block on is raw. */
static size_t raw_from(const struct tail *tail, size_t first)
{
	size_t len = tail->text_len - tail->edges[first].text_off, max = block_max(tail);
	size_t blocks = len > 0 ? (len + max - 1) / max : 1;
	return tail->edges[first].off + blocks * BLOCK_HEADER_LEN + len + (tail->encoding->len - tail->end);
}

static uint8_t *put_raw(uint8_t *p, const uint8_t *text, size_t len, bool last)
{
	const struct block_header header = { last, BLOCK_RAW, (uint32_t)len };
	block_header_store(p, &header);
	memcpy(p + BLOCK_HEADER_LEN, text, len);
	return p + BLOCK_HEADER_LEN + len;
}

static uint8_t *put_raw_tail(const struct tail *tail, uint8_t *p, size_t first)
{
	size_t pos = tail->edges[first].text_off, max = block_max(tail);
	bool last = false;
	while (!last) {
		size_t len = tail->text_len - pos < max ? tail->text_len - pos : max;
		last = pos + len == tail->text_len;
		p = put_raw(p, tail->text.bytes + pos, len, last);
		pos += len;
	}
	return p;
}

/* The first bytes of a block that repeats one, so many that the frame grows by this. */
static uint8_t *put_split(const struct tail *tail, uint8_t *p, const struct edge *edge, size_t growth)
{
	size_t len = growth - BLOCK_HEADER_LEN;
	const struct block_header rest = { edge->block.last, BLOCK_RLE, edge->block.size - (uint32_t)len };
	p = put_raw(p, tail->text.bytes + edge->text_off, len, false);
	block_header_store(p, &rest);
	p[BLOCK_HEADER_LEN] = tail->text.bytes[edge->text_off];
	return p + BLOCK_HEADER_LEN + 1;
}

/* first: from this block on all is raw; the number of blocks: none is. */
static enum blockz_status build(const struct tail *tail, size_t first, size_t max, struct encoding *raw_ret,
				struct blockz_fault *fault)
{
	const uint8_t *bytes = tail->encoding->out.bytes;
	size_t checksum_len = tail->encoding->len - tail->end;
	size_t len = first < tail->count ? raw_from(tail, first) : tail->encoding->len;
	const struct edge *before = first > 0 ? &tail->edges[first - 1] : NULL;
	bool split = before != NULL && before->block.type == BLOCK_RLE && max - len > BLOCK_HEADER_LEN &&
		     max - len < before->block.size;
	size_t kept = split ? before->off : first < tail->count ? tail->edges[first].off : tail->end;
	if (!buffer_reserve(&raw_ret->out, split ? max : len))
		return fault_nomem(fault);
	uint8_t *p = raw_ret->out.bytes;
	memcpy(p, bytes, kept);
	p += kept;
	if (split)
		p = put_split(tail, p, before, max - len);
	if (first < tail->count)
		p = put_raw_tail(tail, p, first);
	memcpy(p, bytes + tail->end, checksum_len);
	raw_ret->len = (size_t)(p - raw_ret->out.bytes) + checksum_len;
	raw_ret->tag = tail->encoding->tag;
	return BLOCKZ_OK;
}

enum blockz_status zstd_raw_tail(const struct encoding *encoding, size_t max, struct encoding *raw_ret,
				 struct blockz_fault *fault)
{
	struct tail tail = { .encoding = encoding };
	enum blockz_status status = find_edges(&tail, fault);
	size_t first = tail.count;
	while (status == BLOCKZ_OK && first > 0 && raw_from(&tail, first - 1) <= max)
		first--;
	if (status == BLOCKZ_OK)
		status = build(&tail, first, max, raw_ret, fault);
	buffer_free(&tail.text);
	free(tail.edges);
	return status;
}
