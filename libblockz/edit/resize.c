/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Another size is a cut of the file, and new pieces behind it:
 *
 *   larger    all pieces stay, and pieces of zeros follow
 *   smaller   pieces before that in which the new end lies stay; what is left of this one is encoded again, or of a long one
 *             what is left behind one of its blocks, at which it ends early
 *
 * Edits of what stays are planned as ever, in the old file.  Behind it they go into the new pieces.
 *
 * A check over a whole gzip member covers bytes that are left out.  As a polynomial (check/crc.h) that of the member is the sum
 * of those of its parts, shifted: from the bytes that are left out alone follows what it is without them.  So damage in what stays,
 * which is not decoded, is told afterwards as it was before.
 */
#include "edit/resize.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fault.h"
#include "check/crc.h"
#include "io/access.h"
#include "edit/may_patch.h"
#include "edit/touched.h"

/* What a piece has at least that ends early; a build for fuzzing, whose files are short, has less. */
#ifndef EDGE_MIN
#define EDGE_MIN (4 << 20)
#endif

/* ---- What stays ---- */

/* Where the piece, or the copy of one, begins that holds an image offset. */
static uint64_t piece_start(const struct blockz_map *map, uint64_t off)
{
	size_t index = map_find_piece(map, off);
	uint64_t len = piece_image_len(map, index) / map->pieces[index].copies, start = map->pieces[index].start;
	return start + (off - start) / len * len;
}

/* How much of the piece that is cut no edit reaches. */
static uint64_t unedited_end(const struct planner *planner, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < planner->part_count; i++)
		if (planner->parts[i].end > start && planner->parts[i].start < end)
			return max(planner->parts[i].start, start);
	return end;
}

/* A long piece need not be encoded again from its beginning. */
static enum blockz_status cut_inside(struct resize *self, struct planner *planner, uint64_t image_size)
{
	const struct blockz_map *map = planner->map;
	const uint64_t start = self->ending.kept, limit = unedited_end(planner, start, image_size);
	const size_t index = map_find_piece(map, start);
	if (map->pieces[index].kind != BLOCKZ_COMPRESSED || piece_image_len(map, index) <= EDGE_MIN || limit == start)
		return BLOCKZ_OK;
	enum blockz_status status = map->format->find_edge(planner->file, map, index, limit, &self->edge, planner->fault);
	if (status == BLOCKZ_OK && self->edge.off > start) {
		self->ending.kept = self->edge.off;
		self->ending.edge = &self->edge;
	}
	return status;
}

/* Has the planner see only the parts before `kept`, one of which may end behind it. */
static enum blockz_status split_parts(struct resize *self, struct planner *planner)
{
	const uint64_t kept = self->ending.kept;
	size_t count = planner->part_count, first = 0;
	struct edit_part *parts = calloc(count + 2, sizeof(*parts));
	if (parts == NULL)
		return fault_nomem(planner->fault);
	if (count > 0)
		memcpy(parts, planner->parts, count * sizeof(*parts));
	while (first < count && parts[first].end <= kept)
		first++;
	if (first < count && parts[first].start < kept) {
		memmove(parts + first + 1, parts + first, (count++ - first) * sizeof(*parts));
		parts[first].end = parts[first + 1].start = kept;
		first++;
	}
	self->parts = parts;
	planner->parts = parts;
	planner->part_count = first;
	planner->later_count = count - first;
	return BLOCKZ_OK;
}

enum blockz_status resize_begin(struct resize *self, struct planner *planner, uint64_t image_size)
{
	const struct blockz_map *map = planner->map;
	const struct piece *last = map->piece_count > 0 ? &map->pieces[map->piece_count - 1] : NULL;
	self->is_wanted = image_size != map->image_size;
	if (!self->is_wanted)
		return BLOCKZ_OK;
	self->cuts = image_size < map->image_size;
	self->ending.kept = self->cuts ? piece_start(map, image_size) : map->image_size;
	enum blockz_status status = self->cuts ? cut_inside(self, planner, image_size) : BLOCKZ_OK;
	if (status != BLOCKZ_OK)
		return status;
	self->ending.continues = image_size > self->ending.kept;
	planner->kept = self->ending.kept;
	planner->opens = !self->cuts && last != NULL && last->ends_stream;
	return split_parts(self, planner);
}

/* ---- What a check covers of what is left out ---- */

struct crc_sink {
	uint32_t crc;
};

static int sum_bytes(void *ctx, const void *bytes, size_t len)
{
	struct crc_sink *self = ctx;
	self->crc = crc32_update(self->crc, bytes, len);
	return 0;
}

static int sum_zeros(void *ctx, uint64_t len)
{
	struct crc_sink *self = ctx;
	self->crc = crc32_join(self->crc, (uint32_t)crc_zeros(&crc32_poly, len), len);
	return 0;
}

static enum blockz_status sum_dropped(struct resize *self, struct planner *planner)
{
	static const struct blockz_sink_ops ops = { .write = sum_bytes, .zeros = sum_zeros };
	struct crc_sink sum = { 0 };
	const struct blockz_sink sink = { &ops, &sum };
	const struct blockz_range range = { self->ending.kept, self->cut.covered };
	enum blockz_status status = range.start < range.end ? blockz_extract(planner->file, planner->map, range, &sink,
									     planner->work, planner->fault)
							    : BLOCKZ_OK;
	self->end.dropped_crc = sum.crc;
	return status;
}

/* ---- What follows ---- */

