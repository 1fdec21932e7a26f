/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * New pieces are cut at multiples of the size that most pieces of the file have, so that the first is short where the old image
 * did not end at one; whole zero pieces are encoded once.  The text of an old piece that is cut is at hand before the first is
 * encoded: in memory, or where the piece is a long one in the scratch.
 */
#include "edit/new_pieces.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/checked.h"
#include "base/fault.h"
#include "check/crc.h"
#include "edit/touched.h"
#include "parallel/pool.h"

enum { ZERO_RUN_MAX = 4096 }; /* pieces at once: progress is told between them */

/* ---- How the file's pieces are encoded ---- */

static bool can_be_size(const struct format *format, uint64_t size)
{
	return size >= format->public.piece_size_min && size <= format->public.piece_size_max && size <= PIECE_MEMORY_MAX &&
	       (format->pieces_are_powers ? (size & (size - 1)) == 0 : size % format->public.piece_size_min == 0);
}

/* The piece that new ones are made like: the longest, though the last may be short; piece_count: there is none. */
static size_t find_model(const struct blockz_map *map)
{
	size_t model = map->piece_count;
	uint64_t longest = 0;
	for (size_t i = 0; i < map->piece_count; i++) {
		uint64_t len = piece_image_len(map, i) / map->pieces[i].copies;
		if (map->pieces[i].kind != BLOCKZ_RAW && len > longest) {
			model = i;
			longest = len;
		}
	}
	return model;
}

static uint64_t default_size(const struct format *format)
{
	const struct pack_params usual = { .level = format->public.level_default };
	return format->default_piece_size != NULL ? format->default_piece_size(&usual) : format->public.piece_size_default;
}

/* How long new pieces are: as the longest that has others behind it, if that is one that can be. */
static uint64_t choose_size(const struct blockz_map *map)
{
	uint64_t longest = 0;
	for (size_t i = 0; i < map->piece_count; i++) {
		const struct piece *piece = &map->pieces[i];
		uint64_t len = piece_image_len(map, i) / piece->copies;
		if (piece->kind != BLOCKZ_RAW && len > longest && (i + 1 < map->piece_count || piece->copies > 1))
			longest = len;
	}
	return can_be_size(map->format, longest) ? longest : default_size(map->format);
}

/* What encodes the model can encode others; where nothing can, or there is none, they are encoded as by default. */
static enum blockz_status choose_params(struct new_pieces *self)
{
	const struct planner *planner = self->planner;
	const struct blockz_map *map = planner->map;
	const size_t model = find_model(map);
	const uint64_t size = self->piece_size != 0 ? self->piece_size : choose_size(map);
	enum blockz_status status = BLOCKZ_UNSUPPORTED;
	memset(&self->params, 0, sizeof(self->params));
	if (model < map->piece_count)
		status = map->format->renew_params(planner->file, map, model, &self->params, planner->fault);
	if (status != BLOCKZ_OK && status != BLOCKZ_UNSUPPORTED)
		return status;
	if (status == BLOCKZ_UNSUPPORTED)
		self->params = (struct pack_params){ .level = map->format->public.level_default };
	else if (self->params.level == 0)
		self->params.level = map->format->renew_levels[0];
	if (model < map->piece_count && piece_image_len(map, model) < size) /* which says nothing about longer ones */
		self->params.window_max = 0;
	self->params.check = self->method;
	self->params.piece_size = size;
	self->params.raw_size = self->old_kind == BLOCKZ_RAW ? self->end - self->start : min(size, map->format->raw_size_max);
	self->params.image_size = self->end;
	return BLOCKZ_OK;
}

/* ---- The text of the piece that is cut ---- */

/* Appends what is wanted to the scratch, and lets the decoder go on to the checks at the piece's end. */
struct spool {
	struct new_pieces *self;
	uint64_t skip, left;
	enum blockz_status status;
};

static bool emit_to_spool(void *ctx, const uint8_t *bytes, size_t len)
{
	struct spool *spool = ctx;
	struct planner *planner = spool->self->planner;
	struct blockz_plan *plan = planner->plan;
	const size_t skipped = (size_t)min(len, spool->skip), wanted = (size_t)min(len - skipped, spool->left);
	int error = wanted > 0 ? plan->scratch->ops->write(plan->scratch->ctx, bytes + skipped, wanted, plan->scratch_len) : 0;
	if (error != 0)
		spool->status = fault_errno(planner->fault, error, BLOCKZ_UNKNOWN, "writing the image to a temporary file");
	plan->scratch_len += wanted;
	spool->skip -= skipped;
	spool->left -= wanted;
	return spool->status == BLOCKZ_OK && (spool->left > 0 || !spool->self->is_verified);
}

