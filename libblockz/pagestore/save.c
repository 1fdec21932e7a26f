/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Saving a store as a .zst: the packer, fed with pages.
 *
 * A piece is a page, and where that is kept as a frame, the frame is the piece's encoding already.  Pages are cut
 * where raw ranges begin and end, and these are cut for themselves.  Zeros are cut into frames of zero_size from where
 * they begin on, so that there are as few of them as can be.
 *
 * A map has room for MAP_ITEMS_MAX frames, and for as many checks, of which a raw frame has two: its own, and the copy
 * in the seek table.  So all frames are counted first.  Where zeros are too many, their frames become longer; where
 * pages are, pieces become several pages each, and then everything is encoded anew.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/export.h"
#include "base/fault.h"
#include "blockz_pages.h"
#include "format/format.h"
#include "mapped/pack.h"
#include "mapped/pack_options.h"
#include "pagestore/snapshot.h"

enum {
	RAW_SIZE = 1 << 20,           /* of a raw frame: what a patch hashes again */
	ZERO_SIZE_MIN = 4 << 20,      /* decoded whole by those who read a byte of it */
	ZERO_SIZES = 4,               /* 4, 8, 16 and 32 MiB */
	PIECE_SIZE_MAX = ZERO_SIZE_MIN << (ZERO_SIZES - 1),
	ZERO_RUN_MAX = 4096,          /* frames of zeros at once: progress is told, and interruption heard, between them */
	CHECKSUM_LEN = 4,             /* at the end of a frame */
};

struct save {
	struct blockz_pages *pages;
	uint64_t size, page_size;
	uint64_t piece_size, zero_size;
	struct blockz_range *raw;
	size_t raw_count;
	/* Cutting. */
	uint64_t pos;      /* image offset of the next piece */
	size_t next_raw;   /* first raw range that ends behind pos */
	uint64_t zero_end; /* known to be zeros up to there, if that is behind pos */
};

/* ---- Cutting ---- */

/* Where the zeros end that begin at pos, as far as is known without a look into pages, but at limit at the latest. */
static enum blockz_status find_zeros(struct save *save, uint64_t limit, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	bool zeros = true;
	save->zero_end = save->pos;
	while (zeros && save->zero_end < limit && status == BLOCKZ_OK) {
		enum snapshot_kind kind;
		uint64_t page = save->zero_end / save->page_size, count;
		status = snapshot_run(save->pages, page, &kind, &count, fault);
		zeros = status == BLOCKZ_OK && kind == SNAPSHOT_ZERO;
		if (zeros)
			save->zero_end = min(limit, (page + count) * save->page_size);
	}
	return status;
}

/* The piece that starts at pos, or all zeros from there on, if they are not less than a piece. */
static enum blockz_status cut(struct save *save, struct pack_piece *piece, struct blockz_fault *fault)
{
	while (save->next_raw < save->raw_count && save->raw[save->next_raw].end <= save->pos)
		save->next_raw++;
	const struct blockz_range *raw = save->next_raw < save->raw_count ? &save->raw[save->next_raw] : NULL;
	bool in_raw = raw != NULL && raw->start <= save->pos;
	uint64_t size = in_raw ? RAW_SIZE : save->piece_size, limit = save->size;
	if (raw != NULL)
		limit = min(limit, in_raw ? raw->end : raw->start);
	uint64_t end = min(limit, save->pos - save->pos % size + size);
	*piece = (struct pack_piece){ in_raw ? BLOCKZ_RAW : BLOCKZ_COMPRESSED, save->pos, end, 1, !in_raw };
	if (in_raw)
		return BLOCKZ_OK;
	enum blockz_status status = find_zeros(save, limit, fault);
	if (status != BLOCKZ_OK || save->zero_end < end)
		return status;
	piece->kind = BLOCKZ_ZERO;
	piece->end = save->zero_end;
	return BLOCKZ_OK;
}

/* ---- How many frames there will be ---- */

struct tally {
	uint64_t data, zeros[ZERO_SIZES]; /* frames; of zeros: with each size that they may have */
	uint64_t checks;                  /* at most */
};

static bool is_frame(struct save *save, const struct pack_piece *piece)
{
	enum snapshot_kind kind;
	uint64_t count, page = piece->start / save->page_size;
	return save->piece_size == save->page_size && piece->start % save->page_size == 0 &&
	       piece->end == min(piece->start + save->page_size, save->size) &&
	       snapshot_run(save->pages, page, &kind, &count, NULL) == BLOCKZ_OK && kind == SNAPSHOT_FRAME;
}

static void count_piece(struct save *save, const struct pack_piece *piece, struct tally *tally)
{
	uint64_t len = piece->end - piece->start;
	if (piece->kind == BLOCKZ_ZERO) {
		for (int i = 0; i < ZERO_SIZES; i++)
			tally->zeros[i] += (len - 1) / ((uint64_t)ZERO_SIZE_MIN << i) + 1;
		return;
	}
	tally->data++;
	if (!is_frame(save, piece))
		tally->checks += 2; /* it may turn out not to compress */
}

/* Counts until it is all, or too much. */
static enum blockz_status count_pieces(struct save *save, struct tally *tally, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	*tally = (struct tally){ .data = 0 };
	save->pos = save->next_raw = save->zero_end = 0;
	while (save->pos < save->size && tally->data <= MAP_ITEMS_MAX && tally->checks <= MAP_ITEMS_MAX &&
	       status == BLOCKZ_OK) {
		struct pack_piece piece;
		status = cut(save, &piece, fault);
		if (status == BLOCKZ_OK)
			count_piece(save, &piece, tally);
		save->pos = piece.end;
	}
	save->pos = save->next_raw = save->zero_end = 0;
	return status;
}

