/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An edit inside a deflate stream.
 *
 * A block has to be encoded again if it holds an edited byte, or a match that copies one; such a match lies within 32 KiB
 * behind the edit.  It does not spread: what copied changed bytes is encoded again to the text that it stood for, so who
 * copies that in turn finds what he wants.  All other blocks stay, bit for bit:
 *
 *    old   ... block | block | dirty block | dirty block | block | ...
 *    new   ... block | block | new blocks ... | filler    | block | ...
 *
 * The new blocks begin at the bit where the dirty ones did.  Filler, empty blocks, leads to the bit of a byte at which the
 * next one begins.  So what is replaced are whole bytes, the last one of which has the first bits of the rest, and the
 * rest is not shifted.
 *
 * A block can have much text: 8 MB of zeros, or all of a file.  It is taken in stretches of STRETCH_MAX, each of which is dirty or
 * not, as if it were a block.  Where new blocks begin inside of one, the code of its end stands before them, and where they
 * end inside of one, its header stands once more before the symbols that are left.  Of the final block, only the last of
 * these headers has BFINAL.
 *
 * Stored blocks are simpler: their bytes are overwritten.
 *
 * The stream is decoded once, from the piece's beginning to the last stretch that is dirty.  Kept of it are the window and
 * a stretch or two, and the bytes of a run.
 */
#include "format/deflate/splice.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/equal.h"
#include "base/fault.h"
#include "format/deflate/edits.h"
#include "format/deflate/runs.h"
#include "format/deflate/walk.h"

enum {
	STRETCH_MAX = 1 << 18, /* of text, and at most a match more: blocks are not cut unless they have more */
	TEXT_ROOM = WALK_WINDOW + 2 * STRETCH_MAX + WALK_TEXT_SLACK,
	GAP_BITS = 8 * 100, /* what a new beginning costs: so much between dirty blocks is better encoded as well */
	GAP_BITS_MIN = 10,  /* the shortest block: no byte has bits of what is dirty on both sides of it */
	KEPT_MAX = 16 << 20, /* bytes of a run whose length is to be kept, old and new ones: filler takes memory, too */
	LENGTHENED_MAX = 2 << 20, /* so much more text may be encoded again for that */
	ENDS_MAX = 1000, /* and so many ends be tried in vain, each of which takes copies of the encoders: blocks may have no text */
};

struct splice {
	const struct piece_edit *edit;
	struct walker *walker;
	struct walk_block block;
	struct walk_text text; /* old; new has the same places */
	uint8_t *new;
	bool differ; /* new holds anything */
	struct edits edits;
	struct walk_reach reach;
	struct runs runs;
	uint64_t lengthened; /* text of clean stretches that was encoded last */
	unsigned ends;       /* of the open run, which had no room */
	bool fits;
};

static uint64_t text_len(const struct splice *self)
{
	return map_piece_end(self->edit->map, self->edit->piece) - runs_piece(&self->runs)->start;
}

/* Where a stretch is in the text: it is the last of it. */
static size_t place_of(const struct splice *self, const struct stretch *stretch)
{
	return self->text.len - stretch->len;
}

/* ---- Which stretches --------------------------------------------------------------------------------------- */

/* Nothing from that text offset on is dirty. */
static bool is_settled(const struct splice *self, uint64_t out)
{
	return !edits_begin_before(&self->edits, UINT64_MAX) && !edits_are_near(&self->edits, out);
}

/* The empty stored block that ends a piece is not encoded again: what follows relies on it. */
static bool is_mark(const struct stretch *stretch)
{
	return stretch->block->type == WALK_STORED && stretch->is_last;
}

/* An open run had better end before this stretch, which is clean. */
static bool is_worth_an_end(const struct splice *self, const struct stretch *stretch)
{
	uint64_t bits = stretch->end_bit - stretch->start_bit;
	return is_mark(stretch) || bits >= (edits_are_near(&self->edits, stretch->out) ? GAP_BITS : GAP_BITS_MIN);
}

/* A stored block outside of runs: its new bytes take the places of the old ones. */
static enum blockz_status overwrite(struct splice *self, const struct stretch *stretch, struct blockz_fault *fault)
{
	const size_t len = stretch->len, at = place_of(self, stretch);
	const uint8_t *old = self->text.bytes + at, *new = self->new + at;
	size_t first = equal_ahead(old, new, len);
	size_t last = len - equal_behind(old + len, new + len, len - first);
	return runs_overwrite(&self->runs, stretch->block->payload_off + first, new + first, last - first, fault);
}

/* Ends the run before or behind a stretch, where there is room. */
static enum blockz_status try_end(struct splice *self, const struct stretch *stretch, bool behind, struct blockz_fault *fault)
{
	enum blockz_status status = runs_end(&self->runs, stretch, behind, fault);
	self->ends = self->runs.state == RUNS_OPEN ? self->ends + 1 : 0;
	return status;
}

