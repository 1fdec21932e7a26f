/* SPDX-License-Identifier: BSD-3-Clause */
/* Cutting is done once to count, with each size that pieces may have, and then once more to save. */
#include "pagestore/save_pieces.h"

#include <inttypes.h>

#include "base/checked.h"
#include "base/fault.h"
#include "pagestore/snapshot.h"

enum {
	ZERO_SIZE_MIN = 4 << 20, /* decoded whole by those who read a byte of it */
	ZERO_SIZES = 4,          /* 4, 8, 16 and 32 MiB */
	PIECE_SIZE_MAX = ZERO_SIZE_MIN << (ZERO_SIZES - 1),
	ZERO_RUN_MAX = 4096,     /* frames of zeros at once: progress is told, and interruption heard, between them */
};

/* ---- Cutting ---- */

/* Sets zero_end: where the zeros end that begin at pos, as far as is known without a look into pages; at limit at the latest. */
static enum blockz_status find_zeros(struct save_pieces *self, uint64_t limit, struct blockz_fault *fault)
{
	self->zero_end = self->pos;
	while (self->zero_end < limit) {
		enum snapshot_kind kind;
		uint64_t page = self->zero_end / self->page_size, count;
		enum blockz_status status = snapshot_run(self->pages, page, &kind, &count, fault);
		if (status != BLOCKZ_OK || kind != SNAPSHOT_ZERO)
			return status;
		self->zero_end = min(limit, (page + count) * self->page_size);
	}
	return BLOCKZ_OK;
}

/* The piece that starts at pos, or all zeros from there on, if they are not less than a piece. */
static enum blockz_status cut_piece(struct save_pieces *self, struct pack_piece *piece, struct blockz_fault *fault)
{
	while (self->next_raw < self->raw_count && self->raw[self->next_raw].end <= self->pos)
		self->next_raw++;
	const struct blockz_range *raw = self->next_raw < self->raw_count ? &self->raw[self->next_raw] : NULL;
	bool in_raw = raw != NULL && raw->start <= self->pos;
	uint64_t size = in_raw ? SAVE_RAW_SIZE : self->piece_size, limit = self->size;
	if (raw != NULL)
		limit = min(limit, in_raw ? raw->end : raw->start);
	uint64_t end = min(limit, self->pos - self->pos % size + size);
	*piece = (struct pack_piece){ in_raw ? BLOCKZ_RAW : BLOCKZ_COMPRESSED, self->pos, end, 1, !in_raw };
	if (in_raw)
		return BLOCKZ_OK;
	enum blockz_status status = find_zeros(self, limit, fault);
	if (status != BLOCKZ_OK || self->zero_end < end)
		return status;
	piece->kind = BLOCKZ_ZERO;
	piece->end = self->zero_end;
	return BLOCKZ_OK;
}

enum blockz_status save_pieces_next(struct save_pieces *self, struct pack_piece *piece, struct blockz_fault *fault)
{
	if (self->pos >= self->size)
		return BLOCKZ_OK;
	enum blockz_status status = BLOCKZ_OK;
	if (self->zero_end > self->pos)
		*piece = (struct pack_piece){ BLOCKZ_ZERO, self->pos, self->zero_end, 1, false };
	else
		status = cut_piece(self, piece, fault);
	if (status != BLOCKZ_OK)
		return status;
	uint64_t copies = (piece->end - piece->start) / self->zero_size;
	if (piece->kind == BLOCKZ_ZERO && copies > 0) {
		piece->copies = min(copies, ZERO_RUN_MAX);
		piece->end = piece->start + piece->copies * self->zero_size;
	}
	self->pos = piece->end;
	return BLOCKZ_OK;
}

bool save_pieces_is_frame(const struct save_pieces *self, const struct pack_piece *piece)
{
	enum snapshot_kind kind;
	uint64_t count, page = piece->start / self->page_size;
	return self->piece_size == self->page_size && piece->start % self->page_size == 0 &&
	       piece->end == min(piece->start + self->page_size, self->size) &&
	       snapshot_run(self->pages, page, &kind, &count, NULL) == BLOCKZ_OK && kind == SNAPSHOT_FRAME;
}

/* ---- How many frames there will be ---- */

struct tally {
	uint64_t data, zeros[ZERO_SIZES]; /* frames; of zeros: with each size that they may have */
	uint64_t checks;                  /* at most */
};

static void count_piece(const struct save_pieces *self, const struct pack_piece *piece, struct tally *tally)
{
	uint64_t len = piece->end - piece->start;
	if (piece->kind == BLOCKZ_ZERO) {
		for (int i = 0; i < ZERO_SIZES; i++)
			tally->zeros[i] += (len - 1) / ((uint64_t)ZERO_SIZE_MIN << i) + 1;
		return;
	}
	tally->data++;
	if (!save_pieces_is_frame(self, piece))
		tally->checks += 2; /* it may turn out not to compress */
}

/* Counts until it is all, or too much. */
static enum blockz_status count_pieces(const struct save_pieces *self, struct tally *tally, struct blockz_fault *fault)
{
	struct save_pieces cutting = *self;
	*tally = (struct tally){ .data = 0 };
	while (cutting.pos < cutting.size && tally->data <= MAP_ITEMS_MAX && tally->checks <= MAP_ITEMS_MAX) {
		struct pack_piece piece;
		enum blockz_status status = cut_piece(&cutting, &piece, fault);
		if (status != BLOCKZ_OK)
			return status;
		count_piece(&cutting, &piece, tally);
		cutting.pos = piece.end;
	}
	return BLOCKZ_OK;
}

enum blockz_status save_pieces_choose_sizes(struct save_pieces *self, struct blockz_fault *fault)
{
	for (self->piece_size = self->page_size; self->piece_size <= PIECE_SIZE_MAX; self->piece_size *= 2) {
		struct tally tally;
		enum blockz_status status = count_pieces(self, &tally, fault);
		if (status != BLOCKZ_OK)
			return status;
		for (int i = 0; i < ZERO_SIZES && tally.checks <= MAP_ITEMS_MAX; i++) {
			self->zero_size = (uint64_t)ZERO_SIZE_MIN << i;
			if (self->zero_size >= self->piece_size && tally.data + tally.zeros[i] <= MAP_ITEMS_MAX)
				return BLOCKZ_OK;
		}
	}
	return fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN,
			 "an image of %" PRIu64 " bytes needs more than %d frames, even of %d MiB each", self->size,
			 MAP_ITEMS_MAX, PIECE_SIZE_MAX >> 20);
}