static enum blockz_status spool_long(struct new_pieces *self, size_t index)
{
	struct planner *planner = self->planner;
	const struct blockz_map *map = planner->map;
	struct spool spool = {
		.self = self, .skip = self->start - map->pieces[index].start, .left = self->end - self->start,
	};
	self->old_off = planner->plan->scratch_len;
	enum blockz_status status = piece_decode_long(&planner->reader, &map->pieces[index], piece_image_len(map, index), emit_to_spool,
						      &spool, planner->fault);
	return spool.status != BLOCKZ_OK ? spool.status : status;
}

static enum blockz_status read_old(struct new_pieces *self)
{
	struct planner *planner = self->planner;
	const struct blockz_map *map = planner->map;
	const size_t index = map_find_piece(map, self->start);
	const struct piece *piece = &map->pieces[index];
	const uint64_t len = piece_image_len(map, index) / piece->copies;
	self->old_kind = (enum blockz_kind)piece->kind;
	if (piece->kind == BLOCKZ_ZERO) {
		self->has_old = false;
		return piece_prove_zeros(&planner->reader, index, (self->start - piece->start) / len, 1, planner->fault);
	}
	if (piece->kind != BLOCKZ_RAW && piece_is_long(map, index))
		return spool_long(self, index);
	if (!buffer_reserve(&self->old, (size_t)len + DECODE_SLACK))
		return fault_nomem(planner->fault);
	self->old_at = (size_t)(self->start - piece->start);
	return piece->kind == BLOCKZ_RAW
		       ? piece_read_raw_checked(&planner->reader, index, self->old.bytes, NULL, planner->fault)
		       : piece_decode(&planner->reader, piece, piece_image_len(map, index), self->old.bytes, NULL, planner->fault);
}

/* ---- The feed ---- */

static enum blockz_status copy_old(struct new_pieces *self, uint8_t *bytes, size_t len, struct blockz_fault *fault)
{
	const struct blockz_store *scratch = self->planner->plan->scratch;
	uint64_t at = self->pos - self->start;
	size_t got = 0;
	if (!self->has_old)
		memset(bytes, 0, len);
	else if (self->old_off == BLOCKZ_UNKNOWN)
		memcpy(bytes, self->old.bytes + self->old_at + at, len);
	if (!self->has_old || self->old_off == BLOCKZ_UNKNOWN)
		return BLOCKZ_OK;
	pthread_mutex_lock(&self->lock);
	int error = scratch->ops->read(scratch->ctx, bytes, len, self->old_off + at, &got);
	pthread_mutex_unlock(&self->lock);
	return error == 0 && got == len
		       ? BLOCKZ_OK
		       : fault_errno(fault, error != 0 ? error : EIO, BLOCKZ_UNKNOWN, "reading the image from a temporary file");
}

/* Finds how far from pos on there are zeros and no edit has anything else. */
static enum blockz_status find_zeros(struct new_pieces *self, struct blockz_fault *fault)
{
	struct planner planner = *self->planner; /* with the fault of this call */
	const size_t count = planner.part_count + planner.later_count;
	planner.fault = fault;
	if (self->has_old || self->data > self->pos)
		return BLOCKZ_OK;
	for (self->data = self->end; self->part < count; self->part++) {
		const struct edit_part *part = &planner.parts[self->part];
		uint64_t start = part->start > self->pos ? part->start : self->pos, zeros = 0;
		if (part->end <= self->pos)
			continue;
		enum blockz_status status = touched_zeros_end(&planner, part, start, part->end, &zeros);
		if (status != BLOCKZ_OK)
			return status;
		if (zeros < part->end) {
			self->data = zeros;
			break;
		}
	}
	return BLOCKZ_OK;
}

static enum blockz_status take_zeros(struct new_pieces *self, struct pack_piece *piece, bool *taken_ret, struct blockz_fault *fault)
{
	const uint64_t size = self->params.piece_size;
	enum blockz_status status = find_zeros(self, fault);
	uint64_t copies = self->data > self->pos ? min((self->data - self->pos) / size, ZERO_RUN_MAX) : 0;
	*taken_ret = status == BLOCKZ_OK && !self->has_old && self->pos % size == 0 && copies > 0;
	if (*taken_ret)
		*piece = (struct pack_piece){
			.kind = BLOCKZ_ZERO, .start = self->pos, .end = self->pos + copies * size, .copies = copies,
		};
	return status;
}