/* A run whose length is to be kept may take in what follows a stretch. */
static bool may_go_on(const struct splice *self, const struct stretch *stretch)
{
	const struct run *run = &self->runs.run;
	return !stretch->is_last && self->lengthened <= LENGTHENED_MAX && self->ends <= ENDS_MAX && run_len(run) <= KEPT_MAX &&
	       stretch->end_bit / 8 - run->start_byte <= KEPT_MAX;
}

/* Encodes a stretch, and ends the run behind it if nothing that follows is dirty. */
static enum blockz_status renew(struct splice *self, const struct stretch *stretch, bool dirty, struct blockz_fault *fault)
{
	struct runs *runs = &self->runs;
	self->lengthened = dirty ? 0 : self->lengthened + stretch->len;
	enum blockz_status status = runs_add(runs, stretch, self->new + place_of(self, stretch), fault);
	if (status == BLOCKZ_OK && (stretch->is_last || is_settled(self, stretch->out + stretch->len)))
		status = try_end(self, stretch, true, fault);
	if (status == BLOCKZ_OK && self->edit->keep_length && runs->state == RUNS_OPEN)
		self->fits = may_go_on(self, stretch);
	return status;
}

/* Decides on a stretch; dirty: as such, wherever a run may have come to. */
static enum blockz_status decide(struct splice *self, const struct stretch *stretch, bool dirty, struct blockz_fault *fault)
{
	const enum runs_state *state = &self->runs.state;
	bool stored = stretch->block->type == WALK_STORED;
	bool tried = is_settled(self, stretch->out); /* behind the stretch before */
	enum blockz_status status = BLOCKZ_OK;
	if (*state == RUNS_OPEN && !tried && (!dirty || stored) && is_worth_an_end(self, stretch))
		status = try_end(self, stretch, false, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (*state == RUNS_OPEN && is_mark(stretch))
		self->fits = false;
	else if (*state == RUNS_OPEN || (dirty && !stored))
		status = renew(self, stretch, dirty, fault);
	else if (dirty)
		status = overwrite(self, stretch, fault);
	return status;
}

/* ---- Text -------------------------------------------------------------------------------------------------- */

/* Makes room for a stretch behind the window. */
static void make_room(struct splice *self)
{
	struct walk_text *text = &self->text;
	if (TEXT_ROOM - text->len < STRETCH_MAX + WALK_TEXT_SLACK) {
		size_t from = text->len - WALK_WINDOW;
		memmove(text->bytes, text->bytes + from, WALK_WINDOW);
		memmove(self->new, self->new + from, WALK_WINDOW);
		text->len = WALK_WINDOW;
	}
	text->room = text->len + STRETCH_MAX + WALK_TEXT_SLACK;
}

/* Lays edits over the text of a stretch.  The new text is kept apart from the first range on. */
static enum blockz_status lay_over(struct splice *self, const struct stretch *stretch, bool *changed_ret,
				   struct blockz_fault *fault)
{
	const uint8_t *old = self->text.bytes;
	const size_t at = place_of(self, stretch);
	*changed_ret = false;
	if (!self->differ && !edits_begin_before(&self->edits, stretch->out + stretch->len))
		return BLOCKZ_OK;
	size_t from = self->differ ? at : at - (size_t)min(WALK_WINDOW, stretch->out);
	memcpy(self->new + from, old + from, self->text.len - from);
	self->differ = true;
	return edits_lay(&self->edits, stretch->out, old + at, self->new + at, stretch->len, changed_ret, fault);
}

/* The piece ends where the map says so, and no earlier, in file and text. */
static enum blockz_status check(const struct splice *self, const struct stretch *stretch, struct blockz_fault *fault)
{
	const struct piece *piece = runs_piece(&self->runs);
	uint64_t out_end = stretch->out + stretch->len, off = piece->file_off + stretch->end_bit / 8;
	if (out_end > text_len(self))
		return fault_set(fault, BLOCKZ_DAMAGED, off, "a piece decodes to more than %" PRIu64 " bytes", text_len(self));
	if (!stretch->is_last)
		return BLOCKZ_OK;
	if (stretch->block->final != piece->ends_stream || (stretch->end_bit + 7) / 8 != piece->file_len)
		return fault_set(fault, BLOCKZ_DAMAGED, off, piece->ends_stream ?
				 "deflate stream does not end with its last piece" :
				 "a final deflate block in the middle of the stream");
	if (out_end < text_len(self))
		return fault_set(fault, BLOCKZ_DAMAGED, off, "a piece ends after %" PRIu64 " of %" PRIu64 " bytes", out_end,
				 text_len(self));
	return BLOCKZ_OK;
}

/* A stretch has been decoded; copied: matches in it copy bytes that differ. */
static enum blockz_status take(struct splice *self, struct stretch *stretch, bool copied, struct blockz_fault *fault)
{
	bool changed = false;
	stretch->is_last = stretch->ends && (self->block.final ||
					     stretch->end_bit == runs_piece(&self->runs)->file_len * 8);
	enum blockz_status status = check(self, stretch, fault);
	if (status == BLOCKZ_OK)
		status = lay_over(self, stretch, &changed, fault);
	return status == BLOCKZ_OK ? decide(self, stretch, changed || copied, fault) : status;
}

/* Decodes the next stretch of the block. */
static enum blockz_status decode(struct splice *self, struct stretch *stretch, struct blockz_fault *fault)
{
	struct walk_block *block = &self->block;
	make_room(self);
	const size_t before = self->text.len;
	*stretch = (struct stretch){ .block = block, .out = block->out_end, .inside = block->end_bit > block->symbols_bit };
	stretch->start_bit = stretch->inside ? block->end_bit : block->header_bit;
	enum blockz_status status = walker_text(self->walker, block, &self->text, &self->reach, &stretch->ends, fault);
	stretch->end_bit = block->end_bit;
	stretch->len = self->text.len - before;
	return status;
}

/* Decodes the next stretch, and finds out whether its matches copy bytes that differ. */
static enum blockz_status decode_and_watch(struct splice *self, struct stretch *stretch, bool *copied_ret,
					   struct blockz_fault *fault)
{
	const bool near = edits_are_near(&self->edits, self->block.out_end);
	self->reach.watch_end = near ? self->block.out_end : 0;
	if (near)
		memset(self->reach.ring, 0, sizeof(self->reach.ring));
	enum blockz_status status = decode(self, stretch, fault);
	*copied_ret = near && status == BLOCKZ_OK && edits_were_copied(&self->edits, &self->reach);
	return status;
}

/* ---- The stream -------------------------------------------------------------------------------------------- */

static bool is_over(const struct splice *self, const struct stretch *stretch)
{
	return !self->fits || stretch->is_last ||
	       (self->runs.state != RUNS_OPEN && is_settled(self, stretch->out + stretch->len));
}

static enum blockz_status splice_symbols(struct splice *self, struct stretch *stretch, struct blockz_fault *fault)
{
	enum blockz_status status;
	bool copied;
	do {
		status = decode_and_watch(self, stretch, &copied, fault);
		if (status == BLOCKZ_OK)
			status = take(self, stretch, copied, fault);
	} while (status == BLOCKZ_OK && !stretch->ends && !is_over(self, stretch));
	return status;
}

static enum blockz_status splice_stored(struct splice *self, struct stretch *stretch, struct blockz_fault *fault)
{
	const struct walk_block *block = &self->block;
	make_room(self);
	*stretch = (struct stretch){
		.block = block, .start_bit = block->header_bit, .end_bit = block->end_bit, .out = block->out_start,
		.len = (size_t)(block->out_end - block->out_start), .ends = true,
	};
	enum blockz_status status = runs_read(&self->runs, self->text.bytes + self->text.len, stretch->len, block->payload_off,
					      fault);
	self->text.len += stretch->len;
	return status == BLOCKZ_OK ? take(self, stretch, false, fault) : status;
}

static enum blockz_status splice_stream(struct splice *self, struct blockz_fault *fault)
{
	struct stretch stretch = { 0 };
	enum blockz_status status = BLOCKZ_OK;
	while (status == BLOCKZ_OK && !is_over(self, &stretch)) {
		status = walker_begin(self->walker, &self->block, fault);
		if (status == BLOCKZ_OK)
			status = self->block.type == WALK_STORED ? splice_stored(self, &stretch, fault) :
								   splice_symbols(self, &stretch, fault);
	}
	return status == BLOCKZ_OK && self->fits ? runs_hand_on(&self->runs, fault) : status;
}

static void splice_free(struct splice *self)
{
	if (self == NULL)
		return;
	run_free(&self->runs.run);
	walker_free(self->walker);
	free(self->text.bytes);
	free(self->new);
	free(self);
}

static enum blockz_status splice_new(const struct piece_edit *edit, struct splice **splice_ret, struct blockz_fault *fault)
{
	struct splice *self = calloc(1, sizeof(*self));
	if (self == NULL)
		return fault_nomem(fault);
	self->edit = edit;
	self->edits.edit = edit;
	self->runs.edit = edit;
	self->runs.final_bit = BLOCKZ_UNKNOWN;
	self->edits.image_start = runs_piece(&self->runs)->start;
	self->fits = true;
	self->text.bytes = malloc(TEXT_ROOM);
	self->new = malloc(TEXT_ROOM);
	enum blockz_status status = self->text.bytes == NULL || self->new == NULL ? fault_nomem(fault) :
										   walker_new(&self->walker, fault);
	if (status == BLOCKZ_OK)
		status = run_new(&self->runs.run, fault);
	if (status == BLOCKZ_OK)
		*splice_ret = self;
	else
		splice_free(self);
	return status;
}

enum blockz_status deflate_splice(const struct piece_edit *edit, bool *done_ret, struct blockz_fault *fault)
{
	struct splice *self = NULL;
	enum blockz_status status = splice_new(edit, &self, fault);
	if (status != BLOCKZ_OK)
		return status;
	const struct piece *piece = runs_piece(&self->runs);
	self->runs.walker = self->walker;
	walker_reset_source(self->walker, edit->file, piece->file_off, piece->file_off + piece->file_len);
	status = splice_stream(self, fault);
	if (status == BLOCKZ_OK)
		*done_ret = self->fits;
	splice_free(self);
	return status;
}
