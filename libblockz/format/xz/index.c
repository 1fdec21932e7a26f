/* SPDX-License-Identifier: BSD-3-Clause */
/* The Stream's Header, Index and Footer, read from the end of the file. */
#include "format/xz/index.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/checked.h"
#include "base/fault.h"
#include "base/plural.h"
#include "check/crc.h"
#include "format/xz/block.h"
#include "io/access.h"

enum {
	PART = 4096,
	STREAMS_MAX = 1 << 16,
	UNPADDED_MIN = 5,
	BEHIND_MAX = 16384, /* how much behind the last Stream is looked at, to tell what is wrong */
};

/* ---- One Index, byte by byte */

struct input {
	const struct blockz_source *file;
	uint64_t off, end; /* what is not read yet; the CRC-32 stands at end */
	size_t pos, len;
	uint32_t crc;
	uint8_t bytes[PART];
};

static enum blockz_status damaged(const struct input *in, const char *what, struct blockz_fault *fault)
{
	return fault_set(fault, BLOCKZ_DAMAGED, in->off - (in->len - in->pos), "xz Index: %s", what);
}

static enum blockz_status next_byte(struct input *in, uint8_t *byte_ret, struct blockz_fault *fault)
{
	if (in->pos == in->len) {
		uint64_t left = in->end - in->off;
		if (left == 0)
			return damaged(in, "ends within a Record", fault);
		in->len = left < PART ? (size_t)left : PART;
		in->pos = 0;
		enum blockz_status status = read_file(in->file, in->bytes, in->len, in->off, fault);
		if (status != BLOCKZ_OK) {
			in->len = 0;
			return status;
		}
		in->crc = crc32_update(in->crc, in->bytes, in->len);
		in->off += in->len;
	}
	*byte_ret = in->bytes[in->pos++];
	return BLOCKZ_OK;
}

/* A Multibyte Integer, section 1.2: at most 9 bytes, in the fewest that it fits. */
static enum blockz_status next_vli(struct input *in, uint64_t *value_ret, struct blockz_fault *fault)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 63; shift += 7) {
		uint8_t byte = 0;
		enum blockz_status status = next_byte(in, &byte, fault);
		if (status != BLOCKZ_OK)
			return status;
		if (byte == 0 && shift > 0)
			break;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*value_ret = value;
			return BLOCKZ_OK;
		}
	}
	return damaged(in, "a number is not encoded as it has to be", fault);
}