/* What an index says of the edge is shown to be true. */
static enum blockz_status check_edge(const struct resize *self, struct planner *planner)
{
	const uint64_t kept = self->ending.kept;
	if (kept == 0)
		return BLOCKZ_OK;
	return may_patch_around(&planner->reader, (struct blockz_range){ kept, kept }, self->cut.off, &planner->new, planner->fault);
}

/* The end of a long stream was encoded again in part, and would have to be changed once more. */
static enum blockz_status check_end(const struct resize *self, const struct planner *planner)
{
	const struct file_cut *cut = &self->cut;
	struct blockz_range open = { cut->open_off, cut->open_off + (cut->open_off != 0) };
	struct blockz_range behind = { cut->off, planner->plan->file_size };
	if (!plan_replaces(planner->plan, open, PLAN_PIECE) && !plan_replaces(planner->plan, behind, PLAN_PIECE))
		return BLOCKZ_OK;
	return fault_set(planner->fault, BLOCKZ_UNSUPPORTED, cut->off,
			 "the last block of a long %s cannot be edited and followed by others at once: one after the other can",
			 planner->map->format->piece_noun);
}

enum { CHANGE_STEP = 64 << 10 }; /* zeros are looked for from its multiples on */

/* Notes what a part has behind the old end, where there would be zeros without it. */
static enum blockz_status note_appended(const struct planner *planner, const struct edit_part *part)
{
	enum blockz_status status = BLOCKZ_OK;
	for (uint64_t pos = part->start; pos < part->end && status == BLOCKZ_OK;) {
		uint64_t start = 0, step;
		status = touched_zeros_end(planner, part, pos, part->end, &start);
		step = min(start - start % CHANGE_STEP + CHANGE_STEP, part->end);
		const struct plan_change change = { start, step - start, 0 };
		if (status == BLOCKZ_OK && change.length > 0)
			status = plan_add_change(planner->plan, &change, planner->fault);
		pos = step;
	}
	return status;
}

/* No check moves by them: those over new pieces are made anew. */
static enum blockz_status note_changes(const struct resize *self, const struct planner *planner)
{
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < planner->later_count && status == BLOCKZ_OK; i++) {
		const struct edit_part *part = &planner->parts[planner->part_count + i];
		const struct plan_change whole = { part->start, part->end - part->start, 0 };
		status = self->cuts ? plan_add_change(planner->plan, &whole, planner->fault) : note_appended(planner, part);
	}
	return status;
}

/* What was cut counts among what was encoded again. */
static void note_cut(const struct resize *self, struct planner *planner)
{
	const struct piece *piece = &planner->map->pieces[map_find_piece(planner->map, self->ending.kept)];
	struct blockz_plan_renewed *sum = &planner->plan->renewed;
	if (piece->kind != BLOCKZ_COMPRESSED)
		return;
	sum->pieces++;
	sum->image_bytes += self->pieces.end - self->pieces.start;
	sum->file_bytes += min(piece->file_len, self->pieces.file_len);
	sum->unverified += piece_is_unverified(piece, planner->map->format);
}

static enum blockz_status put_new(struct resize *self, struct planner *planner)
{
	const struct file_cut *cut = &self->cut;
	self->pieces = (struct new_pieces){
		.planner = planner, .start = self->ending.kept, .end = planner->image_size, .file_off = cut->off, .method = cut->method,
		.piece_size = cut->piece_size, .has_old = self->cuts, .is_verified = self->ending.edge != NULL,
	};
	enum blockz_status status =
		cut->lead_len > 0 ? plan_put(planner->plan, cut->off, cut->lead, cut->lead_len, planner->fault) : BLOCKZ_OK;
	if (status == BLOCKZ_OK && self->ending.continues)
		status = new_pieces_make(&self->pieces);
	if (status == BLOCKZ_OK && self->ending.continues && self->cuts)
		note_cut(self, planner);
	return status == BLOCKZ_OK ? note_changes(self, planner) : status;
}

enum blockz_status resize_run(struct resize *self, struct planner *planner, bool last_is_whole)
{
	const struct blockz_map *map = planner->map;
	self->ending.is_open = planner->opens && last_is_whole;
	enum blockz_status status = map->format->cut(planner->file, map, &self->ending, &self->cut, planner->fault);
	if (status == BLOCKZ_OK)
		status = check_end(self, planner);
	if (status == BLOCKZ_OK)
		status = check_edge(self, planner);
	if (status == BLOCKZ_OK)
		status = sum_dropped(self, planner);
	if (status == BLOCKZ_OK)
		status = put_new(self, planner);
	if (status == BLOCKZ_OK)
		status = plan_leave_out(planner->plan, (struct blockz_range){ self->cut.off, self->cut.end }, planner->fault);
	self->end = (struct new_end){
		.cut = &self->cut, .kept = self->ending.kept, .image_size = planner->image_size, .pieces = self->pieces.items,
		.count = self->pieces.count, .file_len = self->pieces.file_len, .edge = self->ending.edge, .dropped_crc = self->end.dropped_crc,
	};
	planner->end = &self->end;
	planner->plan->is_splice = true;
	return status;
}

void resize_finish(const struct resize *self, struct planner *planner)
{
	plan_drop(planner->plan, &(struct blockz_range){ self->cut.off, self->cut.end }, 1, PLAN_CHECK);
}

void resize_free(struct resize *self)
{
	new_pieces_free(&self->pieces);
	free(self->parts);
}
