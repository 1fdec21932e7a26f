/* SPDX-License-Identifier: BSD-3-Clause */
/* A Block is encoded again by its own filters; Indexes are made anew from their Records. */
#include "format/xz/renew.h"

#include <stdlib.h>

#include "base/fault.h"
#include "format/xz/coding.h"
#include "format/xz/chunks.h"
#include "format/xz/edge.h"
#include "format/xz/encode.h"
#include "format/xz/index.h"
#include "format/xz/write.h"
#include "io/peek.h"

enum { RECORDS_MAX = 1 << 24 }; /* of an Index that is made anew: 16 bytes of memory each, and those of the Index */

const int xz_renew_levels[] = { XZ_RENEW_USUAL, XZ_RENEW_CONTEXT, XZ_RENEW_EXTREME, 0 };

/* ---- What encoders need ---- */

static enum blockz_status cannot_encode(uint64_t off, struct blockz_fault *fault)
{
	return fault_set(fault, BLOCKZ_UNSUPPORTED, off, "a Block with filters that cannot be encoded");
}

/* That there is an encoder by what was noted, unless memory is short. */
static enum blockz_status try_coding(const struct pack_params *params, uint64_t off, struct blockz_fault *fault)
{
	struct xz_block chain;
	enum blockz_status status = xz_coding_chain(params, &chain, fault);
	if (status != BLOCKZ_OK)
		return status == BLOCKZ_UNSUPPORTED ? cannot_encode(off, fault) : status;
	bool can_be = lzma_raw_encoder_memusage(chain.filters) != UINT64_MAX;
	xz_block_free(&chain);
	return can_be ? BLOCKZ_OK : cannot_encode(off, fault);
}

static enum blockz_status note_coding(struct peek *peek, uint64_t off, uint64_t len, const struct xz_block *block,
				      struct pack_params *params, struct blockz_fault *fault)
{
	uint8_t properties = 0;
	enum blockz_status status = xz_find_properties(peek, off + block->block.header_size, off + len, &properties, fault);
	if (status != BLOCKZ_OK)
		return status;
	return xz_coding_note(params->coding, block, properties) ? try_coding(params, off, fault) : cannot_encode(off, fault);
}

static enum blockz_status read_coding(struct peek *peek, const struct piece *piece, struct pack_params *params,
				      struct blockz_fault *fault)
{
	struct xz_block block;
	const uint8_t *bytes = NULL;
	size_t len = 0;
	enum blockz_status status = peek_some(peek, piece->file_off, BLOCK_HEADER_LEN_MAX, &bytes, &len, fault);
	if (status == BLOCKZ_OK)
		status = xz_block_parse(bytes, len, piece->method, piece->file_off, &block, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = note_coding(peek, piece->file_off, piece->file_len / piece->copies, &block, params, fault);
	xz_block_free(&block);
	return status;
}

enum blockz_status xz_renew_params(const struct blockz_source *file, const struct blockz_map *map, size_t index,
				   struct pack_params *params_ret, struct blockz_fault *fault)
{
	const struct piece *piece = &map->pieces[index];
	uint64_t image_len = (map_piece_end(map, index) - piece->start) / piece->copies;
	struct pack_params params = {
		.level = xz_renew_levels[0], .check = piece->method, .piece_size = image_len, .raw_size = image_len,
		.image_size = map->image_size,
	};
	struct peek *peek = calloc(1, sizeof(*peek));
	if (peek == NULL)
		return fault_nomem(fault);
	peek->file = file;
	enum blockz_status status = read_coding(peek, piece, &params, fault);
	free(peek);
	params.level = 0;
	if (status == BLOCKZ_OK)
		*params_ret = params;
	return status;
}

/* ---- The Index ---- */

struct renewer {
	const struct renewal *renewal;
	size_t next;  /* of its pieces */
	uint64_t off; /* of the Block of the next Record */
	bool differs; /* a Record does */
	void *writer;
};

/* Where the next Block stands that was encoded again; behind all others if there is none. */
static uint64_t next_off(const struct renewer *renewer)
{
	const struct renewal *renewal = renewer->renewal;
	if (renewer->next == renewal->count)
		return UINT64_MAX;
	const struct renewed_piece *renewed = &renewal->pieces[renewer->next];
	const struct piece *piece = &renewal->map->pieces[renewed->piece];
	return piece->file_off + renewed->copy * (piece->file_len / piece->copies);
}

/* Of a Block that ends early there is less. */
static void end_record(const struct renewer *renewer, struct written_piece *written)
{
	const struct blockz_map *map = renewer->renewal->map;
	const struct piece_edge *edge = renewer->renewal->end->edge;
	const struct piece *piece = &map->pieces[map_find_piece(map, edge->off)];
	struct file_cut cut;
	if (renewer->off != piece->file_off)
		return;
	xz_end_block(map, edge, &cut, &written->file_len);
	written->end = edge->off - piece->start;
}

static enum blockz_status add_record(void *ctx, uint64_t unpadded_len, uint64_t image_len, struct blockz_fault *fault)
{
	struct renewer *renewer = ctx;
	struct written_piece written = { .end = image_len, .file_len = unpadded_len, .copies = 1 };
	if (renewer->off == next_off(renewer)) {
		const struct renewed_piece *renewed = &renewer->renewal->pieces[renewer->next++];
		written.file_len = renewed->file_len;
		written.tag = renewed->tag;
		renewer->differs = renewer->differs || renewed->file_len - renewed->tag != unpadded_len;
	}
	if (renewer->renewal->end != NULL && renewer->off >= renewer->renewal->end->cut->off)
		return BLOCKZ_OK;
	if (renewer->renewal->end != NULL && renewer->renewal->end->edge != NULL)
		end_record(renewer, &written);
	renewer->off += xz_padded(unpadded_len);
	return xz_write_piece(renewer->writer, &written, fault);
}

static enum blockz_status add_new(struct renewer *renewer, struct blockz_fault *fault)
{
	const struct new_end *end = renewer->renewal->end;
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < end->count && status == BLOCKZ_OK; i++) {
		struct written_piece piece = end->pieces[i];
		status = xz_write_piece(renewer->writer, &piece, fault);
	}
	return status;
}