static enum blockz_status walk_records(struct input *in, uint64_t count, xz_record record, void *ctx,
				       struct blockz_fault *fault)
{
	for (uint64_t i = 0; i < count; i++) {
		uint64_t unpadded = 0, image_len = 0;
		enum blockz_status status = next_vli(in, &unpadded, fault);
		if (status != BLOCKZ_OK)
			return status;
		status = next_vli(in, &image_len, fault);
		if (status != BLOCKZ_OK)
			return status;
		if (unpadded < UNPADDED_MIN || unpadded > LZMA_VLI_MAX - ALIGNMENT)
			return damaged(in, "a Block's size cannot be right", fault);
		status = record(ctx, unpadded, image_len, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	return BLOCKZ_OK;
}

/* Padding of zeros up to the CRC-32, and that. */
static enum blockz_status check_end(struct input *in, struct blockz_fault *fault)
{
	uint8_t byte = 0, stored[INDEX_CRC_LEN];
	size_t padding = 0;
	while (in->off < in->end || in->pos < in->len) {
		enum blockz_status status = next_byte(in, &byte, fault);
		if (status != BLOCKZ_OK)
			return status;
		if (byte != 0 || ++padding >= ALIGNMENT)
			return damaged(in, "more than its Records", fault);
	}
	enum blockz_status status = read_file(in->file, stored, sizeof(stored), in->end, fault);
	if (status == BLOCKZ_OK && load_le32(stored) != in->crc)
		return fault_set(fault, BLOCKZ_DAMAGED, in->end, "xz Index: CRC-32 is %08" PRIx32 ", expected %08" PRIx32,
				 load_le32(stored), in->crc);
	return status;
}

enum blockz_status xz_index_walk(const struct blockz_source *file, uint64_t index_off, uint64_t index_len,
				 xz_record record, void *ctx, uint64_t *records_ret, struct blockz_fault *fault)
{
	struct input in = { .file = file, .off = index_off, .end = index_off + index_len - INDEX_CRC_LEN };
	uint8_t indicator = 0;
	uint64_t count = 0;
	enum blockz_status status = next_byte(&in, &indicator, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (indicator != INDEX_INDICATOR)
		return damaged(&in, "does not begin like one", fault);
	status = next_vli(&in, &count, fault);
	if (status != BLOCKZ_OK)
		return status;
	/* Records have two bytes at least, so no count makes this longer than the Index is. */
	if (count > index_len / 2)
		return damaged(&in, "has not so many Records", fault);
	status = walk_records(&in, count, record, ctx, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = check_end(&in, fault);
	if (status == BLOCKZ_OK)
		*records_ret = count;
	return status;
}

/* ---- Streams, from the end */

static enum blockz_status add_length(void *ctx, uint64_t unpadded_len, uint64_t image_len, struct blockz_fault *fault)
{
	uint64_t *sum = ctx;
	(void)image_len;
	if (!checked_grow(sum, xz_padded(unpadded_len)))
		return fault_set(fault, BLOCKZ_DAMAGED, BLOCKZ_UNKNOWN, "xz Index: Blocks of more than 2^64 bytes");
	return BLOCKZ_OK;
}

/* Passes over Stream Padding, zeros in multiples of four bytes, before *end. */
static enum blockz_status skip_padding(const struct blockz_source *file, uint64_t *end, struct blockz_fault *fault)
{
	uint8_t bytes[PART];
	while (*end > 0) {
		size_t len = *end < PART ? (size_t)*end : PART, kept = len;
		enum blockz_status status = read_file(file, bytes, len, *end - len, fault);
		if (status != BLOCKZ_OK)
			return status;
		while (kept >= ALIGNMENT && load_le32(bytes + kept - ALIGNMENT) == 0)
			kept -= ALIGNMENT;
		*end -= len - kept;
		if (kept > 0)
			break;
	}
	return BLOCKZ_OK;
}

static enum blockz_status no_stream(uint64_t off, const char *what, struct blockz_fault *fault)
{
	return fault_set(fault, BLOCKZ_DAMAGED, off, "%s", what);
}

static enum blockz_status check_header(const struct blockz_source *file, const struct xz_stream *stream,
				       const lzma_stream_flags *footer, struct blockz_fault *fault)
{
	uint8_t bytes[STREAM_HEADER_LEN];
	lzma_stream_flags header;
	enum blockz_status status = read_file(file, bytes, sizeof(bytes), stream->off, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (lzma_stream_header_decode(&header, bytes) != LZMA_OK)
		return no_stream(stream->off, "expected an xz Stream Header", fault);
	if (lzma_stream_flags_compare(&header, footer) != LZMA_OK)
		return no_stream(stream->off, "xz Stream Header and Stream Footer do not agree", fault);
	return BLOCKZ_OK;
}

/* The Stream that ends at `end`. */
static enum blockz_status find_stream(const struct blockz_source *file, uint64_t end, struct xz_stream *stream,
				      struct blockz_fault *fault)
{
	uint8_t bytes[STREAM_HEADER_LEN];
	lzma_stream_flags footer;
	uint64_t blocks_len = 0;
	if (end < 2 * STREAM_HEADER_LEN)
		return no_stream(end, "file ends within an xz Stream", fault);
	enum blockz_status status = read_file(file, bytes, sizeof(bytes), end - STREAM_HEADER_LEN, fault);
	if (status != BLOCKZ_OK)
		return status;
	lzma_ret result = lzma_stream_footer_decode(&footer, bytes);
	if (result == LZMA_OPTIONS_ERROR || (result == LZMA_OK && !xz_check_method(footer.check, &stream->method)))
		return fault_set(fault, BLOCKZ_UNSUPPORTED, end - STREAM_HEADER_LEN, "an xz Stream with flags or a Check "
				 "that are reserved");
	if (result != LZMA_OK)
		return no_stream(end - STREAM_HEADER_LEN, "expected an xz Stream Footer", fault);
	if (footer.backward_size > end - 2 * STREAM_HEADER_LEN)
		return no_stream(end - STREAM_HEADER_LEN, "an xz Index larger than the file", fault);
	stream->index_len = footer.backward_size;
	stream->index_off = end - STREAM_HEADER_LEN - footer.backward_size;
	status = xz_index_walk(file, stream->index_off, stream->index_len, add_length, &blocks_len, &stream->records, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (blocks_len > stream->index_off - STREAM_HEADER_LEN)
		return no_stream(stream->index_off, "xz Index: its Blocks do not fit into the file", fault);
	stream->off = stream->index_off - STREAM_HEADER_LEN - blocks_len;
	return check_header(file, stream, &footer, fault);
}

/* Those of the file's first `end` bytes. */
static enum blockz_status find_streams(const struct blockz_source *file, uint64_t end, struct xz_stream **streams_ret,
				       size_t *count_ret, struct blockz_fault *fault)
{
	struct xz_stream *streams = NULL;
	size_t count = 0;
	enum blockz_status status = BLOCKZ_OK;
	while (end > 0 && status == BLOCKZ_OK) {
		struct xz_stream *room = array_room(streams, count, sizeof(*room));
		if (room == NULL) {
			status = fault_nomem(fault);
			break;
		}
		streams = room;
		status = skip_padding(file, &end, fault);
		if (status == BLOCKZ_OK && end % ALIGNMENT != 0)
			status = no_stream(end, "an xz file's length is a multiple of 4", fault);
		if (status == BLOCKZ_OK && count == STREAMS_MAX)
			status = fault_set(fault, BLOCKZ_LIMIT, end, "more than %d xz Streams", STREAMS_MAX);
		if (status == BLOCKZ_OK)
			status = find_stream(file, end, &streams[count], fault);
		end = status == BLOCKZ_OK ? streams[count++].off : end;
	}
	if (status != BLOCKZ_OK) {
		free(streams);
		return status;
	}
	*streams_ret = streams;
	*count_ret = count;
	return BLOCKZ_OK;
}

/* Where the last bytes that look like a Stream Footer end, not far from the end of the file; 0: none do. */
static uint64_t find_footer(const struct blockz_source *file)
{
	uint8_t bytes[BEHIND_MAX];
	lzma_stream_flags flags;
	size_t len = (size_t)min(sizeof(bytes), file->size);
	uint64_t start = file->size - len;
	if (read_file(file, bytes, len, start, NULL) != BLOCKZ_OK)
		return 0;
	for (size_t end = len; end >= STREAM_HEADER_LEN; end--)
		if ((start + end) % ALIGNMENT == 0 &&
		    lzma_stream_footer_decode(&flags, bytes + end - STREAM_HEADER_LEN) == LZMA_OK)
			return start + end;
	return 0;
}

enum blockz_status xz_find_streams(const struct blockz_source *file, struct xz_stream **streams_ret, size_t *count_ret,
				   struct blockz_fault *fault)
{
	struct blockz_fault why;
	struct xz_stream *streams = NULL;
	size_t count = 0;
	enum blockz_status status = find_streams(file, file->size, streams_ret, count_ret, &why);
	if (status == BLOCKZ_OK)
		return BLOCKZ_OK;
	uint64_t end = status == BLOCKZ_DAMAGED ? find_footer(file) : 0;
	if (end > 0 && find_streams(file, end, &streams, &count, NULL) == BLOCKZ_OK)
		fault_set(&why, BLOCKZ_DAMAGED, end,
			  "expected an xz Stream or the end, found %" PRIu64 " byte%s; all before is complete", file->size - end,
			  plural(file->size - end));
	free(streams);
	if (fault != NULL)
		*fault = why;
	return status;
}
