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
 * Their tokens are encoded again, by their own code where that has all symbols: recode.c and parse.c have how.  The new
 * blocks begin at the bit where the dirty ones did.  Filler, empty blocks, leads to the bit of a byte at which the
 * next one begins.  So what is replaced are whole bytes, the last one of which has the first bits of the rest, and the
 * rest is not shifted.
 *
 * A block can have much text: 8 MB of zeros, or all of a file.  It is taken in stretches of STRETCH_MAX, each of which is dirty or
 * not, as if it were a block.  Where a run begins inside of one, its symbols go on, or the code of its end stands before new
 * blocks; and where a run ends inside of one, its header stands once more before the symbols that are left.  Of the final
 * block, only the last of these headers has BFINAL.
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
	STRETCH_LEN_MAX = STRETCH_MAX + WALK_TEXT_SLACK,
	TEXT_ROOM = WALK_WINDOW + 2 * STRETCH_MAX + WALK_TEXT_SLACK,
	GAP_BITS = 8 * 100, /* what a new beginning costs: so much between dirty blocks is better encoded as well */
	GAP_BITS_MIN = 10,  /* the shortest block: no byte has bits of what is dirty on both sides of it */
	KEPT_MAX = 16 << 20, /* bytes of a run whose length is to be kept, old and new ones: filler takes memory, too */
	LENGTHENED_MAX = 2 << 20, /* so much more text may be encoded again for that, */
	BLOCK_TEXT = 2 << 10,     /* where a block takes as long as so much text: it may have hardly any */
};

struct splice {
	const struct piece_edit *edit;
	struct walker *walker;
	struct walk_block block;
	struct walk_text text; /* old; new has the same places */
	uint8_t *new;
	bool differ; /* new holds anything */
	struct walk_tokens tokens; /* of the stretch, unless it is sure to be clean */
	struct edits edits;
	struct runs runs;
	uint64_t lengthened; /* text of clean stretches that was encoded last */
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

static struct edited_text text_of(const struct splice *self, const struct stretch *stretch)
{
	const size_t at = place_of(self, stretch);
	return (struct edited_text){
		.old = self->text.bytes + at, .new = self->new + at, .len = stretch->len, .out = stretch->out,
		.reach = (size_t)min(WALK_WINDOW, stretch->out), .tokens = self->tokens.list, .token_count = self->tokens.count,
	};
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

/* A run whose length is to be kept may take in what follows a stretch. */
static bool may_go_on(const struct splice *self, const struct stretch *stretch)
{
	const struct runs *runs = &self->runs;
	return !stretch->is_last && self->lengthened <= LENGTHENED_MAX && bits_len(&runs->bits) <= KEPT_MAX &&
	       stretch->end_bit / 8 - runs->start_byte <= KEPT_MAX;
}

/* Encodes a stretch, and ends the run behind it if nothing that follows is dirty. */
static enum blockz_status renew(struct splice *self, const struct stretch *stretch, bool dirty, struct blockz_fault *fault)
{
	struct runs *runs = &self->runs;
	const struct edited_text text = text_of(self, stretch);
	if (dirty)
		self->lengthened = 0;
	else if (stretch->len > 0)
		self->lengthened += stretch->len + BLOCK_TEXT;
	enum blockz_status status = runs_add(runs, stretch, &text, fault);
	if (status == BLOCKZ_OK && (stretch->is_last || is_settled(self, stretch->out + stretch->len)))
		status = runs_end(runs, stretch, true, fault);
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
		status = runs_end(&self->runs, stretch, false, fault);
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

/* Matches in a stretch, over which edits have been laid, copy bytes that differ. */
static bool has_copied(const struct splice *self, const struct stretch *stretch)
{
	const struct edited_text text = text_of(self, stretch);
	return edits_are_near(&self->edits, stretch->out) && !tokens_hold(&text);
}

/* A stretch has been decoded. */
static enum blockz_status take(struct splice *self, struct stretch *stretch, struct blockz_fault *fault)
{
	bool changed = false;
	stretch->is_last = stretch->ends && (self->block.final ||
					     stretch->end_bit == runs_piece(&self->runs)->file_len * 8);
	enum blockz_status status = check(self, stretch, fault);
	if (status == BLOCKZ_OK)
		status = lay_over(self, stretch, &changed, fault);
	return status == BLOCKZ_OK ? decide(self, stretch, changed || has_copied(self, stretch), fault) : status;
}

/* The next stretch may have to be encoded again. */
static bool may_be_renewed(const struct splice *self)
{
	const uint64_t out = self->block.out_end;
	return self->runs.state == RUNS_OPEN || edits_are_near(&self->edits, out) ||
	       edits_begin_before(&self->edits, out + STRETCH_MAX + WALK_TEXT_SLACK);
}

/* Decodes the next stretch of the block. */
static enum blockz_status decode(struct splice *self, struct stretch *stretch, struct blockz_fault *fault)
{
	struct walk_block *block = &self->block;
	struct walk_tokens *tokens = may_be_renewed(self) ? &self->tokens : NULL;
	make_room(self);
	const size_t before = self->text.len;
	*stretch = (struct stretch){ .block = block, .out = block->out_end, .inside = block->end_bit > block->symbols_bit };
	stretch->start_bit = stretch->inside ? block->end_bit : block->header_bit;
	self->tokens.count = 0;
	enum blockz_status status = walker_text(self->walker, block, &self->text, tokens, &stretch->ends, fault);
	stretch->end_bit = block->end_bit;
	stretch->len = self->text.len - before;
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
	do {
		status = decode(self, stretch, fault);
		if (status == BLOCKZ_OK)
			status = take(self, stretch, fault);
	} while (status == BLOCKZ_OK && !stretch->ends && !is_over(self, stretch));
	return status;
}

/* Takes stored bytes for as many literals. */
static void set_literals(struct walk_tokens *tokens, size_t len)
{
	tokens->count = len;
	for (size_t i = 0; i < len; i++)
		tokens->list[i] = (struct walk_token){ 1, 0 };
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
	set_literals(&self->tokens, stretch->len);
	return status == BLOCKZ_OK ? take(self, stretch, fault) : status;
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
	bits_free(&self->runs.bits);
	recoder_free(self->runs.recoder);
	walker_free(self->walker);
	free(self->tokens.list);
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
	self->tokens.list = malloc(STRETCH_LEN_MAX * sizeof(*self->tokens.list));
	self->runs.recoder = recoder_new(STRETCH_LEN_MAX);
	bool nomem = self->text.bytes == NULL || self->new == NULL || self->tokens.list == NULL || self->runs.recoder == NULL;
	enum blockz_status status = nomem ? fault_nomem(fault) : walker_new(&self->walker, fault);
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