/* The least sizes of pieces and zero frames with which a map has room for all. */
static enum blockz_status choose_sizes(struct save *save, struct blockz_fault *fault)
{
	for (save->piece_size = save->page_size; save->piece_size <= PIECE_SIZE_MAX; save->piece_size *= 2) {
		struct tally tally;
		enum blockz_status status = count_pieces(save, &tally, fault);
		if (status != BLOCKZ_OK)
			return status;
		for (int i = 0; i < ZERO_SIZES && tally.checks <= MAP_ITEMS_MAX; i++) {
			save->zero_size = (uint64_t)ZERO_SIZE_MIN << i;
			if (save->zero_size >= save->piece_size && tally.data + tally.zeros[i] <= MAP_ITEMS_MAX)
				return BLOCKZ_OK;
		}
	}
	return fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN,
			 "an image of %" PRIu64 " bytes needs more than %d frames, even of %d MiB each", save->size,
			 MAP_ITEMS_MAX, PIECE_SIZE_MAX >> 20);
}

/* ---- Feeding ---- */

static enum blockz_status next(void *ctx, struct pack_piece *piece, uint8_t *bytes, struct blockz_fault *fault)
{
	struct save *save = ctx;
	(void)bytes;
	if (save->pos >= save->size)
		return BLOCKZ_OK;
	enum blockz_status status = BLOCKZ_OK;
	if (save->zero_end > save->pos)
		*piece = (struct pack_piece){ BLOCKZ_ZERO, save->pos, save->zero_end, 1, false };
	else
		status = cut(save, piece, fault);
	uint64_t copies = (piece->end - piece->start) / save->zero_size;
	if (piece->kind == BLOCKZ_ZERO && copies > 0) {
		piece->copies = min(copies, ZERO_RUN_MAX);
		piece->end = piece->start + piece->copies * save->zero_size;
	}
	save->pos = piece->end;
	return status;
}

/* A part of a page. */
static enum blockz_status read_part(struct save *save, uint64_t start, uint64_t end, uint8_t *bytes,
				    struct blockz_fault *fault)
{
	uint8_t *page = malloc(save->page_size);
	if (page == NULL)
		return fault_nomem(fault);
	enum blockz_status status = snapshot_read(save->pages, start / save->page_size, page, fault);
	if (status == BLOCKZ_OK)
		memcpy(bytes, page + start % save->page_size, (size_t)(end - start));
	free(page);
	return status;
}

static enum blockz_status read_pages(struct save *save, uint64_t start, uint64_t end, uint8_t *bytes,
				     struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	for (uint64_t pos = start, page_end; pos < end && status == BLOCKZ_OK; pos = page_end) {
		uint64_t page = pos / save->page_size;
		page_end = min(end, (page + 1) * save->page_size);
		bool whole = pos % save->page_size == 0 && page_end == min(save->size, pos + save->page_size);
		status = whole ? snapshot_read(save->pages, page, bytes + (pos - start), fault)
			       : read_part(save, pos, page_end, bytes + (pos - start), fault);
	}
	return status;
}

static enum blockz_status fetch(void *ctx, const struct pack_piece *piece, uint8_t *bytes, struct encoding *encoding,
				struct blockz_fault *fault)
{
	struct save *save = ctx;
	if (piece->kind == BLOCKZ_RAW || !is_frame(save, piece))
		return read_pages(save, piece->start, piece->end, bytes, fault);
	enum blockz_status status =
		snapshot_frame(save->pages, piece->start / save->page_size, &encoding->out, &encoding->len, fault);
	if (status == BLOCKZ_OK)
		encoding->tag = load_le32(encoding->out.bytes + encoding->len - CHECKSUM_LEN);
	return status;
}

static enum blockz_status run(struct save *save, const struct blockz_sink *sink, const struct blockz_work *work,
			      struct blockz_pack_result *result_ret, struct blockz_fault *fault)
{
	enum blockz_status status = choose_sizes(save, fault);
	if (status != BLOCKZ_OK)
		return status;
	const struct pack_task task = {
		.format = &format_zstd,
		.params = {
			.level = snapshot_level(save->pages), .check = CHECK_XXH64_LOW32, .piece_size = save->piece_size,
			.raw_size = RAW_SIZE, .image_size = save->size, .raw_count = save->raw_count,
		},
		.zero_size = save->zero_size,
		.store_incompressible = true,
		.feed = { save, next, fetch },
		.sink = sink,
		.work = work,
		.threads = work->threads,
	};
	return pack_run(&task, result_ret, fault);
}

EXPORT enum blockz_status blockz_pages_save(struct blockz_pages *pages, const struct blockz_sink *sink,
					    const struct blockz_pages_save_options *options,
					    struct blockz_pack_result *result_ret, struct blockz_fault *fault)
{
	struct blockz_pages_info info = blockz_pages_info(pages);
	struct save save = { .pages = pages, .size = info.size, .page_size = info.page_size };
	enum blockz_status status =
		pack_raw(options->raw, options->raw_count, info.size, &save.raw, &save.raw_count, fault);
	if (status != BLOCKZ_OK)
		return status;
	snapshot_begin(pages);
	status = run(&save, sink, &options->work, result_ret, fault);
	snapshot_end(pages);
	free(save.raw);
	return status;
}
