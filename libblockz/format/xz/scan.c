/* SPDX-License-Identifier: BSD-3-Clause */
/* The map of an .xz file: the Index tells the Blocks, and each Block's chunks what of it is raw. */
#include "format/xz/scan.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "format/xz/block.h"
#include "format/xz/chunks.h"
#include "format/xz/index.h"
#include "io/access.h"

/* A Block of raw chunks that is longer is not handled whole, as raw pieces are: its chunks are walked one by one. */
enum { RAW_PIECE_MAX = 16 << 20 };

struct reader {
	struct peek peek;
	struct blockz_map *map;
	bool scan;
	const struct xz_stream *stream;
	uint64_t off, image_pos; /* of the next Block */
	struct zero_sums zero_sums;
};

/* A Block as the Index has it. */
struct record {
	uint64_t unpadded_len, len, image_len;
	size_t check_len;
};

/* By its size and its Check: whoever serves or verifies it as zeros proves it. */
static enum blockz_status looks_zero(struct reader *reader, const struct record *record, bool *yes_ret,
				     struct blockz_fault *fault)
{
	const uint8_t *field = NULL;
	enum check_method method = reader->stream->method;
	*yes_ret = false;
	/* Raw chunks, of zeros or not, take more than they hold. */
	if (method == CHECK_NONE || record->unpadded_len > record->image_len / 1024 + 128 ||
	    record->unpadded_len >= record->image_len)
		return BLOCKZ_OK;
	enum blockz_status status = peek_all(&reader->peek, reader->off + record->len - record->check_len,
					     record->check_len, &field, fault);
	if (status == BLOCKZ_OK && !check_is_of_zeros(&reader->zero_sums, method, record->image_len, field, yes_ret))
		return fault_nomem(fault);
	return status;
}

/* A Block of raw chunks shows by its length, and by the header of the first; a patch looks at all of them. */
static bool is_raw_block(const struct xz_block *block, uint64_t compressed_len, uint64_t start, uint64_t end,
			 const uint8_t *chunk)
{
	uint64_t first = raw_chunk_end(start, end) - start - 1;
	return block->lzma2_only && compressed_len == raw_chunks_len(start, end) && chunk[0] == CHUNK_RAW_RESET &&
	       chunk[1] == (uint8_t)(first >> 8) && chunk[2] == (uint8_t)first;
}

static enum blockz_status add_check(struct reader *reader, const struct record *record, struct blockz_fault *fault)
{
	if (reader->stream->method == CHECK_NONE)
		return BLOCKZ_OK;
	return map_add_check(reader->map, &(struct check){
		reader->image_pos, reader->image_pos + record->image_len,
		reader->off + record->len - record->check_len, reader->stream->method, false,
	}, fault);
}

static struct piece make_piece(const struct reader *reader, const struct record *record, enum blockz_kind kind)
{
	return (struct piece){
		.start = reader->image_pos, .file_off = reader->off, .file_len = record->len, .kind = kind, .copies = 1,
		.method = reader->stream->method, .padding = (record->len - record->unpadded_len) % ALIGNMENT,
	};
}

/* Adds a Block of some bytes, whose first chunk begins with these. */
static enum blockz_status add_block(struct reader *reader, const struct record *record, const struct xz_block *block,
				    const uint8_t *chunk, struct blockz_fault *fault)
{
	struct blockz_map *map = reader->map;
	uint64_t start = reader->image_pos, end = start + record->image_len;
	uint64_t chunks_off = reader->off + block->block.header_size;
	uint64_t chunks_len = record->unpadded_len - block->block.header_size - record->check_len;
	size_t spans = map->span_count;
	bool raw = is_raw_block(block, chunks_len, start, end, chunk);
	bool whole = raw && record->image_len <= RAW_PIECE_MAX;
	const struct piece piece = make_piece(reader, record, whole ? BLOCKZ_RAW : BLOCKZ_COMPRESSED);
	enum blockz_status status = map_add_piece(map, &piece, fault);
	if (status == BLOCKZ_OK && whole)
		status = map_add_span(map, &(struct span){
			start, end, chunks_off, RAW_PAYLOAD, CHUNK_RAW_HEADER_LEN, true,
		}, fault);
	else if (status == BLOCKZ_OK && (raw || reader->scan) && block->lzma2_only)
		status = xz_add_chunks(&reader->peek, chunks_off, chunks_off + chunks_len, start, end, map, fault);
	return status == BLOCKZ_OK && map->span_count > spans ? add_check(reader, record, fault) : status;
}

/* One that holds no bytes is no piece, and nobody looks at it later: the end of its chunks, padding, its Check. */
static enum blockz_status check_empty(struct reader *reader, const struct record *record, const struct xz_block *block,
				      struct blockz_fault *fault)
{
	uint8_t expected[ALIGNMENT + CHECK_LEN_MAX] = { CHUNK_END };
	const uint8_t *bytes = NULL;
	size_t len = (size_t)(record->len - block->block.header_size);
	if (!check_sum(reader->stream->method, expected, 0, expected + (len - record->check_len)))
		return fault_nomem(fault);
	enum blockz_status status = peek_all(&reader->peek, reader->off + block->block.header_size, len, &bytes, fault);
	if (status == BLOCKZ_OK && memcmp(bytes, expected, len) != 0)
		return fault_set(fault, BLOCKZ_DAMAGED, reader->off, "an xz Block of no bytes is damaged");
	return status;
}