static enum blockz_status take_bytes(struct new_pieces *self, struct pack_piece *piece, uint8_t *bytes, struct blockz_fault *fault)
{
	const uint64_t size = self->params.piece_size, edge = self->pos - self->pos % size + size;
	const bool is_raw = self->has_old && self->old_kind == BLOCKZ_RAW;
	*piece = (struct pack_piece){
		.kind = is_raw ? BLOCKZ_RAW : BLOCKZ_COMPRESSED, .start = self->pos, .end = is_raw ? self->end : min(edge, self->end),
		.copies = 1,
	};
	piece->may_be_zero = !is_raw && piece->end - piece->start == size;
	size_t len = (size_t)(piece->end - piece->start);
	enum blockz_status status = copy_old(self, bytes, len, fault);
	return status == BLOCKZ_OK ? planner_lay_over(self->planner, self->planner->part_count, bytes, len, self->pos, fault) : status;
}

static enum blockz_status next_piece(void *ctx, struct pack_piece *piece, uint8_t *bytes, struct blockz_fault *fault)
{
	struct new_pieces *self = ctx;
	bool taken = false;
	if (self->pos == self->end)
		return BLOCKZ_OK;
	enum blockz_status status = take_zeros(self, piece, &taken, fault);
	if (status == BLOCKZ_OK && !taken)
		status = take_bytes(self, piece, bytes, fault);
	self->pos = piece->end;
	self->made += piece->copies;
	return status;
}

/* ---- What comes of it ---- */

struct put {
	struct new_pieces *self;
	struct blockz_fault why;
};

/* A sink's operation has an errno value for what went wrong; the words are kept for who runs it. */
static int put_bytes(void *ctx, const void *buf, size_t len)
{
	struct put *put = ctx;
	struct new_pieces *self = put->self;
	pthread_mutex_lock(&self->lock);
	enum blockz_status status = plan_put(self->planner->plan, self->file_off, buf, len, &put->why);
	pthread_mutex_unlock(&self->lock);
	return status == BLOCKZ_OK ? 0 : put->why.error != 0 ? put->why.error : ENOMEM;
}

static bool unites(const struct written_piece *last, const struct written_piece *piece)
{
	return last->kind == BLOCKZ_ZERO && piece->kind == BLOCKZ_ZERO &&
	       last->file_len / last->copies == piece->file_len / piece->copies &&
	       (last->end - last->start) / last->copies == (piece->end - piece->start) / piece->copies;
}

static enum blockz_status note_piece(void *ctx, const struct written_piece *piece, struct blockz_fault *fault)
{
	struct new_pieces *self = ctx;
	self->file_len += piece->file_len;
	if (self->count > 0 && unites(&self->items[self->count - 1], piece)) {
		struct written_piece *last = &self->items[self->count - 1];
		last->end = piece->end;
		last->file_len += piece->file_len;
		last->copies += piece->copies;
		return BLOCKZ_OK;
	}
	struct written_piece *room = array_room(self->items, self->count, sizeof(*room));
	if (room == NULL)
		return fault_nomem(fault);
	self->items = room;
	self->items[self->count++] = *piece;
	return BLOCKZ_OK;
}

static enum blockz_status encode_all(struct new_pieces *self)
{
	static const struct blockz_sink_ops ops = { .write = put_bytes };
	const struct planner *planner = self->planner;
	struct put put = { .self = self };
	const struct blockz_sink sink = { &ops, &put };
	const struct pack_task task = {
		.format = planner->map->format, .params = self->params, .zero_size = self->params.piece_size,
		.feed = { .ctx = self, .next = next_piece }, .sink = &sink, .work = planner->work,
		.threads = pool_threads(planner->work->threads),
	};
	enum blockz_status status = pack_run_pieces(&task, note_piece, self, planner->fault);
	if (put.why.status != BLOCKZ_OK && planner->fault != NULL)
		*planner->fault = put.why;
	return put.why.status != BLOCKZ_OK ? put.why.status : status;
}

enum blockz_status new_pieces_make(struct new_pieces *self)
{
	struct planner *planner = self->planner;
	self->old_off = BLOCKZ_UNKNOWN;
	self->pos = self->data = self->start;
	self->part = planner->part_count;
	enum blockz_status status = self->has_old ? read_old(self) : BLOCKZ_OK;
	if (status == BLOCKZ_OK)
		status = choose_params(self);
	if (status != BLOCKZ_OK)
		return status;
	if ((self->end - self->start) / self->params.piece_size >= NEW_PIECES_MAX)
		return fault_set(planner->fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN, "more than %d pieces would have to be appended",
				 NEW_PIECES_MAX);
	pthread_mutex_init(&self->lock, NULL);
	status = encode_all(self);
	pthread_mutex_destroy(&self->lock);
	return status;
}

void new_pieces_free(struct new_pieces *self)
{
	free(self->items);
	buffer_free(&self->old);
}