/* The image is to end in this Stream. */
static bool ends_in(const struct renewal *renewal, const struct xz_stream *stream)
{
	const struct new_end *end = renewal->end;
	return end != NULL && end->cut->off > stream->off && end->cut->off <= stream->index_off;
}

/* Index and Stream Footer, which stand side by side. */
static enum blockz_status make_tail(struct renewer *renewer, const struct xz_stream *stream, struct buffer *out,
				    size_t *len_ret, struct blockz_fault *fault)
{
	uint64_t records, piece_size;
	renewer->off = stream->off + STREAM_HEADER_LEN;
	renewer->differs = false;
	enum blockz_status status = xz_index_walk(renewer->renewal->file, stream->index_off, stream->index_len, add_record,
						  renewer, &records, fault);
	if (status == BLOCKZ_OK && ends_in(renewer->renewal, stream))
		status = add_new(renewer, fault);
	return status == BLOCKZ_OK ? xz_write_tail(renewer->writer, out, len_ret, &piece_size, fault) : status;
}

static enum blockz_status renew_stream(struct renewer *renewer, const struct xz_stream *stream,
				       struct blockz_fault *fault)
{
	const struct renewal *renewal = renewer->renewal;
	const bool is_last = ends_in(renewal, stream);
	struct blockz_range old = { stream->index_off, stream->index_off + stream->index_len + STREAM_HEADER_LEN };
	struct buffer out = { 0 };
	size_t len = 0;
	if (next_off(renewer) >= stream->index_off && !is_last)
		return BLOCKZ_OK;
	if (is_last)
		old.start = old.end = renewal->end->cut->end;
	if (stream->records > RECORDS_MAX)
		return fault_set(fault, BLOCKZ_LIMIT, stream->index_off, "an xz Index of more than %d Records", RECORDS_MAX);
	renewer->writer = xz_writer_new(&(struct pack_params){ .check = stream->method });
	if (renewer->writer == NULL)
		return fault_nomem(fault);
	enum blockz_status status = make_tail(renewer, stream, &out, &len, fault);
	if (status == BLOCKZ_OK && (renewer->differs || is_last))
		status = renewal->replace(renewal->ctx, old, out.bytes, len, fault);
	xz_writer_free(renewer->writer);
	buffer_free(&out);
	return status;
}

enum blockz_status xz_renew_index(const struct renewal *renewal, struct blockz_fault *fault)
{
	struct renewer renewer = { .renewal = renewal };
	struct xz_stream *streams = NULL;
	size_t count = 0;
	enum blockz_status status = xz_find_streams(renewal->file, &streams, &count, fault);
	for (size_t i = count; i > 0 && status == BLOCKZ_OK; i--)
		status = renew_stream(&renewer, &streams[i - 1], fault);
	if (status == BLOCKZ_OK && renewal->end != NULL && renewal->end->edge != NULL)
		status = xz_end_early(renewal, fault);
	free(streams);
	return status;
}

/* ---- Another end ---- */

/* Streams are found from the end. */
static const struct xz_stream *stream_with(const struct xz_stream *streams, size_t count, uint64_t off)
{
	size_t i = 0;
	while (i + 1 < count && streams[i].off >= off)
		i++;
	return &streams[i];
}

enum blockz_status xz_cut(const struct blockz_source *file, const struct blockz_map *map, const struct ending *ending,
			  struct file_cut *cut_ret, struct blockz_fault *fault)
{
	const uint64_t kept = ending->kept;
	struct xz_stream *streams = NULL;
	size_t count = 0;
	struct file_cut cut = { .covered = kept };
	uint64_t unpadded_len;
	enum blockz_status status = xz_find_streams(file, &streams, &count, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (map->piece_count == 0)
		cut.off = streams[0].index_off;
	else if (ending->edge != NULL)
		xz_end_block(map, ending->edge, &cut, &unpadded_len);
	else if (kept < map->image_size && (kept == 0 || ending->continues))
		cut.off = map_file_off(map, kept);
	else
		cut.off = map_file_end(map, kept);
	const struct xz_stream *stream = stream_with(streams, count, cut.off);
	cut.method = stream->method;
	cut.end = kept < map->image_size ? map->file_size : stream->index_off + stream->index_len + STREAM_HEADER_LEN;
	free(streams);
	*cut_ret = cut;
	return BLOCKZ_OK;
}