/* Compares a Block Header with its Record. */
static enum blockz_status check_record(const struct reader *reader, const struct record *record,
				       const struct xz_block *block, struct blockz_fault *fault)
{
	const lzma_block *header = &block->block;
	uint64_t overhead = (uint64_t)header->header_size + record->check_len;
	uint64_t least = record->image_len > 0 ? CHUNK_RAW_HEADER_LEN : CHUNK_END_LEN;
	if (record->unpadded_len < overhead + least ||
	    (record->image_len == 0 && record->unpadded_len > overhead + least) ||
	    (header->compressed_size != LZMA_VLI_UNKNOWN &&
	     header->compressed_size != record->unpadded_len - overhead) ||
	    (header->uncompressed_size != LZMA_VLI_UNKNOWN && header->uncompressed_size != record->image_len))
		return fault_set(fault, BLOCKZ_DAMAGED, reader->off, "an xz Block Header and the Index do not agree");
	return BLOCKZ_OK;
}

static enum blockz_status add_record(struct reader *reader, const struct record *record, const struct xz_block *block,
				     const uint8_t *chunk, struct blockz_fault *fault)
{
	bool zero = false;
	if (record->image_len == 0)
		return check_empty(reader, record, block, fault);
	enum blockz_status status = looks_zero(reader, record, &zero, fault);
	if (status != BLOCKZ_OK || !zero)
		return status != BLOCKZ_OK ? status : add_block(reader, record, block, chunk, fault);
	const struct piece piece = make_piece(reader, record, BLOCKZ_ZERO);
	return map_add_zero(reader->map, &piece, record->image_len, fault);
}

static enum blockz_status read_block(struct reader *reader, const struct record *record, struct blockz_fault *fault)
{
	const uint8_t *bytes = NULL;
	uint8_t chunk[CHUNK_RAW_HEADER_LEN] = { 0 };
	struct xz_block block;
	size_t len = 0, wanted = 0;
	enum blockz_status status = peek_all(&reader->peek, reader->off, 1, &bytes, fault);
	if (status == BLOCKZ_OK) {
		wanted = lzma_block_header_size_decode(bytes[0]) + CHUNK_RAW_HEADER_LEN;
		status = peek_some(&reader->peek, reader->off, wanted, &bytes, &len, fault);
	}
	if (status == BLOCKZ_OK)
		status = xz_block_parse(bytes, len, reader->stream->method, reader->off, &block, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (len == wanted)
		memcpy(chunk, bytes + block.block.header_size, sizeof(chunk));
	status = check_record(reader, record, &block, fault);
	if (status == BLOCKZ_OK)
		status = add_record(reader, record, &block, chunk, fault);
	xz_block_free(&block);
	return status;
}

static enum blockz_status on_record(void *ctx, uint64_t unpadded_len, uint64_t image_len, struct blockz_fault *fault)
{
	struct reader *reader = ctx;
	const struct record record = {
		.unpadded_len = unpadded_len, .len = xz_padded(unpadded_len), .image_len = image_len,
		.check_len = check_methods[reader->stream->method].len,
	};
	if (image_len > INT64_MAX - reader->image_pos)
		return fault_set(fault, BLOCKZ_LIMIT, reader->off, "image larger than 2^63 - 1 bytes");
	enum blockz_status status = read_block(reader, &record, fault);
	reader->off += record.len;
	reader->image_pos += image_len;
	return status;
}

static enum blockz_status read_streams(struct reader *reader, const struct xz_stream *streams, size_t count,
				       struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = count; i > 0 && status == BLOCKZ_OK; i--) {
		uint64_t records;
		reader->stream = &streams[i - 1];
		reader->off = reader->stream->off + STREAM_HEADER_LEN;
		status = xz_index_walk(reader->peek.file, reader->stream->index_off, reader->stream->index_len, on_record,
				       reader, &records, fault);
		if (status == BLOCKZ_OK && reader->off != reader->stream->index_off)
			status = fault_set(fault, BLOCKZ_DAMAGED, reader->off, "xz Index changed while it was read");
	}
	return status;
}

enum blockz_status xz_map(const struct blockz_source *file, bool scan, struct blockz_map *map,
			  struct blockz_fault *fault)
{
	struct xz_stream *streams = NULL;
	size_t count = 0;
	struct reader *reader = calloc(1, sizeof(*reader));
	if (reader == NULL)
		return fault_nomem(fault);
	reader->peek.file = file;
	reader->map = map;
	reader->scan = scan;
	enum blockz_status status = xz_find_streams(file, &streams, &count, fault);
	if (status == BLOCKZ_OK)
		status = read_streams(reader, streams, count, fault);
	map->image_size = reader->image_pos;
	map->index = BLOCKZ_INDEX_TRAILER;
	free(streams);
	free(reader);
	return status;
}
