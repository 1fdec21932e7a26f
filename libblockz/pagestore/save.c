/* SPDX-License-Identifier: BSD-3-Clause */
/* Saving a store: the packer, fed with pages of a store that stands still; of a .zst in the frames that they are kept as. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/export.h"
#include "base/fault.h"
#include "format/formats.h"
#include "mapped/pack_options.h"
#include "pagestore/save_pieces.h"
#include "pagestore/snapshot.h"

enum { CHECKSUM_LEN = 4 }; /* at the end of a frame */

static enum blockz_status next_piece(void *ctx, struct pack_piece *piece, uint8_t *bytes, struct blockz_fault *fault)
{
	(void)bytes; /* a store reads when it is asked for a piece's bytes */
	return save_pieces_next(ctx, piece, fault);
}

/* A piece's bytes, or the frame that it is kept as. */
static enum blockz_status fetch_piece(void *ctx, const struct pack_piece *piece, uint8_t *bytes, struct encoding *encoding,
				      struct blockz_fault *fault)
{
	const struct save_pieces *pieces = ctx;
	if (piece->kind == BLOCKZ_RAW || !save_pieces_is_frame(pieces, piece))
		return snapshot_read(pieces->pages, piece->start, piece->end, bytes, fault);
	enum blockz_status status =
		snapshot_frame(pieces->pages, piece->start / pieces->page_size, &encoding->out, &encoding->len, fault);
	if (status != BLOCKZ_OK)
		return status;
	encoding->tag = load_le32(encoding->out.bytes + encoding->len - CHECKSUM_LEN);
	return BLOCKZ_OK;
}

static enum blockz_status pack_pieces(struct save_pieces *pieces, const struct blockz_sink *sink,
				      const struct blockz_work *work, struct blockz_pack_result *result_ret,
				      struct blockz_fault *fault)
{
	enum blockz_status status = save_pieces_choose_sizes(pieces, fault);
	if (status != BLOCKZ_OK)
		return status;
	const struct pack_task task = {
		.format = format_by_name(BLOCKZ_PAGES_FORMAT),
		.params = {
			.level = snapshot_level(pieces->pages), .check = CHECK_XXH64_LOW32, .piece_size = pieces->piece_size,
			.raw_size = SAVE_RAW_SIZE, .image_size = pieces->size, .raw_count = pieces->raw_count,
		},
		.zero_size = pieces->zero_size,
		.store_incompressible = true,
		.feed = { pieces, next_piece, fetch_piece },
		.sink = sink,
		.work = work,
		.threads = work->threads,
	};
	return pack_run(&task, result_ret, fault);
}

/* As frames, if pages are some, or as any image is packed. */
static enum blockz_status pack_format(struct save_pieces *pieces, const struct blockz_sink *sink,
				      const struct blockz_pages_save_options *options, struct blockz_pack_result *result_ret,
				      struct blockz_fault *fault)
{
	if (options->format == NULL || strcmp(options->format, BLOCKZ_PAGES_FORMAT) == 0)
		return pack_pieces(pieces, sink, &options->work, result_ret, fault);
	const struct blockz_source image = snapshot_source(pieces->pages);
	const struct blockz_pack_options pack = {
		.format = options->format, .raw = pieces->raw, .raw_count = pieces->raw_count, .work = options->work,
	};
	return blockz_pack(&image, sink, &pack, result_ret, fault);
}

EXPORT enum blockz_status blockz_pages_save(struct blockz_pages *pages, const struct blockz_sink *sink,
					    const struct blockz_pages_save_options *options,
					    struct blockz_pack_result *result_ret, struct blockz_fault *fault)
{
	struct blockz_pages_info info = blockz_pages_info(pages);
	struct blockz_range *raw;
	size_t raw_count;
	enum blockz_status status = pack_raw(options->raw, options->raw_count, info.size, &raw, &raw_count, fault);
	if (status != BLOCKZ_OK)
		return status;
	struct save_pieces pieces = { .pages = pages, .size = info.size, .page_size = info.page_size, .raw = raw,
				      .raw_count = raw_count };
	snapshot_begin(pages);
	status = pack_format(&pieces, sink, options, result_ret, fault);
	snapshot_end(pages);
	free(raw);
	return status;
}
